// bobbin watch: its flags, its output and its signals. What it does is in watch_run.h.

#include <fmt/format.h>

#include <csignal>
#include <cstdio>

#include "cli/client_command.h"
#include "cli/quantity.h"
#include "cli/watch_run.h"

namespace bobbin::cli {
namespace {

CommandLine watch_line() {
  CommandLine line;
  line.usage = "watch [SCOPE[.COLLECTION]] [options]";
  line.summary = "Shows the changes of a bucket, a scope or a collection, as they happen, until Ctrl-C.";
  line.details =
      "From now on, unless --from-start or a position says otherwise. From the start means every document "
      "that is "
      "there, with its last change, and what was deleted not too long ago. Changes of a vbucket come in "
      "their order; of a key that changes quickly, only the last may be shown.\n"
      "\n"
      "With --position FILE, the next watch goes on where this one ended, however it ended. What was printed "
      "when it "
      "was killed may be printed again; nothing is left out. When the server has lost changes that were "
      "printed, a line says to which sequence number its history went back.\n"
      "\n"
      "A connection that breaks is made again.";
  line.flags = {
      {"--from-start", 0, "", "Begin with what is there already"},
      {"--until-now", 0, "", "End with what was there at the start"},
      {"--position", 'p', "FILE", "Keep in FILE how far this came, and begin there"},
      {"--prefix", 0, "TEXT", "Only keys that begin so"},
      {"--limit", 'n', "N", "End after so many changes"},
      {"--json", 0, "", "Print a JSON object a line"},
      {"--keys-only", 'k', "", "Without values: the server does not send them"},
      {"--value-bytes", 0, "SIZE", "Cut values off behind so many bytes, in lines that are not JSON",
       "Options", "default 100"},
      {"--give-up", 0, "DURATION", "End after so long without a connection", "Connection",
       "default 0, never"},
  };
  line.max_positionals = 1;
  line.examples =
      "bobbin watch\n"
      "bobbin watch shop.orders --json | jq .key\n"
      "bobbin watch --prefix user: --position users.pos --json >> changes.jsonl\n"
      "bobbin watch --from-start --until-now --keys-only | wc -l";
  add_client_flags(line);
  add_bucket_flags(line);
  return line;
}

// Also asked of loops that no signal interrupts.
volatile std::sig_atomic_t g_stop = 0;
extern "C" void stop_soon(int) {
  g_stop = 1;
}

base::Result<WatchOptions, base::Error> watch_options(const Arguments& arguments) {
  auto server = mcbp_options(arguments);
  if (!server) return base::fail(std::move(server.error()));
  WatchOptions options;
  options.server = std::move(*server);
  if (!arguments.positionals().empty()) options.what = arguments.positionals()[0];
  options.prefix = arguments.last("--prefix");
  options.from = arguments.has("--from-start") ? WatchFrom::start : WatchFrom::now;
  options.until_now = arguments.has("--until-now");
  options.position_path = arguments.last("--position");
  const auto limit = parse_count(arguments.last("--limit", std::to_string(UINT64_MAX)));
  if (!limit || *limit == 0)
    return base::fail(
        base::Error{fmt::format("--limit: \"{}\" is not a number above 0", arguments.last("--limit"))});
  options.limit = *limit;
  const auto value_bytes = parse_size(arguments.last("--value-bytes", "100"));
  if (!value_bytes)
    return base::fail(
        base::Error{fmt::format("--value-bytes: \"{}\" is not a size", arguments.last("--value-bytes"))});
  const auto give_up = parse_duration_ms(arguments.last("--give-up", "0"));
  if (!give_up)
    return base::fail(
        base::Error{fmt::format("--give-up: \"{}\" is not a duration", arguments.last("--give-up"))});
  options.give_up = std::chrono::milliseconds(*give_up);
  options.lines = {.format = arguments.has("--json") ? feed::WatchFormat::json : feed::WatchFormat::people,
                   .values = !arguments.has("--keys-only"),
                   .max_value_bytes = *value_bytes};
  return options;
}

WatchSurroundings surroundings() {
  return {.print =
              [](const std::string& line) {
                return std::fwrite(line.data(), 1, line.size(), stdout) == line.size();
              },
          .flush = [] { return std::fflush(stdout) == 0 && std::ferror(stdout) == 0; },
          .notice = [](const std::string& message) { complain(message, 0); },
          .stop = [] { return g_stop != 0; }};
}

}  // namespace

int watch_command(int argc, char** argv) {
  int exit_code = kExitOk;
  const auto arguments = begin_client_command(watch_line(), argc, argv, exit_code);
  if (!arguments) return exit_code;
  auto options = watch_options(*arguments);
  if (!options) return complain(options.error().message, kExitUsage);
  std::signal(SIGINT, stop_soon);
  std::signal(SIGTERM, stop_soon);
  std::signal(SIGPIPE, SIG_IGN);
  Watch watch(std::move(*options), surroundings());
  const auto ended = watch.run();
  if (!ended) return complain(ended.error().message, kExitFailed);
  return kExitOk;
}

}  // namespace bobbin::cli
