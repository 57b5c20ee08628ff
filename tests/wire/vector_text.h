#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "wire/binary_header.h"
#include "wire/crc32c.h"

namespace bobbin::serve {

// Requests and replies of vectors as text: hexadecimal digits, with blanks between the parts of a header, and
// semicolons between frames. For tests only.

/// "8000 00 ; 8001": two frames.
inline std::string vector_bytes(std::string_view text) {
  std::string bytes;
  int high = -1;
  for (const char c : text) {
    if (c == ' ' || c == ';') continue;
    const int digit = c <= '9' ? c - '0' : c - 'a' + 10;
    if (high < 0) {
      high = digit;
      continue;
    }
    bytes += static_cast<char>(high << 4 | digit);
    high = -1;
  }
  EXPECT_EQ(high, -1) << text;
  return bytes;
}

/// What stands between quotation marks, as digits; "<ref>" in it becomes a uuid of version 4 whose other
/// digits are left to chance. A blank in front of it is left out.
inline std::string vector_digits(std::string_view text) {
  static constexpr std::string_view kRef = "<ref>";
  static constexpr std::string_view kUuid = "xxxxxxxx-xxxx-4xxx-xxxx-xxxxxxxxxxxx";
  std::string digits;
  bool quoted = false;
  while (!text.empty()) {
    if (quoted && text.starts_with(kRef)) {
      for (const char c : kUuid)
        digits += c == 'x' ? "??" : fmt::format("{:02x}", static_cast<unsigned char>(c));
      text.remove_prefix(kRef.size());
      continue;
    }
    const char c = text.front();
    text.remove_prefix(1);
    if (c == '\'') {
      quoted = !quoted;
    } else if (quoted) {
      digits += fmt::format("{:02x}", static_cast<unsigned char>(c));
    } else if (c != ' ' || !text.starts_with('\'')) {
      digits += c;
    }
  }
  EXPECT_FALSE(quoted);
  return digits;
}

/// Of a longer frame's body there is only the checksum (CRC-32C, behind a "~").
inline constexpr size_t kLongFrameBytes = 512;

/// In the groups of the header: magic and opcode, lengths, datatype, vbucket or status, body, opaque, CAS.
inline std::string vector_text(std::string_view bytes) {
  std::string text;
  while (!bytes.empty()) {
    const bool whole = bytes.size() >= wire::kBinaryHeaderBytes;
    const size_t body = whole ? wire::decode_header(bytes.data()).body_bytes : 0;
    const std::string_view frame = bytes.substr(0, wire::kBinaryHeaderBytes + body);
    bytes.remove_prefix(frame.size());
    if (!text.empty()) text += " ; ";
    const bool is_long = frame.size() > kLongFrameBytes;
    for (size_t i = 0; i < (is_long ? wire::kBinaryHeaderBytes : frame.size()); ++i) {
      const bool begins = i == 2 || i == 4 || i == 5 || i == 6 || i == 8 || i == 12 || i == 16 || i == 24;
      text += fmt::format("{}{:02x}", begins ? " " : "", static_cast<unsigned char>(frame[i]));
    }
    if (is_long) text += fmt::format(" ~{:08x}", wire::crc32c(frame.substr(wire::kBinaryHeaderBytes)));
  }
  return text;
}

/// Whether the text is what was expected, where "?" stands for any digit.
inline bool vector_matches(std::string_view text, std::string_view expected) {
  if (text.size() != expected.size()) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool is_any = expected[i] == '?' && text[i] != ' ' && text[i] != ';';
    if (!is_any && text[i] != expected[i]) return false;
  }
  return true;
}

}  // namespace bobbin::serve
