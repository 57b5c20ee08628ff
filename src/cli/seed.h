#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cli/config_file.h"
#include "serve/bucket_settings.h"
#include "serve/user.h"
#include "serve/users.h"

namespace bobbin::cli {

// What a server begins with (docs/seed.md): buckets, scopes, collections, users and groups, as tables of a
// TOML text. `origin` is where something stands, for messages: "seed/seed.toml:7".

struct SeedField {
  std::string name;
  std::string value;
  std::string origin;
};

struct SeedScope {
  std::string name;
  std::string origin;
};

struct SeedCollection {
  std::string scope;
  std::string name;
  std::optional<uint32_t> max_ttl_s;  ///< store::Collection
  std::string origin;
};

struct SeedBucket {
  std::string name;
  std::string origin;
  std::vector<SeedField> fields = {};  ///< those of admin/bucket_form.h besides its name
  std::vector<SeedScope> scopes = {};
  std::vector<SeedCollection> collections = {};
};

struct SeedUser {
  serve::UserChange change;
  std::string origin;
};

struct SeedGroup {
  serve::UserGroup group;
  std::string origin;
};

/// Documents of one collection, which is made for them if it is not there: a file, `*.json` or `*.jsonl`, or
/// one document.
struct SeedDocuments {
  std::string path;  ///< of the file; of one document, where it stands
  std::string bucket;
  std::string scope;
  std::string collection;
  std::string key = {};  ///< of one document; empty: it is a file, or its name is the key
  std::optional<std::string> json = std::nullopt;  ///< that document
};

struct SeedTables {
  std::vector<SeedBucket> buckets;
  std::vector<SeedUser> users;
  std::vector<SeedGroup> groups;
  std::vector<SeedDocuments> documents;

  [[nodiscard]] bool empty() const noexcept {
    return buckets.empty() && users.empty() && groups.empty() && documents.empty();
  }
};

/// A text with such tables.
struct SeedText {
  std::string name;    ///< for messages
  std::string folder;  ///< names of files are relative to it; empty: to the working directory
  /// The value of an environment variable, or null.
  std::function<const char*(const char* name)> environment;
};

/// Whether a key of the configuration file is one of these tables.
[[nodiscard]] bool is_seed_key(std::string_view key);
/// Adds what the entries describe. Each may be described once, over all texts.
void read_seed_tables(const std::vector<FileEntry>& entries, const SeedText& text, SeedTables& tables,
                      std::vector<base::Error>& errors);
/// The bucket as it would be made; a type that is not given is "membase" where the server keeps its data, and
/// "ephemeral" where not.
[[nodiscard]] base::Result<serve::BucketSettings, base::Error> settings_of(const SeedBucket& bucket,
                                                                           bool persistent);
/// The bucket of that name, which is added if it is not there.
SeedBucket& bucket_in(SeedTables& tables, std::string_view name, std::string_view origin);
/// Adds the bucket and the collection of documents, where they are not described.
void add_place(SeedTables& tables, const SeedDocuments& documents);
/// Why there cannot be such a collection; empty: there can.
[[nodiscard]] std::string trouble_with(const SeedCollection& collection);

}  // namespace bobbin::cli
