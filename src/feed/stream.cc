#include "feed/stream.h"

#include <algorithm>
#include <utility>

namespace bobbin::feed {
namespace {

// A cursor is opened while the disk is read if no more changes than these are to be read: it pins what is
// written meanwhile.
constexpr uint64_t kReachSeqnos = 20'000;

}  // namespace

std::string_view name_of(StreamPhase phase) noexcept {
  switch (phase) {
    case StreamPhase::attaching:
      return "attaching";
    case StreamPhase::awaiting_commit:
      return "waiting for the disk to be written";
    case StreamPhase::awaiting_turn:
      return "waiting for a turn to read the disk";
    case StreamPhase::reading_disk:
      return "reading the disk";
    case StreamPhase::awaiting_room:
      return "waiting for what slower streams hold";
    case StreamPhase::in_memory:
      return "sending from memory";
    case StreamPhase::caught_up:
      return "waiting for changes";
    case StreamPhase::ended:
      break;
  }
  return "ended";
}

Stream::Stream(StreamSource source, const wire::DcpRoute& route, const StreamOptions& options,
               StreamOrder order, std::string cursor_name, std::function<void()> ready)
    : source_(std::move(source)),
      writer_(route, options),
      cursor_name_(std::move(cursor_name)),
      ready_(std::move(ready)),
      asked_filter_(order.filter),
      filter_(std::move(order.filter)),
      end_seqno_(order.bounds.end_seqno),
      disk_only_(order.disk_only),
      ignores_purges_(order.ignores_purges),
      granted_purge_seqno_(order.purge_seqno),
      generation_(order.generation),
      // Of a snapshot that was received as a whole nothing is left to be said.
      first_snapshot_start_(order.bounds.start_seqno == order.bounds.snapshot_end
                                ? order.bounds.start_seqno
                                : order.bounds.snapshot_start),
      first_snapshot_end_(order.bounds.snapshot_end),
      position_(order.bounds.start_seqno),
      last_sent_(order.bounds.start_seqno) {
  status_.seqno.store(position_, std::memory_order_relaxed);
}

Stream::Turn Stream::advance(Outlet& out) {
  if (closing_.load()) {
    end(out, wire::DcpEnd::closed);
    return Turn::ended;
  }
  for (;;) {
    // The vbucket was cleared: its seqnos begin anew, and what the client has is of another history.
    if (phase() != StreamPhase::ended && source_.bucket.generation(vbucket()) != generation_) {
      end(out, wire::DcpEnd::rollback);
      return Turn::ended;
    }
    switch (phase()) {
      case StreamPhase::attaching:
        if (position_ >= end_seqno_) {
          end(out, wire::DcpEnd::ok);
          return Turn::ended;
        }
        attach();
        continue;
      case StreamPhase::awaiting_commit:
        if (!is_on_disk()) {
          if (source_.disk.writable(vbucket())) return Turn::idle;
          end(out, wire::DcpEnd::backfill_failed);
          return Turn::ended;
        }
        set_phase(StreamPhase::awaiting_turn);
        continue;
      case StreamPhase::awaiting_turn:
        turn_ = source_.streams.backfills().take(this, ready_);
        if (!turn_) return Turn::idle;
        set_phase(StreamPhase::reading_disk);
        continue;
      case StreamPhase::reading_disk:
        if (!turn_) {
          set_phase(StreamPhase::awaiting_turn);
          continue;
        }
        if (!hold_reader()) {
          turn_ = {};
          set_phase(StreamPhase::awaiting_turn);
          return Turn::retry;
        }
        return read_disk(out);
      case StreamPhase::awaiting_room:
      case StreamPhase::in_memory:
      case StreamPhase::caught_up:
        return send_changes(out);
      case StreamPhase::ended:
        return Turn::ended;
    }
  }
}

void Stream::attach() {
  if (disk_only_) {
    disk_until_ = std::max(end_seqno_, first_snapshot_end_);
    return set_phase(StreamPhase::awaiting_commit);
  }
  const store::AttachedCursor attached =
      source_.bucket.attach_cursor(vbucket(), cursor_name_, position_, kReachSeqnos);
  cursor_ = attached.cursor;
  if (cursor_ && attached.from == position_) return set_phase(StreamPhase::in_memory);
  // Of a snapshot that the client has in part, all has to come in one.
  disk_until_ = attached.log_begin;
  // What is there from before a flush is not worth reading, and the flush would be the end of the stream.
  if (position_ == 0) disk_until_ = std::max(disk_until_, source_.bucket.stream_facts(vbucket()).flush_seqno);
  if (first_snapshot_) disk_until_ = std::max(disk_until_, first_snapshot_end_);
  set_phase(StreamPhase::awaiting_commit);
}

bool Stream::is_on_disk() {
  // What was cleared is on disk for a while.
  const auto is_there = [this] {
    return source_.bucket.unsaved_clears() == 0 && source_.bucket.persisted_seqno(vbucket()) >= disk_until_;
  };
  if (is_there()) return true;
  if (awaits_commit_->exchange(true)) return false;
  source_.disk.after_commit_of(vbucket(), disk_until_, [awaits = awaits_commit_, ready = ready_] {
    awaits->store(false);
    ready();
  });
  return is_there();
}

bool Stream::hold_reader() {
  if (reader_hold_ == nullptr) reader_hold_ = source_.streams.readers().take(1, source_.progress, ready_);
  return reader_hold_ != nullptr;
}

void Stream::close_cursor() noexcept {
  if (cursor_) source_.bucket.close_cursor(vbucket(), *cursor_);
  cursor_.reset();
}

void Stream::release() noexcept {
  set_phase(StreamPhase::ended);
  taken_.reset();
  change_hold_.reset();
  close_cursor();
  by_seqno_.reset();
  by_key_.reset();
  reader_hold_.reset();
  run_ = {};
  turn_ = {};
  source_.streams.backfills().forget(this);
}

void Stream::end(Outlet& out, wire::DcpEnd reason) {
  if (reason != wire::DcpEnd::closed || writer_.options().ends_closed_streams) writer_.write(out, reason);
  release();
}

void Stream::reach(uint64_t seqno) noexcept {
  position_ = std::max(position_, seqno);
  status_.seqno.store(position_, std::memory_order_relaxed);
}

bool Stream::pause() {
  turn_ = {};
  if (phase() != StreamPhase::awaiting_turn) return false;
  // A turn that is kept for it would be nobody's.
  source_.streams.backfills().forget(this);
  return true;
}

Stream::Turn Stream::after_snapshot(Outlet& out) {
  if (filter_.is_over()) {
    end(out, wire::DcpEnd::filter_empty);
    return Turn::ended;
  }
  if (position_ >= end_seqno_ || disk_only_) {
    end(out, wire::DcpEnd::ok);
    return Turn::ended;
  }
  return Turn::again;
}

void Stream::begin_snapshot(Outlet& out, uint64_t first_seqno, uint64_t end, uint32_t flags) {
  wire::DcpSnapshotMarker marker;
  marker.start_seqno = std::exchange(first_snapshot_, false) ? first_snapshot_start_ : first_seqno;
  // A copy in the middle of its source's snapshot lacks what is superseded in the rest of it.
  if (source_.bucket.follows(vbucket()))
    end = std::max(end, source_.bucket.replica_facts(vbucket()).snapshot.end);
  marker.end_seqno = end;
  marker.flags = flags | wire::dcp_snapshot_flags::kCheckpoint;
  marker.purge_seqno = source_.disk.directory().shard_of(vbucket()).purge_seqno(vbucket());
  writer_.write(out, marker);
  status_.snapshot_end.store(end, std::memory_order_relaxed);
}

void Stream::close_gap(Outlet& out, uint64_t end) {
  if (!is_aware() || last_sent_ >= end) return;
  writer_.write(out, wire::DcpSeqnoAdvanced{end});
  last_sent_ = end;
}

void Stream::send(Outlet& out, const StreamItem& item) {
  writer_.write(out, item);
  last_sent_ = std::max(last_sent_, item.seqno);
}

bool Stream::send_event(Outlet& out, uint64_t seqno, std::string_view encoded) {
  const auto event = store::decode_event(encoded);
  if (!event || !filter_.passes(*event)) return true;
  if (writer_.write(out, seqno, *event)) last_sent_ = std::max(last_sent_, seqno);
  if (!filter_.is_over()) return true;
  end(out, wire::DcpEnd::filter_empty);
  return false;
}

}  // namespace bobbin::feed
