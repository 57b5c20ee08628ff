#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <optional>

#include "cli/client_command.h"
#include "cli/data_commands.h"
#include "cli/json.h"
#include "cli/progress_bar.h"
#include "cli/quantity.h"
#include "cli/running_server.h"
#include "disk/restore.h"
#include "serve/server_backup.h"

namespace bobbin::cli {
namespace {

CommandLine restore_line() {
  CommandLine line;
  line.usage = "restore --from FOLDER --to DIR [options]";
  line.summary = "Makes a data directory from a backup.";
  line.details =
      "All buckets of the backup, their collections, and the users are there again; of buckets in memory "
      "only what they are. DIR must be empty or not there. Every checksum is compared; a damaged backup is "
      "not restored. Start "
      "the server with bobbin serve --data DIR afterwards. The directory has a uuid of its own, and so "
      "wants a folder of its own for its backups.\n\n"
      "With --until, what the server did after the backup before that moment is done again, up to that "
      "moment, in the bucket default; of the others no history is kept, so they are restored as the backup "
      "before that moment has them. Where the server did not keep all of it (bobbin serve --history), "
      "nothing is restored, and "
      "the "
      "message says which backups can be.\n\n"
      "Ends with 0 if DIR can be served, 2 if the folder has no such backup or moment, or DIR is not empty, "
      "4 "
      "if the backup is damaged, 5 if something cannot be read or written.";
  line.flags = {
      {"--from", 'f', "FOLDER", "Where the backups are"},
      {"--to", 't', "DIR", "The data directory to make"},
      {"--backup", 'b', "N", "Which one", "Options", "default: the newest; bobbin backup --list shows them"},
      {"--until", 'u', "TIME",
       "What was on disk at this moment, in UTC (2026-11-24T15:00:00.250Z) or seconds since 1970: needs a "
       "backup from before it and one from after it"},
      {"--dry-run", 'n', "", "Only read the backup and compare its checksums"},
      {"--json", 'j', "", "Print one JSON object"},
  };
  line.examples =
      "bobbin restore --from /backup/bobbin --to /var/lib/bobbin\n"
      "bobbin restore --from /backup/bobbin --to /tmp/look --backup 3 --dry-run\n"
      "bobbin restore --from /backup/bobbin --to /var/lib/bobbin --until 2026-11-24T15:00:00Z";
  return line;
}

disk::Result<disk::Backup> choose(const std::vector<disk::Backup>& backups, const std::string& folder,
                                  const std::string& wanted) {
  if (wanted.empty()) return backups.back();
  const auto number = parse_count(wanted);
  for (const disk::Backup& backup : backups) {
    if (number == backup.number) return backup;
  }
  return base::fail(
      disk::Error{disk::ErrorKind::config, folder,
                  fmt::format("{}: there is no backup {} (bobbin backup --list --to {} shows them)", folder,
                              printable(wanted), folder)});
}

/// Says that a backup which is there is not whole: also where none is, and list_backups has only that to say.
std::optional<disk::Error> not_whole(const std::string& folder, const std::string& wanted) {
  const auto number = parse_count(wanted);
  const std::vector<uint64_t> numbers = disk::backup_numbers(folder);
  std::error_code error;
  if (!number || std::find(numbers.begin(), numbers.end(), *number) == numbers.end()) return std::nullopt;
  if (std::filesystem::exists(disk::contents_path(folder, *number), error)) return std::nullopt;
  return disk::Error{
      disk::ErrorKind::config, folder,
      fmt::format("{}: backup {} is not whole: its making was interrupted, or goes on", folder, *number)};
}

disk::Result<disk::RestorePlan> plan(const Arguments& arguments, const std::string& folder) {
  const std::string wanted = arguments.last("--backup");
  if (auto error = not_whole(folder, wanted)) return base::fail(std::move(*error));
  const auto backups = disk::list_backups(folder);
  if (!backups) return base::fail(backups.error());
  if (arguments.has("--until")) {
    const auto moment = parse_moment_ns(arguments.last("--until"));
    if (moment) return disk::plan_restore(folder, *backups, *moment);
    return base::fail(disk::Error{
        disk::ErrorKind::config,
        {},
        fmt::format("--until {} is no moment: write it in UTC, as 2026-11-24T15:00:00Z, or in seconds since "
                    "1970",
                    printable(arguments.last("--until")))});
  }
  auto chosen = choose(*backups, folder, wanted);
  if (!chosen) return base::fail(std::move(chosen.error()));
  return disk::RestorePlan{std::move(*chosen), {}, 0};
}

uint64_t documents_of(const serve::ServerRestore& restored) {
  uint64_t documents = restored.first.documents;
  for (const serve::BucketBackup& bucket : restored.others)
    documents += bucket.documents;
  return documents;
}

uint64_t bytes_of(const disk::RestorePlan& plan, const serve::ServerRestore& restored) {
  uint64_t bytes = plan.base.bytes();
  for (const serve::BucketBackup& bucket : restored.others)
    bytes += bucket.bytes;
  return bytes;
}

/// Of the buckets besides the default one: "\n  bucket travel: 3 documents".
std::string others_text(const disk::RestorePlan& plan, const serve::ServerRestore& restored) {
  std::string text;
  for (const serve::BucketBackup& bucket : restored.others) {
    text += fmt::format("  bucket {}: {} documents{}\n", bucket.name, bucket.documents,
                        plan.until_ns == 0 ? "" : fmt::format(", as backup {} has it", plan.base.number));
  }
  return text;
}

std::string json_text(const disk::RestorePlan& plan, const serve::ServerRestore& restored, bool is_dry) {
  const disk::RestoreResult& done = restored.first;
  const disk::Backup& backup = plan.base;
  std::string until;
  if (plan.until_ns != 0) {
    until = fmt::format(",\"until\":\"{}\",\"commits\":{},\"history_bytes\":{}",
                        disk::moment_text(plan.until_ns), done.replayed.commits, plan.history_bytes());
  }
  std::string buckets =
      fmt::format("{{\"name\":\"default\",\"documents\":{},\"bytes\":{}}}", done.documents, backup.bytes());
  for (const serve::BucketBackup& bucket : restored.others)
    buckets += fmt::format(",{{\"name\":{},\"documents\":{},\"bytes\":{}}}", json_string(bucket.name),
                           bucket.documents, bucket.bytes);
  return fmt::format(
      "{{\"number\":{},\"time\":\"{}\",\"dry_run\":{},\"uuid\":\"{}\",\"documents\":{},\"bytes\":{},"
      "\"buckets\":[{}]{}}}\n",
      backup.number, utc_text(backup.unix_ns), is_dry, done.uuid, documents_of(restored),
      bytes_of(plan, restored), buckets, until);
}

/// "backup 3 of TIME", and what comes on top of it.
std::string what_text(const disk::RestorePlan& plan, const disk::RestoreResult& done) {
  std::string text = fmt::format("backup {} of {}", plan.base.number, utc_text(plan.base.unix_ns));
  if (plan.until_ns == 0) return text;
  text +=
      fmt::format(" and {} later commits, up to {}", done.replayed.commits, disk::moment_text(plan.until_ns));
  if (done.replayed.as_of_ns != 0)
    text += fmt::format(" (the last one of {}),", disk::moment_text(done.replayed.as_of_ns));
  return text;
}

}  // namespace

int restore_command(int argc, char** argv) {
  const CommandLine line = restore_line();
  const std::vector<std::string> words(argv + 1, argv + argc);
  const auto arguments = parse_arguments(line, words);
  if (!arguments) return complain(arguments.error().message, kExitConfiguration);
  if (arguments->help()) {
    print(help_text(line));
    return kExitOk;
  }
  const std::string folder = arguments->last("--from");
  const std::string to = arguments->last("--to");
  const bool is_dry = arguments->has("--dry-run");
  if (folder.empty()) return complain("--from FOLDER is missing: where are the backups?", kExitConfiguration);
  if (to.empty() && !is_dry)
    return complain("--to DIR is missing: which data directory is to be made?", kExitConfiguration);
  const auto fail = [](const disk::Error& error) {
    return complain(error.message, exit_code_of(error.kind));
  };
  if (arguments->has("--until") && arguments->has("--backup"))
    return complain("--until finds its backup itself: leave out --backup", kExitConfiguration);
  auto planned = plan(*arguments, folder);
  if (!planned) return fail(planned.error());
  ProgressBar bar;
  const auto progress = [&](std::string_view bucket, uint64_t done, uint64_t total) {
    bar.show(fmt::format("{} {}", is_dry ? "verifying" : "restoring", bucket), done, total, "bytes");
    return true;
  };
  const serve::ServerRestoreOptions options{folder, std::move(*planned), to, is_dry, progress};
  const auto done = serve::restore_server(options);
  bar.clear();
  if (!done) return fail(done.error());
  if (arguments->has("--json")) {
    print(json_text(options.plan, *done, is_dry));
    return kExitOk;
  }
  const std::string what = what_text(options.plan, done->first);
  const uint64_t documents = documents_of(*done);
  const std::string others = others_text(options.plan, *done);
  print(is_dry ? fmt::format("{} could be restored: about {} documents, {}, every checksum is right\n{}",
                             what, documents, human_bytes(bytes_of(options.plan, *done)), others)
               : fmt::format("{} {} restored: {} documents\n{}serve it: bobbin serve --data {}\n", what,
                             options.plan.until_ns == 0 ? "is" : "are", documents, others, to));
  return kExitOk;
}

}  // namespace bobbin::cli
