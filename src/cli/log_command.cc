#include <fmt/format.h>
#include <unistd.h>

#include <csignal>

#include "cli/client_command.h"
#include "cli/log_format.h"

namespace bobbin::cli {
namespace {

const std::vector<std::string> kGroups = {"fetchers", "mutations", "evictions", "connevents", "deletions"};

CommandLine log_line() {
  CommandLine line;
  line.usage = "log [GROUP...] [options]";
  line.summary = "Shows what happens on the server, line by line, until Ctrl-C.";
  line.details =
      "Groups: fetchers (every read), mutations (every store), evictions, connevents (connections that come "
      "and "
      "go), deletions; without GROUP all of them. The server never waits for a reader: what this one is too "
      "slow "
      "for is skipped, and the number of skipped events is shown.";
  line.flags = {{"--raw", 'r', "", "Print the lines as the server sends them"}};
  line.max_positionals = kGroups.size();
  line.examples =
      "bobbin log\n"
      "bobbin log evictions deletions\n"
      "bobbin log --raw mutations | grep key=user";
  add_client_flags(line);
  return line;
}

extern "C" void end_quietly(int) {
  _exit(kExitOk);
}

}  // namespace

int log_command(int argc, char** argv) {
  int exit_code = kExitOk;
  const auto arguments = begin_client_command(log_line(), argc, argv, exit_code);
  if (!arguments) return exit_code;
  const std::vector<std::string> groups =
      arguments->positionals().empty() ? kGroups : arguments->positionals();
  for (const std::string& group : groups) {
    if (group.empty() || group.find_first_of(" \r\n") != std::string::npos) {
      return complain(printable(group) + " is not the name of a group", kExitUsage);
    }
  }
  auto client = connect_client(*arguments);
  if (!client) return complain(client.error().message, kExitFailed);
  if (auto watching = client->watch(groups); !watching) {
    return complain(fmt::format("cannot watch {}: {}", fmt::join(groups, " "), watching.error().message),
                    kExitFailed);
  }
  // What was printed has been flushed whenever this waits for an event, so it may end on the spot.
  std::signal(SIGINT, end_quietly);
  std::signal(SIGTERM, end_quietly);
  const bool raw = arguments->has("--raw");
  for (;;) {
    const auto event = client->next_event();
    if (!event) return complain(event.error().message, kExitFailed);
    print((raw ? *event : log_line_for_people(*event)) + "\n");
    if (!client->has_event() && std::fflush(stdout) != 0) {
      return complain("cannot write to standard output", kExitFailed);
    }
  }
}

}  // namespace bobbin::cli
