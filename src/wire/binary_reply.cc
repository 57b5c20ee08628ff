#include "wire/binary_reply.h"

#include "wire/numbers.h"

namespace bobbin::wire {

size_t write_binary_head(char* out, const BinaryHeader& request, const BinaryReply& reply) {
  const size_t before_value = reply.framing.size() + reply.extras.size() + reply.key.size();
  char* const begin = out;
  out = encode_header(out, {.magic = reply.framing.empty() ? kBinaryReplyMagic : kFlexibleReplyMagic,
                            .opcode = request.opcode,
                            .key_bytes = static_cast<uint16_t>(reply.key.size()),
                            .extras_bytes = static_cast<uint8_t>(reply.extras.size()),
                            .datatype = reply.datatype,
                            .vbucket_or_status = static_cast<uint16_t>(reply.status),
                            .body_bytes = static_cast<uint32_t>(before_value) + reply.value_bytes,
                            .opaque = request.opaque,
                            .cas = reply.cas,
                            .framing_bytes = static_cast<uint8_t>(reply.framing.size())});
  out = put_bytes(out, reply.framing);
  out = put_bytes(out, reply.extras);
  return static_cast<size_t>(put_bytes(out, reply.key) - begin);
}

size_t write_binary_error(char* out, const BinaryHeader& request, BinaryStatus status,
                          std::string_view framing) {
  const std::string_view text = binary_status_text(status);
  const size_t head = write_binary_head(
      out, request,
      {.status = status, .framing = framing, .value_bytes = static_cast<uint32_t>(text.size())});
  put_bytes(out + head, text);
  return head + text.size();
}

std::string_view binary_status_text(BinaryStatus status) {
  switch (status) {
    case BinaryStatus::success:
      return {};
    case BinaryStatus::key_not_found:
      return "Not found";
    case BinaryStatus::key_exists:
      return "Data exists for key.";
    case BinaryStatus::too_large:
      return "Too large.";
    case BinaryStatus::invalid_arguments:
      return "Invalid arguments";
    case BinaryStatus::not_stored:
      return "Not stored.";
    case BinaryStatus::non_numeric:
      return "Non-numeric server-side value for incr or decr";
    case BinaryStatus::auth_error:
      return "Auth failure.";
    case BinaryStatus::unknown_command:
      return "Unknown command";
    case BinaryStatus::out_of_memory:
      return "Out of memory";
    case BinaryStatus::not_supported:
      return "Not supported";
    case BinaryStatus::internal_error:
      return "Internal error";
    case BinaryStatus::busy:
      return "Busy";
    case BinaryStatus::temporary_failure:
      return "Temporary failure";
    default:
      return {};  // of Couchbase's: its clients know the number
  }
}

}  // namespace bobbin::wire
