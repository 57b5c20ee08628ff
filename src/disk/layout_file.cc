#include "disk/layout_file.h"

#include <charconv>
#include <map>

#include "store/key_hash.h"

namespace bobbin::disk {

namespace {

constexpr std::string_view kTitle = "bobbin data directory\n";
constexpr std::string_view kCleanTitle = "bobbin clean end\n";
constexpr size_t kUuidDigits = 32;

void add(std::string& text, std::string_view name, uint64_t value) {
  text.append(name).append(" ").append(std::to_string(value)).append("\n");
}

void seal(std::string& text) {
  add(text, "checksum", store::crc32(text));
}

std::optional<uint64_t> number(std::string_view digits) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (digits.empty() || error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return value;
}

/// name -> value of the lines up to the checksum; empty when that is wrong or missing.
std::optional<std::multimap<std::string, std::string>> lines_of(std::string_view text,
                                                                std::string_view title) {
  const size_t at = text.rfind("checksum ");
  if (!text.starts_with(title) || at == std::string_view::npos || !text.ends_with('\n')) return std::nullopt;
  const auto checksum = number(text.substr(at + 9, text.size() - at - 10));
  if (!checksum || *checksum != store::crc32(text.substr(0, at))) return std::nullopt;
  std::multimap<std::string, std::string> lines;
  text = text.substr(title.size(), at - title.size());
  while (!text.empty()) {
    const size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    const size_t space = line.find(' ');
    if (end == std::string_view::npos || space == std::string_view::npos) return std::nullopt;
    lines.emplace(line.substr(0, space), line.substr(space + 1));
    text.remove_prefix(end + 1);
  }
  return lines;
}

/// The number in the second line, whatever follows.
std::optional<uint64_t> format_of(std::string_view text) {
  constexpr std::string_view kName = "format ";
  if (!text.starts_with(kTitle)) return std::nullopt;
  text.remove_prefix(kTitle.size());
  if (!text.starts_with(kName)) return std::nullopt;
  return number(text.substr(kName.size(), text.find('\n') - kName.size()));
}

}  // namespace

std::string encode_layout(const Layout& layout) {
  std::string text(kTitle);
  add(text, "format", layout.format);
  text += "uuid " + layout.uuid + "\n";
  add(text, "shards", layout.shards);
  add(text, "vbuckets", layout.vbuckets);
  add(text, "complete", layout.complete ? 1 : 0);
  seal(text);
  return text;
}

Result<Layout> decode_layout(std::string_view text, const std::string& path) {
  const auto damaged = base::fail(Error{
      ErrorKind::corrupt, path, path + ": damaged: this is not what was written; restore it from a backup"});
  const auto format = format_of(text);
  if (!format) return damaged;
  if (*format > kDirectoryFormat) {
    return base::fail(Error{ErrorKind::newer_version, path,
                            path + ": written by a newer Bobbin (format " + std::to_string(*format) +
                                ", this one knows " + std::to_string(kDirectoryFormat) +
                                "): start that one"});
  }
  const auto lines = lines_of(text, kTitle);
  if (!lines) return damaged;
  const auto value = [&](const char* name) {
    const auto found = lines->find(name);
    return found == lines->end() ? std::nullopt : number(found->second);
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

std::string encode_clean_end(const std::vector<uint64_t>& sequences) {
  std::string text(kCleanTitle);
  for (const uint64_t sequence : sequences)
    add(text, "sequence", sequence);
  seal(text);
  return text;
}

std::optional<std::vector<uint64_t>> decode_clean_end(std::string_view text) {
  const auto lines = lines_of(text, kCleanTitle);
  if (!lines) return std::nullopt;
  std::vector<uint64_t> sequences;
  for (const auto& [name, digits] : *lines) {
    const auto sequence = number(digits);
    if (name != "sequence" || !sequence) return std::nullopt;
    sequences.push_back(*sequence);
  }
  return sequences;
}

}  // namespace bobbin::disk
