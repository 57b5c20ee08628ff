#include "store/followed_manifest.h"

#include <algorithm>

#include "store/document.h"

namespace bobbin::store {

namespace {

// Beyond this a source makes and drops collections all the time: what is kept is begun anew.
constexpr size_t kMostDocuments = 4096;
constexpr size_t kMostNames = 16 * kMaxCollections;

template <typename Elements>
auto position_of(Elements& elements, uint32_t id) {
  return std::find_if(elements.begin(), elements.end(), [id](const auto& one) { return one.id == id; });
}

template <typename Elements, typename Element>
void put(Elements& elements, Element element) {
  const auto at = position_of(elements, element.id);
  if (at == elements.end()) {
    elements.push_back(std::move(element));
  } else {
    *at = std::move(element);
  }
}

void note_name(std::map<uint32_t, std::string>& names, uint32_t id, std::string_view name) {
  if (names.size() >= kMostNames) names.clear();
  names[id] = name;
}

std::string name_of(const std::map<uint32_t, std::string>& names, uint32_t id, const std::string& known) {
  const auto at = names.find(id);
  return at == names.end() ? known : at->second;
}

void change(std::vector<Scope>& scopes, std::vector<Collection>& collections, const CollectionEvent& event) {
  switch (event.kind) {
    case EventKind::scope_created:
      return put(scopes, Scope{event.scope, std::string(event.name)});
    case EventKind::scope_dropped:
      std::erase_if(scopes, [&](const Scope& scope) { return scope.id == event.scope; });
      std::erase_if(collections, [&](const Collection& one) { return one.scope == event.scope; });
      return;
    case EventKind::collection_created:
    case EventKind::collection_changed:
      return put(collections,
                 Collection{event.collection, event.scope, std::string(event.name), event.max_ttl_s});
    case EventKind::collection_dropped:
      std::erase_if(collections, [&](const Collection& one) { return one.id == event.collection; });
      return;
  }
}

}  // namespace

DocumentRef FollowedManifest::document_of(MemoryAccount& account, const CollectionEvent& event) {
  std::string encoded = encode_event(event);
  const auto at = documents_.find(encoded);
  if (at != documents_.end()) return at->second.share();
  DocumentRef made = EventDocuments::make(account, encoded);
  if (!made) return made;
  if (documents_.size() >= kMostDocuments) documents_.clear();
  return documents_.emplace(std::move(encoded), std::move(made)).first->second.share();
}

bool FollowedManifest::is_news(const Manifest& present, const CollectionEvent& event) {
  if (event.kind == EventKind::scope_created) note_name(scope_names_, event.scope, event.name);
  if (event.kind == EventKind::collection_created) note_name(collection_names_, event.collection, event.name);
  if (event.manifest_uid != present.uid()) return event.manifest_uid > present.uid();
  const Scope* const scope = present.scope(event.scope);
  const Collection* const collection = present.collection(event.collection);
  switch (event.kind) {
    case EventKind::scope_created:
      return scope == nullptr || scope->name != event.name;
    case EventKind::scope_dropped:
      return scope != nullptr;
    case EventKind::collection_created:
      return collection == nullptr || collection->scope != event.scope || collection->name != event.name ||
             collection->max_ttl_s != event.max_ttl_s;
    case EventKind::collection_changed:
      return collection == nullptr || collection->max_ttl_s != event.max_ttl_s;
    case EventKind::collection_dropped:
      break;
  }
  return collection != nullptr;
}

Manifest::Changed FollowedManifest::after(const Manifest& present, const VBucketState& known,
                                          const CollectionEvent& event) const {
  CollectionEvent told = event;
  std::string name;
  if (event.kind == EventKind::collection_changed && event.name.empty()) {
    const Collection* const one = present.collection(event.collection);
    name = name_of(collection_names_, event.collection, one == nullptr ? std::string() : one->name);
    told.name = name;
  }
  if (event.manifest_uid == present.uid()) {
    // Several events may tell of one change, and another vbucket may have told of more of it.
    std::vector<Scope> scopes = present.scopes();
    std::vector<Collection> collections = present.collections();
    change(scopes, collections, told);
    auto both = Manifest::made_of(present.uid(), std::move(scopes), std::move(collections));
    if (both &&
        (event.kind != EventKind::collection_created || both->collection(event.collection) != nullptr)) {
      (void)both->set_next_ids(std::max(both->next_scope(), present.next_scope()),
                               std::max(both->next_collection(), present.next_collection()));
      return both;
    }
  }
  VBucketState now = known;
  const auto is_scope = [&](const ScopeState& one) { return one.id == event.scope; };
  const auto is_collection = [&](const CollectionState& one) { return one.id == event.collection; };
  if (event.kind == EventKind::scope_dropped) {
    std::erase_if(now.scopes, is_scope);
    std::erase_if(now.collections, [&](const CollectionState& one) { return one.scope == event.scope; });
  } else if (event.kind == EventKind::scope_created) {
    std::erase_if(now.scopes, is_scope);
    now.scopes.push_back({event.scope, 1, std::string(told.name)});
  } else {
    std::erase_if(now.collections, is_collection);
    if (event.kind != EventKind::collection_dropped) {
      now.collections.push_back(
          {event.collection, event.scope, event.max_ttl_s, 1, 0, 0, std::string(told.name)});
    }
  }
  auto made = made_of(event.manifest_uid, now, present);
  const bool has_collection =
      event.kind == EventKind::collection_created || event.kind == EventKind::collection_changed;
  // One of a scope that is not there is left out.
  if (made && has_collection && made->collection(event.collection) == nullptr)
    return base::fail(ManifestError::unknown_scope);
  return made;
}

Manifest::Changed FollowedManifest::made_of(uint64_t uid, const VBucketState& known,
                                            const Manifest& present) const {
  std::vector<Scope> scopes{Scope{}};
  std::vector<Collection> collections{Collection{}};
  // No event tells of it.
  collections.front().max_ttl_s = present.collection(kDefaultCollection)->max_ttl_s;
  for (const ScopeState& scope : known.scopes) {
    const Scope* const old = present.scope(scope.id);
    std::string name = scope.name.empty() && old != nullptr ? old->name : scope.name;
    scopes.push_back({scope.id, name_of(scope_names_, scope.id, name)});
  }
  for (const CollectionState& one : known.collections) {
    const Collection* const old = present.collection(one.id);
    std::string name = one.name.empty() && old != nullptr ? old->name : one.name;
    collections.push_back({one.id, one.scope, name_of(collection_names_, one.id, name), one.max_ttl_s});
  }
  auto made = Manifest::made_of(uid, std::move(scopes), std::move(collections));
  if (made && uid >= present.uid()) {
    (void)made->set_next_ids(std::max(made->next_scope(), present.next_scope()),
                             std::max(made->next_collection(), present.next_collection()));
  }
  return made;
}

void FollowedManifest::set_told(uint16_t vbucket, uint64_t uid) {
  if (told_.size() <= vbucket) told_.resize(size_t{vbucket} + 1);
  told_[vbucket] = uid;
}

std::optional<std::pair<uint16_t, uint64_t>> FollowedManifest::furthest() const {
  const auto at = std::max_element(told_.begin(), told_.end());
  if (at == told_.end() || *at == 0) return std::nullopt;
  return std::pair(static_cast<uint16_t>(at - told_.begin()), *at);
}

}  // namespace bobbin::store
