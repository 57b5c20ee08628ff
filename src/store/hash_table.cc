#include "store/hash_table.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <new>

#include "store/memory.h"

namespace bobbin::store {

HashTable::~HashTable() {
  for (uint32_t number = 0; number < buckets_; ++number) {
    Line* const head = bucket(number);
    for (Line* line = head; line != nullptr;) {
      for (const uint64_t word : line->slots) {
        if (word != 0) document_of(word)->unreference();
      }
      Line* const next = line->overflow;
      if (line != head) free_line(line);
      line = next;
    }
  }
  while (buckets_ != 0) {
    drop_last_segment();
    buckets_ -= (buckets_ - 1) % kLinesPerSegment + 1;
  }
  if (directory_ != nullptr) {
    const size_t size = directory_capacity_ * sizeof(Segment*);
    account_->credit(allocated_size(directory_, size));
    free_bytes(directory_, size);
  }
}

void HashTable::swap(HashTable& other) noexcept {
  std::swap(directory_, other.directory_);
  std::swap(buckets_, other.buckets_);
  std::swap(mask_, other.mask_);
  std::swap(directory_capacity_, other.directory_capacity_);
  std::swap(documents_, other.documents_);
  std::swap(bytes_, other.bytes_);
  std::swap(account_, other.account_);
}

int HashTable::bits_of(uint32_t number) const noexcept {
  // `mask_` covers all buckets; those that wait for their split still answer for a tag bit less.
  const int bits = std::popcount(mask_);
  const uint32_t half = (mask_ >> 1) + 1;
  const bool waits = buckets_ != mask_ + 1 && number < half && number + half >= buckets_;
  return waits ? bits - 1 : bits;
}

HashTable::Line* HashTable::new_line() noexcept {
  void* memory = allocate_cache_lines(sizeof(Line));
  if (memory == nullptr) return nullptr;
  account_->charge(allocated_size(memory, sizeof(Line)));
  bytes_ += sizeof(Line);
  return new (memory) Line{};  // placement: aligned to its cache line
}

void HashTable::free_line(Line* line) noexcept {
  account_->credit(allocated_size(line, sizeof(Line)));
  bytes_ -= sizeof(Line);
  free_cache_lines(line, sizeof(Line));
}

bool HashTable::grow_directory() noexcept {
  const uint32_t capacity = std::max<uint32_t>(2, directory_capacity_ * 2);
  const size_t size = capacity * sizeof(Segment*);
  void* memory = allocate_bytes(size);
  if (memory == nullptr) return false;
  account_->charge(allocated_size(memory, size));
  bytes_ += size;
  if (directory_ != nullptr) {
    const size_t old_size = directory_capacity_ * sizeof(Segment*);
    std::memcpy(memory, directory_, old_size);
    account_->credit(allocated_size(directory_, old_size));
    bytes_ -= old_size;
    free_bytes(directory_, old_size);
  }
  directory_ = static_cast<Segment**>(memory);
  directory_capacity_ = capacity;
  return true;
}

bool HashTable::add_segment() noexcept {
  assert(buckets_ % kLinesPerSegment == 0);
  const uint32_t index = buckets_ / kLinesPerSegment;
  if (index == directory_capacity_ && !grow_directory()) return false;
  void* memory = allocate_cache_lines(sizeof(Segment));
  if (memory == nullptr) return false;
  account_->charge(allocated_size(memory, sizeof(Segment)));
  bytes_ += sizeof(Segment);
  directory_[index] = new (memory) Segment{};  // placement: aligned to its cache lines
  return true;
}

void HashTable::drop_last_segment() noexcept {
  Segment* segment = directory_[(buckets_ - 1) / kLinesPerSegment];
  account_->credit(allocated_size(segment, sizeof(Segment)));
  bytes_ -= sizeof(Segment);
  free_cache_lines(segment, sizeof(Segment));
}

bool HashTable::append(Line* head, uint64_t word, Line*& spare) noexcept {
  Line* line = head;
  while (line->overflow != nullptr)
    line = line->overflow;
  for (uint64_t& slot : line->slots) {
    if (slot != 0) continue;
    slot = word;
    return true;
  }
  Line* added = spare;
  if (added != nullptr) {
    spare = added->overflow;
    added->overflow = nullptr;
  } else {
    added = new_line();
    if (added == nullptr) return false;
  }
  added->slots[0] = word;
  line->overflow = added;
  return true;
}

bool HashTable::insert(Document* document, uint32_t tag) noexcept {
  assert((reinterpret_cast<uint64_t>(document) & 15) == 0 && reinterpret_cast<uint64_t>(document) >> 48 == 0);
  if (buckets_ == 0) {
    if (!add_segment()) return false;
    set_buckets(kLinesPerSegment);
  }
  Line* none = nullptr;
  if (!append(bucket(bucket_of(tag)), word_of(document, tag), none)) return false;
  ++documents_;
  if (documents_ > uint64_t{buckets_} * kSplitAbove && buckets_ < kEnd) split_one();
  return true;
}

Document* HashTable::erase(Slot slot) noexcept {
  Document* document = slot.document();
  const uint32_t tag = static_cast<uint32_t>(*slot.word_) & kTagMask;
  const auto index = static_cast<uint32_t>(slot.word_ - slot.line_->slots.data());
  remove_word(bucket(bucket_of(tag)), slot.line_, index);
  shrink();
  return document;
}

bool HashTable::remove_word(Line* head, Line* line, uint32_t index) noexcept {
  Line* before = nullptr;
  Line* last = line == head ? head : line;
  if (last != head) {
    for (before = head; before->overflow != last; before = before->overflow) {
    }
  }
  for (; last->overflow != nullptr; last = last->overflow)
    before = last;
  uint32_t tail = kSlotsPerLine - 1;
  while (last->slots[tail] == 0)
    --tail;
  line->slots[index] = last->slots[tail];
  last->slots[tail] = 0;
  --documents_;
  if (tail != 0 || last == head) return false;
  before->overflow = nullptr;
  free_line(last);
  return last == line;
}

void HashTable::split_one() noexcept {
  if (buckets_ % kLinesPerSegment == 0 && !add_segment()) return;  // stays denser until there is memory
  const uint32_t bit = std::bit_floor(buckets_);
  Line* const from = bucket(buckets_ - bit);
  Line* const to = &directory_[buckets_ / kLinesPerSegment]->lines[buckets_ % kLinesPerSegment];

  // The chain is taken apart and dealt out again; its overflow lines are the spare ones, so nothing can fail:
  // two chains that begin with two full lines need no more overflow lines than one.
  Line* rest = from->overflow;
  std::array<uint64_t, kSlotsPerLine> words = from->slots;
  from->slots = {};
  from->overflow = nullptr;
  *to = Line{};
  Line* spare = nullptr;
  while (true) {
    for (const uint64_t word : words) {
      if (word == 0) break;
      const bool fits = append((word & bit) != 0 ? to : from, word, spare);
      assert(fits);
      (void)fits;
    }
    if (rest == nullptr) break;
    words = rest->slots;
    Line* const freed = rest;
    rest = rest->overflow;
    freed->slots = {};
    freed->overflow = spare;
    spare = freed;
  }
  while (spare != nullptr) {
    Line* const next = spare->overflow;
    free_line(spare);
    spare = next;
  }
  set_buckets(buckets_ + 1);
}

void HashTable::merge_one() noexcept {
  const uint32_t last = buckets_ - 1;
  Line* const from = bucket(last);
  Line* const to = bucket(last - std::bit_floor(last));

  // One more line is all it can take: the words of `from`'s first line go behind `to`'s last one, and its
  // overflow lines are used again. It is allocated first, so that nothing can fail half-way.
  Line* spare = new_line();
  if (spare == nullptr) return;
  Line* rest = from->overflow;
  std::array<uint64_t, kSlotsPerLine> words = from->slots;
  while (true) {
    for (const uint64_t word : words) {
      if (word == 0) break;
      const bool fits = append(to, word, spare);
      assert(fits);
      (void)fits;
    }
    if (rest == nullptr) break;
    words = rest->slots;
    Line* const freed = rest;
    rest = rest->overflow;
    freed->slots = {};
    freed->overflow = spare;
    spare = freed;
  }
  while (spare != nullptr) {
    Line* const next = spare->overflow;
    free_line(spare);
    spare = next;
  }
  if (last % kLinesPerSegment == 0) drop_last_segment();
  set_buckets(last);
}

void HashTable::shrink() noexcept {
  // Two a time: a walk may take several documents out of one bucket.
  for (int i = 0; i < 2 && buckets_ > kLinesPerSegment; ++i) {
    if (documents_ >= uint64_t{buckets_} * kMergeBelow) return;
    merge_one();
  }
}

}  // namespace bobbin::store
