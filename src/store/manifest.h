#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "store/doc_key.h"

namespace bobbin::store {

using ScopeId = uint32_t;
inline constexpr ScopeId kDefaultScope = 0;
/// Ids below are the default's, 0, and reserved (kv_engine docs/Collections.md).
inline constexpr uint32_t kFirstManifestId = 8;
inline constexpr std::string_view kDefaultName = "_default";
inline constexpr size_t kMaxManifestNameBytes = 251;
/// Of scopes and of collections each, the default ones included. Couchbase's limit for a cluster.
inline constexpr size_t kMaxScopes = 1200;
inline constexpr size_t kMaxCollections = 1200;
/// What Couchbase takes: a signed number of 32 bits.
inline constexpr uint32_t kMaxTtlS = 0x7fffffff;
/// Nobody's manifest is longer: that of kMaxScopes and kMaxCollections with the longest names.
inline constexpr size_t kMaxManifestBytes = 1 << 20;

enum class ManifestError : uint8_t {
  invalid_name,        ///< see Manifest
  invalid_ttl,         ///< above kMaxTtlS
  reserved,            ///< `_default` and what begins with `_` are not made, changed or dropped by anybody
  scope_exists,        ///< there is one of that name
  unknown_scope,       ///< there is none of that name
  collection_exists,   ///< there is one of that name in that scope
  unknown_collection,  ///< there is none of that name in that scope
  too_many_scopes,
  too_many_collections,
  out_of_ids,     ///< 2^32 were given out
  invalid_text,   ///< no manifest: see Manifest::parse
  older,          ///< its uid is below the present one's, or it is another one with the same uid
  reused_id,      ///< it has an id that another collection or scope had before
  not_on_disk,    ///< it could not be written, and nothing has changed
  shutting_down,  ///< nothing has changed
};
/// A few words for a log or a person.
[[nodiscard]] std::string_view text_of(ManifestError error);

struct Scope {
  ScopeId id = kDefaultScope;
  std::string name{kDefaultName};

  friend bool operator==(const Scope&, const Scope&) = default;
};

struct Collection {
  CollectionId id = kDefaultCollection;
  ScopeId scope = kDefaultScope;
  std::string name{kDefaultName};
  /// Seconds after a write that its document expires at the latest. None: what holds for the bucket; 0: no
  /// limit, whatever holds for the bucket.
  std::optional<uint32_t> max_ttl_s = std::nullopt;

  friend bool operator==(const Collection&, const Collection&) = default;
};

/// The scopes and collections of a bucket at one moment. A value: what changes it makes another one, with the
/// next uid.
///
/// Names have 1 to 251 bytes of A-Z a-z 0-9 _ - %, and begin with neither _ nor %; the server's own (the
/// defaults, those of a scope `_system`) begin with _ and may have a $. The default scope and collection are
/// always there. Ids are given out once: 8 is the first, and that of something dropped is never another's.
class Manifest {
 public:
  using Changed = base::Result<Manifest, ManifestError>;

  /// That of a new bucket: the defaults, uid 0.
  Manifest();

  [[nodiscard]] uint64_t uid() const noexcept { return uid_; }
  /// In the order of their ids.
  [[nodiscard]] const std::vector<Scope>& scopes() const noexcept { return scopes_; }
  [[nodiscard]] const std::vector<Collection>& collections() const noexcept { return collections_; }
  // The next that will be given out.
  [[nodiscard]] uint64_t next_scope() const noexcept { return next_scope_; }
  [[nodiscard]] uint64_t next_collection() const noexcept { return next_collection_; }

  // Null when there is none. Valid as long as this is not changed.
  [[nodiscard]] const Scope* scope(std::string_view name) const noexcept;
  [[nodiscard]] const Scope* scope(ScopeId id) const noexcept;
  [[nodiscard]] const Collection* collection(std::string_view scope, std::string_view name) const noexcept;
  [[nodiscard]] const Collection* collection(CollectionId id) const noexcept;

  [[nodiscard]] Changed with_scope(std::string_view name) const;
  /// The scope goes with its collections.
  [[nodiscard]] Changed without_scope(std::string_view name) const;
  [[nodiscard]] Changed with_collection(std::string_view scope, std::string_view name,
                                        std::optional<uint32_t> max_ttl_s) const;
  [[nodiscard]] Changed without_collection(std::string_view scope, std::string_view name) const;
  /// The default collection's, too.
  [[nodiscard]] Changed with_max_ttl(std::string_view scope, std::string_view name,
                                     std::optional<uint32_t> max_ttl_s) const;
  /// What somebody else has made out of this one. Its ids count as given out.
  [[nodiscard]] Changed replaced_by(const Manifest& other) const;

  /// {"uid":"a2","scopes":[{"name","uid","collections":[{"name","uid","maxTTL"}]}]}, uids and ids in
  /// hexadecimal.
  [[nodiscard]] std::string json() const;
  /// Reads that, from anybody: whatever the text is, it answers a manifest that keeps the rules or an error.
  /// Members that it does not know are left out.
  [[nodiscard]] static Changed parse(std::string_view json);
  /// Of parts that somebody has gathered, in any order. The default scope and collection have to be among
  /// them.
  [[nodiscard]] static Changed made_of(uint64_t uid, std::vector<Scope> scopes,
                                       std::vector<Collection> collections);
  /// Ids below these were given out, also those that are gone. False when there are higher ones in it.
  [[nodiscard]] bool set_next_ids(uint64_t scope, uint64_t collection) noexcept;

  friend bool operator==(const Manifest&, const Manifest&) = default;

 private:
  class Reader;

  [[nodiscard]] Manifest next() const;
  [[nodiscard]] Collection* find(std::string_view scope, std::string_view name) noexcept;

  uint64_t uid_ = 0;
  std::vector<Scope> scopes_{Scope{}};
  std::vector<Collection> collections_{Collection{}};
  uint64_t next_scope_ = kFirstManifestId;
  uint64_t next_collection_ = kFirstManifestId;
};

/// A uid or an id as manifests write it: hexadecimal, without zeros in front.
[[nodiscard]] std::string manifest_number(uint64_t number);

enum class NameOwner : uint8_t { user, server };
/// Of a scope or a collection. What the server may name, users may look up.
[[nodiscard]] bool is_manifest_name(std::string_view name, NameOwner owner) noexcept;

}  // namespace bobbin::store
