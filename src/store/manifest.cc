#include "store/manifest.h"

#include <algorithm>
#include <charconv>

#include "wire/json_text.h"
#include "wire/json_value.h"

namespace bobbin::store {
namespace {

constexpr uint64_t kEndOfIds = uint64_t{1} << 32;

bool is_letter_or_digit(char c) noexcept {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

// The elements are in the order of their ids.
template <typename Element>
const Element* find_id(const std::vector<Element>& sorted, uint32_t id) noexcept {
  const auto at =
      std::lower_bound(sorted.begin(), sorted.end(), id,
                       [](const Element& element, uint32_t wanted) { return element.id < wanted; });
  return at != sorted.end() && at->id == id ? &*at : nullptr;
}

// Whether `later` gives an id that was given out before to something else.
template <typename Element, typename Same>
bool reuses(const std::vector<Element>& before, const std::vector<Element>& later, uint64_t next, Same same) {
  return std::any_of(later.begin(), later.end(), [&](const Element& element) {
    if (element.id == 0 || element.id >= next) return false;
    const Element* const was = find_id(before, element.id);
    return was == nullptr || !same(*was, element);
  });
}

}  // namespace

std::string_view text_of(ManifestError error) {
  switch (error) {
    case ManifestError::invalid_name:
      return "not a name of a scope or collection";
    case ManifestError::invalid_ttl:
      return "not a time to live";
    case ManifestError::reserved:
      return "the server's own scopes and collections cannot be changed";
    case ManifestError::scope_exists:
      return "the scope exists";
    case ManifestError::unknown_scope:
      return "the scope does not exist";
    case ManifestError::collection_exists:
      return "the collection exists";
    case ManifestError::unknown_collection:
      return "the collection does not exist";
    case ManifestError::too_many_scopes:
      return "there are as many scopes as there can be";
    case ManifestError::too_many_collections:
      return "there are as many collections as there can be";
    case ManifestError::out_of_ids:
      return "all ids have been given out";
    case ManifestError::invalid_text:
      return "not a manifest";
    case ManifestError::older:
      return "there is a newer manifest";
    case ManifestError::reused_id:
      return "an id was another's before";
    case ManifestError::not_on_disk:
      return "it could not be written to disk";
    case ManifestError::shutting_down:
      return "the bucket is being closed";
  }
  return "";
}

std::string manifest_number(uint64_t number) {
  char digits[16];
  const auto [end, error] = std::to_chars(std::begin(digits), std::end(digits), number, 16);
  return {digits, end};
}

bool is_manifest_name(std::string_view name, NameOwner owner) noexcept {
  if (name.empty() || name.size() > kMaxManifestNameBytes) return false;
  const bool is_servers = name.front() == '_';
  if (name.front() == '%' || (is_servers && owner == NameOwner::user)) return false;
  return std::all_of(name.begin(), name.end(), [=](char c) {
    return is_letter_or_digit(c) || c == '_' || c == '-' || c == '%' || (is_servers && c == '$');
  });
}

Manifest::Manifest() = default;

const Scope* Manifest::scope(std::string_view name) const noexcept {
  const auto at =
      std::find_if(scopes_.begin(), scopes_.end(), [=](const Scope& scope) { return scope.name == name; });
  return at == scopes_.end() ? nullptr : &*at;
}

const Scope* Manifest::scope(ScopeId id) const noexcept {
  return find_id(scopes_, id);
}

const Collection* Manifest::collection(std::string_view scope_name, std::string_view name) const noexcept {
  const Scope* const in = scope(scope_name);
  if (in == nullptr) return nullptr;
  const auto at = std::find_if(collections_.begin(), collections_.end(), [&](const Collection& collection) {
    return collection.scope == in->id && collection.name == name;
  });
  return at == collections_.end() ? nullptr : &*at;
}

const Collection* Manifest::collection(CollectionId id) const noexcept {
  return find_id(collections_, id);
}

Collection* Manifest::find(std::string_view scope, std::string_view name) noexcept {
  return const_cast<Collection*>(std::as_const(*this).collection(scope, name));
}

Manifest Manifest::next() const {
  Manifest changed = *this;
  ++changed.uid_;
  return changed;
}

Manifest::Changed Manifest::with_scope(std::string_view name) const {
  if (scope(name) != nullptr) return base::fail(ManifestError::scope_exists);
  if (!is_manifest_name(name, NameOwner::user)) return base::fail(ManifestError::invalid_name);
  if (scopes_.size() >= kMaxScopes) return base::fail(ManifestError::too_many_scopes);
  if (next_scope_ == kEndOfIds) return base::fail(ManifestError::out_of_ids);
  Manifest changed = next();
  changed.scopes_.push_back({static_cast<ScopeId>(changed.next_scope_++), std::string(name)});
  return changed;
}

Manifest::Changed Manifest::without_scope(std::string_view name) const {
  const Scope* const gone = scope(name);
  if (gone == nullptr) return base::fail(ManifestError::unknown_scope);
  if (!is_manifest_name(name, NameOwner::user)) return base::fail(ManifestError::reserved);
  Manifest changed = next();
  std::erase_if(changed.collections_,
                [&](const Collection& collection) { return collection.scope == gone->id; });
  std::erase_if(changed.scopes_, [&](const Scope& scope) { return scope.id == gone->id; });
  return changed;
}

Manifest::Changed Manifest::with_collection(std::string_view scope_name, std::string_view name,
                                            std::optional<uint32_t> max_ttl_s) const {
  const Scope* const in = scope(scope_name);
  if (in == nullptr) return base::fail(ManifestError::unknown_scope);
  if (collection(scope_name, name) != nullptr) return base::fail(ManifestError::collection_exists);
  if (in->id != kDefaultScope && !is_manifest_name(scope_name, NameOwner::user))
    return base::fail(ManifestError::reserved);
  if (!is_manifest_name(name, NameOwner::user)) return base::fail(ManifestError::invalid_name);
  if (max_ttl_s.value_or(0) > kMaxTtlS) return base::fail(ManifestError::invalid_ttl);
  if (collections_.size() >= kMaxCollections) return base::fail(ManifestError::too_many_collections);
  if (next_collection_ == kEndOfIds) return base::fail(ManifestError::out_of_ids);
  Manifest changed = next();
  const auto id = static_cast<CollectionId>(changed.next_collection_++);
  changed.collections_.push_back({id, in->id, std::string(name), max_ttl_s});
  return changed;
}

Manifest::Changed Manifest::without_collection(std::string_view scope_name, std::string_view name) const {
  if (scope(scope_name) == nullptr) return base::fail(ManifestError::unknown_scope);
  const Collection* const gone = collection(scope_name, name);
  if (gone == nullptr) return base::fail(ManifestError::unknown_collection);
  if (!is_manifest_name(name, NameOwner::user)) return base::fail(ManifestError::reserved);
  Manifest changed = next();
  std::erase_if(changed.collections_, [&](const Collection& one) { return one.id == gone->id; });
  return changed;
}

Manifest::Changed Manifest::with_max_ttl(std::string_view scope_name, std::string_view name,
                                         std::optional<uint32_t> max_ttl_s) const {
  if (scope(scope_name) == nullptr) return base::fail(ManifestError::unknown_scope);
  if (max_ttl_s.value_or(0) > kMaxTtlS) return base::fail(ManifestError::invalid_ttl);
  Manifest changed = next();
  Collection* const found = changed.find(scope_name, name);
  if (found == nullptr) return base::fail(ManifestError::unknown_collection);
  found->max_ttl_s = max_ttl_s;
  return changed;
}

Manifest::Changed Manifest::replaced_by(const Manifest& other) const {
  if (other.uid_ < uid_) return base::fail(ManifestError::older);
  if (other.uid_ == uid_ && (other.scopes_ != scopes_ || other.collections_ != collections_))
    return base::fail(ManifestError::older);
  const auto same_scope = [](const Scope& a, const Scope& b) { return a.name == b.name; };
  const auto same_collection = [](const Collection& a, const Collection& b) {
    return a.name == b.name && a.scope == b.scope;
  };
  if (reuses(scopes_, other.scopes_, next_scope_, same_scope) ||
      reuses(collections_, other.collections_, next_collection_, same_collection))
    return base::fail(ManifestError::reused_id);
  Manifest changed = other;
  changed.next_scope_ = std::max(next_scope_, other.next_scope_);
  changed.next_collection_ = std::max(next_collection_, other.next_collection_);
  return changed;
}

bool Manifest::set_next_ids(uint64_t scope, uint64_t collection) noexcept {
  if (scope < scopes_.back().id + uint64_t{1} || scope < kFirstManifestId || scope > kEndOfIds) return false;
  if (collection < collections_.back().id + uint64_t{1} || collection < kFirstManifestId ||
      collection > kEndOfIds)
    return false;
  next_scope_ = scope;
  next_collection_ = collection;
  return true;
}

std::string Manifest::json() const {
  std::string text = R"({"uid":")" + manifest_number(uid_) + R"(","scopes":[)";
  for (const Scope& scope : scopes_) {
    if (text.back() == '}') text += ',';
    text += R"({"name":)" + wire::json_string(scope.name) + R"(,"uid":")" + manifest_number(scope.id) +
            R"(","collections":[)";
    for (const Collection& collection : collections_) {
      if (collection.scope != scope.id) continue;
      if (text.back() == '}') text += ',';
      text += R"({"name":)" + wire::json_string(collection.name) + R"(,"uid":")" +
              manifest_number(collection.id) + '"';
      if (collection.max_ttl_s) text += R"(,"maxTTL":)" + std::to_string(*collection.max_ttl_s);
      text += '}';
    }
    text += "]}";
  }
  return text + "]}";
}

// Takes a text apart. Each function answers false for what is no manifest.
class Manifest::Reader {
 public:
  Changed make(uint64_t uid, std::vector<Scope> scopes, std::vector<Collection> collections) {
    made_.uid_ = uid;
    made_.scopes_ = std::move(scopes);
    made_.collections_ = std::move(collections);
    if (!sort()) return base::fail(ManifestError::invalid_text);
    // What the text of it says is looked at as anybody's is.
    return Reader().read(made_.json());
  }

  Changed read(std::string_view text) {
    if (text.size() > kMaxManifestBytes) return base::fail(ManifestError::invalid_text);
    const auto json = wire::JsonValue::parse(text);
    if (!json || !read_scopes(*json)) return base::fail(ManifestError::invalid_text);
    if (made_.scopes_.size() > kMaxScopes) return base::fail(ManifestError::too_many_scopes);
    if (made_.collections_.size() > kMaxCollections) return base::fail(ManifestError::too_many_collections);
    if (!sort()) return base::fail(ManifestError::invalid_text);
    return std::move(made_);
  }

 private:
  static std::optional<uint64_t> hex(const wire::JsonValue* value) {
    const std::string* const digits = value == nullptr ? nullptr : value->string();
    if (digits == nullptr || digits->empty() || digits->size() > 16) return std::nullopt;
    uint64_t number = 0;
    const auto [end, error] = std::from_chars(digits->data(), digits->data() + digits->size(), number, 16);
    if (error != std::errc() || end != digits->data() + digits->size()) return std::nullopt;
    return number;
  }

  // Reads what a scope and a collection both have.
  template <typename Element>
  static bool read_element(const wire::JsonValue& value, Element& element) {
    const wire::JsonValue* const name = value.member("name");
    const auto id = hex(value.member("uid"));
    if (name == nullptr || name->string() == nullptr || !id || *id >= kEndOfIds) return false;
    if (!is_manifest_name(*name->string(), NameOwner::server)) return false;
    if (*id != 0 && *id < kFirstManifestId) return false;
    element.id = static_cast<uint32_t>(*id);
    element.name = *name->string();
    return true;
  }

  bool read_scopes(const wire::JsonValue& json) {
    const auto uid = hex(json.member("uid"));
    const wire::JsonValue* const scopes = json.member("scopes");
    if (!uid || scopes == nullptr || scopes->array() == nullptr) return false;
    made_.uid_ = *uid;
    made_.scopes_.clear();
    made_.collections_.clear();
    return std::all_of(scopes->array()->begin(), scopes->array()->end(),
                       [this](const wire::JsonValue& scope) { return read_scope(scope); });
  }

  bool read_scope(const wire::JsonValue& value) {
    Scope scope;
    if (!read_element(value, scope)) return false;
    if ((scope.id == kDefaultScope) != (scope.name == kDefaultName)) return false;
    const wire::JsonValue* const collections = value.member("collections");
    made_.scopes_.push_back(scope);
    if (collections == nullptr) return true;
    if (collections->array() == nullptr) return false;
    return std::all_of(collections->array()->begin(), collections->array()->end(),
                       [&](const wire::JsonValue& one) { return read_collection(one, scope.id); });
  }

  bool read_collection(const wire::JsonValue& value, ScopeId scope) {
    Collection collection;
    collection.scope = scope;
    if (!read_element(value, collection)) return false;
    const bool is_default = scope == kDefaultScope && collection.name == kDefaultName;
    if ((collection.id == kDefaultCollection) != is_default) return false;
    if (const wire::JsonValue* const ttl = value.member("maxTTL")) {
      const auto seconds = ttl->number();
      if (!seconds || *seconds > kMaxTtlS) return false;
      collection.max_ttl_s = static_cast<uint32_t>(*seconds);
    }
    made_.collections_.push_back(std::move(collection));
    return true;
  }

  // Both in the order of their ids; false when an id or a name comes twice, or a default is missing.
  bool sort() {
    const auto by_id = [](const auto& a, const auto& b) { return a.id < b.id; };
    const auto same_id = [](const auto& a, const auto& b) { return a.id == b.id; };
    const auto prepare = [&](auto& elements, auto key) {
      std::sort(elements.begin(), elements.end(),
                [&](const auto& a, const auto& b) { return key(a) < key(b); });
      const auto same = [&](const auto& a, const auto& b) { return key(a) == key(b); };
      if (std::adjacent_find(elements.begin(), elements.end(), same) != elements.end()) return false;
      std::sort(elements.begin(), elements.end(), by_id);
      if (std::adjacent_find(elements.begin(), elements.end(), same_id) != elements.end()) return false;
      return !elements.empty() && elements.front().id == 0;
    };
    if (!prepare(made_.scopes_, [](const Scope& scope) { return std::string_view(scope.name); }))
      return false;
    if (!prepare(made_.collections_, [](const Collection& collection) {
          return std::pair(collection.scope, std::string_view(collection.name));
        }))
      return false;
    made_.next_scope_ = std::max<uint64_t>(kFirstManifestId, uint64_t{made_.scopes_.back().id} + 1);
    made_.next_collection_ = std::max<uint64_t>(kFirstManifestId, uint64_t{made_.collections_.back().id} + 1);
    return true;
  }

  Manifest made_;
};

Manifest::Changed Manifest::made_of(uint64_t uid, std::vector<Scope> scopes,
                                    std::vector<Collection> collections) {
  return Reader().make(uid, std::move(scopes), std::move(collections));
}

Manifest::Changed Manifest::parse(std::string_view json) {
  return Reader().read(json);
}

}  // namespace bobbin::store
