#include "cli/seeding.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "disk/system_file.h"
#include "serve/buckets.h"
#include "serve/document_import.h"
#include "store/manifest.h"
#include "wire/crypto.h"

namespace bobbin::cli {
namespace {

constexpr size_t kMaxErrors = 50;
constexpr std::string_view kMarkerHead = "bobbin seed 1\n";

std::string marker_path(const ServeConfig& config) {
  return config.persistent ? config.data + "/seeded" : std::string();
}

Seeding::Done refuse(std::string message, int exit_code = kExitConfiguration) {
  return base::fail(StartError{std::move(message), exit_code});
}

Seeding::Done refuse(const std::string& origin, const disk::Error& error) {
  return refuse(fmt::format("{}: {}", origin, error.message), exit_code_of(error.kind));
}

/// A digest of all that it is given, piece by piece.
class Fingerprint {
 public:
  void add(std::string_view piece) {
    const std::string_view before = digest_.view();
    digest_ = wire::digest(wire::Hash::sha256, fmt::format("{}{}:{}", before, piece.size(), piece));
  }
  [[nodiscard]] std::string hex() const {
    std::string text;
    for (const char byte : digest_.view())
      text += fmt::format("{:02x}", static_cast<unsigned char>(byte));
    return text;
  }

 private:
  wire::Digest digest_;
};

void add_roles(Fingerprint& fingerprint, const std::vector<serve::Role>& roles) {
  for (const serve::Role& role : roles)
    fingerprint.add(serve::role_text(role));
}

// A password is not in it: a digest that is quick to compute would help who guesses.
void add_tables(Fingerprint& fingerprint, const SeedTables& tables) {
  for (const SeedBucket& bucket : tables.buckets) {
    fingerprint.add("bucket " + bucket.name);
    for (const SeedField& field : bucket.fields)
      fingerprint.add(field.name + "=" + field.value);
    for (const SeedScope& scope : bucket.scopes)
      fingerprint.add("scope " + scope.name);
    for (const SeedCollection& collection : bucket.collections) {
      fingerprint.add(fmt::format("collection {}.{} {}", collection.scope, collection.name,
                                  collection.max_ttl_s ? std::to_string(*collection.max_ttl_s) : ""));
    }
  }
  for (const SeedGroup& group : tables.groups) {
    fingerprint.add("group " + group.group.name + " " + group.group.description);
    add_roles(fingerprint, group.group.roles);
  }
  for (const SeedUser& user : tables.users) {
    fingerprint.add("user " + user.change.name + " " + user.change.full_name.value_or(""));
    add_roles(fingerprint, user.change.roles.value_or(std::vector<serve::Role>()));
    for (const std::string& group : user.change.groups.value_or(std::vector<std::string>()))
      fingerprint.add("in " + group);
  }
}

void check_buckets(const Seed& seed, const ServeConfig& config, std::vector<base::Error>& errors) {
  const std::string default_name = serve::BucketSettings{}.name;
  for (const SeedBucket& bucket : seed.tables.buckets) {
    if (bucket.name == default_name) {
      if (!bucket.fields.empty())
        errors.push_back(
            {bucket.fields.front().origin +
             ": bucket default is always there, and what it is follows from the server's options: "
             "only scopes, collections and documents can be seeded there"});
    } else if (auto settings = settings_of(bucket, config.persistent); !settings) {
      errors.push_back(std::move(settings.error()));
    }
  }
}

}  // namespace

base::Result<Seed, std::vector<base::Error>> read_seed(const ServeConfig& config) {
  Seed seed;
  std::vector<base::Error> errors;
  seed.tables = config.seed_tables;
  if (!config.seed.empty() && !config.seed.ends_with(".toml"))
    seed.files = find_documents(config.seed, seed.tables, errors);
  for (const SeedDocuments& described : config.seed_tables.documents) {
    add_place(seed.tables, described);
    seed.files.push_back(described);
  }
  check_buckets(seed, config, errors);
  Fingerprint fingerprint;
  add_tables(fingerprint, seed.tables);
  for (const SeedDocuments& file : seed.files) {
    if (errors.size() >= kMaxErrors) break;
    fingerprint.add(fmt::format("{}.{}.{}", file.bucket, file.scope, file.collection));
    const auto read = read_documents(file, config.max_item_bytes,
                                     [&](std::string_view key, std::string_view json,
                                         const std::string&) -> base::Result<void, base::Error> {
                                       fingerprint.add(key);
                                       fingerprint.add(json);
                                       ++seed.documents;
                                       return {};
                                     });
    if (!read) errors.push_back(read.error());
  }
  if (!errors.empty()) return base::fail(std::move(errors));
  seed.fingerprint = fingerprint.hex();
  return seed;
}

Seeding::Seeding(const Seed& seed, const ServeConfig& config, const serve::Engine& engine)
    : seed_(seed), config_(config), engine_(engine), marker_path_(marker_path(config)) {
  if (marker_path_.empty()) return;
  const auto text = disk::read_file(marker_path_);
  was_done_ = text && *text && **text == std::string(kMarkerHead) + seed.fingerprint + "\n";
}

void Seeding::note(std::string_view action, const std::string& object) const {
  engine_.audit.admin({"", "seed", action, object, true});
}

bool Seeding::is_settled(std::string_view name) const {
  if (!was_done_) return false;
  const auto bucket = engine_.buckets.find(name);
  return bucket == nullptr || bucket->disk() != nullptr;
}

Seeding::Done Seeding::make_places() {
  if (auto made = make_users(); !made) return made;
  for (const SeedBucket& bucket : seed_.tables.buckets) {
    if (is_settled(bucket.name)) continue;
    if (auto made = make_bucket(bucket); !made) return made;
  }
  return {};
}

Seeding::Done Seeding::make_users() {
  // Without any user everybody could do everything: never where the seed has some.
  const bool are_kept = config_.persistent && !config_.dev;
  if (was_done_ && are_kept && !engine_.users.empty()) return {};
  const auto trouble = [](const std::string& origin, const serve::UsersError& error) {
    return refuse(fmt::format("{}: {}", origin, error.message),
                  error.kind == serve::UsersError::Kind::disk ? kExitNoResources : kExitConfiguration);
  };
  for (const SeedGroup& group : seed_.tables.groups) {
    if (engine_.users.table()->groups.contains(group.group.name)) continue;
    if (const auto made = engine_.users.put_group(group.group); !made)
      return trouble(group.origin, made.error());
    note("create group", group.group.name);
  }
  for (const SeedUser& user : seed_.tables.users) {
    if (engine_.users.find(user.change.name) != nullptr) continue;
    if (const auto made = engine_.users.add(user.change); !made) return trouble(user.origin, made.error());
    note("create user", user.change.name);
  }
  return {};
}

Seeding::Done Seeding::make_bucket(const SeedBucket& described) {
  if (engine_.buckets.find(described.name) == nullptr) {
    const auto settings = settings_of(described, config_.persistent);
    if (!settings) return refuse(settings.error().message);
    if (const auto made = engine_.buckets.create(*settings); !made) {
      return refuse(
          fmt::format("{}: bucket {}: {}", described.origin, described.name, made.error().message),
          made.error().kind == serve::BucketError::Kind::disk ? kExitNoResources : kExitConfiguration);
    }
    note("create bucket", described.name);
  }
  const auto bucket = engine_.buckets.find(described.name);
  if (bucket == nullptr) return refuse(described.origin + ": bucket " + described.name + " was removed");
  return make_collections(described, *bucket);
}

Seeding::Done Seeding::make_collections(const SeedBucket& described, serve::ServedBucket& bucket) {
  serve::Collections& collections = bucket.collections();
  const auto tell = [&](const serve::Collections::Changed& changed, const std::string& origin,
                        std::string_view action, const std::string& path) -> Done {
    if (changed) {
      note(action, described.name + "." + path);
      return {};
    }
    return refuse(
        fmt::format("{}: {}: {}", origin, path, store::text_of(changed.error())),
        changed.error() == store::ManifestError::not_on_disk ? kExitNoResources : kExitConfiguration);
  };
  const auto make_scope = [&](const std::string& name, const std::string& origin) -> Done {
    if (collections.manifest()->scope(name) != nullptr) return {};
    return tell(collections.create_scope(name), origin, "create scope", name);
  };
  for (const SeedScope& scope : described.scopes)
    if (auto made = make_scope(scope.name, scope.origin); !made) return made;
  for (const SeedCollection& one : described.collections) {
    if (auto made = make_scope(one.scope, one.origin); !made) return made;
    if (collections.manifest()->collection(one.scope, one.name) != nullptr) continue;
    auto made = tell(collections.create_collection(one.scope, one.name, one.max_ttl_s), one.origin,
                     "create collection", one.scope + "." + one.name);
    if (!made) return made;
  }
  return {};
}

Seeding::Done Seeding::store_file(const SeedDocuments& file) {
  const auto bucket = engine_.buckets.find(file.bucket);
  if (bucket == nullptr) return refuse(file.path + ": its bucket was removed");
  const auto manifest = bucket->collections().manifest();
  const store::Collection* const collection = manifest->collection(file.scope, file.collection);
  if (collection == nullptr) return refuse(file.path + ": its collection was removed");
  serve::DocumentImport import(*bucket, engine_.clock);
  disk::Error failure;
  const auto read = read_documents(
      file, config_.max_item_bytes,
      [&](std::string_view name, std::string_view json,
          const std::string& origin) -> base::Result<void, base::Error> {
        const store::DocKey key(collection->id, name);
        if (!key.is_valid()) return base::fail(base::Error{origin + ": the key is too long in a collection"});
        const auto outcome = import.add(key, json);
        if (!outcome) {
          failure = outcome.error();
          return base::fail(base::Error{fmt::format("{}: document {}: {}", origin, name, failure.message)});
        }
        ++(*outcome == serve::DocumentImport::Outcome::added ? added_ : kept_);
        return {};
      });
  if (!read)
    return refuse(read.error().message,
                  failure.message.empty() ? kExitConfiguration : exit_code_of(failure.kind));
  if (const auto written = import.finish(); !written) return refuse(file.path, written.error());
  return {};
}

Seeding::Done Seeding::store_documents() {
  uint64_t evictions = 0;
  for (const SeedDocuments& file : seed_.files) {
    if (is_settled(file.bucket)) continue;
    if (auto stored = store_file(file); !stored) return stored;
  }
  engine_.buckets.visit([&](const serve::ServedBucket& bucket) {
    if (bucket.disk() == nullptr) evictions += bucket.bucket().statistics().evictions;
  });
  if (evictions > 0)
    base::log(base::LogLevel::warning,
              fmt::format("seed: {} documents were evicted again, because the memory of their bucket is less "
                          "than the seed needs",
                          evictions));
  if (added_ + kept_ > 0)
    base::log(base::LogLevel::info, fmt::format("seed: {} documents stored, {} were there", added_, kept_));
  if (marker_path_.empty() || was_done_) return {};
  const auto written = disk::replace_file(marker_path_, std::string(kMarkerHead) + seed_.fingerprint + "\n",
                                          disk::kSecretFileMode);
  if (!written) return refuse("seed", written.error());
  return {};
}

}  // namespace bobbin::cli
