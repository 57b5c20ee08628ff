#include "wire/xattr.h"

#include <algorithm>
#include <vector>

#include "wire/binary_header.h"
#include "wire/json_check.h"
#include "wire/numbers.h"

namespace bobbin::wire {
namespace {

constexpr size_t kLengthBytes = 4;

uint32_t read_length(std::string_view from) {
  return load_big_endian<uint32_t>(from.data());
}

/// The printable ASCII characters that are no letters, digits or spaces: what ispunct takes in the C locale.
bool is_punctuation(char c) {
  return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
}

bool is_control(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

/// One attribute as it stands in a block.
void append_pair(std::string& out, std::string_view key, std::string_view value) {
  std::string& pair = out;
  char length[kLengthBytes];
  store_big_endian(length, static_cast<uint32_t>(key.size() + value.size() + 2));
  pair.append(length, kLengthBytes);
  pair.append(key);
  pair.push_back('\0');
  pair.append(value);
  pair.push_back('\0');
}

/// After a change: the block's length, or nothing at all when nothing is in it.
void finish(std::string& block) {
  if (block.size() <= kLengthBytes) {
    block.clear();
    return;
  }
  store_big_endian(block.data(), static_cast<uint32_t>(block.size() - kLengthBytes));
}

}  // namespace

std::optional<XattrValue> split_xattr_value(std::string_view value) {
  if (value.size() < kLengthBytes) return std::nullopt;
  const uint32_t bytes = read_length(value);
  if (bytes > value.size() - kLengthBytes) return std::nullopt;
  const size_t block = kLengthBytes + bytes;
  return XattrValue{.block = value.substr(0, block), .body = value.substr(block)};
}

XattrReader::XattrReader(std::string_view block) : block_(block) {
  if (block.empty()) return;
  begin_ = end_ = kLengthBytes;
  damaged_ = block.size() < kLengthBytes || read_length(block) != block.size() - kLengthBytes;
}

std::optional<XattrPair> XattrReader::damage() {
  damaged_ = true;
  return std::nullopt;
}

std::optional<XattrPair> XattrReader::next() {
  if (damaged_ || end_ == block_.size()) return std::nullopt;
  begin_ = end_;
  std::string_view rest = block_.substr(begin_);
  if (rest.size() < kLengthBytes) return damage();
  const uint32_t bytes = read_length(rest);
  rest.remove_prefix(kLengthBytes);
  if (bytes > rest.size()) return damage();
  const std::string_view pair = rest.substr(0, bytes);
  const size_t key_end = pair.find('\0');
  // The value's zero is the pair's last byte, and the only one behind the key's.
  if (key_end == std::string_view::npos || pair.find('\0', key_end + 1) != pair.size() - 1) return damage();
  end_ = begin_ + kLengthBytes + bytes;
  return XattrPair{.key = pair.substr(0, key_end),
                   .value = pair.substr(key_end + 1, pair.size() - key_end - 2)};
}

bool check_xattrs(std::string_view block, JsonIndex& scratch) {
  std::vector<std::string_view> keys;
  XattrReader reader(block);
  bool good = true;
  while (const std::optional<XattrPair> pair = reader.next()) {
    good = !pair->key.empty() && xattr_key_bytes(pair->key) == pair->key.size() &&
           check_json(pair->value, scratch) == JsonVerdict::valid;
    if (!good) break;
    keys.push_back(pair->key);
  }
  scratch.release();
  if (!good || reader.damaged()) return false;
  std::sort(keys.begin(), keys.end());
  return std::adjacent_find(keys.begin(), keys.end()) == keys.end();
}

std::optional<std::string_view> find_xattr(std::string_view block, std::string_view key) {
  XattrReader reader(block);
  while (const std::optional<XattrPair> pair = reader.next()) {
    if (pair->key == key) return pair->value;
  }
  return std::nullopt;
}

size_t system_xattr_bytes(std::string_view block) {
  size_t bytes = block.empty() ? 0 : kLengthBytes;
  XattrReader reader(block);
  while (const std::optional<XattrPair> pair = reader.next()) {
    if (is_system_xattr(pair->key)) bytes += reader.end() - reader.begin();
  }
  return bytes;
}

void set_xattr(std::string& block, std::string_view key, std::string_view value) {
  std::string pair;
  append_pair(pair, key, value);
  if (block.empty()) block.assign(kLengthBytes, '\0');
  store_big_endian(block.data(), static_cast<uint32_t>(block.size() - kLengthBytes));
  XattrReader reader(block);
  while (const std::optional<XattrPair> there = reader.next()) {
    if (there->key != key) continue;
    block.replace(reader.begin(), reader.end() - reader.begin(), pair);
    finish(block);
    return;
  }
  block.append(pair);
  finish(block);
}

void remove_xattr(std::string& block, std::string_view key) {
  XattrReader reader(block);
  while (const std::optional<XattrPair> there = reader.next()) {
    if (there->key != key) continue;
    block.erase(reader.begin(), reader.end() - reader.begin());
    finish(block);
    return;
  }
}

void remove_user_xattrs(std::string& block) {
  if (block.empty()) return;
  std::string kept(kLengthBytes, '\0');
  XattrReader reader(block);
  while (const std::optional<XattrPair> pair = reader.next()) {
    if (is_system_xattr(pair->key)) append_pair(kept, pair->key, pair->value);
  }
  finish(kept);
  block = std::move(kept);
}

size_t xattr_key_bytes(std::string_view path) {
  const size_t bytes = std::min(path.find_first_of(".["), path.size());
  if (bytes == 0 || bytes > kMaxXattrKeyBytes) return 0;
  const char first = path[0];
  const bool special = is_system_xattr(path) || is_virtual_xattr(path);
  if (special ? bytes == 1 : is_punctuation(first) || is_control(first)) return 0;
  if (path.find('\0') != std::string_view::npos || !valid_utf8(path)) return 0;
  return bytes;
}

}  // namespace bobbin::wire
