#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "wire/binary_header.h"
#include "wire/binary_reply.h"

/// Framing extras of requests and replies: a series of objects, each four bits of id, four bits of length,
/// and its bytes; 15 in either means that a byte follows which is to be added (kv_engine
/// docs/BinaryProtocol.md, "flexible framing extras").

namespace bobbin::wire {

enum class DurabilityLevel : uint8_t {
  none = 0,
  majority = 1,
  majority_and_persist_on_master = 2,
  persist_to_majority = 3,
};

struct FrameInfo {
  bool barrier = false;  ///< not to be executed beside others
  DurabilityLevel durability = DurabilityLevel::none;
  std::optional<uint16_t> durability_timeout_ms;
  std::optional<uint16_t> stream_id;
  std::string_view impersonated;  ///< a user's name
  bool preserve_ttl = false;
};

/// Reads the framing extras of a request. success; invalid_arguments when a length lies or an object comes
/// twice; durability_invalid_level; unknown_frame_info for an id that is not known.
[[nodiscard]] BinaryStatus read_frame_info(std::string_view framing, FrameInfo& info);

/// How long the server had a request, as the reply's framing extras: (2 * microseconds) ^ (1 / 1.74).
[[nodiscard]] std::array<char, kTraceBytes> trace_of(uint64_t microseconds);

}  // namespace bobbin::wire
