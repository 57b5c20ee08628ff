#include "wire/binary.h"

namespace bobbin::wire {

FrameState cut_frame(std::string_view unread, BinaryRequest& request, bool flexible) {
  if (unread.empty()) return FrameState::incomplete;
  const auto magic = static_cast<uint8_t>(unread[0]);
  if (magic != kBinaryRequestMagic && !(flexible && magic == kFlexibleRequestMagic)) [[unlikely]]
    return FrameState::bad_magic;
  if (unread.size() < kBinaryHeaderBytes) return FrameState::incomplete;

  request = BinaryRequest{};
  request.header = decode_header(unread.data());
  const BinaryHeader& header = request.header;
  const uint32_t before_value = header.before_value();
  if (before_value > header.body_bytes) return FrameState::bad_lengths;
  request.value_bytes = header.body_bytes - before_value;
  if (unread.size() < request.head_bytes()) return FrameState::header;

  request.framing = unread.substr(kBinaryHeaderBytes, header.framing_bytes);
  request.extras = unread.substr(kBinaryHeaderBytes + header.framing_bytes, header.extras_bytes);
  request.key = unread.substr(request.head_bytes() - header.key_bytes, header.key_bytes);
  request.wire_key = request.key;
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

BinaryStatus check_marks(const BinaryHeader& header, const BinaryShape& shape) {
  const bool fine = allows(shape.cas, header.cas == 0 ? 0 : 1) &&
                    (!shape.is_of_no_vbucket || header.vbucket_or_status == 0) &&
                    (header.datatype & static_cast<uint8_t>(~shape.datatypes)) == 0;
  return fine ? BinaryStatus::success : BinaryStatus::invalid_arguments;
}

BinaryStatus check_shape(const BinaryHeader& header, const BinaryShape& shape, size_t max_key_bytes) {
  const uint32_t before_value = header.before_value();
  const bool fine = before_value <= header.body_bytes && header.key_bytes <= max_key_bytes &&
                    shape.extras.has(header.extras_bytes) && allows(shape.key, header.key_bytes) &&
                    allows(shape.value, header.body_bytes - before_value);
  return fine ? BinaryStatus::success : BinaryStatus::invalid_arguments;
}

}  // namespace bobbin::wire
