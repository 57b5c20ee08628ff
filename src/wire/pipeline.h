#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "wire/binary_header.h"
#include "wire/numbers.h"
#include "wire/text.h"

/// A look at requests before their turn, so that what they will read can be fetched while others run. It
/// tells their keys and nothing else of them, right or wrong: only for hints. Pure functions; views point
/// into the bytes that were passed in.

namespace bobbin::wire {

struct Upcoming {
  std::string_view key;  ///< 1 to kMaxKeyBytes bytes; binary: as in the frame, with a collection's prefix
  uint64_t bytes = 0;    ///< that the request takes, its value included; some of it may not have arrived
};

/// The request of the text or meta protocols that `unread` begins, if its line is there and names a key. Of
/// several keys the first.
inline std::optional<Upcoming> upcoming_text(std::string_view unread) {
  constexpr size_t kLongestLine = 512;
  const std::string_view start = unread.substr(0, kLongestLine);
  const size_t length = start.find('\n');
  if (length == std::string_view::npos) return std::nullopt;
  const char* const end = start.data() + (length > 0 && start[length - 1] == '\r' ? length - 1 : length);
  const char* const verb_end = detail::find_space(start.data(), end);
  if (verb_end == start.data() || verb_end == end) return std::nullopt;
  const std::string_view verb(start.data(), static_cast<size_t>(verb_end - start.data()));
  const char* const key_end = detail::find_space(verb_end + 1, end);
  Upcoming found{{verb_end + 1, static_cast<size_t>(key_end - verb_end - 1)}, length + 1};
  if (found.key.empty() || found.key.size() > kMaxKeyBytes) return std::nullopt;
  // Which word behind the key says how long the value is that follows the line; 0: none does.
  int value_length_at = 0;
  if (verb == "ms")
    value_length_at = 1;
  else if (verb == "set" || verb == "add" || verb == "cas" || verb == "replace" || verb == "append" ||
           verb == "prepend")
    value_length_at = 3;
  else if (verb == "watch" || verb == "stats" || verb == "me")
    return std::nullopt;
  if (value_length_at == 0) return found;
  Words words({key_end, static_cast<size_t>(end - key_end)});
  std::string_view word;
  for (int i = 0; i < value_length_at; ++i)
    word = words.next();
  const std::optional<uint32_t> value_bytes = parse_number<uint32_t>(word);
  if (!value_bytes) return std::nullopt;
  found.bytes += uint64_t{*value_bytes} + kLineEnd.size();
  return found;
}

/// The same of the binary protocol and MCBP.
inline std::optional<Upcoming> upcoming_binary(std::string_view unread) {
  if (unread.size() < kBinaryHeaderBytes) return std::nullopt;
  const auto byte = [&](size_t at) { return static_cast<uint8_t>(unread[at]); };
  const bool flexible = is_flexible(byte(0));
  const size_t framing_bytes = flexible ? byte(2) : 0;
  const size_t key_bytes = flexible ? byte(3) : load_big_endian<uint16_t>(unread.data() + 2);
  const size_t key_at = kBinaryHeaderBytes + framing_bytes + byte(4);
  if (key_bytes == 0 || key_bytes > kMaxKeyBytes || unread.size() < key_at + key_bytes) return std::nullopt;
  return Upcoming{unread.substr(key_at, key_bytes),
                  kBinaryHeaderBytes + uint64_t{load_big_endian<uint32_t>(unread.data() + 8)}};
}

}  // namespace bobbin::wire
