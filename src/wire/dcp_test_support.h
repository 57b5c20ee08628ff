#pragma once

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <string_view>

#include "wire/dcp.h"

namespace bobbin::wire {

/// The bytes that `hex` spells; spaces are passed over.
inline std::string bytes_of(std::string_view hex) {
  const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  std::string bytes;
  int high = -1;
  for (const char c : hex) {
    if (c == ' ') continue;
    if (high < 0) {
      high = digit(c);
    } else {
      bytes += static_cast<char>(high * 16 + digit(c));
      high = -1;
    }
  }
  return bytes;
}

/// What a writer wrote, with key and value behind it.
template <typename Write>
std::string frame_of(Write write, std::string_view key = {}, std::string_view value = {}) {
  std::array<char, kMaxDcpHeadBytes> head;
  char* const end = write(head.data());
  EXPECT_LE(end, head.data() + head.size());
  return std::string(head.data(), end).append(key).append(value);
}

/// A whole request; its views point into `bytes`.
inline BinaryRequest request_of(const std::string& bytes) {
  BinaryRequest request;
  EXPECT_EQ(cut_frame(bytes, request, true), FrameState::complete);
  EXPECT_EQ(request.frame_bytes(), bytes.size());
  return request;
}

/// The same request with other extras, key or value.
inline std::string request_bytes(BinaryOpcode opcode, std::string_view extras, std::string_view key = {},
                                 std::string_view value = {}) {
  std::string bytes(kBinaryHeaderBytes, '\0');
  encode_header(bytes.data(),
                {.opcode = static_cast<uint8_t>(opcode),
                 .key_bytes = static_cast<uint16_t>(key.size()),
                 .extras_bytes = static_cast<uint8_t>(extras.size()),
                 .body_bytes = static_cast<uint32_t>(extras.size() + key.size() + value.size())});
  return bytes.append(extras).append(key).append(value);
}

}  // namespace bobbin::wire
