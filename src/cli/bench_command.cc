#include "cli/bench_command.h"

#include <random>

#include "cli/bench_options.h"
#include "cli/bench_report.h"
#include "cli/bench_run.h"
#include "cli/client_command.h"

namespace bobbin::cli {

int bench_command(int argc, char** argv) {
  int exit_code = kExitOk;
  const auto arguments = begin_client_command(bench_line(), argc, argv, exit_code);
  if (!arguments) return exit_code;
  const auto options = parse_bench_options(*arguments, std::random_device{}());
  if (!options) return complain(options.error().message, kExitUsage);
  if (!options->json && !options->quiet) {
    print(bench_heading(*options) + "\n");
    std::fflush(stdout);
  }
  const auto outcome = run_bench(*options);
  if (!outcome) return complain(outcome.error().message, kExitFailed);
  print(options->json ? bench_as_json(*options, *outcome) : bench_for_people(*options, *outcome));
  if (std::fflush(stdout) != 0) return complain("cannot write to standard output", kExitFailed);
  return outcome->result.replies.error_count() == 0 ? kExitOk : kExitFailed;
}

}  // namespace bobbin::cli
