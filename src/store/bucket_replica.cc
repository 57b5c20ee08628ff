// What Bucket does for copies of other servers' vbuckets.

#include <algorithm>
#include <memory>
#include <utility>

#include "store/bucket.h"
#include "store/collection_event.h"
#include "store/vbucket.h"
#include "store/vbucket_collections.h"
#include "store/vbucket_persist.h"

namespace bobbin::store {

namespace {

// On disk before any vbucket follows it. False: it could not be written.
bool keep_followed(SharedPersistence& shared, MemoryAccount& account, Manifest manifest,
                   std::shared_ptr<const Manifest>& kept) REQUIRES(shared.followed_mutex) {
  if (shared.keep_manifest && !shared.keep_manifest(manifest)) return false;
  kept = std::make_shared<const Manifest>(std::move(manifest));
  shared.followed.table = std::make_shared<const CollectionTable>(account, kept);
  return true;
}

// The protocol has 8 bytes, the disk 6.
constexpr uint64_t kMaxSeqno = (uint64_t{1} << 48) - 1;

bool is_valid(const ReplicaChange& change) noexcept {
  return change.seqno != 0 && change.seqno <= kMaxSeqno && change.cas != 0 && change.revision != 0 &&
         change.revision <= kMaxRevision;
}

bool is_of_scope(EventKind kind) noexcept {
  return kind == EventKind::scope_created || kind == EventKind::scope_dropped;
}

// No event tells of the default ones.
bool is_valid(const CollectionEvent& event) noexcept {
  if (event.max_ttl_s.value_or(0) > kMaxTtlS) return false;
  const bool has_name = event.kind == EventKind::scope_created || event.kind == EventKind::collection_created;
  if (has_name && !is_manifest_name(event.name, NameOwner::server)) return false;
  if (is_of_scope(event.kind)) return event.scope >= kFirstManifestId;
  return event.collection >= kFirstManifestId &&
         (event.scope == kDefaultScope || event.scope >= kFirstManifestId);
}

}  // namespace

void Bucket::follow(uint16_t vbucket, base::Now now) {
  vbuckets_[vbucket].follow(now);
}

void Bucket::stop_following(uint16_t vbucket, base::Now now) {
  (void)vbuckets_[vbucket].stop_following(now);
}

bool Bucket::is_following() const noexcept {
  return persistence_ != nullptr && persistence_->following.load(std::memory_order_relaxed) != 0;
}

bool Bucket::follows(uint16_t vbucket) const noexcept {
  return vbuckets_[vbucket].follows();
}

ReplicaFacts Bucket::replica_facts(uint16_t vbucket) const {
  return vbuckets_[vbucket].replica_facts();
}

ReplicaStatus Bucket::begin_snapshot(uint16_t vbucket, const ReplicaSnapshot& snapshot) {
  return vbuckets_[vbucket].begin_snapshot(snapshot);
}

ReplicaStatus Bucket::adopt_failover(uint16_t vbucket, std::span<const FailoverEntry> failover) {
  return vbuckets_[vbucket].adopt_failover(failover);
}

base::Result<Draft, DraftError> Bucket::replica_draft(DocKey key, uint32_t flags, uint32_t expiry,
                                                      uint32_t value_len, base::Now now) {
  if (value_len > kLargestMaxValueBytes + kAttributeAllowanceBytes) return base::fail(DraftError::too_large);
  return allocate_draft(key, flags, expiry, value_len, now);
}

ReplicaStatus Bucket::apply(Draft& draft, const ReplicaChange& change, base::Now now) {
  ReplicaStatus status = ReplicaStatus::invalid;
  if (is_valid(change)) {
    const Key at = locate(draft.doc_key());
    const uint32_t expiry = draft.document_->expiry_;
    status = at.vbucket.apply(draft, at.hash, change, now);
    if (status == ReplicaStatus::applied) note_expiry(expiry);
  }
  if (status != ReplicaStatus::no_memory) draft = Draft();
  return status;
}

ReplicaStatus Bucket::apply_removal(Draft& tombstone, const ReplicaChange& change, base::Now now) {
  ReplicaStatus status = ReplicaStatus::invalid;
  if (is_valid(change) && !tombstone.value().empty()) {
    const Key at = locate(tombstone.doc_key());
    status = at.vbucket.apply_tombstone(tombstone, at.hash, change, now);
    // It has a time, too: when it may be forgotten.
    if (status == ReplicaStatus::applied) note_expiry(1);
  }
  if (status != ReplicaStatus::no_memory) tombstone = Draft();
  return status;
}

ReplicaStatus Bucket::apply_removal(DocKey key, const ReplicaChange& change, base::Now now) {
  if (!is_valid(change)) return ReplicaStatus::invalid;
  const Key at = locate(key);
  return at.vbucket.apply_removal(key, at.hash, change, now);
}

ReplicaStatus Bucket::advance_seqno(uint16_t vbucket, uint64_t seqno) {
  return vbuckets_[vbucket].advance_seqno(seqno);
}

void Bucket::set_manifest_keeper(std::function<bool(const Manifest&)> keep) {
  const base::MutexLock lock(persistence_->followed_mutex);
  persistence_->keep_manifest = std::move(keep);
}

void Bucket::begin_followed_manifest(FollowedManifest& followed) const {
  if (std::exchange(followed.is_begun, true)) return;
  const uint64_t uid = manifest()->uid();
  for (uint32_t i = 0; i < options_.vbuckets; ++i) {
    const auto vbucket = static_cast<uint16_t>(i);
    followed.set_told(vbucket, vbuckets_[i].high_seqno() == 0 ? 0 : uid);
  }
}

void Bucket::show_manifest(std::shared_ptr<const Manifest> manifest) {
  {
    const base::MutexLock lock(manifest_mutex_);
    manifest_ = std::move(manifest);
  }
  manifest_generation_.fetch_add(1, std::memory_order_release);
}

ReplicaStatus Bucket::apply_event(uint16_t vbucket, const CollectionEvent& event, uint64_t seqno,
                                  base::Now /*now*/) {
  if (!is_valid(event)) return ReplicaStatus::invalid;
  VBucket& at = vbuckets_[vbucket];
  SharedPersistence& shared = *persistence_;
  bool has_dropped = false;
  {
    const base::MutexLock lock(shared.followed_mutex);
    const ReplicaStatus refusal = at.admits_event(seqno);
    if (refusal != ReplicaStatus::applied) return refusal;
    FollowedManifest& followed = shared.followed;
    begin_followed_manifest(followed);
    DocumentRef document = followed.document_of(account_, event);
    if (!document) return ReplicaStatus::no_memory;
    const std::shared_ptr<const Manifest> present = manifest();
    if (followed.table == nullptr)
      followed.table = std::make_shared<const CollectionTable>(account_, present);
    std::shared_ptr<const Manifest> kept;
    if (followed.is_news(*present, event)) {
      auto after = followed.after(*present, at.announced_collections(), event);
      if (!after) return ReplicaStatus::invalid;
      // On disk before any vbucket follows it.
      if (!keep_followed(shared, account_, std::move(*after), kept)) return ReplicaStatus::not_following;
    }
    const ReplicaStatus status =
        at.apply_event(event, std::move(document), followed.table, seqno, has_dropped);
    if (status == ReplicaStatus::applied) followed.set_told(vbucket, event.manifest_uid);
    // Also where it was not applied: it will be, and the file has it.
    if (kept != nullptr) show_manifest(std::move(kept));
    if (status != ReplicaStatus::applied) return status;
  }
  if (has_dropped) begin_sweep_of_dropped();
  return ReplicaStatus::applied;
}

bool Bucket::clear(uint16_t vbucket, base::Now now) {
  if (persistence_ == nullptr) {
    keep_garbage(std::move(vbuckets_[vbucket].cut_off(now).table));
    wake_sweeper();
    return true;
  }
  SharedPersistence& shared = *persistence_;
  const base::MutexLock lock(shared.followed_mutex);
  VBucket& at = vbuckets_[vbucket];
  auto taken = at.clear(now);
  if (!taken) return false;
  keep_garbage(std::move(taken->table));
  wake_sweeper();
  if (!at.follows()) return true;
  FollowedManifest& followed = shared.followed;
  begin_followed_manifest(followed);
  followed.set_told(vbucket, 0);
  const auto furthest = followed.furthest();
  const std::shared_ptr<const Manifest> present = manifest();
  if ((furthest ? furthest->second : 0) >= present->uid()) return true;
  // Nobody tells of the manifest any more that was there: the source has another history.
  auto made = furthest ? followed.made_of(furthest->second,
                                          vbuckets_[furthest->first].announced_collections(), *present)
                       : Manifest::Changed(Manifest());
  std::shared_ptr<const Manifest> kept;
  if (made && keep_followed(shared, account_, std::move(*made), kept)) show_manifest(std::move(kept));
  return true;
}

void Bucket::set_role(uint16_t vbucket, VBucketRole role) noexcept {
  vbuckets_[vbucket].set_role(role);
}

VBucketRole Bucket::role(uint16_t vbucket) const noexcept {
  return vbuckets_[vbucket].role();
}

uint32_t Bucket::unsaved_clears() const noexcept {
  return persistence_ == nullptr ? 0 : persistence_->unsaved_clears.load(std::memory_order_acquire);
}

uint32_t Bucket::generation(uint16_t vbucket) const noexcept {
  return vbuckets_[vbucket].generation();
}

}  // namespace bobbin::store
