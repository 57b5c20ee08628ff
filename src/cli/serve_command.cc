#include "cli/serve_command.h"

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>

#include "base/log.h"
#include "cli/load_config.h"
#include "cli/quantity.h"
#include "cli/seeding.h"

namespace bobbin::cli {
namespace {

enum ServeExit : int { kServeOk = 0, kServeConfigWrong = 2 };

/// `--memory` without a size asks for a cache of the default size.
std::vector<std::string> with_sizes(std::vector<std::string> words) {
  for (size_t i = 0; i < words.size(); ++i) {
    if (words[i] != "--memory") continue;
    const bool has_size = i + 1 < words.size() && !words[i + 1].starts_with('-');
    if (!has_size) words[i] += "=" + format_size(ServeConfig{}.memory_bytes);
  }
  return words;
}

int report(const std::vector<base::Error>& errors) {
  for (const base::Error& error : errors)
    fmt::print(stderr, "{}\n", error.message);
  return kServeConfigWrong;
}

}  // namespace

CommandLine serve_line() {
  CommandLine line;
  line.usage = "serve [options]";
  line.summary = "Runs the server in the foreground until SIGTERM or Ctrl-C.";
  line.details =
      "Every option is also a key of the configuration file (max_item_size for --max-item-size) and an "
      "environment variable (BOBBIN_MAX_ITEM_SIZE). A flag wins over the environment, the environment over "
      "the "
      "file. Sizes are written 512K, 64M or 4GiB; durations 500ms, 30s or 5m.\n\n"
      "What is stored is kept in a data directory, and is there again after a restart; docs/durability.md "
      "says "
      "what a crash may take. With --memory and no --data it is a cache, as memcached is one; --memory "
      "alone, "
      "without a size, is one of 64M.\n\n"
      "Ends with 0 after SIGTERM or Ctrl-C, 1 if it cannot start, 2 if the configuration is wrong or does "
      "not "
      "fit the data directory, 4 if data is damaged, 5 if the disk is full or cannot be used, or another "
      "server has the directory, or if at the end not everything is on disk. A second signal ends it at "
      "once, as "
      "kill -9 does, with 128 and the signal's number.";
  line.flags = {
      {"--config", 'c', "FILE", "Read options from this TOML file", "Configuration",
       "default $BOBBIN_CONFIG"},
      {"--check", 0, "", "Say whether the configuration is valid, and end", "Configuration"},
      {"--help-markdown", 0, "", "Print docs/configuration.md, and end", "Configuration"},
  };
  for (Flag& flag : serve_flags())
    line.flags.push_back(std::move(flag));
  line.examples =
      "bobbin serve\n"
      "bobbin serve --data /var/lib/bobbin --memory 4G --durability disk\n"
      "bobbin serve --memory 4G --threads 4\n"
      "bobbin serve --listen none --unix-socket /run/bobbin.sock\n"
      "bobbin serve --config /etc/bobbin.toml --check";
  return line;
}

int serve_command(int argc, char** argv) {
  return serve_with([](const ServeConfig& config) { return start_server(config); }, argc, argv);
}

int serve_with(const StartServer& start, int argc, char** argv) {
  const CommandLine line = serve_line();
  const auto arguments = parse_arguments(line, with_sizes({argv + 1, argv + argc}));
  if (!arguments) return report({arguments.error()});
  if (arguments->help() || arguments->has("--help-markdown")) {
    fmt::print("{}", arguments->help() ? help_text(line) : configuration_markdown());
    return kServeOk;
  }
  const auto loaded = load_config(*arguments, [](const char* name) { return std::getenv(name); });
  if (!loaded) return report(loaded.error());
  if (arguments->has("--check")) {
    if (const auto seed = read_seed(*loaded); !seed) return report(seed.error());
    fmt::print("configuration is valid\n");
    return kServeOk;
  }
  base::set_log_level(loaded->log_level);
  return run_server(*loaded, start);
}

}  // namespace bobbin::cli
