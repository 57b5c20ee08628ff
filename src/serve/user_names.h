#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>

#include "wire/utf8.h"

namespace bobbin::serve {

// Couchbase's limit for names, and one for what a login has to read.
inline constexpr size_t kMaxUserNameBytes = 128;
inline constexpr size_t kMaxPasswordBytes = 512;

/// UTF-8 without control characters, spaces and ( ) < > , ; : \ " / [ ] ? = { }, and without a @ at its
/// beginning: what Couchbase takes.
[[nodiscard]] inline bool is_user_name(std::string_view name) {
  constexpr std::string_view kForbidden = " ()<>,;:\\\"/[]?={}";
  return !name.empty() && name.size() <= kMaxUserNameBytes && wire::is_utf8(name) && name.front() != '@' &&
         std::none_of(name.begin(), name.end(), [&](char c) {
           return (c >= 0 && c < ' ') || c == 0x7f || kForbidden.find(c) != std::string_view::npos;
         });
}

/// UTF-8 without NUL, which ends a password in SASL PLAIN.
[[nodiscard]] inline bool is_password_text(std::string_view password) {
  return !password.empty() && password.size() <= kMaxPasswordBytes && wire::is_utf8(password) &&
         password.find('\0') == std::string_view::npos;
}

}  // namespace bobbin::serve
