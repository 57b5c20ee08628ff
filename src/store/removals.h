#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>

#include "store/doc_key.h"
#include "store/document.h"
#include "store/hash_table.h"

namespace bobbin::store {

/// The end of a document of which no attributes stay.
struct Removal {
  uint64_t seqno = 0;
  uint64_t cas = 0;
  uint64_t revision = 0;
  /// When it was, in Unix seconds.
  uint32_t time_s = 0;
};

/// What no removal in the vbucket's history is above. Survives a restart.
struct HighestRemoval {
  uint64_t revision = 0;
  uint64_t cas = 0;
  /// False: there may be others, of before anybody kept these.
  bool complete = true;

  void take(uint64_t of_revision, uint64_t of_cas) noexcept {
    revision = std::max(revision, std::min(of_revision, kMaxRevision));
    cas = std::max(cas, of_cas);
  }
  [[nodiscard]] bool nothing() const noexcept { return complete && revision == 0; }
  friend bool operator==(const HighestRemoval&, const HighestRemoval&) = default;
};

/// What no document that the vbucket ever had is above, nor any removal: for keys of which nobody knows
/// whether the disk has them. Survives a restart.
struct HighestRevision {
  uint64_t revision = 0;
  /// False: the disk may have higher ones, of before anybody kept this.
  bool complete = true;

  void take(uint64_t of_revision) noexcept {
    revision = std::max(revision, std::min(of_revision, kMaxRevision));
  }
  [[nodiscard]] bool nothing() const noexcept { return complete && revision == 0; }
  friend bool operator==(const HighestRevision&, const HighestRevision&) = default;
};

/// The removals that a vbucket's table does not show, because it has every key (value eviction): those that
/// may not be on disk yet, and what the disk was asked for. 40 bytes for each of the former, until they are
/// on disk. Of the latter there are as many as somebody waits for, and a few more.
///
/// Belongs to the vbucket's lock. A key counts by 64 bits of a hash that nobody outside can foretell.
class Removals {
 public:
  Removals(MemoryAccount& account, uint64_t seed) noexcept : account_(account), seed_(seed) {}
  ~Removals() { free_entries(); }
  Removals(const Removals&) = delete;
  Removals& operator=(const Removals&) = delete;

  /// The hash that keys count by.
  [[nodiscard]] uint64_t hash_of(DocKey key) const noexcept;
  /// Makes the next note possible; false when there is no memory. What is on disk may be forgotten.
  [[nodiscard]] bool reserve(uint64_t persisted_seqno) noexcept;
  /// After reserve(). The table has nothing of the key any more.
  void note(DocKey key, const Removal& removal) noexcept;
  /// That of a key, if it is later than what is on disk.
  [[nodiscard]] std::optional<Removal> find(DocKey key, uint64_t persisted_seqno) const noexcept;
  /// All that is not later is on disk.
  void persisted(uint64_t seqno) noexcept {
    if (entries_ != nullptr && last_seqno_ <= seqno) free_entries();
  }

  /// Keeps a placeholder as the disk's answer for its key: as long as somebody holds it, at least. Takes over
  /// one reference; false when there is no memory.
  [[nodiscard]] bool recall(Document* placeholder) noexcept;
  /// What was kept for a key of which the table has nothing; null: the disk is to be asked.
  [[nodiscard]] Document* recalled(DocKey key) const noexcept;
  /// It is of the past: the key has changed since.
  void forget_recalled(DocKey key) noexcept {
    if (recalled_ != nullptr) drop_recalled(key, hash_of(key));
  }

  /// Nothing that was removed counts any more.
  void forget_all() noexcept {
    free_entries();
    recalled_.reset();
    last_seqno_ = 0;
  }

 private:
  struct Entry {
    uint64_t hash;
    uint64_t cas;
    uint64_t seqno;  // 0: free
    uint64_t revision;
    uint32_t time_s;
  };
  static_assert(sizeof(Entry) == 40);

  /// Where the hash is, or would be.
  [[nodiscard]] Entry& place_of(uint64_t hash) const noexcept;
  void free_entries() noexcept;
  void drop_recalled(DocKey key, uint64_t hash) noexcept;
  /// Drops what nobody holds.
  void drop_unheld() noexcept;

  MemoryAccount& account_;
  const uint64_t seed_;
  Entry* entries_ = nullptr;
  uint32_t capacity_ = 0;  // a power of two, or 0
  uint32_t used_ = 0;
  // None in entries_ is later.
  uint64_t last_seqno_ = 0;
  // Null until the disk is asked.
  std::unique_ptr<HashTable> recalled_;
  uint64_t drop_above_ = 0;
};

}  // namespace bobbin::store
