#pragma once

#include <string>
#include <string_view>

namespace bobbin::wire {

/// `text` as a JSON string with its quotes (RFC 8259, section 7). Bytes that are not UTF-8 become U+FFFD.
/// Control characters are escaped, so that the result is also safe to show on a terminal.
[[nodiscard]] std::string json_string(std::string_view text);

}  // namespace bobbin::wire
