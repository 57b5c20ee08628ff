// What a stream reads from the disk: in the order of seqnos, or, where the client has nothing and lets it, in
// the order of keys, which costs no look-ups.

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "feed/stream.h"

namespace bobbin::feed {
namespace {

constexpr size_t kRunItems = 512;
constexpr size_t kRunBytes = 128 << 10;
// What a turn sends before the other streams of its producer have theirs.
constexpr uint64_t kTurnBytes = 64 << 10;
constexpr size_t kTurnItems = 1024;

void log_failure(uint16_t vbucket, const disk::Error& error) {
  base::log(base::LogLevel::error,
            "a change stream of vbucket " + std::to_string(vbucket) + " ends: " + error.message);
}

}  // namespace

// What the client has seen, and what is there, have no tombstones in common for what was removed in between.
bool Stream::has_lost_history(const disk::Shard& shard) const noexcept {
  if (position_ == 0 || ignores_purges_) return false;
  const uint64_t purged = shard.purge_seqno(vbucket());
  return purged > granted_purge_seqno_ && position_ < purged;
}

Stream::Turn Stream::read_disk(Outlet& out) {
  if (by_seqno_ == nullptr && by_key_ == nullptr) {
    if (!open_reader(out)) return phase() == StreamPhase::ended ? Turn::ended : finish_reading(out);
  }
  const uint64_t before = status_.items.load(std::memory_order_relaxed);
  const Turn turn = by_key_ != nullptr ? read_by_key(out) : read_by_seqno(out);
  status_.disk_items.fetch_add(status_.items.load(std::memory_order_relaxed) - before,
                               std::memory_order_relaxed);
  return turn;
}

// False: there is nothing to read, or the stream has ended.
bool Stream::open_reader(Outlet& out) {
  const disk::Shard& shard = source_.disk.directory().shard_of(vbucket());
  status_.backfills.fetch_add(1, std::memory_order_relaxed);
  // Before the reader: it has all of this, and maybe more.
  reader_reached_ = source_.bucket.persisted_seqno(vbucket());
  const bool by_key =
      writer_.options().out_of_order != OutOfOrder::no && position_ == 0 && first_snapshot_ && !disk_only_;
  if (by_key) return open_by_key(out, shard);
  by_seqno_ = shard.read_seqnos(vbucket(), position_ + 1, disk::kMaxSeqno);
  reader_end_ = by_seqno_->last_seqno();
  if (has_lost_history(shard)) {
    end(out, wire::DcpEnd::rollback);
    return false;
  }
  if (reader_end_ <= position_) return false;
  begin_snapshot(out, position_ + 1, reader_end_, wire::dcp_snapshot_flags::kDisk);
  return true;
}

bool Stream::open_by_key(Outlet& out, const disk::Shard& shard) {
  // Both before and after the moment of the reader: whatever it has is in one of them.
  store::VBucketState before = source_.bucket.announced_collections(vbucket());
  auto keys = shard.read_keys_until(vbucket());
  announced_ = source_.bucket.announced_collections(vbucket());
  if (!keys) {
    log_failure(vbucket(), keys.error());
    end(out, wire::DcpEnd::backfill_failed);
    return false;
  }
  by_key_ = std::move(keys->reader);
  reader_end_ = keys->last_seqno;
  if (reader_end_ == 0) return false;
  for (store::ScopeState& scope : before.scopes) {
    const auto is_same = [&scope](const store::ScopeState& other) { return other.id == scope.id; };
    if (std::none_of(announced_.scopes.begin(), announced_.scopes.end(), is_same))
      announced_.scopes.push_back(std::move(scope));
  }
  for (store::CollectionState& collection : before.collections) {
    const auto is_same = [&](const store::CollectionState& other) { return other.id == collection.id; };
    if (std::none_of(announced_.collections.begin(), announced_.collections.end(), is_same))
      announced_.collections.push_back(std::move(collection));
  }
  first_snapshot_ = false;
  status_.snapshot_end.store(reader_end_, std::memory_order_relaxed);
  writer_.write(out, wire::DcpOsoSnapshot{wire::dcp_oso_flags::kStart});
  send_announcements(out);
  return true;
}

// What a client has to know before it gets documents, which the order of keys does not tell.
void Stream::send_announcements(Outlet& out) {
  known_ = {store::kDefaultCollection};
  const uint64_t uid = source_.bucket.manifest()->uid();
  const auto announce = [&](uint64_t seqno, const store::CollectionEvent& event) {
    if (seqno > reader_end_ || !filter_.passes(event)) return;
    if (writer_.write(out, seqno, event)) last_sent_ = std::max(last_sent_, seqno);
  };
  for (const store::ScopeState& scope : announced_.scopes)
    announce(scope.created_seqno, {store::EventKind::scope_created, uid, scope.id, 0, {}, scope.name});
  for (const store::CollectionState& collection : announced_.collections) {
    known_.insert(collection.id);
    announce(collection.created_seqno, {store::EventKind::collection_created, uid, collection.scope,
                                        collection.id, collection.max_ttl_s, collection.name});
  }
  announced_ = {};
}

Stream::Turn Stream::read_by_seqno(Outlet& out) {
  const uint64_t until = out.sent_bytes() + kTurnBytes;
  while (out.has_room() && out.sent_bytes() < until) {
    if (run_.next == run_.items.size()) {
      auto run = by_seqno_->next_run(kRunItems, kRunBytes);
      if (!run) {
        log_failure(vbucket(), run.error());
        end(out, wire::DcpEnd::backfill_failed);
        return Turn::ended;
      }
      if (run->empty()) return finish_reading(out);
      run_ = {std::move(*run), 0};
    }
    const disk::SeqnoItem& item = run_.items[run_.next++];
    if (item.seqno <= position_) continue;
    if (item.kind == disk::RecordKind::flush) {
      // Who has seen something of what was flushed has to throw it away.
      if (position_ == 0) continue;
      end(out, wire::DcpEnd::rollback);
      return Turn::ended;
    }
    if (item.kind == disk::RecordKind::event) {
      if (!send_event(out, item.seqno, item.event)) return Turn::ended;
      continue;
    }
    const auto collection = store::CollectionPrefix::id_in(item.stored_key.data());
    if (!filter_.passes(collection)) continue;
    send(out, item_of(item.stored_key, item.stored.record()));
    status_.items.fetch_add(1, std::memory_order_relaxed);
  }
  return Turn::again;
}

Stream::Turn Stream::read_by_key(Outlet& out) {
  const uint64_t until = out.sent_bytes() + kTurnBytes;
  for (size_t seen = 0; seen < kTurnItems && out.has_room() && out.sent_bytes() < until; ++seen) {
    const auto more = by_key_->next();
    if (!more) {
      log_failure(vbucket(), more.error());
      end(out, wire::DcpEnd::backfill_failed);
      return Turn::ended;
    }
    if (!*more) return finish_reading(out);
    const std::string_view key = by_key_->stored_key();
    const auto collection = store::CollectionPrefix::id_in(key.data());
    if (!filter_.passes(collection) || !known_.contains(collection)) continue;
    send(out, item_of(key, by_key_->record()));
    status_.items.fetch_add(1, std::memory_order_relaxed);
  }
  return Turn::again;
}

Stream::Turn Stream::finish_reading(Outlet& out) {
  if (by_key_ != nullptr && reader_end_ != 0) {
    writer_.write(out, wire::DcpOsoSnapshot{wire::dcp_oso_flags::kEnd});
    if (writer_.options().out_of_order == OutOfOrder::with_seqno_advanced) close_gap(out, reader_end_);
  } else if (reader_end_ > position_) {
    close_gap(out, reader_end_);
  }
  // After an unclean end a vbucket goes on behind seqnos that nothing has. Who keeps a copy has to know; of
  // Bobbin's own consumers that is agreed on, and others need no more than what there is.
  const uint64_t read_to = std::max(reader_end_, position_);
  if (by_key_ == nullptr && writer_.options().collection_changes && is_aware() && reader_reached_ > read_to &&
      reader_reached_ <= end_seqno_) {
    begin_snapshot(out, read_to + 1, reader_reached_, wire::dcp_snapshot_flags::kDisk);
    close_gap(out, reader_reached_);
  }
  reach(std::max(reader_end_, reader_reached_));
  by_seqno_.reset();
  by_key_.reset();
  reader_hold_.reset();
  run_ = {};
  turn_ = {};
  set_phase(cursor_ ? StreamPhase::in_memory : StreamPhase::attaching);
  return after_snapshot(out);
}

}  // namespace bobbin::feed
