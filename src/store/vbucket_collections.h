#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "store/collection_event.h"
#include "store/hash_table.h"
#include "store/manifest.h"
#include "store/persistence_types.h"

namespace bobbin::store {

/// What one vbucket has of one collection that is not the default one.
struct CollectionCount {
  CollectionId id = kDefaultCollection;
  ScopeId scope = kDefaultScope;
  std::optional<uint32_t> max_ttl_s = std::nullopt;
  uint32_t with_expiry = 0;
  /// Of the event that announced it; 0: it is still to be announced.
  uint64_t created_seqno = 0;
  /// Of its last change.
  uint64_t high_seqno = 0;
  /// Of documents in the vbucket's table.
  uint64_t items = 0;
  uint64_t bytes = 0;
  /// As PersistentState's.
  int64_t on_disk_only = 0;
  /// Since its state was taken.
  bool changed = false;

  [[nodiscard]] uint64_t all_items() const noexcept {
    return items + (on_disk_only > 0 ? static_cast<uint64_t>(on_disk_only) : 0);
  }
};

/// The collections that a vbucket knows, beside the default one. A document in its table whose collection is
/// not here was dropped with it: it is in no count, and goes with the next sweep. Belongs to the vbucket's
/// lock.
struct VBucketCollections {
  struct ScopeEvent {
    ScopeId id = kDefaultScope;
    /// As CollectionCount's.
    uint64_t created_seqno = 0;
    bool changed = false;
  };

  /// Null until the first table has come after a start.
  std::shared_ptr<const CollectionTable> table;
  /// Of the bucket: for collections that have none of their own. 0: there is no limit.
  uint32_t bucket_ttl_s = 0;
  /// Of the default collection.
  std::optional<uint32_t> default_ttl_s = std::nullopt;
  // Both in the order of their ids.
  std::vector<CollectionCount> counts;
  std::vector<ScopeEvent> scopes;
  /// Where the search for documents that were dropped goes on.
  uint32_t sweep_cursor = HashTable::kEnd;

  /// Null when it is unknown, or the default one.
  [[nodiscard]] CollectionCount* find(CollectionId id) noexcept;
  [[nodiscard]] uint32_t max_ttl_s(CollectionId id) noexcept;
  [[nodiscard]] ScopeEvent* find_scope(ScopeId id) noexcept;
  CollectionCount& insert(const CollectionCount& count);
  ScopeEvent& insert_scope(ScopeId id);
  /// A copy's: what the source's event says becomes so, at its seqno. Empty where it changes nothing that is
  /// counted, otherwise the collection that is gone.
  [[nodiscard]] std::optional<CollectionCount> take_event(const CollectionEvent& event, uint64_t seqno);
  /// A flush has taken all documents.
  void forget_documents() noexcept;
  void restore(const VBucketState& state);
  /// Adds what has changed since the last call.
  void take_changed(VBucketState& state);
  /// Adds all that was announced.
  void append_all(VBucketState& state) const;

 private:
  void append(VBucketState& state, const ScopeEvent& scope) const;
  void append(VBucketState& state, const CollectionCount& count) const;
};

}  // namespace bobbin::store
