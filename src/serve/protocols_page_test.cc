// docs/protocols.md names every command of the tables, with the help of its row.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>

#include "serve/binary_commands.h"
#include "serve/text_commands.h"

namespace bobbin::serve {
namespace {

TEST(ProtocolsPage, NamesEveryCommand) {
  std::ifstream file(BOBBIN_SOURCE_FOLDER "/docs/protocols.md");
  const std::string page{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  ASSERT_FALSE(page.empty());
  const auto expect_line = [&](std::string_view verb, std::string_view help) {
    EXPECT_NE(page.find(fmt::format("| `{}` | {} |", verb, help)), std::string::npos) << verb;
  };
  for (const TextCommand& row : text_commands())
    expect_line(row.verb, row.help);
  for (const MetaCommandRow& row : meta_commands())
    expect_line(row.verb, row.help);
  for (const BinaryCommand& row : classic_commands())
    EXPECT_NE(page.find(fmt::format("`{}`", row.name)), std::string::npos) << row.name;
}

}  // namespace
}  // namespace bobbin::serve
