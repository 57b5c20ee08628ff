#include "disk/sealed_text.h"

#include <charconv>

#include "store/key_hash.h"

namespace bobbin::disk {

void add_line(std::string& text, std::string_view name, uint64_t value) {
  text.append(name).append(" ").append(std::to_string(value)).append("\n");
}

void seal(std::string& text) {
  add_line(text, "checksum", store::crc32(text));
}

std::optional<uint64_t> number_in(std::string_view digits) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (digits.empty() || error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return value;
}

std::optional<std::multimap<std::string, std::string>> sealed_lines(std::string_view text,
                                                                    std::string_view title) {
  const size_t at = text.rfind("checksum ");
  if (!text.starts_with(title) || at == std::string_view::npos || !text.ends_with('\n')) return std::nullopt;
  const auto checksum = number_in(text.substr(at + 9, text.size() - at - 10));
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

}  // namespace bobbin::disk
