#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_set>
#include <vector>

#include "disk/persistence.h"
#include "disk/reader.h"
#include "feed/backfills.h"
#include "feed/bucket_streams.h"
#include "feed/change_writer.h"
#include "feed/stream_filter.h"
#include "feed/stream_start.h"
#include "store/bucket.h"

namespace bobbin::feed {

/// What a stream is doing, or why it does nothing.
enum class StreamPhase : uint8_t {
  attaching,        ///< looks for its place in the change log
  awaiting_commit,  ///< what it has to read is on its way to the disk
  awaiting_turn,    ///< enough others read the disk
  reading_disk,
  awaiting_room,  ///< other streams hold as much of this as may be held
  in_memory,      ///< sends what the change log has
  caught_up,      ///< there is nothing new
  ended,
};
[[nodiscard]] std::string_view name_of(StreamPhase phase) noexcept;

/// How far a stream is. Written by its producer's steps, read by anybody.
struct StreamStatus {
  std::atomic<StreamPhase> phase{StreamPhase::attaching};
  std::atomic<uint64_t> seqno{0};  ///< all up to here was sent, or is nothing for this stream
  std::atomic<uint64_t> snapshot_end{0};
  std::atomic<uint64_t> items{0};
  std::atomic<uint64_t> disk_items{0};  ///< of these
  std::atomic<uint64_t> backfills{0};
  std::atomic<uint64_t> lost_cursors{0};
};

/// Whose changes a stream shows.
struct StreamSource {
  store::Bucket& bucket;
  disk::Persistence& disk;
  BucketStreams& streams;
  std::shared_ptr<const Progress> progress;  ///< of its client
};

struct StreamOrder {
  StreamBounds bounds;
  StreamFilter filter;
  bool disk_only = false;
  bool ignores_purges = false;
  /// What was purged when the stream was granted.
  uint64_t purge_seqno = 0;
  /// StreamFacts's at that moment.
  uint32_t generation = 0;
};

/// The changes of one vbucket, for one client: first those that are only on disk, then those in the change
/// log, and again the disk's when the client is too slow for the log. Each snapshot is all there was at one
/// moment, so that a client which has all of it has the vbucket as it was then.
///
/// Between disk and log nothing is missed and nothing comes twice: a cursor is opened where the log begins,
/// then everything up to there is awaited to be on disk, and then the disk is read as it is; what the log has
/// of that is passed over. A client that is far behind reads the disk first without a cursor, which would pin
/// memory all that time.
///
/// Belongs to its producer's steps, but for status() and close().
class Stream {
 public:
  enum class Turn : uint8_t {
    again,  ///< there is more, or there is no room for it
    idle,   ///< `ready` is called when there is, or the bucket has news of the vbucket
    retry,  ///< in a while: there was no memory, or others held what it needs
    ended,
  };

  /// `ready`: any thread's way to say that the stream is not idle any more. It must be safe when the stream
  /// is gone, and must not block.
  Stream(StreamSource source, const wire::DcpRoute& route, const StreamOptions& options, StreamOrder order,
         std::string cursor_name, std::function<void()> ready);
  ~Stream() { release(); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  /// Sends a little.
  [[nodiscard]] Turn advance(Outlet& out);
  /// Sends why, and is over.
  void end(Outlet& out, wire::DcpEnd reason);
  /// Somebody else may read the disk while there is no room: gives back the turn that it has, or waits for.
  /// True: it has to be advanced when there is room.
  [[nodiscard]] bool pause();
  /// Lets go of cursor, reader and turn. Nothing else is to be called then.
  void release() noexcept;

  /// Its client takes nothing, and others need what it holds.
  [[nodiscard]] bool is_too_slow() const noexcept {
    return (change_hold_ != nullptr && change_hold_->is_asked_for()) ||
           (reader_hold_ != nullptr && reader_hold_->is_asked_for());
  }

  /// Any thread: the client wants no more of it.
  void close() noexcept { closing_.store(true); }
  [[nodiscard]] const StreamStatus& status() const noexcept { return status_; }
  [[nodiscard]] const wire::DcpRoute& route() const noexcept { return writer_.route(); }
  [[nodiscard]] uint64_t end_seqno() const noexcept { return end_seqno_; }
  /// As it was when the stream was asked for.
  [[nodiscard]] const StreamFilter& filter() const noexcept { return asked_filter_; }

 private:
  struct Run {
    std::vector<disk::SeqnoItem> items;
    size_t next = 0;
  };

  void set_phase(StreamPhase phase) noexcept { status_.phase.store(phase, std::memory_order_relaxed); }
  [[nodiscard]] StreamPhase phase() const noexcept { return status_.phase.load(std::memory_order_relaxed); }
  [[nodiscard]] uint16_t vbucket() const noexcept { return writer_.route().vbucket; }
  [[nodiscard]] bool is_aware() const noexcept { return writer_.options().collections; }

  void attach();
  void close_cursor() noexcept;
  [[nodiscard]] bool is_on_disk();
  /// The position is reached, by whatever source.
  void reach(uint64_t seqno) noexcept;
  [[nodiscard]] Turn after_snapshot(Outlet& out);
  void begin_snapshot(Outlet& out, uint64_t first_seqno, uint64_t end, uint32_t flags);
  /// Tells the client where the snapshot ends, if what it has seen does not.
  void close_gap(Outlet& out, uint64_t end);
  void send(Outlet& out, const StreamItem& item);
  /// False: the stream has ended.
  [[nodiscard]] bool send_event(Outlet& out, uint64_t seqno, std::string_view encoded);

  /// False: as many readers are open as may be.
  [[nodiscard]] bool hold_reader();

  // stream_disk.cc
  [[nodiscard]] Turn read_disk(Outlet& out);
  [[nodiscard]] bool open_reader(Outlet& out);
  [[nodiscard]] bool open_by_key(Outlet& out, const disk::Shard& shard);
  [[nodiscard]] bool has_lost_history(const disk::Shard& shard) const noexcept;
  [[nodiscard]] Turn read_by_seqno(Outlet& out);
  [[nodiscard]] Turn read_by_key(Outlet& out);
  void send_announcements(Outlet& out);
  [[nodiscard]] Turn finish_reading(Outlet& out);

  // stream_memory.cc
  [[nodiscard]] Turn send_changes(Outlet& out);
  [[nodiscard]] std::optional<Turn> take_changes(Outlet& out);
  [[nodiscard]] Turn pass_over(Outlet& out, uint64_t to);
  void find_superseded(const store::TakenChanges& taken);
  [[nodiscard]] uint64_t last_shown(const store::TakenChanges& taken) const;
  [[nodiscard]] Turn finish_changes(Outlet& out);

  const StreamSource source_;
  ChangeWriter writer_;
  const std::string cursor_name_;
  const std::function<void()> ready_;
  const StreamFilter asked_filter_;
  StreamFilter filter_;
  const uint64_t end_seqno_;
  const bool disk_only_;
  const bool ignores_purges_;
  const uint64_t granted_purge_seqno_;
  const uint32_t generation_;
  uint64_t first_snapshot_start_;
  const uint64_t first_snapshot_end_;
  bool first_snapshot_ = true;
  std::atomic<bool> closing_{false};
  StreamStatus status_;

  uint64_t position_;       // all up to here was sent, or is nothing for this stream
  uint64_t last_sent_ = 0;  // of a message
  uint64_t disk_until_ = 0;
  std::optional<store::ChangeLog::CursorId> cursor_;

  // Reading the disk.
  std::shared_ptr<std::atomic<bool>> awaits_commit_ = std::make_shared<std::atomic<bool>>(false);
  Backfills::Turn turn_;
  std::unique_ptr<Holdings::Hold> reader_hold_;
  std::unique_ptr<disk::SeqnoReader> by_seqno_;
  std::unique_ptr<disk::KeyReader> by_key_;
  store::VBucketState announced_;
  std::set<store::CollectionId> known_;  // of a copy out of order: what is announced
  Run run_;
  uint64_t reader_end_ = 0;
  uint64_t reader_reached_ = 0;

  // Sending changes.
  std::optional<store::TakenChanges> taken_;
  std::unique_ptr<Holdings::Hold> change_hold_;
  store::ChangeChunks::Place place_;
  std::unordered_set<uint64_t> superseded_;  // seqnos that a later change of the key makes needless
  uint64_t taken_end_ = 0;
};

}  // namespace bobbin::feed
