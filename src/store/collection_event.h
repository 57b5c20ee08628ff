#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "store/document.h"
#include "store/manifest.h"

namespace bobbin::store {

/// What happened to a scope or collection.
enum class EventKind : uint8_t {
  collection_created = 0,
  collection_dropped = 1,
  collection_changed = 2,  ///< its max TTL
  scope_created = 3,
  scope_dropped = 4,
};

/// One entry of a vbucket's history that is about no document. Those who follow the history learn by these
/// which collections there are. (couchbase/kv_engine docs/dcp/documentation/commands/system_event.md)
struct CollectionEvent {
  EventKind kind = EventKind::collection_created;
  /// Of the manifest that made it so.
  uint64_t manifest_uid = 0;
  ScopeId scope = kDefaultScope;
  CollectionId collection = kDefaultCollection;  ///< 0 where it is about a scope
  std::optional<uint32_t> max_ttl_s = std::nullopt;
  std::string_view name = {};  ///< empty of what is dropped

  friend bool operator==(const CollectionEvent&, const CollectionEvent&) = default;
};

/// As it is kept: kind, uid (8), scope (4), collection (4), whether there is a TTL, the TTL (4), the name;
/// big endian.
[[nodiscard]] std::string encode_event(const CollectionEvent& event);
/// Empty when the bytes are nothing that is written so. The name points into them.
[[nodiscard]] std::optional<CollectionEvent> decode_event(std::string_view bytes) noexcept;

/// Events as change logs hold them: documents whose value is the event. Their key means nothing. Many
/// vbuckets have the same one.
class EventDocuments {
 public:
  EventDocuments(MemoryAccount& account, uint64_t manifest_uid) noexcept
      : account_(account), manifest_uid_(manifest_uid) {}

  /// One of its own. Empty when there is no memory.
  [[nodiscard]] static DocumentRef make(MemoryAccount& account, std::string_view encoded) noexcept;
  /// Made at the first call. Empty when there is no memory.
  [[nodiscard]] DocumentRef find(EventKind kind, ScopeId scope, CollectionId collection,
                                 std::optional<uint32_t> max_ttl_s = std::nullopt,
                                 std::string_view name = {});

 private:
  MemoryAccount& account_;
  const uint64_t manifest_uid_;
  std::map<std::pair<EventKind, uint32_t>, DocumentRef> documents_;
};

/// A manifest with the events that announce what is in it. Immutable; shared by the vbuckets that follow it.
class CollectionTable {
 public:
  CollectionTable(MemoryAccount& account, std::shared_ptr<const Manifest> manifest);

  [[nodiscard]] const Manifest& manifest() const noexcept { return *manifest_; }
  /// Nothing but the defaults, and nothing that limits them.
  [[nodiscard]] bool is_plain() const noexcept;
  // Empty when there was no memory, or no such id.
  [[nodiscard]] DocumentRef announcement_of_scope(ScopeId id) const noexcept;
  [[nodiscard]] DocumentRef announcement_of(CollectionId id) const noexcept;

 private:
  const std::shared_ptr<const Manifest> manifest_;
  // In the order of the manifest's.
  std::vector<DocumentRef> scopes_;
  std::vector<DocumentRef> collections_;
};

}  // namespace bobbin::store
