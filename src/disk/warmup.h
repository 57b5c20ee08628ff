#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "disk/reader.h"
#include "disk/shard.h"
#include "disk/warm_set.h"
#include "store/bucket.h"

namespace bobbin::disk {

struct WarmupNumbers {
  uint64_t items = 0;
  uint64_t values = 0;
  uint64_t vbuckets_done = 0;
  uint64_t elapsed_us = 0;
  bool finished = false;
  bool failed = false;
};

/// What the warmups of a bucket's shards share.
struct WarmupPlan {
  WarmupPlan(WarmSet set, uint32_t shards) : warm(std::move(set)), shards_left(shards) {}

  const WarmSet warm;
  /// Shards that are not done with their part of it. The rest comes after that, or a shard's rest would take
  /// the room of another's warm documents.
  std::atomic<uint32_t> shards_left;
};

/// Brings what a shard has into memory, once, after a start: metadata and value of a document come from the
/// same record, so one walk in key order does both. With value eviction every key comes, and values as long
/// as there is room for them; with full eviction documents, as long as there is room. Where there was more
/// than memory holds, a first walk brings what was in use, and a second fills up what room is left.
///
/// One thread starts and ends it; the rest is for any thread.
class Warmup {
 public:
  /// `plan` is shared with the other shards' warmups; the last that is done with it frees it.
  Warmup(store::Bucket& bucket, const Shard& shard, const base::Clock& clock, uint32_t number,
         uint32_t shards, std::shared_ptr<WarmupPlan> plan);
  /// As stop().
  ~Warmup();
  Warmup(const Warmup&) = delete;
  Warmup& operator=(const Warmup&) = delete;

  void start();
  /// Ends the thread wherever it is.
  void stop();
  [[nodiscard]] WarmupNumbers numbers() const noexcept;

 private:
  enum class Walked : uint8_t { to_the_end, to_a_rest, full, stopped, damaged };

  enum class Pass : uint8_t { all, warm, rest };

  void run();
  void walk_in_two();
  Walked walk_all(Pass pass);
  void wait_for_the_other_shards();
  /// Loads from `next_` on, as far as one reader is to go.
  [[nodiscard]] Walked walk();
  /// Loads what can be read of each vbucket from `next_` on, each with a reader of its own.
  void walk_one_by_one();
  [[nodiscard]] Walked walk_one(uint16_t vbucket);
  void load(const KeyReader& reader);
  /// Of vbuckets that lack revisions, and whose records no walk has seen all of: there was no room.
  void learn_the_rest();
  /// Whether this pass has anything to do with the document.
  [[nodiscard]] bool is_wanted(bool is_warm) const noexcept;
  [[nodiscard]] bool evicts_in_full() const noexcept;
  void take_tickets();
  /// Finishes vbuckets before this one. `complete`: the walk has seen all that is on disk of them.
  void finish_until(uint32_t vbucket, bool complete);
  void finish(uint32_t vbucket, bool complete);
  /// Whether it is time for a look at memory, before a value of so many bytes.
  [[nodiscard]] bool is_step(uint64_t value_bytes) noexcept;
  /// Every now and then, before the reader's document is loaded: an end of the walk, if there is a reason.
  [[nodiscard]] std::optional<Walked> step(const KeyReader& reader);
  [[nodiscard]] bool is_full(uint64_t value_bytes);
  void publish_numbers() noexcept;
  [[nodiscard]] uint64_t since_begun_us() const noexcept;

  store::Bucket& bucket_;
  const Shard& shard_;
  const base::Clock& clock_;
  const uint32_t number_;
  const uint32_t shards_;

  // The thread's.
  std::shared_ptr<WarmupPlan> plan_;
  Pass pass_ = Pass::all;
  /// Whether this pass is the one after which a vbucket is as warm as it gets.
  bool finishes_ = true;
  /// The first vbucket of the shard that is not finished.
  uint32_t next_;
  /// By vbucket.
  std::vector<store::LoadTicket> tickets_;
  /// By vbucket: something of it found no memory.
  std::vector<bool> missed_;
  base::Now now_;
  uint64_t seen_ = 0;
  uint64_t bytes_since_step_ = 0;
  uint64_t items_ = 0;
  uint64_t items_before_vbucket_ = 0;
  uint64_t values_ = 0;
  bool has_room_ = true;
  /// Of the vbucket `next_`, so far.
  store::SeenRevisions seen_revisions_;

  std::atomic<bool> stopping_{false};
  std::atomic<uint64_t> items_told_{0};
  std::atomic<uint64_t> values_told_{0};
  std::atomic<uint64_t> vbuckets_done_{0};
  std::atomic<bool> finished_{false};
  std::chrono::steady_clock::time_point begun_;
  /// 0 while it runs.
  std::atomic<uint64_t> took_us_{0};
  std::atomic<bool> failed_{false};
  std::thread thread_;
};

}  // namespace bobbin::disk
