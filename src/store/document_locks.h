#pragma once

#include <cstdint>
#include <vector>

#include "store/document.h"

namespace bobbin::store {

/// Longest time that a document may be locked for; upstream's limit and default (kv_engine, getl_max_timeout
/// and getl_default_timeout).
inline constexpr uint32_t kMaxLockS = 30;
inline constexpr uint32_t kDefaultLockS = 15;

/// The documents of a vbucket that were locked and have not changed since: the CAS that a lock gave each, and
/// how long it holds. A document is marked as long as it has an entry here, so who finds no mark asks nobody.
/// Belongs to the vbucket's lock. Entries go when their document leaves the table.
class DocumentLocks {
 public:
  /// Entries of one vbucket, at 24 bytes each; who wants more locks has to wait.
  static constexpr size_t kMaxEntries = 1024;

  struct Entry {
    const Document* document = nullptr;
    /// The document's CAS from the lock on, also when that is over.
    uint64_t cas = 0;
    /// Unix seconds. What is over stays for its CAS, until its room is needed.
    uint32_t until_s = 0;
    [[nodiscard]] bool holds(uint32_t now_s) const noexcept { return now_s < until_s; }
  };

  /// Null when the document has none.
  [[nodiscard]] Entry* find(const Document& document) noexcept;
  /// The document has none. Null when there is no room.
  [[nodiscard]] Entry* add(const Document& document) noexcept;
  void erase(const Document& document) noexcept;
  [[nodiscard]] bool full() const noexcept { return entries_.size() >= kMaxEntries; }
  [[nodiscard]] bool empty() const noexcept { return entries_.empty(); }
  /// Takes out an entry whose lock is over, so that there is room: its document. Null when all hold.
  [[nodiscard]] const Document* evict(uint32_t now_s) noexcept;

 private:
  std::vector<Entry> entries_;
};

}  // namespace bobbin::store
