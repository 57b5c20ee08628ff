#include "cli/seed_documents.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "serve/bucket_settings.h"
#include "store/doc_key.h"
#include "store/manifest.h"
#include "wire/json_check.h"
#include "wire/json_find.h"
#include "wire/json_index.h"
#include "wire/json_value.h"

namespace bobbin::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kOne = ".json";
constexpr std::string_view kMany = ".jsonl";

/// Walks down a seed folder.
class FolderReader {
 public:
  FolderReader(SeedTables& tables, std::vector<base::Error>& errors) : tables_(tables), errors_(errors) {}

  std::vector<SeedDocuments> read(const std::string& folder) {
    for (const fs::path& path : entries_of(folder)) {
      if (path.filename() == "seed.toml") continue;
      if (expect_folder(path, "seed.toml, or a folder with the name of a bucket")) read_bucket(path);
    }
    return std::move(files_);
  }

 private:
  void refuse(const fs::path& path, std::string_view why) {
    errors_.push_back({fmt::format("{}: {}", path.string(), why)});
  }

  /// Sorted, so that each start sees the same.
  std::vector<fs::path> entries_of(const fs::path& folder) {
    std::vector<fs::path> paths;
    std::error_code error;
    for (fs::directory_iterator entry(folder, error); !error && entry != fs::directory_iterator();
         entry.increment(error)) {
      if (!entry->path().filename().string().starts_with('.')) paths.push_back(entry->path());
    }
    if (error) refuse(folder, error.message());
    std::sort(paths.begin(), paths.end());
    return paths;
  }

  bool expect_folder(const fs::path& path, std::string_view what) {
    std::error_code error;
    if (fs::is_directory(path, error)) return true;
    refuse(path, fmt::format("expected {}", what));
    return false;
  }

  void read_bucket(const fs::path& path) {
    const std::string name = path.filename().string();
    if (!serve::is_bucket_name(name)) {
      refuse(path, "a bucket cannot have this name");
      return;
    }
    bucket_in(tables_, name, path.string());
    for (const fs::path& below : entries_of(path))
      if (expect_folder(below, "a folder with the name of a scope")) read_scope(below, name);
  }

  void read_scope(const fs::path& path, const std::string& bucket_name) {
    const std::string name = path.filename().string();
    if (name != store::kDefaultName && !store::is_manifest_name(name, store::NameOwner::user)) {
      refuse(path, "a scope cannot have this name");
      return;
    }
    SeedBucket& bucket = bucket_in(tables_, bucket_name, path.string());
    const auto is_same = [&](const auto& one) { return one.name == name; };
    if (name != store::kDefaultName && std::none_of(bucket.scopes.begin(), bucket.scopes.end(), is_same))
      bucket.scopes.push_back({name, path.string()});
    for (const fs::path& below : entries_of(path))
      if (expect_folder(below, "a folder with the name of a collection"))
        read_collection(below, bucket, name);
  }

  void read_collection(const fs::path& path, SeedBucket& bucket, const std::string& scope) {
    SeedCollection collection{scope, path.filename().string(), {}, path.string()};
    if (const std::string trouble = trouble_with(collection); !trouble.empty()) {
      refuse(path, trouble);
      return;
    }
    const auto is_same = [&](const SeedCollection& one) {
      return one.scope == collection.scope && one.name == collection.name;
    };
    for (const fs::path& file : entries_of(path)) {
      std::error_code error;
      const std::string name = file.filename().string();
      if ((!name.ends_with(kOne) && !name.ends_with(kMany)) || !fs::is_regular_file(file, error))
        refuse(file, "expected a file *.json with one document, or *.jsonl with one a line");
      else
        files_.push_back({file.string(), bucket.name, scope, collection.name});
    }
    if (std::none_of(bucket.collections.begin(), bucket.collections.end(), is_same))
      bucket.collections.push_back(std::move(collection));
  }

  SeedTables& tables_;
  std::vector<base::Error>& errors_;
  std::vector<SeedDocuments> files_;
};

bool is_key(std::string_view key) {
  return store::DocKey(key).is_valid();
}

std::string_view without_space(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t begin = std::min(text.find_first_not_of(kSpace), text.size());
  text.remove_prefix(begin);
  return text.substr(0, text.find_last_not_of(kSpace) + 1);
}

base::Result<void, base::Error> refuse(std::string message) {
  return base::fail(base::Error{std::move(message)});
}

base::Result<void, base::Error> read_one(const SeedDocuments& file, std::istream& stream, size_t max_bytes,
                                         const OnDocument& on_document) {
  std::error_code error;
  const uint64_t bytes = fs::file_size(file.path, error);
  if (error) return refuse(fmt::format("{}: {}", file.path, error.message()));
  if (bytes > max_bytes + kSeedLineBytes)
    return refuse(fmt::format("{}: longer than --max-item-size, {} bytes", file.path, max_bytes));
  std::string text(bytes, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(stream.gcount()));
  const std::string key = fs::path(file.path).stem().string();
  if (!is_key(key)) return refuse(fmt::format("{}: a key has 1 to 250 bytes", file.path));
  wire::JsonIndex index;
  if (wire::check_json(text, index) != wire::JsonVerdict::valid) {
    const auto fault = static_cast<std::ptrdiff_t>(wire::JsonValue::fault_in(text));
    const auto line = 1 + std::count(text.begin(), text.begin() + fault, '\n');
    return refuse(fmt::format("{}:{}: this is no JSON", file.path, line));
  }
  return on_document(key, without_space(text), file.path);
}

/// One that stands in a table.
base::Result<void, base::Error> read_described(const SeedDocuments& document, size_t max_bytes,
                                               const OnDocument& on_document) {
  const std::string_view json = without_space(*document.json);
  if (!is_key(document.key)) return refuse(fmt::format("{}: a key has 1 to 250 bytes", document.path));
  if (json.size() > max_bytes)
    return refuse(fmt::format("{}: longer than --max-item-size, {} bytes", document.path, max_bytes));
  wire::JsonIndex index;
  if (wire::check_json(json, index) != wire::JsonVerdict::valid)
    return refuse(fmt::format("{}: value: this is no JSON", document.path));
  return on_document(document.key, json, document.path);
}

/// A line {"key":"k","value":{…}}.
base::Result<void, base::Error> read_line(std::string_view line, const std::string& origin,
                                          wire::JsonIndex& index, const OnDocument& on_document) {
  using wire::FindState;
  if (wire::check_json(line, index) != wire::JsonVerdict::valid)
    return refuse(fmt::format("{}: this is no JSON", origin));
  const auto find = [&](std::string_view name) {
    const wire::PathComponent component{.kind = wire::PathComponent::Kind::key, .key = name};
    return wire::find_json(index, std::span(&component, 1));
  };
  const wire::JsonPlace key_place = find("key");
  const wire::JsonPlace value = find("value");
  const wire::JsonPlace root = wire::find_json(index, {});
  const auto text =
      key_place.state == FindState::found ? wire::JsonValue::parse(key_place.value.of(line)) : std::nullopt;
  if (!text || text->string() == nullptr || value.state != FindState::found || root.entries != 2)
    return refuse(fmt::format("{}: expected {{\"key\":\"…\",\"value\":…}} and nothing else", origin));
  if (!is_key(*text->string())) return refuse(fmt::format("{}: a key has 1 to 250 bytes", origin));
  return on_document(*text->string(), value.value.of(line), origin);
}

base::Result<void, base::Error> read_many(const SeedDocuments& file, std::istream& stream, size_t max_bytes,
                                          const OnDocument& on_document) {
  wire::JsonIndex index;
  std::string line(max_bytes + kSeedLineBytes + 1, '\0');
  for (size_t number = 1;; ++number) {
    const std::string origin = fmt::format("{}:{}", file.path, number);
    stream.getline(line.data(), static_cast<std::streamsize>(line.size()));
    const auto count = static_cast<size_t>(stream.gcount());
    if (stream.fail() && !stream.eof() && count > 0)
      return refuse(fmt::format("{}: longer than --max-item-size, {} bytes", origin, max_bytes));
    const bool is_last = stream.eof() || stream.fail();
    // The line's end is counted, where there was one.
    const std::string_view text = without_space({line.data(), count - (is_last ? 0 : 1)});
    if (!text.empty()) {
      if (auto read = read_line(text, origin, index, on_document); !read) return read;
    }
    if (is_last) return {};
  }
}

}  // namespace

std::vector<SeedDocuments> find_documents(const std::string& folder, SeedTables& tables,
                                          std::vector<base::Error>& errors) {
  return FolderReader(tables, errors).read(folder);
}

base::Result<void, base::Error> read_documents(const SeedDocuments& file, size_t max_value_bytes,
                                               const OnDocument& on_document) {
  if (file.json) return read_described(file, max_value_bytes, on_document);
  std::ifstream stream(file.path, std::ios::binary);
  if (!stream) return refuse(fmt::format("{}: {}", file.path, std::strerror(errno)));
  auto read = file.path.ends_with(kMany) ? read_many(file, stream, max_value_bytes, on_document)
                                         : read_one(file, stream, max_value_bytes, on_document);
  if (read && stream.bad()) return refuse(fmt::format("{}: cannot be read", file.path));
  return read;
}

}  // namespace bobbin::cli
