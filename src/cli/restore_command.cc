#include <fmt/format.h>

#include <algorithm>

#include "cli/client_command.h"
#include "cli/data_commands.h"
#include "cli/progress_bar.h"
#include "cli/quantity.h"
#include "cli/running_server.h"
#include "disk/restore.h"

namespace bobbin::cli {
namespace {

CommandLine restore_line() {
  CommandLine line;
  line.usage = "restore --from FOLDER --to DIR [options]";
  line.summary = "Makes a data directory from a backup.";
  line.details =
      "DIR must be empty or not there. Every checksum is compared; a damaged backup is not restored. Start "
      "the server with bobbin serve --data DIR afterwards. The directory has a uuid of its own, and so "
      "wants a folder of its own for its backups.\n\n"
      "Ends with 0 if DIR can be served, 2 if the folder has no such backup or DIR is not empty, 4 if the "
      "backup is damaged, 5 if something cannot be read or written.";
  line.flags = {
      {"--from", 'f', "FOLDER", "Where the backups are"},
      {"--to", 't', "DIR", "The data directory to make"},
      {"--backup", 'b', "N", "Which one", "Options", "default: the newest; bobbin backup --list shows them"},
      {"--dry-run", 'n', "", "Only read the backup and compare its checksums"},
      {"--json", 'j', "", "Print one JSON object"},
  };
  line.examples =
      "bobbin restore --from /backup/bobbin --to /var/lib/bobbin\n"
      "bobbin restore --from /backup/bobbin --to /tmp/look --backup 3 --dry-run";
  return line;
}

disk::Result<disk::Backup> choose(const Arguments& arguments, const std::string& folder) {
  auto backups = disk::list_backups(folder);
  if (!backups) return base::fail(std::move(backups.error()));
  const std::string wanted = arguments.last("--backup");
  if (wanted.empty()) return std::move(backups->back());
  const auto number = parse_count(wanted);
  for (disk::Backup& backup : *backups) {
    if (number == backup.number) return std::move(backup);
  }
  const std::vector<uint64_t> numbers = disk::backup_numbers(folder);
  if (number && std::find(numbers.begin(), numbers.end(), *number) != numbers.end()) {
    return base::fail(disk::Error{
        disk::ErrorKind::config, folder,
        fmt::format("{}: backup {} is not whole: its making was interrupted, or goes on", folder, *number)});
  }
  return base::fail(
      disk::Error{disk::ErrorKind::config, folder,
                  fmt::format("{}: there is no backup {} (bobbin backup --list --to {} shows them)", folder,
                              printable(wanted), folder)});
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
  const auto backup = choose(*arguments, folder);
  if (!backup) return fail(backup.error());
  ProgressBar bar;
  const auto progress = [&](uint64_t done, uint64_t total) {
    bar.show(is_dry ? "verifying" : "restoring", done, total, "bytes");
    return true;
  };
  if (is_dry) {
    const auto verified = disk::verify_backup(folder, *backup, progress);
    bar.clear();
    if (!verified) return fail(verified.error());
  }
  const auto done = is_dry ? disk::Result<disk::RestoreResult>(disk::RestoreResult{"", backup->documents})
                           : disk::restore({folder, *backup, to, progress});
  bar.clear();
  if (!done) return fail(done.error());
  if (arguments->has("--json")) {
    print(fmt::format(
        "{{\"number\":{},\"time\":\"{}\",\"dry_run\":{},\"uuid\":\"{}\",\"documents\":{},\"bytes\":{}}}\n",
        backup->number, utc_text(backup->unix_ns), is_dry, done->uuid, done->documents, backup->bytes()));
    return kExitOk;
  }
  print(is_dry ? fmt::format(
                     "backup {} of {} could be restored: about {} documents, {}, every checksum is right\n",
                     backup->number, utc_text(backup->unix_ns), done->documents, human_bytes(backup->bytes()))
               : fmt::format("backup {} of {} is restored: {} documents\nserve it: bobbin serve --data {}\n",
                             backup->number, utc_text(backup->unix_ns), done->documents, to));
  return kExitOk;
}

}  // namespace bobbin::cli
