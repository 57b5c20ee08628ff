#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "feed/scan.h"
#include "net/output.h"
#include "serve/aside_answer.h"
#include "serve/counters.h"
#include "serve/disk_wait.h"
#include "serve/upload.h"
#include "store/doc_key.h"
#include "wire/binary_header.h"
#include "wire/frame_info.h"

namespace bobbin::serve {

/// What is under way on a connection whose client takes replies in another order than that of its requests
/// (kv_engine docs/UnorderedExecution.md). Each thing has what it waits for of its own, and resumes the
/// connection when that has come; the session, which owns this and calls it on its loop, runs it again or
/// sends its reply then, whatever it does with the requests behind.
class Unordered {
 public:
  /// Requests that wait for the disk or for somebody's answer. One more, or one that would hold more bytes
  /// than these, is handled in order: those behind it wait.
  static constexpr size_t kMaxAside = 64;
  static constexpr size_t kMaxAsideBytes = 256 << 10;
  /// Replies that wait for commits: so many batches, and so many bytes in all batches but the last. Beyond
  /// that, no further request is begun.
  static constexpr size_t kMaxHeld = 64;
  static constexpr size_t kMaxHeldBytes = 1 << 20;

  /// A request that runs again when the disk has been read for it, from bytes of its own: a whole frame, or a
  /// value that had come in parts.
  struct Aside {
    std::unique_ptr<DiskWait> disk;
    std::string frame;               // empty: the upload
    std::unique_ptr<Upload> upload;  // null: the frame
    wire::FrameInfo frame_info;      // the upload's
    store::CollectionId collection = store::kDefaultCollection;
    std::string name;  // of the document
    bool writes = false;
    uint16_t command = 0;      // as CommandTimes knows it
    uint64_t began_ns = 0;     // when it was read
    uint64_t received_ns = 0;  // the same for the client, where that is told
  };
  /// Replies to writes that are not on disk yet.
  struct Held {
    std::unique_ptr<DiskWait> disk;
    net::Output replies;
  };
  /// Another thread works on the answer to `request`.
  struct Errand : feed::Awaited {
    enum class Kind : uint8_t {
      answer,
      login,  ///< whose text is who has logged in
    };

    Errand(net::Spool connection, const wire::BinaryHeader& header, Kind what, uint64_t received)
        : spool(std::move(connection)), request(header), kind(what), received_ns(received) {}

    net::Spool spool;
    const wire::BinaryHeader request;
    const Kind kind;
    const uint64_t received_ns;                        // as in Aside
    AsideAnswer answer = wire::BinaryStatus::success;  // before `has_come`
  };

  explicit Unordered(CommandCounters& counters) : counters_(counters) {}
  ~Unordered() { clear(); }
  Unordered(const Unordered&) = delete;
  Unordered& operator=(const Unordered&) = delete;

  /// What a request in order has to wait for. Range scans are not: their answers are a series of replies, and
  /// belong to no place among others; only a barrier waits for them.
  [[nodiscard]] bool is_busy() const noexcept {
    return !aside.empty() || !errands.empty() || !held.empty() ||
           (batch.disk != nullptr && batch.disk->has_written());
  }
  [[nodiscard]] bool owes_replies() const noexcept { return is_busy() || !scans.empty(); }
  [[nodiscard]] bool has_room_aside(size_t bytes) const noexcept {
    return aside.size() + errands.size() < kMaxAside && aside_bytes_ + bytes <= kMaxAsideBytes;
  }
  [[nodiscard]] bool holds_too_much() const noexcept {
    return held.size() >= kMaxHeld || held_bytes_ + batch.replies.size() >= kMaxHeldBytes;
  }
  /// A request for the same document was sent before and is not carried out yet, and one of both changes it.
  [[nodiscard]] bool conflicts(store::DocKey key, bool writes) const;

  void set_aside(Aside request);
  /// Forgets one that has run, and answers the next.
  std::list<Aside>::iterator done(std::list<Aside>::iterator request);
  /// What comes now waits for commits of its own.
  void close_batch();
  /// Moves what is committed behind `out`, and asks for wakes for the rest. False: some will never be.
  [[nodiscard]] bool release_committed(net::Output& out);
  /// Drops everything: the connection has left the bucket.
  void clear();

  std::list<Aside> aside;  // as they were sent
  std::vector<std::shared_ptr<Errand>> errands;
  std::vector<std::shared_ptr<feed::Awaited>> scans;  // they answer by themselves
  std::list<Held> held;
  Held batch;                      // of the requests that are being handled; `disk` may be null
  std::unique_ptr<DiskWait> lane;  // what the request that is handled waits for; null until one is needed

  // Of the request that is being handled, or whose value is still arriving.
  bool may_reorder = false;
  bool is_barrier = false;

  bool runs_again = false;   // the request that is being handled is one of those aside
  bool awaits_turn = false;  // the next request waits for those under way
  bool is_kept_open = false;

 private:
  CommandCounters& counters_;
  size_t aside_bytes_ = 0;
  size_t held_bytes_ = 0;
};

}  // namespace bobbin::serve
