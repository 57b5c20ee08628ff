#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "disk/persistence.h"
#include "net/connection.h"
#include "net/spool.h"

namespace bobbin::serve {

/// How one session of a persistent bucket waits for the disk: for keys to be read, for room in memory, and
/// for what it wrote to be committed. Nobody blocks: the connection is suspended, the pools' threads resume
/// it through its spool. Owned by its session; every call is on the connection's loop.
///
/// A request that needs the disk is left unconsumed, having changed and counted nothing, and runs again from
/// its bytes. So a handler need not remember anything. Where others need not wait for it, it has a DiskWait
/// of its own (serve/unordered.h).
class DiskWait {
 public:
  /// Of one request, at most so many keys are read together: what is read for it stays in memory until it
  /// has run again.
  static constexpr size_t kMaxKeys = 64;

  enum class Commit : uint8_t {
    done,
    pending,
    lost,  ///< it will never be on disk
  };

  /// With `durable`, replies to writes leave when the writes are on disk.
  DiskWait(disk::Persistence& disk, net::Connection& connection, bool durable);
  ~DiskWait();
  DiskWait(const DiskWait&) = delete;
  DiskWait& operator=(const DiskWait&) = delete;

  // For handlers, by way of their session.

  /// True: the request runs again when `keys` (1 to kMaxKeys) have been read. False: that has been tried, and
  /// the disk could not be read.
  [[nodiscard]] bool fetch(std::span<const store::DocKey> keys);
  /// There was no memory for a change of this vbucket. True: the request runs again after a commit, which
  /// lets memory go. False: that would not help.
  [[nodiscard]] bool await_room(uint16_t vbucket);
  /// The vbucket has a new change with this seqno. `durably`: its reply leaves when it is on disk, whatever
  /// holds for others.
  void changed(uint16_t vbucket, uint64_t seqno, bool durably);
  /// A change was refused for what the vbucket has, or has not: its reply leaves when that is on disk, too.
  /// Not where it cannot be written any more: what it has is all that will be shown.
  void refused(uint16_t vbucket, bool durably);
  /// The moment of the bucket's next flush has changed, to none perhaps.
  void changed_flush_moment() noexcept { moment_written_ = durable_; }

  // For the session.

  /// A request was handled to its end: what was tried for it is no matter of the next one's.
  void progressed() noexcept {
    fetch_failed_ = false;
    room_tries_ = 0;
  }
  /// There are writes that are to be on disk before their replies leave, and may not be.
  [[nodiscard]] bool has_written() const noexcept { return !written_.empty() || moment_written_; }
  /// The request that was just handled has to run again.
  [[nodiscard]] bool retrying() const noexcept { return retrying_; }
  /// The session has handled what it could: suspends the connection if something is to be waited for, and
  /// otherwise lets go of what was read. True: it is suspended, or closed.
  bool settle();
  /// The connection was resumed. True: what was waited for has come. False: it is suspended again, or closed.
  [[nodiscard]] bool resumed();

  // For a session whose other requests go on meanwhile: nothing of these suspends the connection, which is
  // resumed for each of them all the same.

  /// The request that has to run again waits for memory.
  [[nodiscard]] bool awaits_room() const noexcept { return retrying_ && awaits_commit_; }
  /// What the request that has to run again waits for has come.
  [[nodiscard]] bool has_come() const noexcept { return !fetch_pending() && !commit_pending(); }
  /// After that: it runs again now.
  void begin_again() noexcept;
  /// Where what was written is. Before `pending` is answered, a wake is asked for.
  [[nodiscard]] Commit commit();
  /// What `other` has noted of writes is this one's to wait for.
  void take_written(DiskWait& other);
  /// The same of what it has written while too much is dirty.
  void take_throttle(DiskWait& other) noexcept;

 private:
  static constexpr size_t kMergeAt = 128;

  struct Wake;
  struct Written {
    uint16_t vbucket;
    uint64_t seqno;
  };

  [[nodiscard]] std::shared_ptr<Wake>& wake();
  void await_seqno(uint16_t vbucket, uint64_t seqno);
  void await_commit(uint16_t vbucket);
  /// A shard calls once at a time; `seqno`, if not 0, is one that it need not call before.
  void call_after_commit(uint16_t vbucket, uint64_t seqno = 0);
  [[nodiscard]] bool fetch_pending() const noexcept;
  [[nodiscard]] bool commit_pending() const noexcept;
  void merge_written();
  void forget_committed();
  /// Whether a write is not on disk yet.
  [[nodiscard]] bool has_uncommitted();
  [[nodiscard]] bool has_unsaved_moment();
  [[nodiscard]] bool suspend_if_waiting();

  disk::Persistence& disk_;
  net::Connection& connection_;
  const bool durable_;
  bool retrying_ = false;
  bool fetch_failed_ = false;
  bool lost_ = false;            // a write can never become durable: the connection is closed
  bool awaits_commit_ = false;   // before anything else is handled
  bool wrote_ = false;           // since the last settle
  bool moment_written_ = false;  // not known to be on disk
  uint8_t room_tries_ = 0;
  uint16_t last_written_ = 0;   // a vbucket
  uint64_t awaited_shard_ = 0;  // whose commit that is: its bit
  size_t merge_at_ = kMergeAt;
  std::vector<Written> written_;  // not known to be on disk; only with durable_
  std::shared_ptr<disk::Fetching> fetching_;
  // Shared with the threads that will wake the connection, which may be gone by then. Null until needed.
  std::shared_ptr<Wake> wake_;
};

}  // namespace bobbin::serve
