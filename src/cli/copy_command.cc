// bobbin copy: its flags and what it says. What it does is in copy_run.h.

#include <fmt/format.h>

#include <csignal>
#include <cstdlib>

#include "cli/client_command.h"
#include "cli/copy_run.h"
#include "cli/progress_bar.h"

namespace bobbin::cli {
namespace {

CommandLine copy_line() {
  CommandLine line;
  line.usage = "copy --to ADDRESS [SCOPE[.COLLECTION]] [options]";
  line.summary =
      "Copies the documents of a bucket, a scope or a collection to another server, while both run.";
  line.details =
      "Documents keep their CAS, revision, flags and expiry; what was deleted not too long ago is deleted "
      "there, "
      "too. What is newer at the target stays. Scopes and collections are found by their names and have to "
      "be there "
      "already.\n"
      "\n"
      "Copies what the source has when the copy begins. With --position FILE, a copy that was interrupted "
      "goes on "
      "where it was, and a later one brings what has changed since.\n"
      "\n"
      "At the end the documents of both buckets are counted. Ends with 1 if the numbers differ, or if it was "
      "interrupted.";
  line.flags = {
      {"--to", 0, "ADDRESS", "The server to copy to", "Target"},
      {"--to-bucket", 0, "NAME", "Its bucket", "Target", "default: that of the source"},
      {"--to-user", 0, "NAME", "Who logs in there", "Target", "default: as at the source"},
      {"--to-password", 0, "TEXT", "The user's password", "Target",
       "default $BOBBIN_TO_PASSWORD, or as at the source"},
      {"--position", 'p', "FILE", "Keep in FILE how far this came, and begin there"},
  };
  line.max_positionals = 1;
  line.examples =
      "bobbin copy --server old:11211 --to new:11211\n"
      "bobbin copy --to new:11211 shop.orders --position orders.pos\n"
      "bobbin copy --bucket default --to 127.0.0.1:11211 --to-bucket second";
  add_client_flags(line);
  add_bucket_flags(line);
  return line;
}

volatile std::sig_atomic_t g_stop = 0;
extern "C" void stop_copy(int) {
  g_stop = 1;
}

base::Result<CopyOptions, base::Error> copy_options(const Arguments& arguments) {
  auto source = mcbp_options(arguments);
  if (!source) return base::fail(std::move(source.error()));
  CopyOptions options{
      .source = *source, .target = *source, .what = {}, .position_path = arguments.last("--position")};
  if (!arguments.has("--to")) return base::fail(base::Error{"--to ADDRESS is missing"});
  auto address = net::Address::parse(arguments.last("--to"), 11211);
  if (!address) return base::fail(std::move(address.error()));
  options.target.address = std::move(*address);
  options.target.bucket = arguments.last("--to-bucket", source->bucket);
  options.target.user = arguments.last("--to-user", source->user);
  const char* const variable = std::getenv("BOBBIN_TO_PASSWORD");
  options.target.password =
      arguments.last("--to-password", variable != nullptr ? std::string(variable) : source->password);
  if (!arguments.positionals().empty()) options.what = arguments.positionals()[0];
  return options;
}

int report(const CopyResult& result) {
  print(fmt::format("{} documents stored, {} deleted, {} left alone because the target has them as new\n",
                    result.counts.stored, result.counts.removed, result.counts.newer));
  if (!result.complete) return complain("interrupted: not everything was copied", kExitNo);
  if (!result.source_items) return kExitOk;
  print(fmt::format("{} documents at the source, {} at the target\n", *result.source_items,
                    *result.target_items));
  if (*result.source_items == *result.target_items) return kExitOk;
  return complain(
      "the numbers differ: there were writes or expirations meanwhile, or the target had other documents",
      kExitNo);
}

}  // namespace

int copy_command(int argc, char** argv) {
  int exit_code = kExitOk;
  const auto arguments = begin_client_command(copy_line(), argc, argv, exit_code);
  if (!arguments) return exit_code;
  auto options = copy_options(*arguments);
  if (!options) return complain(options.error().message, kExitUsage);
  std::signal(SIGINT, stop_copy);
  std::signal(SIGTERM, stop_copy);
  ProgressBar bar;
  Copy copy(std::move(*options),
            {.progress = [&](uint64_t done, uint64_t total) { bar.show("copying", done, total, "changes"); },
             .notice =
                 [&](const std::string& message) {
                   bar.clear();
                   complain(message, 0);
                 },
             .stop = [] { return g_stop != 0; }});
  const auto result = copy.run();
  bar.clear();
  if (!result) return complain(result.error().message, kExitFailed);
  return report(*result);
}

}  // namespace bobbin::cli
