#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/pinned_bytes.h"
#include "disk/persistence.h"
#include "feed/frame_memory.h"
#include "feed/pool.h"
#include "feed/scans.h"
#include "net/spool.h"
#include "wire/range_scan.h"

namespace bobbin::feed {

/// What somebody waits for whose further requests are to be answered behind this one. Shared by a session,
/// which looks at it on its loop, and the task that answers, which resumes the connection afterwards.
struct Awaited {
  std::atomic<bool> has_come{false};
};

/// Who has sent a request, and where its replies go.
struct Asker {
  net::Spool spool;
  wire::BinaryHeader request;
  uint64_t received_ns = 0;  ///< when, where the client wants to be told how long it took; else 0
  std::shared_ptr<Awaited> awaited = {};  ///< null: nobody waits
  /// What the connection's frames hold: ConnectionScans::memory(); null: they have a limit of their own.
  std::shared_ptr<FrameMemory::Connection> memory = {};
  bool is_told_units = false;  ///< what was read; in the reply that ends an answer
};

/// What the client that makes a scan may see, and has agreed to read.
struct ScanView {
  bool json = false;           ///< told that values are JSON
  bool xattrs = false;         ///< knows attributes
  bool system_xattrs = false;  ///< may read those of the system
};

/// A bucket on disk, for as long as `keeper` is held.
struct ScannedBucket {
  store::Bucket& bucket;
  disk::Persistence& disk;
  std::shared_ptr<const void> keeper;
};

struct ScanOptions {
  ScannedBucket bucket;
  uint16_t vbucket = 0;
  wire::ScanCreate what;
  ScanView view;
  /// Who has made it: nobody else goes on with it. Empty: who has not logged in.
  std::string user = {};
};

/// One range scan: the keys or documents of a vbucket's collection between two keys, as the disk had them at
/// one moment. A task of the pool; it answers its RANGE_SCAN_CREATE, then each RANGE_SCAN_CONTINUE, through
/// the asker's spool, with frames of some 32 KiB. A document that is as large has one of its own, for which
/// there has to be room (feed/frame_memory.h); between two steps no other large value is held.
///
///   opening --> idle <--> continuing --> over
///
/// It is over at the end of the range, when it is cancelled or nobody continues it, when a reader of its
/// frames or the connection that made it has gone, and when what it scans is no more: the bucket was flushed,
/// the collection dropped. Then it holds no snapshot and no bucket. A server that ends abandons it.
///
/// Public functions: any thread; none waits for a step.
class Scan final : public Task {
 public:
  /// A place was taken for it with ConnectionScans::enter(). `clock` and `scans` live longer.
  Scan(ScanOptions options, Asker creator, Scans& scans, const base::Clock& clock);
  ~Scan() override;

  [[nodiscard]] const wire::ScanId& id() const noexcept { return id_; }
  [[nodiscard]] std::string_view kind() const noexcept override { return "range_scan"; }
  [[nodiscard]] uint16_t vbucket() const noexcept { return options_.vbucket; }
  [[nodiscard]] const std::string& user() const noexcept { return options_.user; }
  [[nodiscard]] const wire::ScanCreate& what() const noexcept { return options_.what; }
  [[nodiscard]] bool is_of(const store::Bucket& bucket) const noexcept { return bucket_ == &bucket; }
  [[nodiscard]] bool is_over() const noexcept { return is_over_.load(std::memory_order_acquire); }

  enum class Continued : uint8_t { started, busy, gone };
  /// started: frames will come, the last with another status than success. Otherwise there is no reply.
  [[nodiscard]] Continued continue_for(const wire::ScanContinue& limits, Asker asker) EXCLUDES(mutex_);
  /// The client wants no more; who continues it is told. False: it was over.
  [[nodiscard]] bool cancel() EXCLUDES(mutex_);
  /// The connection that made it has gone.
  void end() EXCLUDES(mutex_);

  enum class State : uint8_t { opening, idle, continuing, over };
  struct Facts {
    State state = State::over;
    uint64_t items = 0;
    uint64_t bytes = 0;
    uint64_t age_ms = 0;
  };
  [[nodiscard]] Facts facts() const EXCLUDES(mutex_);

 protected:
  Next step() override EXCLUDES(mutex_);
  void abandoned() noexcept override {
    release();
    drop_frame();
  }

 private:
  using Time = Next::Time;
  enum class Ending : uint8_t { none, cancelled, left };
  enum class Outbox : uint8_t { empty, frame, large, reply };
  enum class Looked : uint8_t { found, end, enough, failed };
  enum class Item : uint8_t { none, found, drawn };  // drawn: it is to be sent

  // A frame is sent when it has so much; a document is never cut.
  static constexpr size_t kFrameBytes = 32 << 10;
  static constexpr size_t kLargeBytes = kFrameBytes;

  [[nodiscard]] Next advance() EXCLUDES(mutex_);
  [[nodiscard]] Ending take_ending() const EXCLUDES(mutex_);
  /// False: nobody has asked for more.
  [[nodiscard]] bool begin_request() EXCLUDES(mutex_);

  // Opening.
  [[nodiscard]] Next open();
  /// Nothing: the snapshot can be taken.
  [[nodiscard]] std::optional<Next> await_snapshot();
  [[nodiscard]] std::optional<wire::BinaryStatus> take_snapshot();
  [[nodiscard]] bool is_on_disk(uint64_t seqno) const;

  // Continuing.
  [[nodiscard]] Next produce();
  /// Of the item's value, which is inflated for its frame.
  [[nodiscard]] size_t value_bytes() const noexcept;
  [[nodiscard]] bool is_large() const noexcept { return value_bytes() >= kLargeBytes; }
  [[nodiscard]] Looked look(size_t& budget);
  [[nodiscard]] bool is_drawn();
  [[nodiscard]] bool is_limit_reached() const;
  [[nodiscard]] bool is_time_over() const;
  void take_item();
  [[nodiscard]] Next rest() EXCLUDES(mutex_);

  // Sending (feed/scan_frames.cc).
  /// Nothing: there is room for the item, whatever its size.
  [[nodiscard]] std::optional<Next> await_room() EXCLUDES(mutex_);
  [[nodiscard]] Next await_grant() EXCLUDES(mutex_);
  void put_frame(wire::BinaryStatus status);
  void put_reply(wire::BinaryStatus status, std::string_view value);
  /// The last frame of an answer is in the outbox: a client that has it may ask again.
  void answered() EXCLUDES(mutex_);
  void drop_frame() noexcept;
  [[nodiscard]] net::Append flush();
  /// The same; nothing: the outbox is empty, and the step goes on.
  [[nodiscard]] std::optional<Next> send() EXCLUDES(mutex_);
  /// The framing extras of a reply, for who has asked for them; of one that ends an answer, that has not
  /// failed, with what was read. Valid until the next call.
  [[nodiscard]] std::string_view framing(bool is_whole);

  // Ending.
  /// What it scans is no more.
  [[nodiscard]] std::optional<wire::BinaryStatus> is_obsolete();
  /// Tells who waits for an answer, if somebody does.
  [[nodiscard]] Next fail(wire::BinaryStatus status) EXCLUDES(mutex_);
  /// What is still to be sent goes out, then there is no further step.
  [[nodiscard]] Next conclude();
  void release() noexcept EXCLUDES(mutex_);

  const wire::ScanId id_;
  ScanOptions options_;
  const store::Bucket* const bucket_;  // to be compared with only
  Scans& scans_;
  const base::Clock& clock_;
  const Time made_ = std::chrono::steady_clock::now();
  std::atomic<bool> is_over_{false};
  std::atomic<uint64_t> items_{0};
  std::atomic<uint64_t> bytes_{0};

  mutable base::Mutex mutex_;
  State state_ GUARDED_BY(mutex_) = State::opening;
  Ending ending_ GUARDED_BY(mutex_) = Ending::none;
  struct Request {
    wire::ScanContinue limits;
    Asker asker;
  };
  std::optional<Request> request_ GUARDED_BY(mutex_);  // not begun

  // The steps'.
  bool is_open_ = false;
  std::optional<Asker> asker_;  // who is being answered
  wire::ScanContinue limits_;
  Time began_{};             // the wait for the disk, or this continue
  uint64_t sent_items_ = 0;  // of this continue
  uint64_t sent_bytes_ = 0;
  uint64_t read_bytes_ = 0;   // keys and values of these
  uint64_t frame_items_ = 0;  // of this frame
  Time idle_since_{};
  std::unique_ptr<disk::KeyReader> reader_;
  Item item_ = Item::none;  // at which the reader stands, and which was not taken
  bool is_let_go_ = false;  // and which has to be read again
  uint64_t vbucket_uuid_ = 0;
  uint64_t manifest_generation_ = 0;
  std::optional<uint64_t> draw_below_;  // of a sampling that does not take all
  uint64_t random_;
  uint32_t now_s_ = 0;
  std::string attributes_;
  std::string value_;

  wire::ScanFrame frame_;
  Outbox outbox_ = Outbox::empty;
  bool is_last_ = false;    // what is in the outbox ends the answer
  bool concludes_ = false;  // and the scan
  wire::BinaryStatus failure_{};
  std::string_view ready_;                    // in frame_
  base::PinnedBytes large_;                   // a frame that is not copied
  std::unique_ptr<FrameMemory::Claim> room_;  // for the next of these
  Time room_since_{};                         // where it was not granted at once
  std::string reply_;
  std::array<char, wire::kMaxReplyFramingBytes> framing_{};
  bool holds_place_ = true;
};

}  // namespace bobbin::feed
