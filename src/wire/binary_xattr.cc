#include "wire/binary_xattr.h"

#include <algorithm>

#include "wire/base64.h"

namespace bobbin::wire {
namespace {

constexpr std::string_view kPrefix = "cb-content-base64-encoded:";

std::optional<std::string> decode(std::string_view base64) {
  std::string bytes(base64.size() / 4 * 3, '\0');
  if (base64.empty()) return bytes;
  const std::optional<size_t> size = decode_base64(base64, bytes.data());
  if (!size) return std::nullopt;
  bytes.resize(*size);
  return bytes;
}

}  // namespace

std::string encode_binary_value(std::string_view bytes) {
  std::string json = "\"";
  json += kPrefix;
  const size_t before = json.size();
  json.resize(before + base64_chars(bytes.size()));
  json.resize(before + encode_base64(bytes, json.data() + before));
  json += '"';
  return json;
}

std::optional<std::string> decode_binary_value(std::string_view json) {
  if (json.size() < kPrefix.size() + 2 || json.front() != '"' || json.back() != '"') return std::nullopt;
  json = json.substr(1, json.size() - 2);
  if (!json.starts_with(kPrefix)) return std::nullopt;
  return decode(json.substr(kPrefix.size()));
}

bool has_broken_binary_value(std::string_view json) {
  for (size_t at = json.find(kPrefix); at != std::string_view::npos; at = json.find(kPrefix)) {
    json.remove_prefix(at + kPrefix.size());
    const size_t end = std::min(json.find('"'), json.size());
    if (!decode(json.substr(0, end))) return true;
  }
  return false;
}

}  // namespace bobbin::wire
