#include "cli/client_command.h"
#include "cli/stat_format.h"

namespace bobbin::cli {
namespace {

CommandLine stat_line() {
  CommandLine line;
  line.usage = "stat [GROUP...] [options]";
  line.summary = "Prints the server's statistics.";
  line.details =
      "Without GROUP the general ones. Groups are memcached's: items, slabs, settings, conns, sizes; "
      "Couchbase's, as dcp, range-scans, collections and vbucket-details; warmup; follow; "
      "and "
      "reset, "
      "which sets the counters to zero.";
  line.flags = {{"--json", 'j', "", "Print one JSON object"}};
  // "detail dump" is one group of two words.
  line.max_positionals = 2;
  line.examples =
      "bobbin stat\n"
      "bobbin stat settings\n"
      "bobbin stat --json | jq .curr_items";
  add_client_flags(line);
  return line;
}

}  // namespace

int stat_command(int argc, char** argv) {
  int exit_code = kExitOk;
  const auto arguments = begin_client_command(stat_line(), argc, argv, exit_code);
  if (!arguments) return exit_code;
  std::string group;
  for (const std::string& word : arguments->positionals()) {
    if (word.empty() || word.find_first_of(" \r\n") != std::string::npos) {
      return complain(printable(word) + " is not the name of a group", kExitUsage);
    }
    group += (group.empty() ? "" : " ") + word;
  }
  auto client = connect_client(*arguments);
  if (!client) return complain(client.error().message, kExitFailed);
  const auto stats = client->stats(group);
  if (!stats) return complain(stats.error().message, kExitFailed);
  print(arguments->has("--json") ? stats_as_json(*stats) : stats_for_people(*stats));
  return exit_code;
}

}  // namespace bobbin::cli
