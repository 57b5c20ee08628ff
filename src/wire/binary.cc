#include "wire/binary.h"

namespace bobbin::wire {

FrameState cut_frame(std::string_view unread, BinaryRequest& request) {
  if (unread.empty()) return FrameState::incomplete;
  if (static_cast<uint8_t>(unread[0]) != kBinaryRequestMagic) return FrameState::bad_magic;
  if (unread.size() < kBinaryHeaderBytes) return FrameState::incomplete;

  request = BinaryRequest{};
  request.header = decode_header(unread.data());
  const BinaryHeader& header = request.header;
  // At most 255 + 65535: the sum cannot wrap, whatever was sent.
  const uint32_t before_value = uint32_t{header.extras_bytes} + header.key_bytes;
  if (before_value > header.body_bytes) return FrameState::bad_lengths;
  request.value_bytes = header.body_bytes - before_value;
  if (unread.size() < request.head_bytes()) return FrameState::header;

  request.extras = unread.substr(kBinaryHeaderBytes, header.extras_bytes);
  request.key = unread.substr(kBinaryHeaderBytes + header.extras_bytes, header.key_bytes);
  request.value = unread.substr(request.head_bytes(), request.value_bytes);
  return request.value.size() < request.value_bytes ? FrameState::head : FrameState::complete;
}

namespace {

bool allows(Presence presence, uint32_t bytes) {
  switch (presence) {
    case Presence::forbidden:
      return bytes == 0;
    case Presence::required:
      return bytes != 0;
    case Presence::optional:
      return true;
  }
  return false;
}

}  // namespace

BinaryStatus check_shape(const BinaryHeader& header, const BinaryShape& shape) {
  const uint32_t before_value = uint32_t{header.extras_bytes} + header.key_bytes;
  const bool fine = before_value <= header.body_bytes && header.key_bytes <= kMaxBinaryKeyBytes &&
                    shape.extras.has(header.extras_bytes) && allows(shape.key, header.key_bytes) &&
                    allows(shape.value, header.body_bytes - before_value);
  return fine ? BinaryStatus::success : BinaryStatus::invalid_arguments;
}

}  // namespace bobbin::wire
