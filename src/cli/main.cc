// The program `bobbin`: chooses the subcommand and hands it the rest of the command line.

#include <fmt/format.h>

#include <array>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "cli/bench_command.h"
#include "cli/client_command.h"
#include "cli/data_commands.h"
#include "cli/serve_command.h"
#include "cli/suggestion.h"

namespace bobbin::cli {
namespace {

struct Command {
  std::string_view name;
  std::string_view summary;
  int (*run)(int argc, char** argv);
};

constexpr std::array kCommands = {
    Command{"serve", "run the server", serve_command},
    Command{"get", "print the values of keys", get_command},
    Command{"set", "store a value", set_command},
    Command{"del", "delete keys", del_command},
    Command{"stat", "print the server's statistics", stat_command},
    Command{"log", "show what happens on the server, as it happens", log_command},
    Command{"watch", "show the changes of a bucket, as they happen", watch_command},
    Command{"copy", "copy the documents of a bucket to another server", copy_command},
    Command{"scan", "print the keys or documents of a collection", scan_command},
    Command{"backup", "copy a data directory, also of a running server", backup_command},
    Command{"restore", "make a data directory from a backup", restore_command},
    Command{"check", "verify a data directory", check_command},
    Command{"user", "add, list and remove the users in a data directory", user_command},
    Command{"bench", "put load on a server and measure it", bench_command},
};

const Command* find_command(std::string_view name) {
  for (const Command& command : kCommands) {
    if (command.name == name) return &command;
  }
  return nullptr;
}

int print_help() {
  std::string text =
      "Bobbin, a key-value server that speaks memcached's protocols and keeps what it stores.\n"
      "\n"
      "Usage: bobbin COMMAND [options]\n"
      "\n"
      "Commands:\n";
  for (const Command& command : kCommands)
    text += fmt::format("  {:<8} {}\n", command.name, command.summary);
  text +=
      "\n"
      "First steps, in two terminals:\n"
      "  bobbin serve\n"
      "  bobbin set hello world && bobbin get hello\n"
      "\n"
      "bobbin COMMAND --help explains a command; bobbin --version prints the version.\n";
  print(text);
  return kExitOk;
}

int unknown_command(std::string_view name) {
  std::vector<std::string> known;
  for (const Command& command : kCommands)
    known.emplace_back(command.name);
  return complain(fmt::format("unknown command {}{} (bobbin --help lists them)", printable(name),
                              did_you_mean(name, known)),
                  kExitUsage);
}

int run_with(const Command& command, std::string argument) {
  std::string name(command.name);
  std::array<char*, 3> words = {name.data(), argument.data(), nullptr};
  return command.run(2, words.data());
}

/// docs/commands.md: the help page of every command.
int print_markdown() {
  print(
      "# Commands\n"
      "\n"
      "What `bobbin COMMAND --help` prints, for every command. This page is made by `bobbin "
      "--help-markdown`; a "
      "test\n"
      "checks that it is current. The options of the server are explained in `docs/configuration.md`.\n"
      "\n"
      "The clients `get`, `set`, `del`, `stat`, `log`, `watch`, `copy`, `scan` and `bench` end with 0 when "
      "they did "
      "what was "
      "asked, 1 "
      "when a key\n"
      "is missing or a condition was not met, 2 when flags or arguments are wrong, and 3 when the server "
      "cannot "
      "be reached\n"
      "or refuses. `serve`, `backup`, `restore`, `check` and `user` end as their pages "
      "say.\n");
  for (const Command& command : kCommands) {
    print(fmt::format("\n## bobbin {}\n\n```\n", command.name));
    if (const int code = run_with(command, "--help"); code != 0) return code;
    print("```\n");
  }
  return kExitOk;
}

int run(int argc, char** argv) {
  if (argc < 2) {
    print_help();
    return kExitUsage;
  }
  const std::string_view word = argv[1];
  if (word == "--version" || word == "-V" || word == "version") {
    print("bobbin " BOBBIN_VERSION "\n");
    return kExitOk;
  }
  if (word == "--help-markdown") return print_markdown();
  if (word == "--help" || word == "-h" || word == "help") {
    if (argc == 2 || word != "help") return print_help();
    const Command* const explained = find_command(argv[2]);
    return explained == nullptr ? unknown_command(argv[2]) : run_with(*explained, "--help");
  }
  if (const Command* const command = find_command(word)) return command->run(argc - 1, argv + 1);
  if (word.starts_with('-')) return complain(fmt::format("unknown flag {}", printable(word)), kExitUsage);
  return unknown_command(word);
}

}  // namespace
}  // namespace bobbin::cli

int main(int argc, char** argv) {
  return bobbin::cli::run(argc, argv);
}
