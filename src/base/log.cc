#include "base/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>

namespace bobbin::base {
namespace {

spdlog::level::level_enum to_spdlog(LogLevel level) {
  switch (level) {
    case LogLevel::error:
      return spdlog::level::err;
    case LogLevel::warning:
      return spdlog::level::warn;
    case LogLevel::info:
      return spdlog::level::info;
    case LogLevel::debug:
      return spdlog::level::debug;
  }
  return spdlog::level::info;
}

// Shared with spdlog's registry, which is how spdlog hands loggers out.
const std::shared_ptr<spdlog::logger>& logger() {
  static const std::shared_ptr<spdlog::logger> instance = [] {
    auto made = spdlog::stderr_color_mt("bobbin");
    made->set_pattern("%Y-%m-%dT%H:%M:%S.%e %^%l%$ %v");
    return made;
  }();
  return instance;
}

}  // namespace

void log(LogLevel level, std::string_view message) {
  logger()->log(to_spdlog(level), "{}", message);
}

void set_log_level(LogLevel level) {
  logger()->set_level(to_spdlog(level));
}

LogLevel log_level() {
  switch (logger()->level()) {
    case spdlog::level::err:
      return LogLevel::error;
    case spdlog::level::warn:
      return LogLevel::warning;
    case spdlog::level::debug:
      return LogLevel::debug;
    default:
      return LogLevel::info;
  }
}

}  // namespace bobbin::base
