#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <filesystem>
#include <sstream>

#include "base/clock.h"
#include "cli/client_command.h"
#include "cli/data_commands.h"
#include "cli/json.h"
#include "cli/progress_bar.h"
#include "cli/quantity.h"
#include "cli/running_server.h"
#include "disk/backup.h"
#include "disk/system_file.h"
#include "net/blocking_stream.h"
#include "serve/server_backup.h"

namespace bobbin::cli {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMemoryBytes = uint64_t{64} << 20;
constexpr std::chrono::seconds kConnectTimeout{10};
constexpr uint64_t kMaxTimeoutMs = uint64_t{30} * 24 * 3600 * 1000;

CommandLine backup_line() {
  CommandLine line;
  line.usage = "backup --to FOLDER [options]";
  line.summary = "Copies a data directory into a folder of backups, also while a server has it.";
  line.details =
      "Everything that was acknowledged before the command is in the backup: of all buckets that are on "
      "disk, with their settings, collections, and the users. Files that an earlier backup has are not "
      "copied again. Checksums are compared as files are copied. The folder keeps the backups "
      "of one data directory; remove a folder backup-N to drop that one.\n\n"
      "Ends with 0 if the backup is on disk, 2 if the folder has something else in it, 4 if data is damaged, "
      "5 if something cannot be read or written.";
  line.flags = {
      {"--data", 'd', "DIR", "The data directory", "Options", "default bobbin-data"},
      {"--to", 't', "FOLDER", "Where the backups are; made if it is not there"},
      {"--dry-run", 'n', "", "Only say what would be copied"},
      {"--verify", 0, "", "Read the backup again when it is made, and compare its checksums"},
      {"--list", 'l', "", "List the backups in the folder, and make none; with --verify, check them"},
      {"--timeout", 0, "TIME", "How long the server may say nothing while it works; 0: for ever", "Options",
       "default 1m"},
      {"--json", 'j', "", "Print JSON"},
  };
  line.examples =
      "bobbin backup --data /var/lib/bobbin --to /backup/bobbin\n"
      "bobbin backup --list --to /backup/bobbin";
  return line;
}

disk::ErrorKind kind_named(std::string_view name) {
  using disk::ErrorKind;
  constexpr std::array kKinds = {ErrorKind::no_space, ErrorKind::corrupt,       ErrorKind::read_only,
                                 ErrorKind::locked,   ErrorKind::other_version, ErrorKind::config};
  for (const ErrorKind kind : kKinds) {
    if (name == disk::word_of(kind)) return kind;
  }
  return ErrorKind::io;
}

void show(ProgressBar& bar, std::string_view stage, std::string_view bucket, uint64_t done, uint64_t total) {
  if (stage == "save") return;
  bar.show(fmt::format("{} {}", stage == "verify" ? "verifying" : "copying", bucket), done, total, "bytes");
}

/// What follows the name of a bucket, or of a backup, in what its maker tells.
std::istream& operator>>(std::istream& text, serve::BucketBackup& bucket) {
  return text >> bucket.documents >> bucket.files >> bucket.bytes >> bucket.new_files >> bucket.new_bytes;
}

/// By the server that has the directory. It tells how far it is with each piece of a file.
disk::Result<serve::ServerBackup> ask_server(net::BlockingStream& server, const Arguments& arguments,
                                             std::chrono::milliseconds timeout, ProgressBar& bar) {
  server.set_timeout(timeout);
  auto last_word = std::chrono::steady_clock::now();
  const auto lost = [&](const base::Error& error) {
    std::string message = "the server: " + error.message;
    if (timeout.count() != 0 && std::chrono::steady_clock::now() - last_word >= timeout) {
      message = fmt::format(
          "the server has said nothing for {} and may hang: bobbin backup --list shows whether the backup "
          "was "
          "made after all; --timeout waits longer",
          format_duration(static_cast<uint64_t>(timeout.count())));
    }
    return base::fail(disk::Error{disk::ErrorKind::io, {}, std::move(message)});
  };
  const std::string words = std::string(arguments.has("--dry-run") ? "dry-run" : "-") +
                            (arguments.has("--verify") ? ",verify" : "");
  const std::string folder = fs::absolute(arguments.last("--to")).lexically_normal().string();
  if (const auto sent = server.write_all("backup " + words + " " + folder + "\n"); !sent)
    return lost(sent.error());
  serve::ServerBackup made;
  for (;;) {
    const auto line = server.read_line();
    if (!line) return lost(line.error());
    last_word = std::chrono::steady_clock::now();
    std::istringstream text(*line);
    std::string word;
    text >> word;
    if (word == "progress") {
      std::string stage;
      std::string bucket;
      uint64_t done = 0;
      uint64_t total = 0;
      text >> stage >> done >> total >> bucket;
      show(bar, stage, bucket, done, total);
    } else if (word == "bucket") {
      serve::BucketBackup& bucket = made.buckets.emplace_back();
      text >> bucket.name >> bucket;
    } else if (word == "done") {
      text >> made.number >> made.unix_ns;
      return made;
    } else {
      std::string kind;
      text >> kind >> std::ws;
      std::string message;
      std::getline(text, message);
      return base::fail(disk::Error{kind_named(kind), {}, message});
    }
  }
}

disk::Result<std::unique_ptr<disk::Directory>> open_directory(const std::string& path) {
  disk::DirectoryOptions directory;
  directory.path = path;
  directory.read_only = true;
  directory.memory_bytes = kMemoryBytes;
  return disk::Directory::open(directory);
}

/// Those of a directory that no server has.
disk::Result<std::vector<serve::BucketSettings>> buckets_of(const std::string& data) {
  const std::string path = serve::buckets_file(data);
  const auto text = disk::read_file(path);
  if (!text) return base::fail(text.error());
  if (!*text) return std::vector<serve::BucketSettings>{{}};
  return serve::decode_buckets(**text, path);
}

/// By this process, of a directory that no server has.
disk::Result<serve::ServerBackup> make_here(const Arguments& arguments, const std::string& data,
                                            ProgressBar& bar) {
  const auto opened = open_directory(data);
  if (!opened && opened.error().kind == disk::ErrorKind::locked) {
    disk::Error error = opened.error();
    error.message += ", and does not answer at " + control_path(data);
    return base::fail(std::move(error));
  }
  if (!opened) return base::fail(opened.error());
  auto buckets = buckets_of(data);
  if (!buckets) return base::fail(std::move(buckets.error()));
  serve::ServerBackupOptions options;
  options.folder = arguments.last("--to");
  options.dry_run = arguments.has("--dry-run");
  options.unix_ns = base::SystemClock().now().unix_ns;
  options.buckets = std::move(*buckets);
  options.with_bucket = [&](const serve::BucketSettings& bucket,
                            const serve::ServerBackupOptions::Copy& copy) -> disk::Result<bool> {
    const auto directory = open_directory(serve::bucket_path(data, bucket.uuid));
    if (!directory) return base::fail(directory.error());
    if (auto copied = copy(**directory); !copied) return base::fail(std::move(copied.error()));
    return true;
  };
  const auto progress = [&bar](std::string_view stage) {
    return [&bar, stage](std::string_view bucket, uint64_t done, uint64_t total) {
      show(bar, stage, bucket, done, total);
      return true;
    };
  };
  options.progress = progress("copy");
  auto made = serve::back_up_server(**opened, options);
  if (!made || !arguments.has("--verify") || options.dry_run) return made;
  const auto backups = disk::list_backups(options.folder);
  if (!backups) return base::fail(backups.error());
  auto verified = serve::verify_server_backup(options.folder, backups->back(), progress("verify"));
  if (!verified) return base::fail(std::move(verified.error()));
  return made;
}

/// Of a backup's buckets, where there are others besides the default one: "default 10, travel 3".
std::string buckets_text(const serve::ServerBackup& backup) {
  if (backup.buckets.size() < 2) return {};
  std::string text;
  for (const serve::BucketBackup& bucket : backup.buckets)
    text += fmt::format("{}{} {}", text.empty() ? " (" : ", ", bucket.name, bucket.documents);
  return text + ")";
}

std::string buckets_json(const serve::ServerBackup& backup, bool with_new) {
  std::string text;
  for (const serve::BucketBackup& bucket : backup.buckets) {
    text += fmt::format("{}{{\"name\":{},\"documents\":{},\"files\":{},\"bytes\":{}", text.empty() ? "" : ",",
                        json_string(bucket.name), bucket.documents, bucket.files, bucket.bytes);
    if (with_new)
      text += fmt::format(",\"new_files\":{},\"new_bytes\":{}", bucket.new_files, bucket.new_bytes);
    text += "}";
  }
  return "[" + text + "]";
}

int list(const Arguments& arguments) {
  const std::string folder = arguments.last("--to");
  const auto backups = disk::list_backups(folder);
  if (!backups) return complain(backups.error().message, exit_code_of(backups.error().kind));
  std::string text;
  for (const disk::Backup& backup : *backups) {
    const auto described = serve::describe_backup(folder, backup);
    if (!described) return complain(described.error().message, exit_code_of(described.error().kind));
    const serve::BucketBackup total = described->total();
    if (arguments.has("--json")) {
      text += fmt::format(
          "{}{{\"number\":{},\"time\":\"{}\",\"documents\":{},\"files\":{},\"bytes\":{},"
          "\"has_history\":{},\"buckets\":{}}}",
          text.empty() ? "[" : ",", backup.number, utc_text(backup.unix_ns), total.documents, total.files,
          total.bytes, !backup.histories.empty(), buckets_json(*described, false));
    } else {
      text += fmt::format("{:>4}  {}  about {} documents{}, {}{}\n", backup.number, utc_text(backup.unix_ns),
                          total.documents, buckets_text(*described), human_bytes(total.bytes),
                          backup.histories.empty() ? "" : ", and all that was done since the one before");
    }
  }
  for (const uint64_t number : disk::backup_numbers(folder)) {
    const auto is_it = [number](const disk::Backup& backup) { return backup.number == number; };
    if (arguments.has("--json") || std::any_of(backups->begin(), backups->end(), is_it)) continue;
    text += fmt::format("{:>4}  not whole: its making was interrupted, or goes on\n", number);
  }
  print(text + (arguments.has("--json") ? "]\n" : ""));
  if (!arguments.has("--verify")) return kExitOk;
  int code = kExitOk;
  for (const disk::Backup& backup : *backups) {
    ProgressBar bar;
    const auto verified = serve::verify_server_backup(
        folder, backup, [&](std::string_view bucket, uint64_t done, uint64_t total) {
          show(bar, "verify", bucket, done, total);
          return true;
        });
    bar.clear();
    if (!verified)
      code = complain(fmt::format("backup {}: {}", backup.number, verified.error().message),
                      exit_code_of(verified.error().kind));
  }
  return code;
}

std::string result_text(const Arguments& arguments, const serve::ServerBackup& backup) {
  const serve::BucketBackup total = backup.total();
  if (arguments.has("--json")) {
    return fmt::format(
        "{{\"number\":{},\"time\":\"{}\",\"dry_run\":{},\"documents\":{},\"files\":{},\"bytes\":{},"
        "\"new_files\":{},\"new_bytes\":{},\"buckets\":{}}}\n",
        backup.number, utc_text(backup.unix_ns), arguments.has("--dry-run"), total.documents, total.files,
        total.bytes, total.new_files, total.new_bytes, buckets_json(backup, true));
  }
  const bool is_dry = arguments.has("--dry-run");
  return fmt::format("backup {}{}: about {} documents{}, {} in {} files, {} of that in {} new files{}\n",
                     backup.number, is_dry ? " would be made" : "", total.documents, buckets_text(backup),
                     human_bytes(total.bytes), total.files, human_bytes(total.new_bytes), total.new_files,
                     arguments.has("--verify") && !is_dry ? "; every checksum is right" : "");
}

}  // namespace

std::string control_path(const std::string& data) {
  return data + "/control";
}

std::string utc_text(uint64_t unix_ns) {
  const auto seconds = static_cast<std::time_t>(unix_ns / 1'000'000'000);
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(seconds));
}

int backup_command(int argc, char** argv) {
  const CommandLine line = backup_line();
  const std::vector<std::string> words(argv + 1, argv + argc);
  const auto arguments = parse_arguments(line, words);
  if (!arguments) return complain(arguments.error().message, kExitConfiguration);
  if (arguments->help()) {
    print(help_text(line));
    return kExitOk;
  }
  const std::string to = arguments->last("--to");
  if (to.empty() || to.find('\n') != std::string::npos)
    return complain("--to FOLDER is missing: where are the backups?", kExitConfiguration);
  if (arguments->has("--list")) return list(*arguments);
  const auto timeout_ms = parse_duration_ms(arguments->last("--timeout", "1m"));
  if (!timeout_ms || *timeout_ms > kMaxTimeoutMs)
    return complain("--timeout: a time such as 30s or 5m, at most 30d; 0 waits for ever", kExitConfiguration);
  const std::string data = arguments->last("--data", "bobbin-data");
  ProgressBar bar;
  const auto address = net::Address::parse("unix:" + control_path(data), 0);
  auto server = address ? net::BlockingStream::connect(*address, kConnectTimeout)
                        : base::Result<net::BlockingStream, base::Error>(base::fail(address.error()));
  const auto made = server ? ask_server(*server, *arguments, std::chrono::milliseconds(*timeout_ms), bar)
                           : make_here(*arguments, data, bar);
  bar.clear();
  if (!made) return complain(made.error().message, exit_code_of(made.error().kind));
  print(result_text(*arguments, *made));
  return kExitOk;
}

}  // namespace bobbin::cli
