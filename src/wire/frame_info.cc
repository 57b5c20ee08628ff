#include "wire/frame_info.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace bobbin::wire {
namespace {

// Of an impersonated user. The only object that may come more than once.
constexpr uint32_t kExtraPrivilege = 6;

struct FrameObject {
  uint32_t id = 0;
  std::string_view bytes;
};

// Takes one object from the front; false when it does not fit.
bool take_object(std::string_view& framing, FrameObject& object) {
  const auto first = static_cast<uint8_t>(framing[0]);
  framing.remove_prefix(1);
  const auto number = [&framing](uint32_t four_bits, uint32_t& out) {
    out = four_bits;
    if (four_bits < 15) return true;
    if (framing.empty()) return false;
    out += static_cast<uint8_t>(framing[0]);
    framing.remove_prefix(1);
    return true;
  };
  uint32_t length = 0;
  if (!number(first >> 4, object.id) || !number(first & 15, length) || length > framing.size()) return false;
  object.bytes = framing.substr(0, length);
  framing.remove_prefix(length);
  return true;
}

BinaryStatus read_durability(std::string_view bytes, FrameInfo& info) {
  if (bytes.size() != 1 && bytes.size() != 3) return BinaryStatus::invalid_arguments;
  const auto level = static_cast<uint8_t>(bytes[0]);
  if (level < 1 || level > 3) return BinaryStatus::durability_invalid_level;
  info.durability = static_cast<DurabilityLevel>(level);
  if (bytes.size() == 1) return BinaryStatus::success;
  const auto timeout = load_big_endian<uint16_t>(bytes.data() + 1);
  if (timeout == 0 || timeout == 0xffff) return BinaryStatus::invalid_arguments;
  info.durability_timeout_ms = timeout;
  return BinaryStatus::success;
}

BinaryStatus read_object(const FrameObject& object, FrameInfo& info) {
  const auto only_if = [](bool fine) {
    return fine ? BinaryStatus::success : BinaryStatus::invalid_arguments;
  };
  switch (object.id) {
    case 0:
      info.barrier = true;
      return only_if(object.bytes.empty());
    case 1:
      return read_durability(object.bytes, info);
    case 2:
      if (object.bytes.size() == 2) info.stream_id = load_big_endian<uint16_t>(object.bytes.data());
      return only_if(info.stream_id.has_value());
    case 4:
      info.impersonated = object.bytes;
      return only_if(!object.bytes.empty());
    case 5:
      info.preserve_ttl = true;
      return only_if(object.bytes.empty());
    case kExtraPrivilege:
      info.extra_privileges = true;
      return only_if(!object.bytes.empty());
    default:
      return BinaryStatus::unknown_frame_info;
  }
}

// Most requests take so little that no power has to be taken.
constexpr size_t kTabled = 256;

uint16_t encode_duration(uint64_t microseconds) {
  const double encoded = std::pow(2.0 * static_cast<double>(microseconds), 1.0 / 1.74);
  return static_cast<uint16_t>(std::min(encoded, 65535.0));
}

}  // namespace

BinaryStatus read_frame_info(std::string_view framing, FrameInfo& info) {
  uint64_t seen = 0;
  while (!framing.empty()) {
    FrameObject object;
    if (!take_object(framing, object)) return BinaryStatus::invalid_arguments;
    const BinaryStatus status = read_object(object, info);
    if (status != BinaryStatus::success) return status;
    const uint64_t bit = uint64_t{1} << object.id;  // a known one: below 64
    if ((seen & bit) != 0 && object.id != kExtraPrivilege) return BinaryStatus::invalid_arguments;
    seen |= bit;
  }
  return BinaryStatus::success;
}

std::string_view take_extra_privilege(std::string_view& framing) {
  FrameObject object;
  while (!framing.empty() && take_object(framing, object))
    if (object.id == kExtraPrivilege) return object.bytes;
  return {};
}

std::array<char, kTraceBytes> trace_of(uint64_t microseconds) {
  static const auto kShort = [] {
    std::array<uint16_t, kTabled> encoded{};
    for (size_t i = 0; i < kTabled; ++i)
      encoded[i] = encode_duration(i);
    return encoded;
  }();
  const uint16_t encoded = microseconds < kTabled ? kShort[microseconds] : encode_duration(microseconds);
  std::array<char, kTraceBytes> trace{0x02};  // object 0, two bytes
  store_big_endian(trace.data() + 1, encoded);
  return trace;
}

size_t write_units(char* out, const Moved& moved, bool durable) {
  constexpr uint64_t kReadUnitBytes = 4096;
  constexpr uint64_t kWriteUnitBytes = 1024;
  const bool writes = moved.written != 0;
  const uint64_t begun = writes ? (moved.written + kWriteUnitBytes - 1) / kWriteUnitBytes
                                : (moved.read + kReadUnitBytes - 1) / kReadUnitBytes;
  if (begun == 0) return 0;
  const uint64_t units = writes && durable ? begun * 2 : begun;
  *out = writes ? 0x22 : 0x12;  // object 2 or 1, two bytes
  store_big_endian(out + 1, static_cast<uint16_t>(std::min<uint64_t>(units, UINT16_MAX)));
  return kUnitsBytes;
}

}  // namespace bobbin::wire
