#include <fmt/format.h>

#include "cli/options.h"
#include "cli/serve_command.h"

namespace bobbin::cli {
namespace {

constexpr std::string_view kIntroduction = R"(# Configuration of `bobbin serve`

This page is made from the option table in `src/cli/options.cc` by `bobbin serve --help-markdown`; a test
checks that it is current.

Every option can be given in three ways. A flag wins over the environment variable, that over the file, and
the file over the default. The file is named by `--config` or `BOBBIN_CONFIG` and is TOML with the keys below at
its top level:

```toml
listen = ["127.0.0.1", "[::1]:11212"]
memory = "4GiB"
idle_timeout = "5m"
data = "/var/lib/bobbin"
```

`bobbin serve --config FILE --check` says whether all of it is valid; if not, it names every wrong line, flag
and variable, and ends with 2. An unknown flag, or a file that is not TOML, is told first and by itself.

* A **size** is a number of bytes, or a number with `K`, `M`, `G` or `T` (also `KB`, `KiB` …): powers of 1024.
* A **duration** is a number of seconds, or a number with `ms`, `s`, `m`, `h` or `d`.
* An **address** is a host, `host:port`, `[IPv6]:port` or `unix:/path`. In the environment several are separated
  by commas; the flag is repeated; the file has a list. In place of all addresses `none` means no TCP.
* A **boolean** is `true` or `false`; the flag alone means `true`, and `--flag=false` is possible.
)";

/// What stands in the file for that value.
std::string in_file(OptionType type, const std::string& text) {
  switch (type) {
    case OptionType::port:
    case OptionType::count:
    case OptionType::boolean:
      return text;
    case OptionType::addresses: {
      std::string list = "[\"" + text + "\"]";
      for (size_t at = 0; (at = list.find(", ", at)) != std::string::npos; at += 4)
        list.replace(at, 2, "\", \"");
      return list;
    }
    default:
      return '"' + text + '"';
  }
}

}  // namespace

std::string configuration_markdown() {
  std::string page(kIntroduction);
  const ServeConfig defaults;
  std::string_view group;
  for (const Option& option : serve_options()) {
    if (option.group != group) {
      group = option.group;
      page += fmt::format("\n## {}\n", group);
    }
    const std::string_view value = value_name(option);
    const std::string text = current_text(option, defaults);
    const std::string range = range_text(option);
    page += fmt::format("\n### `{}`\n\n{}.\n\n", option.key, option.help);
    page += fmt::format("* Flag `{}{}{}`, variable `{}`\n", flag_name(option), value.empty() ? "" : " ",
                        value, environment_name(option));
    page +=
        text.empty() ? "* Default: not set\n" : fmt::format("* Default `{}`\n", in_file(option.type, text));
    if (!range.empty()) page += fmt::format("* Range {}\n", range);
  }
  return page;
}

}  // namespace bobbin::cli
