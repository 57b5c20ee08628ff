#include "store/removals.h"

#include <bit>

#include "store/memory.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace bobbin::store {

namespace {

constexpr uint32_t kLeastEntries = 8;
// Of the disk's answers so many may stay when nobody holds them.
constexpr uint64_t kLeastRecalled = 8;
// Odd, so that the names of collections have hashes of their own.
constexpr uint64_t kCollectionSeed = 0xd6e8feb86659fd93;

}  // namespace

uint64_t Removals::hash_of(DocKey key) const noexcept {
  return XXH3_64bits_withSeed(key.name().data(), key.name().size(),
                              seed_ + key.collection() * kCollectionSeed);
}

Removals::Entry& Removals::place_of(uint64_t hash) const noexcept {
  const uint32_t mask = capacity_ - 1;
  for (auto at = static_cast<uint32_t>(hash >> 32) & mask;; at = (at + 1) & mask) {
    Entry& entry = entries_[at];
    if (entry.seqno == 0 || entry.hash == hash) return entry;
  }
}

void Removals::free_entries() noexcept {
  if (entries_ == nullptr) return;
  const size_t bytes = capacity_ * sizeof(Entry);
  account_.credit(allocated_size(entries_, bytes));
  free_bytes(entries_, bytes);
  entries_ = nullptr;
  capacity_ = used_ = 0;
}

bool Removals::reserve(uint64_t persisted_seqno) noexcept {
  if (used_ < capacity_ / 4 * 3) return true;
  uint32_t left = 0;
  for (uint32_t i = 0; i < capacity_; ++i)
    left += entries_[i].seqno > persisted_seqno ? 1 : 0;
  const uint32_t capacity = std::max(kLeastEntries, std::bit_ceil(2 * (left + 1)));
  const size_t bytes = capacity * sizeof(Entry);
  void* const memory = allocate_bytes(bytes);
  if (memory == nullptr) return false;
  account_.charge(allocated_size(memory, bytes));
  Entry* const old = entries_;
  const uint32_t old_capacity = capacity_;
  entries_ = static_cast<Entry*>(memory);
  capacity_ = capacity;
  used_ = left;
  std::fill_n(entries_, capacity, Entry{});
  for (uint32_t i = 0; i < old_capacity; ++i) {
    if (old[i].seqno > persisted_seqno) place_of(old[i].hash) = old[i];
  }
  if (old == nullptr) return true;
  const size_t old_bytes = old_capacity * sizeof(Entry);
  account_.credit(allocated_size(old, old_bytes));
  free_bytes(old, old_bytes);
  return true;
}

void Removals::note(DocKey key, const Removal& removal) noexcept {
  const uint64_t hash = hash_of(key);
  Entry& entry = place_of(hash);
  used_ += entry.seqno == 0 ? 1 : 0;
  entry = {hash, removal.cas, removal.seqno, removal.revision, removal.time_s};
  last_seqno_ = std::max(last_seqno_, removal.seqno);
  if (recalled_ != nullptr) drop_recalled(key, hash);
}

void Removals::drop_recalled(DocKey key, uint64_t hash) noexcept {
  if (const HashTable::Slot slot = recalled_->find(key, HashTable::tag_of(hash)))
    HashTable::release(recalled_->erase(slot));
}

std::optional<Removal> Removals::find(DocKey key, uint64_t persisted_seqno) const noexcept {
  if (entries_ == nullptr || last_seqno_ <= persisted_seqno) return std::nullopt;
  const Entry& entry = place_of(hash_of(key));
  if (entry.seqno <= persisted_seqno) return std::nullopt;
  return Removal{entry.seqno, entry.cas, entry.revision, entry.time_s};
}

void Removals::drop_unheld() noexcept {
  for (uint32_t cursor = 0; cursor != HashTable::kEnd;) {
    cursor = recalled_->visit_bucket(cursor, [](Document* document) {
      if (document->references() > 1) return false;
      HashTable::release(document);
      return true;
    });
  }
  drop_above_ = std::max(kLeastRecalled, 2 * recalled_->size());
}

bool Removals::recall(Document* placeholder) noexcept {
  if (recalled_ == nullptr) {
    recalled_ = std::make_unique<HashTable>(&account_);
    drop_above_ = kLeastRecalled;
  }
  const DocKey key = placeholder->doc_key();
  const uint32_t tag = HashTable::tag_of(hash_of(key));
  if (const HashTable::Slot slot = recalled_->find(key, tag)) {
    HashTable::release(HashTable::replace(slot, placeholder));
    return true;
  }
  if (recalled_->size() >= drop_above_) drop_unheld();
  return recalled_->insert(placeholder, tag);
}

Document* Removals::recalled(DocKey key) const noexcept {
  if (recalled_ == nullptr) return nullptr;
  const HashTable::Slot slot = recalled_->find(key, HashTable::tag_of(hash_of(key)));
  return slot ? slot.document() : nullptr;
}

}  // namespace bobbin::store
