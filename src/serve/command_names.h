#pragma once

#include <array>
#include <string_view>

#include "serve/command_times.h"

namespace bobbin::serve {

struct CommandName {
  std::string_view protocol;  ///< "text", "meta" or "binary"
  std::string_view name;      ///< empty: there is no such command
};

/// By CommandTimes' numbers. An opcode that means something else to each of two audiences has the first's
/// name. Any thread.
[[nodiscard]] const std::array<CommandName, CommandTimes::kCommands>& command_names();

}  // namespace bobbin::serve
