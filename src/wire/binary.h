#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "wire/binary_header.h"
#include "wire/binary_reply.h"
#include "wire/datatype.h"

/// Memcached's classic binary protocol (memcached wiki, BinaryProtocolRevamped; kv_engine
/// docs/BinaryProtocol.md). Requests here, replies in binary_reply.h. Pure functions: no I/O, no allocation.
/// Every view points into the bytes that were passed in.

namespace bobbin::wire {

// ---- frames

/// How much of a request has arrived, in the order in which it does.
enum class FrameState : uint8_t {
  incomplete,   ///< fewer than 24 bytes
  bad_magic,    ///< the first byte begins no request: close, there is no frame to answer
  bad_lengths,  ///< extras + key exceed the body: answer invalid_arguments and close. `header` is set
  header,       ///< `header` and `value_bytes` are set; extras or key are still to come
  head,         ///< extras and key are set too; of the value only `value` is there
  complete,     ///< all of it
};

struct BinaryRequest {
  BinaryHeader header;
  std::string_view framing;  ///< framing extras: wire/frame_info.h
  std::string_view extras;
  std::string_view key;
  uint32_t collection = 0;    ///< the key's, for who has agreed on collections
  std::string_view wire_key;  ///< as the client wrote it: with its collection's id, if there was one
  std::string_view value;     ///< as much of it as has arrived
  uint32_t value_bytes = 0;   ///< all of it: body minus extras minus key

  /// Everything that precedes the value. At most 24 + 255 + 65535.
  [[nodiscard]] size_t head_bytes() const { return kBinaryHeaderBytes + size_t{header.before_value()}; }
  /// The whole frame; exceeds 32 bits for the largest body.
  [[nodiscard]] uint64_t frame_bytes() const { return kBinaryHeaderBytes + uint64_t{header.body_bytes}; }
};

/// Looks at the frame that `unread` begins with. Nothing is consumed: take frame_bytes() when complete, or
/// head_bytes() to receive the value elsewhere. What an earlier state set stays as it was in later ones.
/// `flexible`: the client has agreed on framing extras, so that requests may begin with 0x08 too.
FrameState cut_frame(std::string_view unread, BinaryRequest& request, bool flexible = false);

// ---- what a command takes

enum class Presence : uint8_t { forbidden, required, optional };

/// A set of extras lengths below 64, one bit each.
struct ExtrasLengths {
  uint64_t bits = 1;
  constexpr ExtrasLengths() = default;
  template <std::integral... Lengths>
  explicit constexpr ExtrasLengths(Lengths... lengths) : bits(((uint64_t{1} << lengths) | ...)) {}
  [[nodiscard]] constexpr bool has(uint8_t length) const {
    return length < 64 && ((bits >> length) & 1) != 0;
  }
};

/// What a row of the command table says about the frame.
struct BinaryShape {
  ExtrasLengths extras;
  Presence key = Presence::forbidden;
  Presence value = Presence::forbidden;
  // Looked at with clients that have said HELLO only (kv_engine daemon/mcbp_validators.cc): memcached passes
  // over all these.
  Presence cas = Presence::forbidden;
  uint8_t datatypes = 0;          ///< the bits that may be set
  bool is_of_no_vbucket = false;  ///< then the vbucket has to be 0
};

/// The same, and the CAS may be set.
constexpr BinaryShape with_cas(BinaryShape shape) {
  shape.cas = Presence::optional;
  return shape;
}
/// The same, of a request that is about no vbucket.
constexpr BinaryShape of_no_vbucket(BinaryShape shape) {
  shape.is_of_no_vbucket = true;
  return shape;
}
/// The same, for a value that may be one of `datatypes`.
constexpr BinaryShape with_datatypes(BinaryShape shape, uint8_t datatypes) {
  shape.datatypes = datatypes;
  return shape;
}

/// The shapes of the classic commands, by their first member.
namespace binary_shapes {
inline constexpr BinaryShape kNothing{};                                     ///< noop, version, quit, ...
inline constexpr BinaryShape kKey{.extras = {}, .key = Presence::required};  ///< get*
inline constexpr BinaryShape kDelete = with_cas(kKey);
inline constexpr BinaryShape kAdd = with_datatypes({ExtrasLengths(8), Presence::required, Presence::optional},
                                                   kDatatypeJson | kDatatypeSnappy);
inline constexpr BinaryShape kStore = with_cas(kAdd);
inline constexpr BinaryShape kAppend = with_cas(with_datatypes(
    {ExtrasLengths(0), Presence::required, Presence::optional}, kDatatypeJson | kDatatypeSnappy));
inline constexpr BinaryShape kArithmetic{ExtrasLengths(20), Presence::required, Presence::forbidden};
inline constexpr BinaryShape kTouch{ExtrasLengths(4), Presence::required, Presence::forbidden};
inline constexpr BinaryShape kFlush{ExtrasLengths(0, 4), Presence::forbidden, Presence::forbidden};
inline constexpr BinaryShape kVerbosity{ExtrasLengths(4), Presence::forbidden, Presence::forbidden};
inline constexpr BinaryShape kStat =
    with_datatypes({ExtrasLengths(0), Presence::optional, Presence::optional}, kDatatypeJson);
inline constexpr BinaryShape kSasl{ExtrasLengths(0), Presence::required, Presence::optional};
}  // namespace binary_shapes

/// Of a client that has said HELLO, the rest of its header: success, or invalid_arguments.
BinaryStatus check_marks(const BinaryHeader& header, const BinaryShape& shape);

/// Checks the lengths of a header against a shape. Needs state `header` at least, so that a wrong request is
/// known before its body is there. success, or invalid_arguments: answer it and close, as memcached does. The
/// size of the value is not judged: compare value_bytes with what the bucket takes, and swallow it if too
/// large. `max_key_bytes`: of clients that have agreed on collections one more, for the collection's id.
BinaryStatus check_shape(const BinaryHeader& header, const BinaryShape& shape,
                         size_t max_key_bytes = kMaxBinaryKeyBytes);

// ---- extras of requests. Each reads extras whose length was checked.

struct StoreExtras {
  uint32_t flags;
  uint32_t exptime;
};
inline StoreExtras read_store_extras(std::string_view extras) {
  return {load_big_endian<uint32_t>(extras.data()), load_big_endian<uint32_t>(extras.data() + 4)};
}

/// An exptime of kDoNotCreate means: a missing key stays missing.
inline constexpr uint32_t kDoNotCreate = 0xffffffff;
struct ArithmeticExtras {
  uint64_t delta;
  uint64_t initial;
  uint32_t exptime;
};
inline ArithmeticExtras read_arithmetic_extras(std::string_view extras) {
  return {load_big_endian<uint64_t>(extras.data()), load_big_endian<uint64_t>(extras.data() + 8),
          load_big_endian<uint32_t>(extras.data() + 16)};
}

/// Touch and gat: exptime. Flush: delay, 0 when absent. Verbosity: level.
inline uint32_t read_u32_extras(std::string_view extras) {
  return extras.size() < 4 ? 0 : load_big_endian<uint32_t>(extras.data());
}

}  // namespace bobbin::wire
