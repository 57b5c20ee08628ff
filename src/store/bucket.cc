#include "store/bucket.h"

#include <algorithm>
#include <cassert>
#include <cstdlib>

#include "base/log.h"
#include "base/work.h"
#include "store/key_hash.h"
#include "store/vbucket.h"
#include "store/vbucket_persist.h"

// XXH3 is inlined: for short keys the call would cost as much as the hash.
#define XXH_INLINE_ALL
#include <xxhash.h>

namespace bobbin::store {

namespace {

// Odd, so that collections have seeds of their own: 2^64 divided by the golden ratio.
constexpr uint64_t kCollectionSeed = 0x9e3779b97f4a7c15;

MemoryAccount& open_account(uint64_t quota_bytes) {
  MemoryAccount* account = MemoryAccount::open(quota_bytes);
  if (account == nullptr) {
    base::log(base::LogLevel::error, "more than 128 buckets have documents in memory");
    std::abort();
  }
  return *account;
}

}  // namespace

Bucket::Bucket(const BucketOptions& options)
    : options_(options),
      account_(open_account(options.quota_bytes)),
      inflated_account_(open_account(inflated_quota(options.quota_bytes, options.max_value_bytes))),
      persistence_(options.type == BucketType::persistent
                       ? std::make_unique<SharedPersistence>(options_, account_)
                       : nullptr),
      vbuckets_(std::make_unique<VBucket[]>(options.vbuckets)),
      manifest_(std::make_shared<const Manifest>()) {
  assert(std::has_single_bit(options.vbuckets) && options.vbuckets <= 1024);
  assert(options.max_value_bytes <= kLargestMaxValueBytes);
  for (uint32_t i = 0; i < options.vbuckets; ++i) {
    vbuckets_[i].attach(account_);
    if (persistence_ != nullptr) {
      vbuckets_[i].make_persistent(std::make_unique<PersistentState>(*persistence_, i), {});
    }
  }
}

Bucket::~Bucket() {
  account_.close();
  inflated_account_.close();
}

Bucket::Key Bucket::locate(DocKey key) const noexcept {
  assert(key.is_valid());
  const std::string_view name = key.name();
  // The collection goes into the seed: for the default one, hashing is what it would be without any.
  const uint64_t seed = options_.hash_seed + key.collection() * kCollectionSeed;
  return {vbuckets_[vbucket_of_key(name, options_.vbuckets)],
          XXH3_64bits_withSeed(name.data(), name.size(), seed)};
}

base::Result<Draft, DraftError> Bucket::draft(DocKey key, uint32_t flags, uint32_t expiry, uint32_t value_len,
                                              base::Now now, bool attributes) {
  const uint32_t allowance = attributes ? kAttributeAllowanceBytes : 0;
  if (value_len > options_.max_value_bytes + allowance) return base::fail(DraftError::too_large);
  return allocate_draft(key, flags, expiry, value_len, now);
}

base::Result<Draft, DraftError> Bucket::allocate_draft(DocKey key, uint32_t flags, uint32_t expiry,
                                                       uint32_t value_len, base::Now now) {
  base::note_work(value_len);
  Draft draft = Draft::allocate(account_, key, value_len);
  if (!draft || !make_room(value_len, now)) {
    refused_.fetch_add(1, std::memory_order_relaxed);
    return base::fail(DraftError::no_memory);
  }
  draft.set_flags(flags);
  draft.set_expiry(expiry);
  return draft;
}

base::Result<Draft, DraftError> Bucket::draft_like(const Draft& given, uint32_t value_len, base::Now now,
                                                   bool attributes) {
  const Document& like = *given.document_;
  return draft(like.doc_key(), like.flags_, like.expiry_, value_len, now, attributes);
}

StoreResult Bucket::store(Draft& draft, StoreMode mode, const StoreOptions& options, base::Now now) {
  flush_if_due(now.unix_s());
  StoreResult result;
  if (mode == StoreMode::append || mode == StoreMode::prepend) {
    result = extend(draft, mode, options, now);
  } else if (options.as_tombstone && draft.value().empty()) [[unlikely]] {
    result = remove_whole(draft.doc_key(), options, now);
  } else {
    // The draft stays what it is: it may be wanted for another try.
    Draft compressed = compresses_.load(std::memory_order_relaxed) ? this->compressed(draft) : Draft();
    const Key at = locate(draft.doc_key());
    const bool is_compressed = static_cast<bool>(compressed);
    result = at.vbucket.publish(is_compressed ? compressed : draft, at.hash, mode, options, now);
    if (is_compressed && result.ok()) result.value_len = static_cast<uint32_t>(draft.value().size());
    if (result.has_attributes) [[unlikely]]
      result = store_body(draft, mode, options, now);
    if (result.ok()) note_expiry(result.expiry);
  }
  const bool again = result.status == StoreStatus::would_block || result.status == StoreStatus::no_memory ||
                     result.status == StoreStatus::locked || result.status == StoreStatus::unknown_collection;
  if (draft && !again) draft = Draft();
  return result;
}

TouchResult Bucket::touch(DocKey key, uint32_t expiry, base::Now now) {
  flush_if_due(now.unix_s());
  TouchResult result;
  if (persistence_ != nullptr) {
    const Fetched found = fetch_touching(key, {.touch = expiry, .cannot_win = true}, now);
    result.status = found.would_block          ? TouchStatus::would_block
                    : found.no_memory          ? TouchStatus::no_memory
                    : found.unknown_collection ? TouchStatus::unknown_collection
                    : found                    ? TouchStatus::touched
                    : found.locked             ? TouchStatus::locked
                                               : TouchStatus::not_found;
    if (found) expiry = found.expiry;
    // Also where it had that expiry already: whoever gave it may still wait for the disk.
    if (found) result.seqno = found.doc->seqno();
  } else {
    const Key at = locate(key);
    result.status = at.vbucket.touch(key, at.hash, expiry, now.unix_s());
  }
  if (result.ok()) note_expiry(expiry);
  return result;
}

LockResult Bucket::lock(DocKey key, uint32_t seconds, base::Now now, bool takes_compressed) {
  flush_if_due(now.unix_s());
  const Key at = locate(key);
  LockResult result = at.vbucket.lock(key, at.hash, seconds, now);
  if (takes_compressed || !result.found || !result.found.doc->is_compressed()) [[likely]]
    return result;
  inflate(result.found, /*has_acted=*/true);
  if (!result.found) {
    // Nobody would know the lock's CAS.
    (void)at.vbucket.unlock(key, at.hash, result.found.cas, now.unix_s());
    result.status = LockStatus::no_memory;
  }
  return result;
}

LockStatus Bucket::unlock(DocKey key, uint64_t cas, base::Now now) {
  flush_if_due(now.unix_s());
  const Key at = locate(key);
  return at.vbucket.unlock(key, at.hash, cas, now.unix_s());
}

Fetched Bucket::fetch(DocKey key, base::Now now) {
  const uint32_t now_s = now.unix_s();
  flush_if_due(now_s);
  const Key at = locate(key);
  Fetched found = at.vbucket.fetch(key, at.hash, now_s);
  if (found && found.doc->is_compressed()) [[unlikely]]
    inflate(found);
  return found;
}

Fetched Bucket::fetch(DocKey key, const FetchOptions& options, base::Now now) {
  flush_if_due(now.unix_s());
  const Key at = locate(key);
  Fetched found = persistence_ != nullptr && options.touch
                      ? fetch_touching(key, options, now)
                      : at.vbucket.fetch(key, at.hash, options, now.unix_s());
  const bool is_miss =
      !found && !found.would_block && !found.no_memory && !found.locked && !found.unknown_collection;
  if (is_miss && options.vivify_expiry) {
    base::Result<Draft, DraftError> empty = draft(key, 0, *options.vivify_expiry, 0, now);
    if (!empty) {
      found.no_memory = true;
      return found;
    }
    std::optional<Fetched> created = at.vbucket.vivify(*empty, at.hash, options, now);
    // Somebody else was faster: then there is a document to fetch, or there was one just now.
    found = created ? std::move(*created) : at.vbucket.fetch(key, at.hash, options, now.unix_s());
  }
  if (found && !found.deleted) note_expiry(found.expiry);
  if (found && found.doc->is_compressed() && options.needs_value && !options.takes_compressed) [[unlikely]]
    inflate(found, found.published || found.won || options.touch.has_value());
  return found;
}

namespace {

struct Located {
  VBucket* vbucket;
  uint64_t hash;
};

// Step by step for all of them: so the processor waits for several at once.
void load_ahead(std::span<const Located> keys) noexcept {
  for (const Located& key : keys)
    key.vbucket->prefetch_lock();
  for (const Located& key : keys)
    key.vbucket->prefetch_line(key.hash);
  for (const Located& key : keys)
    key.vbucket->prefetch_document(key.hash);
}

}  // namespace

void Bucket::fetch_ahead(std::span<const DocKey> keys) const noexcept {
  Located located[kFetchedAhead];
  while (!keys.empty()) {
    const size_t count = std::min(kFetchedAhead, keys.size());
    for (size_t i = 0; i < count; ++i) {
      const Key at = locate(keys[i]);
      located[i] = {&at.vbucket, at.hash};
    }
    load_ahead(std::span(located).first(count));
    keys = keys.subspan(count);
  }
}

void Bucket::fetch_many(std::span<const DocKey> keys, std::span<Fetched> out, base::Now now) {
  assert(keys.size() == out.size());
  const uint32_t now_s = now.unix_s();
  flush_if_due(now_s);
  Located located[kFetchedAhead];
  for (size_t begin = 0; begin < keys.size(); begin += kFetchedAhead) {
    const size_t count = std::min(kFetchedAhead, keys.size() - begin);
    for (size_t i = 0; i < count; ++i) {
      const Key at = locate(keys[begin + i]);
      located[i] = {&at.vbucket, at.hash};
    }
    load_ahead(std::span(located).first(count));
    for (size_t i = 0; i < count; ++i)
      out[begin + i] = located[i].vbucket->fetch(keys[begin + i], located[i].hash, now_s);
  }
}

std::optional<Peeked> Bucket::peek(DocKey key, base::Now now) {
  flush_if_due(now.unix_s());
  const Key at = locate(key);
  return at.vbucket.peek(key, at.hash, now.unix_s());
}

void Bucket::set_eviction_observer(EvictionObserver* observer) noexcept {
  observer_.store(observer, std::memory_order_release);
}

}  // namespace bobbin::store
