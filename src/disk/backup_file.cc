#include "disk/backup_file.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <optional>

#include "disk/manifest_file.h"
#include "disk/sealed_text.h"
#include "disk/system_file.h"

namespace bobbin::disk {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kTitle = "bobbin backup\n";
constexpr std::string_view kPrefix = "backup-";

/// Takes the next word off a line.
std::string_view word(std::string_view& line) {
  const size_t end = std::min(line.find(' '), line.size());
  const std::string_view taken = line.substr(0, end);
  line.remove_prefix(std::min(end + 1, line.size()));
  return taken;
}

/// No more than a name: what a damaged or forged file says must not lead elsewhere.
bool is_plain_name(std::string_view name) {
  return !name.empty() && name.front() != '.' && name.find('/') == std::string_view::npos;
}

std::optional<BackupFile> file_in(std::string_view line) {
  const auto shard = number_in(word(line));
  const auto bytes = number_in(word(line));
  const std::string checksum(word(line));
  const std::string_view place = word(line);
  if (!shard || !bytes || checksum.size() != 8 || !is_plain_name(line)) return std::nullopt;
  if (place != "shared" && place != "own") return std::nullopt;
  return BackupFile{static_cast<uint32_t>(*shard), std::string(line), *bytes, checksum, place == "shared"};
}

std::optional<BackupHistory> history_in(std::string_view line) {
  const auto shard = number_in(word(line));
  const auto after = number_in(word(line));
  const auto bytes = number_in(word(line));
  if (!shard || !after || !bytes || line.size() != 8) return std::nullopt;
  return BackupHistory{static_cast<uint32_t>(*shard), *after, *bytes, std::string(line)};
}

bool is_uuid(std::string_view text) {
  return text.size() == 32 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

/// Other buckets, and small files; false where it is damaged.
bool read_parts(const std::multimap<std::string, std::string>& lines, Backup& backup) {
  const auto [from, to] = lines.equal_range("bucket");
  for (auto line = from; line != to; ++line) {
    std::string_view rest = line->second;
    const std::string_view uuid = word(rest);
    if (!is_uuid(uuid) || rest.empty()) return false;
    backup.parts.push_back({std::string(uuid), std::string(rest)});
  }
  const auto [first, end] = lines.equal_range("attached");
  for (auto line = first; line != end; ++line) {
    std::string_view rest = line->second;
    const auto bytes = number_in(word(rest));
    const std::string checksum(word(rest));
    if (!bytes || checksum.size() != 8 || !is_plain_name(rest)) return false;
    backup.attachments.push_back({std::string(rest), *bytes, checksum});
  }
  return true;
}

/// What a restore to a moment needs; false where it is damaged. Backups from before there was one have none.
bool read_histories(const std::multimap<std::string, std::string>& lines, Backup& backup) {
  const auto newest = lines.find("newest_ns");
  backup.newest_ns = newest == lines.end() ? 0 : number_in(newest->second).value_or(0);
  const auto [from, to] = lines.equal_range("sequence");
  for (auto line = from; line != to; ++line) {
    const auto sequence = number_in(line->second);
    if (!sequence) return false;
    backup.sequences.push_back(*sequence);
  }
  const auto [first, end] = lines.equal_range("history");
  for (auto line = first; line != end; ++line) {
    auto history = history_in(line->second);
    if (!history || history->shard != backup.histories.size()) return false;
    backup.histories.push_back(std::move(*history));
  }
  const auto none_or_all = [&](size_t count) { return count == 0 || count == backup.shards; };
  return none_or_all(backup.sequences.size()) && none_or_all(backup.histories.size());
}

}  // namespace

uint64_t Backup::bytes() const {
  uint64_t sum = 0;
  for (const BackupFile& file : files)
    sum += file.bytes;
  return sum;
}

std::string encode_backup(const Backup& backup) {
  std::string text(kTitle);
  add_line(text, "format", kBackupFormat);
  add_line(text, "number", backup.number);
  text += "uuid " + backup.uuid + "\n";
  add_line(text, "shards", backup.shards);
  add_line(text, "vbuckets", backup.vbuckets);
  add_line(text, "unix_ns", backup.unix_ns);
  add_line(text, "documents", backup.documents);
  add_line(text, "newest_ns", backup.newest_ns);
  for (const uint64_t sequence : backup.sequences)
    add_line(text, "sequence", sequence);
  for (const BackupHistory& history : backup.histories) {
    text += "history " + std::to_string(history.shard) + " " + std::to_string(history.after) + " " +
            std::to_string(history.bytes) + " " + history.checksum + "\n";
  }
  add_manifest(text, backup.manifest);
  for (const BackupFile& file : backup.files) {
    text += "file " + std::to_string(file.shard) + " " + std::to_string(file.bytes) + " " + file.checksum +
            (file.is_shared ? " shared " : " own ") + file.name + "\n";
  }
  for (const BackupPart& part : backup.parts)
    text += "bucket " + part.uuid + " " + part.name + "\n";
  for (const BackupAttachment& attachment : backup.attachments) {
    text += "attached " + std::to_string(attachment.bytes) + " " + attachment.checksum + " " +
            attachment.name + "\n";
  }
  seal(text);
  return text;
}

Result<Backup> decode_backup(std::string_view text, const std::string& path) {
  const auto damaged = base::fail(
      Error{ErrorKind::corrupt, path, path + ": damaged: this is not what was written; use another backup"});
  const auto lines = sealed_lines(text, kTitle);
  if (!lines) return damaged;
  const auto value = [&](const char* name) {
    const auto found = lines->find(name);
    return found == lines->end() ? std::nullopt : number_in(found->second);
  };
  const auto format = value("format");
  if (format && *format > kBackupFormat) {
    return base::fail(
        Error{ErrorKind::other_version, path,
              path + ": written by a newer Bobbin (format " + std::to_string(*format) + "): use that one"});
  }
  if (format && *format < kOldestBackupFormat) {
    return base::fail(Error{ErrorKind::other_version, path,
                            path + ": written by a Bobbin from before the first release (format " +
                                std::to_string(*format) + "): this one cannot restore it"});
  }
  Backup backup;
  const auto number = value("number");
  const auto shards = value("shards");
  const auto vbuckets = value("vbuckets");
  const auto uuid = lines->find("uuid");
  if (!format || !number || !shards || !vbuckets || uuid == lines->end()) return damaged;
  if (*shards == 0 || *shards > *vbuckets || *vbuckets > 65536) return damaged;
  backup.number = *number;
  backup.uuid = uuid->second;
  backup.shards = static_cast<uint32_t>(*shards);
  backup.vbuckets = static_cast<uint32_t>(*vbuckets);
  backup.unix_ns = value("unix_ns").value_or(0);
  backup.documents = value("documents").value_or(0);
  if (!read_histories(*lines, backup) || !read_parts(*lines, backup)) return damaged;
  // A backup from before there were collections has none of these lines.
  auto manifest = lines->contains("manifest") ? manifest_in(*lines) : std::optional(store::Manifest());
  if (!manifest) return damaged;
  backup.manifest = std::move(*manifest);
  const auto [from, to] = lines->equal_range("file");
  for (auto line = from; line != to; ++line) {
    auto file = file_in(line->second);
    if (!file || file->shard >= backup.shards) return damaged;
    backup.files.push_back(std::move(*file));
  }
  return backup;
}

std::string backup_path(const std::string& folder, uint64_t number) {
  return folder + "/" + std::string(kPrefix) + std::to_string(number);
}

std::string contents_path(const std::string& folder, uint64_t number) {
  return backup_path(folder, number) + "/contents";
}

std::string path_of(const std::string& folder, const Backup& backup, const BackupFile& file) {
  const std::string shard = "shard-" + std::to_string(file.shard);
  if (!file.is_shared) return backup_path(folder, backup.number) + "/" + shard + "/" + file.name;
  // A directory uses no name twice, but two that were restored from one backup might.
  return folder + "/files/" + shard + "-" + file.checksum + "-" + std::to_string(file.bytes) + "-" +
         file.name;
}

std::string path_of(const std::string& folder, const Backup& backup, const BackupHistory& history) {
  return backup_path(folder, backup.number) + "/shard-" + std::to_string(history.shard) + "/history";
}

std::string path_of(const std::string& folder, const Backup& backup, const BackupAttachment& attachment) {
  return backup_path(folder, backup.number) + "/" + attachment.name;
}

std::string bucket_folder(const std::string& folder, std::string_view uuid) {
  return folder + "/buckets/" + std::string(uuid);
}

std::string moment_text(uint64_t unix_ns) {
  const auto seconds = static_cast<std::time_t>(unix_ns / 1'000'000'000);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  std::array<char, 64> text{};
  const size_t length = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &parts);
  std::array<char, 8> fraction{};
  (void)std::snprintf(fraction.data(), fraction.size(), ".%03uZ",
                      static_cast<unsigned>(unix_ns / 1'000'000 % 1000));
  return std::string(text.data(), length) + fraction.data();
}

std::vector<uint64_t> backup_numbers(const std::string& folder) {
  std::vector<uint64_t> numbers;
  std::error_code error;
  for (auto entry = fs::directory_iterator(folder, error); !error && entry != fs::directory_iterator();
       entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (!name.starts_with(kPrefix)) continue;
    if (const auto number = number_in(std::string_view(name).substr(kPrefix.size())))
      numbers.push_back(*number);
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

Result<std::vector<Backup>> list_backups(const std::string& folder) {
  std::vector<Backup> backups;
  const std::vector<uint64_t> numbers = backup_numbers(folder);
  for (const uint64_t number : numbers) {
    const std::string path = contents_path(folder, number);
    auto text = read_file(path);
    if (!text) return base::fail(std::move(text.error()));
    if (!*text) continue;  // its making was interrupted
    auto backup = decode_backup(**text, path);
    if (!backup) return base::fail(std::move(backup.error()));
    if (backup->number != number) {
      return base::fail(
          Error{ErrorKind::corrupt, path,
                path + ": is that of backup " + std::to_string(backup->number) + ": it was moved"});
    }
    backups.push_back(std::move(*backup));
  }
  if (!backups.empty()) return backups;
  return base::fail(
      Error{ErrorKind::config, folder,
            folder + (numbers.empty() ? ": there is no backup in this folder"
                                      : ": no backup in this folder is whole: its making was interrupted, "
                                        "or goes on")});
}

}  // namespace bobbin::disk
