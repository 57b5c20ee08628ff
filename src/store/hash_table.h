#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <string_view>
#include <utility>

#include "store/document.h"

namespace bobbin::store {

class MemoryAccount;

/// Linear hashing over cache lines: the documents of one vbucket, by key.
///
/// A bucket is one 64-byte line of seven slots and a link to an overflow line. A slot is a document's address
/// and the low 20 bits of its key's hash (the tag). The tag's low bits are the bucket's number, its other
/// bits spare a look at documents that do not match; and as it lies in the slot, a bucket is split or merged
/// without touching a document.
///
/// Invariants:
///  1. A document's bucket is its tag modulo the smallest power of two that covers `buckets_`, halved when
///  that
///     is not below `buckets_`.
///  2. The filled slots of a chain come first: every line but the last is full, and no line but the first is
///     empty.
///  3. Each insert or erase splits or merges at most a fixed number of buckets: nothing pays for a rehash.
///
/// The table holds one reference to each of its documents. One thread at a time (the vbucket's lock).
class HashTable {
 public:
  static constexpr int kTagBits = 20;
  static constexpr uint32_t kTagMask = (uint32_t{1} << kTagBits) - 1;
  static constexpr uint32_t kSlotsPerLine = 7;
  static constexpr uint32_t kLinesPerSegment = 16;
  /// Split above, merge below so many documents per bucket.
  static constexpr uint32_t kSplitAbove = 5;
  static constexpr uint32_t kMergeBelow = 2;
  /// What a walk returns when it is done.
  static constexpr uint32_t kEnd = uint32_t{1} << kTagBits;

  struct alignas(64) Line {
    std::array<uint64_t, kSlotsPerLine> slots;
    Line* overflow;
  };
  static_assert(sizeof(Line) == 64);

  /// A filled slot. Valid until the next insert or erase.
  class Slot {
   public:
    Slot() = default;
    explicit operator bool() const noexcept { return word_ != nullptr; }
    [[nodiscard]] Document* document() const noexcept { return HashTable::document_of(*word_); }

   private:
    friend class HashTable;
    Slot(Line* line, uint64_t* word) noexcept : line_(line), word_(word) {}
    Line* line_ = nullptr;
    uint64_t* word_ = nullptr;
  };

  HashTable() = default;
  explicit HashTable(MemoryAccount* account) noexcept : account_(account) {}
  HashTable(HashTable&& other) noexcept { swap(other); }
  HashTable& operator=(HashTable&& other) noexcept {
    HashTable taken(std::move(other));
    swap(taken);
    return *this;
  }
  HashTable(const HashTable&) = delete;
  HashTable& operator=(const HashTable&) = delete;
  ~HashTable();

  [[nodiscard]] static uint32_t tag_of(uint64_t hash) noexcept {
    return static_cast<uint32_t>(hash) & kTagMask;
  }

  [[nodiscard]] uint64_t size() const noexcept { return documents_; }
  [[nodiscard]] MemoryAccount* account() const noexcept { return account_; }
  [[nodiscard]] uint32_t buckets() const noexcept { return buckets_; }
  /// What segments, overflow lines and the directory are charged with.
  [[nodiscard]] uint64_t bytes() const noexcept { return bytes_; }

  [[nodiscard]] Slot find(DocKey key, uint32_t tag) const noexcept;
  /// The first line of the tag's chain, to be fetched ahead of a find; null in an empty table.
  [[nodiscard]] const Line* line_of(uint32_t tag) const noexcept {
    return buckets_ == 0 ? nullptr : bucket(bucket_of(tag));
  }
  /// A document of that chain whose tag matches, most likely the one, without looking at it.
  [[nodiscard]] const Document* candidate(uint32_t tag) const noexcept;

  /// Takes over one reference, if there is memory for it; the key must not be in the table.
  [[nodiscard]] bool insert(Document* document, uint32_t tag) noexcept;
  /// Puts another document with the same key there; the reference to the old one becomes the caller's.
  [[nodiscard]] static Document* replace(Slot slot, Document* document) noexcept {
    Document* old = slot.document();
    *slot.word_ = word_of(document, static_cast<uint32_t>(*slot.word_) & kTagMask);
    return old;
  }
  /// The reference becomes the caller's.
  [[nodiscard]] Document* erase(Slot slot) noexcept;

  /// Drops a reference that erase, replace or a visit gave away.
  static void release(Document* document) noexcept { document->unreference(); }

  /// Shows the documents of one bucket to `visit(Document*) -> bool`; true takes the document out of the
  /// table, and its reference is then the visitor's. A visitor that returns a Document* says what stays in
  /// its place: itself, another of the same key (which is taken over, and the old one is the visitor's), or
  /// null. Starts at 0 and continues with what it returned, until kEnd.
  ///
  /// The cursor counts through the tags with their bits reversed: the tags of a bucket are neighbours in that
  /// order, before and after a split, so a walk sees each document that stays exactly once, however often the
  /// table grows or shrinks between its steps.
  template <typename Visit>
  uint32_t visit_bucket(uint32_t cursor, Visit&& visit) noexcept;

 private:
  struct alignas(64) Segment {
    std::array<Line, kLinesPerSegment> lines;
  };

  [[nodiscard]] static Document* document_of(uint64_t word) noexcept {
    // 48 address bits; a document is aligned to 16 bytes, so the 44 upper ones are all there is.
    return reinterpret_cast<Document*>((word >> kTagBits) << 4);
  }
  [[nodiscard]] static uint64_t word_of(const Document* document, uint32_t tag) noexcept {
    return (reinterpret_cast<uint64_t>(document) >> 4) << kTagBits | tag;
  }
  [[nodiscard]] static uint32_t reversed(uint32_t tag) noexcept;
  [[nodiscard]] static Document* staying(bool taken, Document* seen) noexcept {
    return taken ? nullptr : seen;
  }
  [[nodiscard]] static Document* staying(Document* stays, Document* /*seen*/) noexcept { return stays; }

  [[nodiscard]] Line* bucket(uint32_t number) const noexcept {
    return &directory_[number / kLinesPerSegment]->lines[number % kLinesPerSegment];
  }
  [[nodiscard]] uint32_t bucket_of(uint32_t tag) const noexcept {
    const uint32_t number = tag & mask_;
    return number < buckets_ ? number : number & (mask_ >> 1);
  }
  /// How many tag bits choose this bucket.
  [[nodiscard]] int bits_of(uint32_t number) const noexcept;
  void set_buckets(uint32_t buckets) noexcept {
    buckets_ = buckets;
    mask_ = std::bit_ceil(buckets) - 1;
  }
  void swap(HashTable& other) noexcept;

  [[nodiscard]] Line* new_line() noexcept;
  void free_line(Line* line) noexcept;
  [[nodiscard]] bool add_segment() noexcept;
  void drop_last_segment() noexcept;
  [[nodiscard]] bool grow_directory() noexcept;
  /// Adds to a chain; takes lines from `spare` before it allocates. False when there is no memory.
  [[nodiscard]] bool append(Line* head, uint64_t word, Line*& spare) noexcept;
  /// Takes out the word at `index` of `line`, by moving the chain's last word there. True when `line` is
  /// gone.
  bool remove_word(Line* head, Line* line, uint32_t index) noexcept;
  void split_one() noexcept;
  void merge_one() noexcept;
  void shrink() noexcept;

  Segment** directory_ = nullptr;
  uint32_t buckets_ = 0;
  uint32_t mask_ = 0;
  uint32_t directory_capacity_ = 0;
  uint64_t documents_ = 0;
  uint64_t bytes_ = 0;
  MemoryAccount* account_ = nullptr;
};

inline uint32_t HashTable::reversed(uint32_t tag) noexcept {
  uint32_t v = tag;
  v = ((v >> 1) & 0x55555555U) | ((v & 0x55555555U) << 1);
  v = ((v >> 2) & 0x33333333U) | ((v & 0x33333333U) << 2);
  v = ((v >> 4) & 0x0f0f0f0fU) | ((v & 0x0f0f0f0fU) << 4);
  return __builtin_bswap32(v) >> (32 - kTagBits);
}

inline HashTable::Slot HashTable::find(DocKey key, uint32_t tag) const noexcept {
  if (buckets_ == 0) return {};
  for (Line* line = bucket(bucket_of(tag)); line != nullptr; line = line->overflow) {
    uint32_t matches = 0;
    for (uint32_t i = 0; i < kSlotsPerLine; ++i) {
      matches |= static_cast<uint32_t>((line->slots[i] & kTagMask) == tag) << i;
    }
    for (; matches != 0; matches &= matches - 1) {
      uint64_t* word = &line->slots[static_cast<uint32_t>(std::countr_zero(matches))];
      const Document* document = document_of(*word);
      if (document == nullptr) break;  // tag 0 also matches an empty slot, and behind one there are only more
      __builtin_prefetch(reinterpret_cast<const char*>(document) + sizeof(Line));
      if (document->has_key(key)) return {line, word};
    }
  }
  return {};
}

inline const Document* HashTable::candidate(uint32_t tag) const noexcept {
  if (buckets_ == 0) return nullptr;
  for (const uint64_t word : bucket(bucket_of(tag))->slots) {
    if ((word & kTagMask) == tag && word != 0) return document_of(word);
  }
  return nullptr;
}

template <typename Visit>
uint32_t HashTable::visit_bucket(uint32_t cursor, Visit&& visit) noexcept {
  if (buckets_ == 0 || cursor >= kEnd) return kEnd;
  const uint32_t number = bucket_of(reversed(cursor));
  const uint32_t width = uint32_t{1} << (kTagBits - bits_of(number));
  Line* const head = bucket(number);
  for (Line* line = head; line != nullptr; line = line->overflow) {
    for (const uint64_t word : line->slots) {
      if (word != 0) __builtin_prefetch(document_of(word));
    }
  }
  bool line_gone = false;
  for (Line* line = head; line != nullptr && !line_gone; line = line_gone ? nullptr : line->overflow) {
    for (uint32_t i = 0; !line_gone && i < kSlotsPerLine && line->slots[i] != 0;) {
      const uint64_t word = line->slots[i];
      // After a merge the bucket also holds tags that the walk has been through already.
      const bool new_to_walk = reversed(static_cast<uint32_t>(word) & kTagMask) >= cursor;
      Document* const seen = document_of(word);
      Document* const stays = new_to_walk ? staying(visit(seen), seen) : seen;
      if (stays == nullptr) {
        line_gone = remove_word(head, line, i);
        continue;
      }
      if (stays != seen) line->slots[i] = word_of(stays, static_cast<uint32_t>(word) & kTagMask);
      ++i;
    }
  }
  shrink();
  return (cursor & ~(width - 1)) + width;
}

}  // namespace bobbin::store
