#include "wire/binary_reply.h"

#include <array>

#include "wire/numbers.h"

namespace bobbin::wire {

size_t write_binary_head(char* out, const BinaryHeader& request, const BinaryReply& reply) {
  const size_t before_value = reply.extras.size() + reply.key.size();
  char* const begin = out;
  out = encode_header(out, {.magic = kBinaryReplyMagic,
                            .opcode = request.opcode,
                            .key_bytes = static_cast<uint16_t>(reply.key.size()),
                            .extras_bytes = static_cast<uint8_t>(reply.extras.size()),
                            .datatype = reply.datatype,
                            .vbucket_or_status = static_cast<uint16_t>(reply.status),
                            .body_bytes = static_cast<uint32_t>(before_value) + reply.value_bytes,
                            .opaque = request.opaque,
                            .cas = reply.cas});
  out = put_bytes(out, reply.extras);
  return static_cast<size_t>(put_bytes(out, reply.key) - begin);
}

size_t write_binary_hit(char* out, const BinaryHeader& request, uint32_t flags, uint64_t cas,
                        std::string_view key, uint32_t value_bytes) {
  std::array<char, 4> extras;
  store_big_endian(extras.data(), flags);
  return write_binary_head(out, request,
                           {.status = BinaryStatus::success,
                            .cas = cas,
                            .extras = {extras.data(), extras.size()},
                            .key = key,
                            .value_bytes = value_bytes});
}

size_t write_binary_success(char* out, const BinaryHeader& request, uint64_t cas) {
  return write_binary_head(out, request, {.status = BinaryStatus::success, .cas = cas});
}

size_t write_binary_counter(char* out, const BinaryHeader& request, uint64_t counter, uint64_t cas) {
  const size_t head = write_binary_head(
      out, request, {.status = BinaryStatus::success, .cas = cas, .value_bytes = sizeof(counter)});
  store_big_endian(out + head, counter);
  return head + sizeof(counter);
}

size_t write_binary_error(char* out, const BinaryHeader& request, BinaryStatus status) {
  const std::string_view text = binary_status_text(status);
  const size_t head =
      write_binary_head(out, request, {.status = status, .value_bytes = static_cast<uint32_t>(text.size())});
  put_bytes(out + head, text);
  return head + text.size();
}

size_t write_binary_miss_with_key(char* out, const BinaryHeader& request, std::string_view key) {
  return write_binary_head(out, request, {.status = BinaryStatus::key_not_found, .key = key});
}

size_t write_binary_stat(char* out, const BinaryHeader& request, std::string_view name,
                         std::string_view value) {
  const size_t head =
      write_binary_head(out, request, {.key = name, .value_bytes = static_cast<uint32_t>(value.size())});
  put_bytes(out + head, value);
  return head + value.size();
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
    case BinaryStatus::auth_continue:
      return {};
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
  }
  return {};
}

}  // namespace bobbin::wire
