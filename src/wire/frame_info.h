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
  bool extra_privileges = false;  ///< there are some: take_extra_privilege()
};

/// Reads the framing extras of a request. success; invalid_arguments when a length lies or an object
/// comes twice that is no privilege; durability_invalid_level; unknown_frame_info for an id that is not
/// known.
[[nodiscard]] BinaryStatus read_frame_info(std::string_view framing, FrameInfo& info);

/// Takes the objects up to the next privilege off framing extras that have been read, and answers its name;
/// empty: there is no more.
[[nodiscard]] std::string_view take_extra_privilege(std::string_view& framing);

/// How long the server had a request, as the reply's framing extras: (2 * microseconds) ^ (1 / 1.74).
[[nodiscard]] std::array<char, kTraceBytes> trace_of(uint64_t microseconds);

/// What a request has moved, in bytes of keys and values.
struct Moved {
  uint64_t read = 0;
  uint64_t written = 0;
};
/// The same as the reply's framing extras: units of 4 KiB that were read or of 1 KiB that were written, begun
/// ones are whole. `durable` writes count twice. Who has written has read for nothing. Writes kUnitsBytes, or
/// nothing where nothing was moved; returns how many.
size_t write_units(char* out, const Moved& moved, bool durable);

}  // namespace bobbin::wire
