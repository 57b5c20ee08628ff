#include "wire/meta.h"

#include "wire/numbers.h"

namespace bobbin::wire {
namespace {

/// Every flag of every command. L and P are for proxies in front of a server, which ignores them.
constexpr FlagSet kKnownFlags("bcfhklqstuvxCDEFIJLMNOPRT");

template <typename Number>
MetaStatus read(std::string_view token, Number& into, MetaStatus otherwise) {
  const std::optional<Number> number = parse_number<Number>(token);
  if (!number) return otherwise;
  into = *number;
  return MetaStatus::ok;
}

MetaStatus read_mode(MetaCommand command, std::string_view token, MetaMode& mode) {
  if (token.size() != 1) return MetaStatus::mode_length;
  if (command == MetaCommand::set) {
    switch (token[0]) {
      case 'S':
        mode = MetaMode::set;
        return MetaStatus::ok;
      case 'E':
        mode = MetaMode::add;
        return MetaStatus::ok;
      case 'A':
        mode = MetaMode::append;
        return MetaStatus::ok;
      case 'P':
        mode = MetaMode::prepend;
        return MetaStatus::ok;
      case 'R':
        mode = MetaMode::replace;
        return MetaStatus::ok;
      default:
        return MetaStatus::bad_set_mode;
    }
  }
  if (command == MetaCommand::arithmetic) {
    switch (token[0]) {
      case 'I':
      case '+':
        mode = MetaMode::increment;
        return MetaStatus::ok;
      case 'D':
      case '-':
        mode = MetaMode::decrement;
        return MetaStatus::ok;
      default:
        return MetaStatus::bad_arithmetic_mode;
    }
  }
  return MetaStatus::ok;
}

/// Makes `key` of `sent_key`, which is not longer than a base64 key.
MetaStatus decode_key(MetaKeyBuffer& key_buffer, MetaRequest& request) {
  const std::optional<size_t> decoded = decode_base64(request.sent_key, key_buffer.data());
  if (!decoded) return MetaStatus::bad_key_encoding;
  request.key = {key_buffer.data(), *decoded};
  return MetaStatus::ok;
}

/// What stands behind the letter of a flag. Letters without a token ignore it, as in memcached.
MetaStatus read_token(MetaCommand command, char letter, std::string_view token, MetaKeyBuffer& key_buffer,
                      MetaRequest& request) {
  switch (letter) {
    case 'b':
      return decode_key(key_buffer, request);
    case 'T':
      return read(token, request.ttl, MetaStatus::bad_token);
    case 'N':
      return read(token, request.vivify_ttl, MetaStatus::bad_token);
    case 'R':
      return read(token, request.recache_ttl, MetaStatus::bad_token);
    case 'C':
      return read(token, request.compare_cas, MetaStatus::bad_token);
    case 'E':
      return read(token, request.new_cas, MetaStatus::bad_token);
    case 'F':
      return read(token, request.client_flags, MetaStatus::bad_client_flags);
    case 'D':
      return read(token, request.delta, MetaStatus::bad_delta);
    case 'J':
      return read(token, request.initial, MetaStatus::bad_initial);
    case 'M':
      return read_mode(command, token, request.mode);
    case 'O':
      request.opaque = token;
      return token.size() <= kMaxOpaqueBytes ? MetaStatus::ok : MetaStatus::opaque_too_long;
    default:
      return MetaStatus::ok;
  }
}

/// Checks the letters and notes them. memcached judges all letters before any token, and their number first.
MetaStatus read_letters(size_t most, Words words, MetaRequest& request) {
  MetaStatus status = MetaStatus::ok;
  size_t count = 0;
  for (std::string_view word = words.next(); !word.empty(); word = words.next()) {
    if (++count > most) return MetaStatus::too_many_flags;
    const char letter = word[0];
    if (status != MetaStatus::ok) continue;
    if (!FlagSet::is_letter(letter) || !kKnownFlags.has(letter)) {
      status = MetaStatus::invalid_flag;
    } else if (request.flags.has(letter)) {
      status = MetaStatus::duplicate_flag;
    } else {
      request.flags.insert(letter);
      request.order[request.flag_count++] = letter;
    }
  }
  return status;
}

/// Opaque and mode are judged where they are used, after all tokens have been read.
bool is_judged_late(MetaStatus status) {
  return status == MetaStatus::opaque_too_long || status == MetaStatus::bad_set_mode ||
         status == MetaStatus::bad_arithmetic_mode;
}

/// Of several wrong tokens memcached reports the last, one of F only if it is the first, and one that is
/// judged late only if there is no other.
MetaStatus read_tokens(MetaCommand command, Words words, MetaKeyBuffer& key_buffer, MetaRequest& request) {
  MetaStatus early = MetaStatus::ok;
  MetaStatus late = MetaStatus::ok;
  for (std::string_view word = words.next(); !word.empty(); word = words.next()) {
    const MetaStatus status = read_token(command, word[0], word.substr(1), key_buffer, request);
    if (status == MetaStatus::ok) continue;
    if (is_judged_late(status)) {
      if (late == MetaStatus::ok) late = status;
    } else if (early == MetaStatus::ok || status != MetaStatus::bad_client_flags) {
      early = status;
    }
  }
  return early != MetaStatus::ok ? early : late;
}

/// me looks for a bare b and minds nothing else.
MetaStatus parse_debug(Words words, MetaKeyBuffer& key_buffer, MetaRequest& request) {
  for (std::string_view word = words.next(); !word.empty(); word = words.next()) {
    if (word == "b") request.flags.insert('b');
  }
  if (request.has('b') && decode_key(key_buffer, request) != MetaStatus::ok) return MetaStatus::bad_format;
  return request.key.size() <= kMaxKeyBytes ? MetaStatus::ok : MetaStatus::bad_format;
}

bool read_value_bytes(std::string_view word, MetaRequest& request) {
  const std::optional<uint32_t> number = parse_number<uint32_t>(word);
  if (!number || *number > kMaxAnnouncedBytes) return false;
  request.value_bytes = *number;
  return true;
}

}  // namespace

MetaStatus parse_meta(const MetaShape& shape, std::string_view arguments, MetaKeyBuffer& key_buffer,
                      MetaRequest& request) {
  request = MetaRequest{};
  if (shape.command == MetaCommand::noop) return MetaStatus::ok;
  if (shape.command == MetaCommand::arithmetic) request.mode = MetaMode::increment;
  Words words(arguments);
  request.sent_key = words.next();
  if (request.sent_key.empty()) return MetaStatus::no_key;
  request.key = request.sent_key;
  if (request.sent_key.size() > kMaxEncodedKeyBytes) return MetaStatus::bad_format;
  if (shape.command == MetaCommand::debug) return parse_debug(words, key_buffer, request);

  const bool is_set = shape.command == MetaCommand::set;
  const std::string_view length = is_set ? words.next() : std::string_view{};
  MetaStatus status = read_letters(is_set ? kMaxMetaFlags - 1 : kMaxMetaFlags, words, request);
  // A key that is too long is the first thing to be wrong with a line, unless it was sent in base64.
  if (request.sent_key.size() > kMaxKeyBytes && !request.has('b')) return MetaStatus::bad_format;
  if (status == MetaStatus::too_many_flags) return status;
  if (is_set && !read_value_bytes(length, request)) return MetaStatus::bad_format;
  if (status == MetaStatus::ok) status = read_tokens(shape.command, words, key_buffer, request);
  if (status == MetaStatus::ok && request.key.size() > kMaxKeyBytes) return MetaStatus::bad_format;
  request.swallow_value = is_set && status != MetaStatus::ok;
  return status;
}

namespace {

/// md and ma do not say what is wrong with a flag, unless it is one that is judged late.
bool concerns_flags(MetaStatus status) {
  switch (status) {
    case MetaStatus::invalid_flag:
    case MetaStatus::duplicate_flag:
    case MetaStatus::bad_token:
    case MetaStatus::bad_client_flags:
    case MetaStatus::bad_delta:
    case MetaStatus::bad_initial:
    case MetaStatus::mode_length:
    case MetaStatus::bad_key_encoding:
      return true;
    default:
      return false;
  }
}

}  // namespace

std::string_view meta_error(MetaCommand command, MetaStatus status) {
  const bool vague = command == MetaCommand::remove || command == MetaCommand::arithmetic;
  if (vague && concerns_flags(status)) return "CLIENT_ERROR invalid or duplicate flag\r\n";
  if (command == MetaCommand::debug) return kBadFormat;
  switch (status) {
    case MetaStatus::ok:
      return {};
    case MetaStatus::no_key:
      return kError;
    case MetaStatus::bad_format:
    case MetaStatus::bad_client_flags:
      return kBadFormat;
    case MetaStatus::too_many_flags:
      return command == MetaCommand::get ? "CLIENT_ERROR options flags are too long\r\n"
                                         : "CLIENT_ERROR options flags too long\r\n";
    case MetaStatus::invalid_flag:
      return "CLIENT_ERROR invalid flag\r\n";
    case MetaStatus::duplicate_flag:
      return "CLIENT_ERROR duplicate flag\r\n";
    case MetaStatus::bad_token:
      return "CLIENT_ERROR bad token in command line format\r\n";
    case MetaStatus::bad_delta:
      return "CLIENT_ERROR invalid numeric delta value\r\n";
    case MetaStatus::bad_initial:
      return "CLIENT_ERROR invalid numeric initial value\r\n";
    case MetaStatus::opaque_too_long:
      return "CLIENT_ERROR opaque token too long\r\n";
    case MetaStatus::mode_length:
      return "CLIENT_ERROR incorrect length for M token\r\n";
    case MetaStatus::bad_set_mode:
      return "CLIENT_ERROR invalid mode for ms M token\r\n";
    case MetaStatus::bad_arithmetic_mode:
      return "CLIENT_ERROR invalid mode for ma M token\r\n";
    case MetaStatus::bad_key_encoding:
      return "CLIENT_ERROR error decoding key\r\n";
  }
  return kError;
}

}  // namespace bobbin::wire
