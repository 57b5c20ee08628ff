#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "fuzz_check.h"
#include "readers.h"
#include "wire/binary.h"

/// The binary codec on arbitrary bytes: frames never exceed what is there, parts add up to the body, headers
/// round-trip, every reply to what was read decodes to what was asked for.

namespace bobbin::fuzz {
namespace {

using namespace wire;  // NOLINT(google-build-using-namespace): this file is about nothing else

constexpr BinaryStatus kStatuses[] = {
    BinaryStatus::success,         BinaryStatus::key_not_found,     BinaryStatus::key_exists,
    BinaryStatus::too_large,       BinaryStatus::invalid_arguments, BinaryStatus::not_stored,
    BinaryStatus::unknown_command, BinaryStatus::out_of_memory,     BinaryStatus::non_numeric};

void check_header(const BinaryHeader& header, std::string_view unread) {
  std::array<char, kBinaryHeaderBytes> out;
  BOBBIN_FUZZ_CHECK(encode_header(out.data(), header) == out.data() + out.size());
  BOBBIN_FUZZ_CHECK(std::string_view(out.data(), out.size()) == unread.substr(0, out.size()));
}

void check_shapes(const BinaryRequest& request, FrameState state) {
  using namespace binary_shapes;  // NOLINT(google-build-using-namespace)
  for (const BinaryShape& shape :
       {kNothing, kKey, kStore, kAppend, kArithmetic, kTouch, kFlush, kVerbosity, kStat, kSasl}) {
    if (check_shape(request.header, shape) != BinaryStatus::success) continue;
    BOBBIN_FUZZ_CHECK(state != FrameState::bad_lengths);
    BOBBIN_FUZZ_CHECK(request.header.key_bytes <= kMaxBinaryKeyBytes);
    BOBBIN_FUZZ_CHECK(shape.extras.has(request.header.extras_bytes));
    BOBBIN_FUZZ_CHECK(shape.value != Presence::forbidden || request.value_bytes == 0);
  }
}

void check_replies(const BinaryRequest& request) {
  std::array<char, kMaxBinaryHeadBytes> out;
  for (const BinaryStatus status : kStatuses) {
    const size_t size = write_binary_error(out.data(), request.header, status);
    BOBBIN_FUZZ_CHECK(size <= kMaxBinaryErrorBytes);
    const BinaryHeader reply = decode_header(out.data());
    BOBBIN_FUZZ_CHECK(reply.magic == kBinaryReplyMagic && reply.opcode == request.header.opcode);
    BOBBIN_FUZZ_CHECK(reply.opaque == request.header.opaque);
    BOBBIN_FUZZ_CHECK(reply.body_bytes == size - kBinaryHeaderBytes);
  }
  if (request.key.size() > kMaxBinaryKeyBytes) return;
  const size_t size =
      write_binary_head(out.data(), request.header,
                        {.cas = request.header.cas, .extras = "1234", .key = request.key, .value_bytes = 1});
  BOBBIN_FUZZ_CHECK(size == kBinaryHeaderBytes + 4 + request.key.size());
  BOBBIN_FUZZ_CHECK(decode_header(out.data()).body_bytes == 4 + request.key.size() + 1);
}

void check_frames(std::string_view unread) {
  while (true) {
    BinaryRequest request;
    const FrameState state = cut_frame(unread, request);
    if (state == FrameState::incomplete || state == FrameState::bad_magic) return;
    check_header(request.header, unread);
    check_shapes(request, state);
    if (state == FrameState::bad_lengths) return;
    BOBBIN_FUZZ_CHECK(uint64_t{request.header.extras_bytes} + request.header.key_bytes +
                          request.value_bytes ==
                      request.header.body_bytes);
    if (state == FrameState::header) {
      BOBBIN_FUZZ_CHECK(unread.size() < request.head_bytes());
      return;
    }
    BOBBIN_FUZZ_CHECK(lies_in(request.extras, unread) && lies_in(request.key, unread));
    BOBBIN_FUZZ_CHECK(lies_in(request.value, unread) && request.value.size() <= request.value_bytes);
    check_replies(request);
    if (state == FrameState::head) return;
    BOBBIN_FUZZ_CHECK(request.value.size() == request.value_bytes && request.frame_bytes() <= unread.size());
    unread.remove_prefix(static_cast<size_t>(request.frame_bytes()));
  }
}

}  // namespace
}  // namespace bobbin::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace bobbin;  // NOLINT(google-build-using-namespace)
  if (size == 0) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  fuzz::check_frames(input);
  // The last byte also says where to split.
  const size_t at = data[size - 1] * size / 256;
  wire_tests::BinaryReader whole;
  whole.feed(input);
  wire_tests::BinaryReader split;
  split.feed(input.substr(0, at));
  split.feed(input.substr(at));
  BOBBIN_FUZZ_CHECK(whole.events() == split.events() && whole.closed() == split.closed());
  return 0;
}
