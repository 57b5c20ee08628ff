#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <utility>

#include "admin/bucket_form.h"
#include "cli/seed.h"
#include "cli/suggestion.h"
#include "serve/bucket_settings.h"
#include "serve/roles.h"
#include "store/manifest.h"

namespace bobbin::cli {
namespace {

constexpr std::array<std::string_view, 4> kTables = {"buckets", "users", "groups", "documents"};

constexpr std::string_view kNameRule =
    "a name has 1 to 251 of the characters A-Z, a-z, 0-9, _, - and %, and begins with neither _ nor %";

/// Reads the tables of one text. What is wrong is told, and left out.
class TableReader {
 public:
  TableReader(const SeedText& text, SeedTables& tables, std::vector<base::Error>& errors)
      : text_(text), tables_(tables), errors_(errors) {}

  void read(const FileEntry& entry) {
    if (!is_seed_key(entry.key)) {
      refuse(origin(entry.line), fmt::format("unknown key \"{}\"{}", entry.key,
                                             did_you_mean(entry.key, {kTables.begin(), kTables.end()})));
      return;
    }
    for (const FileValue& value : entry.values) {
      if (!entry.is_list || value.members == nullptr) {
        refuse(origin(value.line),
               fmt::format("{0}: expected a table that begins with [[{0}]], found {1}", entry.key,
                           entry.is_list ? found_kind(value) : "one that is not in a list"));
      } else if (entry.key == "buckets") {
        read_bucket(value);
      } else if (entry.key == "users") {
        read_user(value);
      } else if (entry.key == "groups") {
        read_group(value);
      } else {
        read_documents(value);
      }
    }
  }

 private:
  [[nodiscard]] std::string origin(size_t line) const { return fmt::format("{}:{}", text_.name, line); }

  void refuse(const std::string& where, std::string_view why) {
    errors_.push_back({fmt::format("{}: {}", where, why)});
  }

  void refuse_unknown(const FileEntry& entry, const std::vector<std::string>& known) {
    refuse(origin(entry.line),
           fmt::format("unknown key \"{}\"{}", entry.key, did_you_mean(entry.key, known)));
  }

  /// False when it is no text.
  bool take_text(const FileEntry& entry, std::string& text) {
    if (!entry.is_list && entry.values.front().kind == FileValueKind::text) {
      text = entry.values.front().text;
      return true;
    }
    refuse(origin(entry.line), fmt::format("{}: expected a text in quotes, found {}", entry.key,
                                           entry.is_list ? "a list" : found_kind(entry.values.front())));
    return false;
  }

  bool take_texts(const FileEntry& entry, std::vector<std::string>& texts) {
    for (const FileValue& value : entry.values) {
      if (!entry.is_list || value.kind != FileValueKind::text) {
        refuse(origin(value.line),
               fmt::format("{}: expected a list of texts in quotes, found {}", entry.key, found_kind(value)));
        return false;
      }
      texts.push_back(value.text);
    }
    return true;
  }

  template <typename Described>
  [[nodiscard]] bool is_new(const std::vector<Described>& all, std::string_view what, std::string_view name,
                            const std::string& where, std::string_view (*name_of)(const Described&)) {
    const auto before =
        std::find_if(all.begin(), all.end(), [&](const Described& one) { return name_of(one) == name; });
    if (before == all.end()) return true;
    refuse(where, fmt::format("{} \"{}\" is described at {}, too", what, name, before->origin));
    return false;
  }

  void read_bucket(const FileValue& table) {
    SeedBucket bucket{.name = {}, .origin = origin(table.line)};
    std::vector<std::string> known = admin::new_bucket_fields();
    known.insert(known.end(), {"scopes", "collections"});
    for (const FileEntry& entry : *table.members) {
      if (entry.key == "scopes") {
        read_scopes(entry, bucket);
      } else if (entry.key == "collections") {
        for (const FileValue& value : entry.values)
          read_collection(entry, value, bucket);
      } else if (entry.key == "name") {
        if (!take_text(entry, bucket.name)) return;
      } else if (std::find(known.begin(), known.end(), entry.key) == known.end()) {
        refuse_unknown(entry, known);
      } else if (entry.is_list || entry.values.front().kind == FileValueKind::other) {
        refuse(origin(entry.line), fmt::format("{}: expected a text, a number, true or false", entry.key));
      } else {
        bucket.fields.push_back({entry.key, entry.values.front().text, origin(entry.line)});
      }
    }
    if (bucket.name.empty()) {
      refuse(bucket.origin, "a bucket needs a name");
      return;
    }
    if (is_new<SeedBucket>(tables_.buckets, "bucket", bucket.name, bucket.origin,
                           [](const SeedBucket& one) -> std::string_view { return one.name; }))
      tables_.buckets.push_back(std::move(bucket));
  }

  void read_scopes(const FileEntry& entry, SeedBucket& bucket) {
    std::vector<std::string> names;
    if (!take_texts(entry, names)) return;
    for (const std::string& name : names) {
      if (store::is_manifest_name(name, store::NameOwner::user))
        bucket.scopes.push_back({name, origin(entry.line)});
      else
        refuse(origin(entry.line), fmt::format("scope \"{}\": {}", name, kNameRule));
    }
  }

  /// "scope.collection", or a table of that as `name`, and `maxTTL`.
  void read_collection(const FileEntry& entry, const FileValue& value, SeedBucket& bucket) {
    SeedCollection collection{.scope = {}, .name = {}, .max_ttl_s = {}, .origin = origin(value.line)};
    std::string path = value.text;
    if (!entry.is_list || (value.members == nullptr && value.kind != FileValueKind::text)) {
      refuse(collection.origin, fmt::format("{}: expected a list of \"scope.collection\", found {}",
                                            entry.key, found_kind(value)));
      return;
    }
    const std::vector<FileEntry> none;
    if (value.members != nullptr) path.clear();
    for (const FileEntry& member : value.members != nullptr ? *value.members : none) {
      if (member.key == "name") {
        if (!take_text(member, path)) return;
      } else if (member.key == "maxTTL") {
        if (!read_max_ttl(member, collection)) return;
      } else {
        refuse_unknown(member, {"name", "maxTTL"});
        return;
      }
    }
    const size_t dot = path.find('.');
    collection.scope = path.substr(0, dot);
    if (dot != std::string::npos) collection.name = path.substr(dot + 1);
    const std::string trouble = trouble_with(collection);
    if (!trouble.empty())
      refuse(collection.origin, fmt::format("collection \"{}\": {}", path, trouble));
    else
      bucket.collections.push_back(std::move(collection));
  }

  /// As over HTTP: -1 is no limit, 0 that of the bucket.
  bool read_max_ttl(const FileEntry& entry, SeedCollection& collection) {
    const std::string& text = entry.values.empty() ? entry.key : entry.values.front().text;
    int64_t seconds = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
    if (entry.is_list || error != std::errc() || end != text.data() + text.size() || seconds < -1 ||
        seconds > store::kMaxTtlS) {
      refuse(origin(entry.line),
             fmt::format("maxTTL: expected a number of seconds from -1 to {}", store::kMaxTtlS));
      return false;
    }
    if (seconds != 0) collection.max_ttl_s = static_cast<uint32_t>(std::max<int64_t>(seconds, 0));
    return true;
  }

  bool read_roles(const FileEntry& entry, std::vector<serve::Role>& roles) {
    std::string all;
    if (entry.is_list) {
      std::vector<std::string> texts;
      if (!take_texts(entry, texts)) return false;
      for (const std::string& text : texts)
        all += (all.empty() ? "" : ",") + text;
    } else if (!take_text(entry, all)) {
      return false;
    }
    auto parsed = serve::parse_roles(all);
    if (parsed)
      roles = std::move(*parsed);
    else
      refuse(origin(entry.line), "roles: " + parsed.error().message);
    return parsed.has_value();
  }

  void read_user(const FileValue& table) {
    SeedUser user{.change = {}, .origin = origin(table.line)};
    std::vector<serve::Role> roles;
    std::vector<std::string> groups;
    size_t passwords = 0;
    bool fits = true;
    for (const FileEntry& entry : *table.members) {
      std::string text;
      if (entry.key == "id") {
        fits &= take_text(entry, user.change.name);
      } else if (entry.key == "name") {
        fits &= take_text(entry, user.change.full_name.emplace());
      } else if (entry.key == "roles") {
        fits &= read_roles(entry, roles);
      } else if (entry.key == "groups") {
        fits &= take_texts(entry, groups);
      } else if (entry.key.starts_with("password")) {
        ++passwords;
        fits &= take_text(entry, text) && read_password(entry, text, user.change.password.emplace());
      } else {
        fits = false;
        refuse_unknown(entry,
                       {"id", "name", "roles", "groups", "password", "passwordFile", "passwordVariable"});
      }
    }
    if (fits && (user.change.name.empty() || passwords != 1)) {
      fits = false;
      refuse(user.origin, "a user needs an id, and one of password, passwordFile and passwordVariable");
    }
    user.change.roles = std::move(roles);
    user.change.groups = std::move(groups);
    if (fits && is_new<SeedUser>(tables_.users, "user", user.change.name, user.origin,
                                 [](const SeedUser& one) -> std::string_view { return one.change.name; }))
      tables_.users.push_back(std::move(user));
  }

  bool read_password(const FileEntry& entry, const std::string& text, std::string& password) {
    const std::string where = origin(entry.line);
    if (entry.key == "password") {
      password = text;
      return true;
    }
    if (entry.key == "passwordVariable") {
      const char* const value = text_.environment ? text_.environment(text.c_str()) : nullptr;
      if (value != nullptr && *value != '\0') {
        password = value;
        return true;
      }
      refuse(where, fmt::format("the environment variable {} is not set", text));
      return false;
    }
    if (entry.key == "passwordFile") {
      std::ifstream file(std::filesystem::path(text_.folder) / text);
      if (std::getline(file, password) && !password.empty()) return true;
      refuse(where, fmt::format("the first line of {} has no password, or cannot be read", text));
      return false;
    }
    refuse_unknown(entry, {"password", "passwordFile", "passwordVariable"});
    return false;
  }

  void read_group(const FileValue& table) {
    SeedGroup group{.group = {}, .origin = origin(table.line)};
    bool fits = true;
    for (const FileEntry& entry : *table.members) {
      if (entry.key == "id") {
        fits &= take_text(entry, group.group.name);
      } else if (entry.key == "description") {
        fits &= take_text(entry, group.group.description);
      } else if (entry.key == "roles") {
        fits &= read_roles(entry, group.group.roles);
      } else {
        fits = false;
        refuse_unknown(entry, {"id", "description", "roles"});
      }
    }
    if (fits && group.group.name.empty()) refuse(group.origin, "a group needs an id");
    if (fits && !group.group.name.empty() &&
        is_new<SeedGroup>(tables_.groups, "group", group.group.name, group.origin,
                          [](const SeedGroup& one) -> std::string_view { return one.group.name; }))
      tables_.groups.push_back(std::move(group));
  }

  /// One by its key and value, or a file of them.
  void read_documents(const FileValue& table) {
    SeedDocuments documents{.path = origin(table.line),
                            .bucket = serve::BucketSettings{}.name,
                            .scope = std::string(store::kDefaultName),
                            .collection = std::string(store::kDefaultName)};
    std::string file;
    bool fits = true;
    for (const FileEntry& entry : *table.members) {
      std::string path;
      if (entry.key == "bucket") {
        fits &= take_text(entry, documents.bucket);
      } else if (entry.key == "collection") {
        fits &= take_text(entry, path) && read_place(entry, path, documents);
      } else if (entry.key == "key") {
        fits &= take_text(entry, documents.key);
      } else if (entry.key == "value") {
        fits &= take_text(entry, documents.json.emplace());
      } else if (entry.key == "file") {
        fits &= take_text(entry, file);
      } else {
        fits = false;
        refuse_unknown(entry, {"bucket", "collection", "key", "value", "file"});
      }
    }
    if (!fits) return;
    if (!serve::is_bucket_name(documents.bucket))
      return refuse(documents.path, fmt::format("a bucket cannot be called \"{}\"", documents.bucket));
    const bool is_one = !documents.key.empty() && documents.json && file.empty();
    const bool is_file =
        documents.key.empty() && !documents.json && (file.ends_with(".json") || file.ends_with(".jsonl"));
    if (!is_one && !is_file)
      return refuse(documents.path, "documents need a key and a value, or a file *.json or *.jsonl");
    if (is_file) documents.path = (std::filesystem::path(text_.folder) / file).string();
    tables_.documents.push_back(std::move(documents));
  }

  bool read_place(const FileEntry& entry, const std::string& path, SeedDocuments& documents) {
    const size_t dot = std::min(path.find('.'), path.size());
    SeedCollection collection{.scope = path.substr(0, dot),
                              .name = path.substr(std::min(dot + 1, path.size())),
                              .max_ttl_s = {},
                              .origin = {}};
    const std::string trouble = trouble_with(collection);
    if (!trouble.empty()) {
      refuse(origin(entry.line), fmt::format("collection \"{}\": {}", path, trouble));
      return false;
    }
    documents.scope = std::move(collection.scope);
    documents.collection = std::move(collection.name);
    return true;
  }

  const SeedText& text_;
  SeedTables& tables_;
  std::vector<base::Error>& errors_;
};

}  // namespace

bool is_seed_key(std::string_view key) {
  return std::find(kTables.begin(), kTables.end(), key) != kTables.end();
}

void read_seed_tables(const std::vector<FileEntry>& entries, const SeedText& text, SeedTables& tables,
                      std::vector<base::Error>& errors) {
  TableReader reader(text, tables, errors);
  for (const FileEntry& entry : entries)
    reader.read(entry);
}

base::Result<serve::BucketSettings, base::Error> settings_of(const SeedBucket& bucket, bool persistent) {
  admin::Form form = {
      {"name", bucket.name}, {"bucketType", persistent ? "membase" : "ephemeral"}, {"ramQuotaMB", "100"}};
  for (const SeedField& field : bucket.fields)
    form.emplace_back(field.name, field.value);
  auto settings = admin::read_new_bucket(form);
  serve::BucketTrouble trouble = settings ? serve::check_bucket(*settings) : settings.error();
  if (trouble.field.empty()) return settings.value();
  const auto field = std::find_if(bucket.fields.begin(), bucket.fields.end(), [&](const SeedField& one) {
    return one.name.starts_with(trouble.field) || trouble.field == one.name;
  });
  return base::fail(base::Error{fmt::format("{}: bucket {}: {}",
                                            field == bucket.fields.end() ? bucket.origin : field->origin,
                                            bucket.name, trouble.why)});
}

SeedBucket& bucket_in(SeedTables& tables, std::string_view name, std::string_view origin) {
  const auto found = std::find_if(tables.buckets.begin(), tables.buckets.end(),
                                  [&](const SeedBucket& bucket) { return bucket.name == name; });
  if (found != tables.buckets.end()) return *found;
  return tables.buckets.emplace_back(SeedBucket{std::string(name), std::string(origin)});
}

void add_place(SeedTables& tables, const SeedDocuments& documents) {
  SeedBucket& bucket = bucket_in(tables, documents.bucket, documents.path);
  const auto is_same = [&](const SeedCollection& one) {
    return one.scope == documents.scope && one.name == documents.collection;
  };
  if (std::none_of(bucket.collections.begin(), bucket.collections.end(), is_same))
    bucket.collections.push_back({documents.scope, documents.collection, {}, documents.path});
}

std::string trouble_with(const SeedCollection& collection) {
  const bool in_default = collection.scope == store::kDefaultName;
  const auto is_name = [](std::string_view name) {
    return store::is_manifest_name(name, store::NameOwner::user);
  };
  if (collection.name.empty()) return "expected \"scope.collection\"";
  if (in_default && collection.name == store::kDefaultName) return {};
  if ((in_default || is_name(collection.scope)) && is_name(collection.name)) return {};
  return std::string(kNameRule);
}

}  // namespace bobbin::cli
