#include "disk/layout_file.h"

#include <filesystem>
#include <random>

#include "disk/sealed_text.h"

namespace bobbin::disk {

namespace {

constexpr std::string_view kTitle = "bobbin data directory\n";
constexpr std::string_view kCleanTitle = "bobbin clean end\n";
constexpr size_t kUuidDigits = 32;

/// The number in the second line, whatever follows.
std::optional<uint64_t> format_of(std::string_view text) {
  constexpr std::string_view kName = "format ";
  if (!text.starts_with(kTitle)) return std::nullopt;
  text.remove_prefix(kTitle.size());
  if (!text.starts_with(kName)) return std::nullopt;
  return number_in(text.substr(kName.size(), text.find('\n') - kName.size()));
}

}  // namespace

std::string encode_layout(const Layout& layout) {
  std::string text(kTitle);
  add_line(text, "format", layout.format);
  text += "uuid " + layout.uuid + "\n";
  add_line(text, "shards", layout.shards);
  add_line(text, "vbuckets", layout.vbuckets);
  add_line(text, "complete", layout.complete ? 1 : 0);
  seal(text);
  return text;
}

Result<Layout> decode_layout(std::string_view text, const std::string& path) {
  const auto damaged = base::fail(Error{
      ErrorKind::corrupt, path, path + ": damaged: this is not what was written; restore it from a backup"});
  const auto format = format_of(text);
  if (!format) return damaged;
  if (*format > kDirectoryFormat) {
    return base::fail(Error{ErrorKind::other_version, path,
                            path + ": written by a newer Bobbin (format " + std::to_string(*format) +
                                ", this one knows " + std::to_string(kDirectoryFormat) +
                                "): start that one"});
  }
  const auto lines = sealed_lines(text, kTitle);
  if (!lines) return damaged;
  if (*format < kOldestDirectoryFormat) {
    return base::fail(Error{
        ErrorKind::other_version, path,
        path + ": written by a Bobbin from before the first release (format " + std::to_string(*format) +
            ", this one reads from " + std::to_string(kOldestDirectoryFormat) + " to " +
            std::to_string(kDirectoryFormat) + "): start with an empty directory and load the data anew"});
  }
  const auto value = [&](const char* name) {
    const auto found = lines->find(name);
    return found == lines->end() ? std::nullopt : number_in(found->second);
  };
  const auto uuid = lines->find("uuid");
  const auto shards = value("shards");
  const auto vbuckets = value("vbuckets");
  const auto complete = value("complete");
  if (uuid == lines->end() || uuid->second.size() != kUuidDigits || !shards || !vbuckets || !complete)
    return damaged;
  if (*shards == 0 || *shards > *vbuckets || *vbuckets > 65536) return damaged;
  return Layout{static_cast<uint32_t>(*format), uuid->second, static_cast<uint32_t>(*shards),
                static_cast<uint32_t>(*vbuckets), *complete != 0};
}

std::string new_uuid() {
  std::random_device random;
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string uuid;
  for (int i = 0; i < 4; ++i) {
    const uint32_t bits = random();
    for (int shift = 0; shift < 32; shift += 4)
      uuid.push_back(kDigits[bits >> shift & 0xf]);
  }
  return uuid;
}

std::string shard_path(const std::string& directory, uint32_t number) {
  return directory + "/shard-" + std::to_string(number);
}

bool has_shards(const std::string& directory) {
  std::error_code error;
  return std::filesystem::exists(shard_path(directory, 0), error);
}

Error cut_off(const std::string& shard, uint64_t closed_at, uint64_t ends_at) {
  return {ErrorKind::corrupt, shard,
          shard + ": damaged: it was closed at " + std::to_string(closed_at) + " and ends at " +
              std::to_string(ends_at) +
              ": its MANIFEST or a log file is cut off; restore the directory from a backup"};
}

std::string encode_clean_end(const std::vector<uint64_t>& sequences) {
  std::string text(kCleanTitle);
  for (const uint64_t sequence : sequences)
    add_line(text, "sequence", sequence);
  seal(text);
  return text;
}

std::optional<std::vector<uint64_t>> decode_clean_end(std::string_view text) {
  const auto lines = sealed_lines(text, kCleanTitle);
  if (!lines) return std::nullopt;
  std::vector<uint64_t> sequences;
  for (const auto& [name, digits] : *lines) {
    const auto sequence = number_in(digits);
    if (name != "sequence" || !sequence) return std::nullopt;
    sequences.push_back(*sequence);
  }
  return sequences;
}

}  // namespace bobbin::disk
