#include "disk/rocks_log.h"

#include <array>
#include <cstdarg>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "base/log.h"
#include "disk/blob_names.h"

namespace bobbin::disk {

namespace fs = std::filesystem;

namespace {

ErrorKind kind_of(const rocksdb::Status& status, const std::string& text) {
  const auto says = [&](const char* part) { return text.find(part) != std::string::npos; };
  if (status.IsNoSpace() || says("No space left") || says("Disk quota exceeded")) return ErrorKind::no_space;
  if (says("Read-only file system") || says("Permission denied")) return ErrorKind::read_only;
  if (status.IsIOError() && (says("lock ") || says("While lock file"))) return ErrorKind::locked;
  // A file that should be there is not.
  if (status.IsCorruption() || status.IsPathNotFound() || says("No such file or directory"))
    return ErrorKind::corrupt;
  if (status.IsInvalidArgument() || status.IsNotSupported()) return ErrorKind::config;
  return ErrorKind::io;
}

const char* advice(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::corrupt:
      return "; the file is damaged: restore it, or the whole directory, from a backup";
    case ErrorKind::no_space:
      return "; make room and start again";
    case ErrorKind::read_only:
      return "; it must be writable for the user that runs the server";
    default:
      return "";
  }
}

}  // namespace

const char* word_of(ErrorKind kind) noexcept {
  switch (kind) {
    case ErrorKind::io:
      return "io";
    case ErrorKind::no_space:
      return "no_space";
    case ErrorKind::corrupt:
      return "corrupt";
    case ErrorKind::read_only:
      return "read_only";
    case ErrorKind::locked:
      return "locked";
    case ErrorKind::other_version:
      return "other_version";
    case ErrorKind::config:
      return "config";
  }
  return "io";
}

const char* name_of(ErrorKind kind) noexcept {
  switch (kind) {
    case ErrorKind::io:
      return "i/o error";
    case ErrorKind::no_space:
      return "no space";
    case ErrorKind::corrupt:
      return "damaged";
    case ErrorKind::read_only:
      return "read-only";
    case ErrorKind::locked:
      return "locked";
    case ErrorKind::other_version:
      return "other version";
    case ErrorKind::config:
      return "configuration";
  }
  return "error";
}

void RocksLog::Logv(rocksdb::InfoLogLevel level, const char* format, va_list arguments) {
  if (level < rocksdb::WARN_LEVEL) return;
  std::array<char, 1024> line{};
  const int length = std::vsnprintf(line.data(), line.size(), format, arguments);
  if (length <= 0) return;
  if (level >= rocksdb::ERROR_LEVEL && level < rocksdb::HEADER_LEVEL)
    base::log(base::LogLevel::debug, line.data());
  const base::MutexLock lock(mutex_);
  lines_.emplace_back(line.data());
  if (lines_.size() > kKeptLines) lines_.pop_front();
}

void RocksLog::Logv(const char* /*format*/, va_list /*arguments*/) {}

std::string RocksLog::file_named(std::string_view folder, std::string_view word) const {
  const base::MutexLock lock(mutex_);
  for (auto line = lines_.rbegin(); line != lines_.rend(); ++line) {
    if (line->find(word) == std::string::npos) continue;
    std::string path = path_in(*line, folder);
    if (!path.empty()) return path;
  }
  return {};
}

std::string path_in(std::string_view text, std::string_view folder) {
  const std::string start = std::string(folder) + "/";
  const size_t at = text.find(start);
  if (at == std::string_view::npos) return {};
  const size_t end = text.find_first_of(" :,;)]\n", at + start.size());
  std::string path(text.substr(at, end == std::string_view::npos ? end : end - at));
  while (path.ends_with('.'))
    path.pop_back();
  return path.size() > start.size() ? path : std::string();
}

std::string first_file(const std::string& folder) {
  const std::string current = folder + "/CURRENT";
  std::ifstream file(current, std::ios::binary);
  std::string manifest;
  std::getline(file, manifest);
  std::error_code error;
  const std::string path = folder + "/" + manifest;
  return manifest.starts_with("MANIFEST-") && fs::exists(path, error) ? path : current;
}

Error error_of(const rocksdb::Status& status, const std::string& folder, const RocksLog* log) {
  const std::string text = status.ToString();
  Error error;
  error.kind = kind_of(status, text);
  error.path = path_in(text, folder);
  // What it says of a table that is not there under either of two names, the second of which nobody uses any
  // more.
  if (error.path.ends_with(".ldb")) error.path.replace(error.path.size() - 3, 3, "sst");
  std::error_code missing;
  // A manifest that is not there: what is wrong is the file that names it.
  if (error.path.starts_with(folder + "/MANIFEST-") && !fs::exists(error.path, missing))
    error.path = first_file(folder);
  const auto says = [&](const char* words) { return text.find(words) != std::string::npos; };
  // The last is what the header of a blob file is checked for, and says nothing of blobs.
  const bool is_blob = says("blob") || says("Blob") || says("Column family ID mismatch");
  if (error.path.empty() && is_blob) error.path = last_blob_file();
  if (error.path.empty() && log != nullptr && error.kind == ErrorKind::corrupt)
    error.path = log->file_named(folder, "dropping");
  if (error.path.empty()) error.path = error.kind == ErrorKind::corrupt ? first_file(folder) : folder;
  error.message = error.path + ": " + name_of(error.kind) + " (" + text + ")" + advice(error.kind);
  return error;
}

}  // namespace bobbin::disk
