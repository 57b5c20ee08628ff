#include "wire/text_reply.h"

namespace bobbin::wire {
namespace {

char* put_value_words(char* out, std::string_view key, uint32_t flags, uint32_t value_bytes) {
  out = put_bytes(out, "VALUE ");
  out = put_bytes(out, key);
  *out++ = ' ';
  out = put_number(out, flags);
  *out++ = ' ';
  return put_number(out, value_bytes);
}

size_t finish(char* begin, char* end) {
  end = put_bytes(end, kLineEnd);
  return static_cast<size_t>(end - begin);
}

char* put_stat_name(char* out, std::string_view name) {
  out = put_bytes(out, "STAT ");
  out = put_bytes(out, name);
  *out++ = ' ';
  return out;
}

}  // namespace

size_t write_value_line(char* out, std::string_view key, uint32_t flags, uint32_t value_bytes) {
  return finish(out, put_value_words(out, key, flags, value_bytes));
}

size_t write_value_line(char* out, std::string_view key, uint32_t flags, uint32_t value_bytes, uint64_t cas) {
  char* end = put_value_words(out, key, flags, value_bytes);
  *end++ = ' ';
  return finish(out, put_number(end, cas));
}

size_t write_number_line(char* out, uint64_t number) {
  return finish(out, put_number(out, number));
}

size_t write_stat_line(char* out, std::string_view name, std::string_view value) {
  return finish(out, put_bytes(put_stat_name(out, name), value));
}

size_t write_stat_line(char* out, std::string_view name, uint64_t value) {
  return finish(out, put_number(put_stat_name(out, name), value));
}

size_t write_version_line(char* out, std::string_view version) {
  return finish(out, put_bytes(put_bytes(out, "VERSION "), version));
}

}  // namespace bobbin::wire
