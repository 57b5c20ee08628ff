#pragma once

#include <string>
#include <tl/expected.hpp>

namespace bobbin::base {

/// A value or the reason why there is none. The reason is an enum on the request path, and an Error (text for
/// a person) at start-up.
template <typename T, typename E>
using Result = tl::expected<T, E>;

/// What went wrong, for a person: names the file, key, address or line that is at fault.
struct Error {
  std::string message;
};

template <typename E>
auto fail(E&& error) {
  return tl::unexpected<std::decay_t<E>>(std::forward<E>(error));
}

}  // namespace bobbin::base
