// What Bucket has for the disk: flushers, fetchers, warmup, other readers of changes.

#include <algorithm>
#include <cassert>
#include <cstring>

#include "store/bucket.h"
#include "store/key_hash.h"
#include "store/news.h"
#include "store/vbucket_persist.h"

namespace bobbin::store {

uint16_t Bucket::vbucket_of(DocKey key) const noexcept {
  return static_cast<uint16_t>(vbucket_of_key(key.name(), options_.vbuckets));
}

void Bucket::restore(uint16_t vbucket, const VBucketState& state, base::Now now) {
  vbuckets_[vbucket].restore(state, now);
  if (state.flush_at_s == 0) return;
  const base::MutexLock lock(flush_mutex_);
  flush_deadline_.store(std::min(flush_deadline_.load(), state.flush_at_s));
}

void Bucket::set_flush_waker(uint32_t shard, std::function<void()> waker) {
  persistence_->dirty.set_waker(shard, std::move(waker));
}

bool Bucket::arm_flush_waker(uint32_t shard) {
  return persistence_->dirty.arm(shard);
}

DirtyWork Bucket::take_dirty(uint32_t shard) {
  return persistence_->dirty.take(shard);
}

FlushBatch Bucket::take_log(uint16_t vbucket, base::Now now) {
  return vbuckets_[vbucket].take_log(now);
}

void Bucket::persisted(const FlushBatch& batch, const PriorsFound& priors) {
  vbuckets_[batch.vbucket].persisted(batch, priors);
}

uint64_t Bucket::dirty_bytes() const noexcept {
  return persistence_ == nullptr ? 0 : persistence_->dirty_bytes.load(std::memory_order_relaxed);
}

uint32_t Bucket::unsaved_flush_moments() const noexcept {
  return persistence_ == nullptr ? 0 : persistence_->unsaved_flush_moments.load(std::memory_order_acquire);
}

void Bucket::hurry_flushers() noexcept {
  persistence_->dirty.hurry();
}

void Bucket::count_blocked() noexcept {
  persistence_->would_block.fetch_add(1, std::memory_order_relaxed);
}

uint64_t Bucket::high_seqno(uint16_t vbucket) const noexcept {
  return vbuckets_[vbucket].high_seqno();
}

uint64_t Bucket::persisted_seqno(uint16_t vbucket) const noexcept {
  return vbuckets_[vbucket].persisted_seqno();
}

std::vector<FailoverEntry> Bucket::failover_log(uint16_t vbucket) const {
  auto log = vbuckets_[vbucket].failover_log();
  if (log.empty()) log.push_back({vbucket_uuid(vbucket), 0});
  return log;
}

uint64_t Bucket::vbucket_uuid(uint16_t vbucket) const noexcept {
  const uint64_t uuid = vbuckets_[vbucket].uuid();
  // The seed is random, and another one in each process.
  return uuid != 0 ? uuid : (options_.hash_seed ^ (uint64_t{vbucket} << 48)) | 1;
}

LoadTicket Bucket::begin_load(uint16_t vbucket) const noexcept {
  return vbuckets_[vbucket].begin_load();
}

Loaded Bucket::load(DocKey key, const LoadedRecord* record, LoadTicket ticket, LoadPurpose purpose,
                    base::Now now) {
  flush_if_due(now.unix_s());
  uint64_t shell = 0;
  uint32_t value_len = 0;
  const bool leaves_nothing = record != nullptr && record->deleted && record->value && record->value->empty();
  if (record == nullptr || leaves_nothing) {
    shell = Document::kAbsent;
  } else if (record->value) {
    value_len = static_cast<uint32_t>(record->value->size());
  } else {
    assert(options_.eviction == EvictionPolicy::value);
    shell = Document::kNonResident;
    value_len = record->value_size;
  }
  Draft found(Document::create(account_, key, value_len, shell));
  if (!found) return {LoadStatus::no_memory, {}};
  // Refused or not: a restart with less memory than there are keys has to work.
  if (purpose == LoadPurpose::fetch) (void)make_room(value_len, now);
  if (record != nullptr) {
    Document& document = *found.document_;
    if (record->value && value_len != 0) {
      std::memcpy(found.value().data(), record->value->data(), value_len);
    }
    document.seqno_ = record->seqno;
    document.cas_ = record->cas;
    document.set_revision(record->revision);
    document.flags_ = record->flags;
    document.expiry_ = record->expiry;
    document.datatype_ = record->datatype;
    if (record->deleted) {
      if (!leaves_nothing) document.revision_and_account_ |= Document::kDeleted;
      document.expiry_ = tombstone_end(record->expiry);
    }
    document.last_access_ = now.unix_s();
    document.frequency_ = record->frequency & 3U;
    if (record->stale) document.state_ |= Document::kStale;
    if (record->token_sent) document.state_ |= Document::kTokenSent;
  }
  const Key at = locate(key);
  Loaded loaded = at.vbucket.load(found, at.hash, ticket, now);
  if (loaded.status == LoadStatus::installed && record != nullptr)
    note_expiry(record->deleted ? tombstone_end(record->expiry) : record->expiry);
  return loaded;
}

void Bucket::finish_warmup(uint16_t vbucket, bool complete) {
  VBucket& warm = vbuckets_[vbucket];
  warm.finish_warmup(complete);
  for (uint32_t cursor = 0;;) {
    Victims victims;
    if (!warm.drop_placeholders(cursor, victims)) return;
  }
}

bool Bucket::lacks_revisions(uint16_t vbucket) const noexcept {
  return vbuckets_[vbucket].lacks_revisions();
}

void Bucket::learn_revisions(uint16_t vbucket, const SeenRevisions& seen) {
  vbuckets_[vbucket].learn_revisions(seen);
}

void Bucket::refuse_changes(uint16_t vbucket) noexcept {
  vbuckets_[vbucket].refuse_changes();
}

std::optional<uint64_t> Bucket::seqno_on_disk(uint16_t vbucket, DocKey key) const noexcept {
  if (key.collection() != kDefaultCollection) {
    if (const auto dropped = vbuckets_[vbucket].dropped_seqno_on_disk(key.collection())) return dropped;
  }
  // An index entry may be of a vbucket that the key does not belong to only where the disk is damaged.
  const Key at = locate(key);
  if (&at.vbucket != &vbuckets_[vbucket]) return std::nullopt;
  return at.vbucket.seqno_on_disk(key, at.hash);
}

ChangeLog::CursorId Bucket::open_cursor(uint16_t vbucket, std::string_view name) {
  return vbuckets_[vbucket].open_cursor(name);
}

AttachedCursor Bucket::attach_cursor(uint16_t vbucket, std::string_view name, uint64_t seqno,
                                     uint64_t reach) {
  return vbuckets_[vbucket].attach_cursor(name, seqno, reach);
}

void Bucket::add_reader(std::shared_ptr<News> news) {
  persistence_->news.add(std::move(news));
}

void Bucket::remove_reader(const News& news) {
  persistence_->news.remove(news);
}

StreamFacts Bucket::stream_facts(uint16_t vbucket) const {
  return vbuckets_[vbucket].stream_facts();
}

VBucketState Bucket::announced_collections(uint16_t vbucket) const {
  return vbuckets_[vbucket].announced_collections();
}

uint64_t Bucket::cursor_lag_bytes() const noexcept {
  return persistence_ == nullptr ? 0 : persistence_->lag.bytes();
}

void Bucket::close_cursor(uint16_t vbucket, ChangeLog::CursorId cursor) {
  vbuckets_[vbucket].close_cursor(cursor);
}

TakenChanges Bucket::take_changes(uint16_t vbucket, ChangeLog::CursorId cursor) {
  return vbuckets_[vbucket].take(cursor);
}

}  // namespace bobbin::store
