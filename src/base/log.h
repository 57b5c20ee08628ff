#pragma once

#include <string_view>

namespace bobbin::base {

enum class LogLevel { error, warning, info, debug };

/// Lines for the operator on standard error, one per event, with time and level. Any thread; a line is
/// written whole. Not for the request path.
void log(LogLevel level, std::string_view message);

/// What is less important than this is not written. Any thread.
void set_log_level(LogLevel level);
[[nodiscard]] LogLevel log_level();

}  // namespace bobbin::base
