#include "store/collection_event.h"

#include <cstring>

#include "wire/binary_header.h"

namespace bobbin::store {
namespace {

using wire::load_big_endian;

// Of those that Couchbase reserves, the one for the server's own entries. No document has it.
constexpr CollectionId kEventCollection = 1;

constexpr size_t kKindAt = 0;
constexpr size_t kUidAt = 1;
constexpr size_t kScopeAt = 9;
constexpr size_t kCollectionAt = 13;
constexpr size_t kHasTtlAt = 17;
constexpr size_t kTtlAt = 18;
constexpr size_t kNameAt = 22;

template <typename Element>
DocumentRef announcement(const std::vector<Element>& elements, const std::vector<DocumentRef>& documents,
                         const Element* element) noexcept {
  if (element == nullptr) return {};
  return documents[static_cast<size_t>(element - elements.data())].share();
}

}  // namespace

std::string encode_event(const CollectionEvent& event) {
  std::string bytes(kNameAt, '\0');
  bytes[kKindAt] = static_cast<char>(event.kind);
  wire::store_big_endian(&bytes[kUidAt], event.manifest_uid);
  wire::store_big_endian(&bytes[kScopeAt], event.scope);
  wire::store_big_endian(&bytes[kCollectionAt], event.collection);
  bytes[kHasTtlAt] = event.max_ttl_s ? 1 : 0;
  wire::store_big_endian(&bytes[kTtlAt], event.max_ttl_s.value_or(0));
  return bytes.append(event.name);
}

std::optional<CollectionEvent> decode_event(std::string_view bytes) noexcept {
  if (bytes.size() < kNameAt || bytes.size() > kNameAt + kMaxManifestNameBytes) return std::nullopt;
  const auto kind = static_cast<uint8_t>(bytes[kKindAt]);
  if (kind > static_cast<uint8_t>(EventKind::scope_dropped) || static_cast<uint8_t>(bytes[kHasTtlAt]) > 1)
    return std::nullopt;
  CollectionEvent event;
  event.kind = static_cast<EventKind>(kind);
  event.manifest_uid = load_big_endian<uint64_t>(&bytes[kUidAt]);
  event.scope = load_big_endian<uint32_t>(&bytes[kScopeAt]);
  event.collection = load_big_endian<uint32_t>(&bytes[kCollectionAt]);
  if (bytes[kHasTtlAt] != 0) event.max_ttl_s = load_big_endian<uint32_t>(&bytes[kTtlAt]);
  event.name = bytes.substr(kNameAt);
  return event;
}

DocumentRef EventDocuments::make(MemoryAccount& account, std::string_view encoded) noexcept {
  Document* const made =
      Document::create(account, {kEventCollection, "event"}, static_cast<uint32_t>(encoded.size()), 0);
  if (made == nullptr) return {};
  std::memcpy(made->bytes() + made->key_len_, encoded.data(), encoded.size());
  return DocumentRef(made);
}

DocumentRef EventDocuments::find(EventKind kind, ScopeId scope, CollectionId collection,
                                 std::optional<uint32_t> max_ttl_s, std::string_view name) {
  const bool of_scope = kind == EventKind::scope_created || kind == EventKind::scope_dropped;
  const auto [at, is_new] = documents_.try_emplace({kind, of_scope ? scope : collection});
  if (is_new) {
    at->second = make(account_, encode_event({kind, manifest_uid_, scope, collection, max_ttl_s, name}));
    if (!at->second) {
      documents_.erase(at);
      return {};
    }
  }
  return at->second.share();
}

CollectionTable::CollectionTable(MemoryAccount& account, std::shared_ptr<const Manifest> manifest)
    : manifest_(std::move(manifest)) {
  EventDocuments events(account, manifest_->uid());
  for (const Scope& scope : manifest_->scopes())
    scopes_.push_back(events.find(EventKind::scope_created, scope.id, kDefaultCollection, {}, scope.name));
  for (const Collection& collection : manifest_->collections()) {
    collections_.push_back(events.find(EventKind::collection_created, collection.scope, collection.id,
                                       collection.max_ttl_s, collection.name));
  }
}

bool CollectionTable::is_plain() const noexcept {
  return manifest_->scopes().size() == 1 && manifest_->collections().size() == 1 &&
         !manifest_->collections().front().max_ttl_s;
}

DocumentRef CollectionTable::announcement_of_scope(ScopeId id) const noexcept {
  return announcement(manifest_->scopes(), scopes_, manifest_->scope(id));
}

DocumentRef CollectionTable::announcement_of(CollectionId id) const noexcept {
  return announcement(manifest_->collections(), collections_, manifest_->collection(id));
}

}  // namespace bobbin::store
