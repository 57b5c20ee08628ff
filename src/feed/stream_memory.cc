// What a stream sends out of the change log.

#include <algorithm>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "feed/stream.h"

namespace bobbin::feed {
namespace {

constexpr uint64_t kTurnBytes = 64 << 10;
constexpr size_t kTurnChanges = 1024;

}  // namespace

// Of a client that knows of no collections: it is told of no seqno that is not a document's of its own.
uint64_t Stream::last_shown(const store::TakenChanges& taken) const {
  uint64_t last = 0;
  taken.changes.for_each([&](const store::Change& change) {
    if (change.doc == nullptr || change.kind == store::ChangeKind::event) return;
    if (filter_.passes(change.doc->collection())) last = change.seqno;
  });
  return last;
}

// A snapshot has each key once. The log empties a change when another of its key comes, unless the table has
// forgotten that one: a removal of which it keeps nothing, or with full eviction a document that was on disk.
void Stream::find_superseded(const store::TakenChanges& taken) {
  superseded_.clear();
  const bool forgets_documents = source_.bucket.eviction_policy() == store::EvictionPolicy::full;
  std::unordered_map<std::string_view, uint64_t> latest;
  taken.changes.for_each([&](const store::Change& change) {
    if (change.doc == nullptr || change.kind == store::ChangeKind::event) return;
    const std::string_view key = change.doc->stored_key();
    if (!latest.empty()) {
      const auto found = latest.find(key);
      if (found != latest.end()) {
        superseded_.insert(found->second);
        latest.erase(found);
      }
    }
    if (forgets_documents || change.kind != store::ChangeKind::mutation) latest.emplace(key, change.seqno);
  });
}

// A copy goes on where its source does, though nothing is left of what was there. Who copies it in turn has
// to know; of Bobbin's own consumers that is agreed on, and others need no more than what there is.
Stream::Turn Stream::pass_over(Outlet& out, uint64_t to) {
  if (is_aware() && writer_.options().collection_changes) {
    begin_snapshot(out, position_ + 1, to, wire::dcp_snapshot_flags::kMemory);
    close_gap(out, to);
  }
  reach(to);
  return position_ >= end_seqno_ ? after_snapshot(out) : Turn::idle;
}

// Nothing: there are changes to be sent.
std::optional<Stream::Turn> Stream::take_changes(Outlet& out) {
  auto hold = source_.streams.changes().take(0, source_.progress, ready_);
  if (hold == nullptr) {
    set_phase(StreamPhase::awaiting_room);
    return Turn::retry;
  }
  store::TakenChanges taken = source_.bucket.take_changes(vbucket(), *cursor_);
  if (taken.lost) {
    status_.lost_cursors.fetch_add(1, std::memory_order_relaxed);
    close_cursor();
    set_phase(StreamPhase::attaching);
    return Turn::again;
  }
  if (taken.no_memory) return Turn::retry;
  set_phase(StreamPhase::caught_up);
  if (taken.to <= position_) return Turn::idle;
  place_ = {};
  store::ChangeChunks::Place place;
  auto first = taken.changes.next(place);
  for (; first && first->seqno <= position_; first = taken.changes.next(place))
    place_ = place;
  if (!first) return pass_over(out, taken.to);
  // A flush has superseded all before it, so nothing else comes first.
  if (first->kind == store::ChangeKind::flush && position_ != 0) {
    end(out, wire::DcpEnd::rollback);
    return Turn::ended;
  }
  taken_end_ = is_aware() ? taken.to : last_shown(taken);
  if (taken_end_ <= position_) {
    reach(taken.to);
    return position_ >= end_seqno_ ? after_snapshot(out) : Turn::idle;
  }
  find_superseded(taken);
  set_phase(StreamPhase::in_memory);
  begin_snapshot(out, first->seqno, taken_end_, wire::dcp_snapshot_flags::kMemory);
  hold->set(taken.bytes);
  change_hold_ = std::move(hold);
  taken_ = std::move(taken);
  return std::nullopt;
}

Stream::Turn Stream::send_changes(Outlet& out) {
  if (!taken_) {
    if (const std::optional<Turn> turn = take_changes(out)) return *turn;
  }
  const uint64_t until = out.sent_bytes() + kTurnBytes;
  uint64_t items = 0;
  Turn turn = Turn::again;
  for (size_t seen = 0; seen < kTurnChanges && out.has_room() && out.sent_bytes() < until; ++seen) {
    const std::optional<store::Change> change = taken_->changes.next(place_);
    if (!change) {
      turn = finish_changes(out);
      break;
    }
    if (change->kind == store::ChangeKind::flush) continue;
    if (change->kind == store::ChangeKind::event) {
      if (send_event(out, change->seqno, change->doc->value())) continue;
      turn = Turn::ended;
      break;
    }
    if (!filter_.passes(change->doc->collection())) continue;
    if (!superseded_.empty() && superseded_.contains(change->seqno)) continue;
    send(out, item_of(*change));
    ++items;
  }
  status_.items.fetch_add(items, std::memory_order_relaxed);
  return turn;
}

Stream::Turn Stream::finish_changes(Outlet& out) {
  close_gap(out, taken_end_);
  reach(taken_->to);
  taken_.reset();
  change_hold_.reset();
  return after_snapshot(out);
}

}  // namespace bobbin::feed
