#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "disk/fetcher.h"
#include "disk/flusher.h"
#include "disk/persistence.h"
#include "disk/warm_set.h"
#include "disk/warmup.h"

namespace bobbin::disk {

/// In the order in which they need each other: the last ends first.
struct Persistence::Impl {
  PersistenceOptions options;
  base::SystemClock system_clock;
  const base::Clock* clock = &system_clock;
  // What RocksDB's threads ask; null until there is a bucket.
  std::atomic<const store::Bucket*> asked{nullptr};
  std::unique_ptr<store::Bucket> bucket;
  std::unique_ptr<Directory> directory;
  std::vector<std::unique_ptr<Flusher>> flushers;
  std::unique_ptr<Fetcher> fetcher;
  std::vector<std::unique_ptr<Warmup>> warmups;
  std::unique_ptr<WarmSetWriter> warm_set_writer;

  uint64_t items_at_start = 0;
  std::atomic<bool> started{false};
  std::atomic<bool> closed{false};

  [[nodiscard]] Freshness freshness_of(uint16_t vbucket, store::DocKey key, uint64_t seqno) const;
  [[nodiscard]] Result<void> open_directory();
  [[nodiscard]] Result<std::unique_ptr<Directory>> open_for_reading(Error why) const;
  [[nodiscard]] Result<void> make_bucket();
  [[nodiscard]] Result<void> read_collections(store::Bucket& made) const;
  void make_threads();
  [[nodiscard]] uint64_t stuck_bytes() const noexcept;
  [[nodiscard]] Flusher& flusher_of(uint16_t vbucket) const { return *flushers[vbucket % flushers.size()]; }
};

}  // namespace bobbin::disk
