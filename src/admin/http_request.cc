#include "admin/http_request.h"

#include <algorithm>

#include "wire/base64.h"
#include "wire/utf8.h"

namespace bobbin::admin {
namespace {

constexpr size_t kMaxFormFields = 256;

int digit_of(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

enum class Plus : uint8_t { plus, space };

std::optional<std::string> decode(std::string_view text, Plus plus) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && plus == Plus::space) {
      out += ' ';
    } else if (text[i] == '%') {
      if (text.size() - i < 3) return std::nullopt;
      const int high = digit_of(text[i + 1]);
      const int low = digit_of(text[i + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      out += static_cast<char>(high * 16 + low);
      i += 2;
    } else {
      out += text[i];
    }
  }
  if (!wire::is_utf8(out) || out.find('\0') != std::string::npos) return std::nullopt;
  return out;
}

}  // namespace

std::optional<Form> parse_form(std::string_view text) {
  Form form;
  while (!text.empty()) {
    const size_t end = std::min(text.find('&'), text.size());
    const std::string_view field = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (field.empty()) continue;
    const size_t equals = std::min(field.find('='), field.size());
    auto name = decode(field.substr(0, equals), Plus::space);
    auto value = decode(field.substr(std::min(equals + 1, field.size())), Plus::space);
    if (!name || !value || form.size() == kMaxFormFields) return std::nullopt;
    form.emplace_back(std::move(*name), std::move(*value));
  }
  return form;
}

const std::string* form_value(const Form& form, std::string_view name) {
  const auto found =
      std::find_if(form.rbegin(), form.rend(), [&](const auto& field) { return field.first == name; });
  return found == form.rend() ? nullptr : &found->second;
}

std::optional<std::vector<std::string>> path_segments(std::string_view target) {
  std::string_view path = target.substr(0, target.find('?'));
  if (!path.starts_with('/')) return std::nullopt;
  path.remove_prefix(1);
  if (path.ends_with('/')) path.remove_suffix(1);
  std::vector<std::string> segments;
  while (!path.empty()) {
    const size_t end = std::min(path.find('/'), path.size());
    auto segment = decode(path.substr(0, end), Plus::plus);
    if (!segment) return std::nullopt;
    segments.push_back(std::move(*segment));
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return segments;
}

std::string_view query_of(std::string_view target) {
  const size_t mark = target.find('?');
  return mark == std::string_view::npos ? std::string_view() : target.substr(mark + 1);
}

std::optional<BasicLogin> parse_basic_login(std::string_view header) {
  constexpr std::string_view kScheme = "basic ";
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  if (header.size() <= kScheme.size() || !std::equal(kScheme.begin(), kScheme.end(), header.begin(),
                                                     [&](char a, char b) { return a == lower(b); }))
    return std::nullopt;
  std::string_view text = header.substr(kScheme.size());
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  std::string decoded(text.size() / 4 * 3 + 3, '\0');
  const auto n = wire::decode_base64(text, decoded.data());
  if (!n) return std::nullopt;
  decoded.resize(*n);
  const size_t colon = decoded.find(':');
  if (colon == std::string::npos) return std::nullopt;
  return BasicLogin{decoded.substr(0, colon), decoded.substr(colon + 1)};
}

}  // namespace bobbin::admin
