#include "serve/command_names.h"

#include "serve/binary_commands.h"
#include "serve/text_commands.h"

namespace bobbin::serve {
namespace {

using Names = std::array<CommandName, CommandTimes::kCommands>;

Names read_tables() {
  Names names{};
  size_t place = 0;
  for (const TextCommand& row : text_commands())
    names.at(place++) = {"text", row.verb};
  place = CommandTimes::kMeta;
  for (const MetaCommandRow& row : meta_commands())
    names.at(place++) = {"meta", row.verb};
  for_each_binary_command([&](const BinaryCommand& row) {
    CommandName& name = names.at(CommandTimes::kBinary + static_cast<size_t>(row.opcode));
    if (name.name.empty()) name = {"binary", row.name};
  });
  return names;
}

}  // namespace

const Names& command_names() {
  static const Names kNames = read_tables();
  return kNames;
}

}  // namespace bobbin::serve
