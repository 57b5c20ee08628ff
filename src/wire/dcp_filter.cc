#include "wire/dcp_filter.h"

#include <array>
#include <charconv>
#include <limits>

#include "wire/json_value.h"

namespace bobbin::wire {
namespace {

// All of a text, in base 10 or 16, without sign or 0x.
template <typename Number>
std::optional<Number> number_in(const JsonValue& value, int base) {
  const std::string* const text = value.string();
  if (text == nullptr) return std::nullopt;
  Number number{};
  const char* const end = text->data() + text->size();
  const auto [rest, problem] = std::from_chars(text->data(), end, number, base);
  if (problem != std::errc{} || rest != end) return std::nullopt;
  return number;
}

// False where the member is there and is no such number.
template <typename Number>
bool read_number(const JsonValue& object, std::string_view name, int base, std::optional<Number>& number) {
  const JsonValue* const member = object.member(name);
  if (member == nullptr) return true;
  number = number_in<Number>(*member, base);
  return number.has_value();
}

bool read_collections(const JsonValue& object, DcpFilter& filter) {
  const JsonValue* const member = object.member("collections");
  if (member == nullptr) return true;
  if (member->array() == nullptr) return false;
  filter.collections.emplace();
  for (const JsonValue& element : *member->array()) {
    const std::optional<uint32_t> id = number_in<uint32_t>(element, 16);
    if (!id) return false;
    filter.collections->push_back(*id);
  }
  return true;
}

bool read_stream_id(const JsonValue& object, DcpFilter& filter) {
  const JsonValue* const member = object.member("sid");
  if (member == nullptr) return true;
  const std::optional<uint64_t> id = member->number();
  if (!id || *id == 0 || *id > std::numeric_limits<uint16_t>::max()) return false;
  filter.stream_id = static_cast<uint16_t>(*id);
  return true;
}

template <typename Number>
std::string in_base(Number number, int base) {
  std::array<char, 20> digits;
  return {digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), number, base).ptr};
}

}  // namespace

std::optional<DcpFilter> read_dcp_filter(std::string_view text) {
  DcpFilter filter;
  if (text.empty()) return filter;
  if (text.size() > kMaxDcpFilterBytes) return std::nullopt;
  const std::optional<JsonValue> object = JsonValue::parse(text);
  if (!object || object->object() == nullptr) return std::nullopt;
  if (!read_number(*object, "uid", 16, filter.manifest_uid) ||
      !read_number(*object, "scope", 16, filter.scope) ||
      !read_number(*object, "purge_seqno", 10, filter.purge_seqno) || !read_stream_id(*object, filter) ||
      !read_collections(*object, filter))
    return std::nullopt;
  if (filter.scope && filter.collections) return std::nullopt;
  return filter;
}

std::string dcp_filter_text(const DcpFilter& filter) {
  std::string text;
  const auto add = [&text](std::string_view name, std::string_view value) {
    text += text.empty() ? "{\"" : ",\"";
    text.append(name).append("\":").append(value);
  };
  const auto quoted = [](const std::string& number) { return '"' + number + '"'; };
  if (filter.manifest_uid) add("uid", quoted(in_base(*filter.manifest_uid, 16)));
  if (filter.stream_id) add("sid", in_base(*filter.stream_id, 10));
  if (filter.collections) {
    std::string list = "[";
    for (const uint32_t id : *filter.collections) {
      if (list.size() > 1) list += ',';
      list += quoted(in_base(id, 16));
    }
    add("collections", list + ']');
  }
  if (filter.scope) add("scope", quoted(in_base(*filter.scope, 16)));
  if (filter.purge_seqno) add("purge_seqno", quoted(in_base(*filter.purge_seqno, 10)));
  if (!text.empty()) text += '}';
  return text;
}

}  // namespace bobbin::wire
