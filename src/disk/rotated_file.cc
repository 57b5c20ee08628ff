#include "disk/rotated_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <utility>

#include "disk/system_file.h"

namespace bobbin::disk {

RotatedFile::~RotatedFile() {
  if (file_ >= 0) ::close(file_);
}

Result<void> RotatedFile::open() {
  const int flags = O_RDWR | O_APPEND | O_NOFOLLOW | O_CLOEXEC;
  file_ = ::open(options_.path.c_str(), flags);
  const bool is_new = file_ < 0 && errno == ENOENT;
  if (is_new) file_ = ::open(options_.path.c_str(), flags | O_CREAT | O_EXCL, kSecretFileMode);
  if (file_ < 0) return base::fail(system_error(errno, options_.path, "open it"));
  struct stat status {};
  char last = '\n';
  if (::fstat(file_, &status) != 0 ||
      (status.st_size > 0 && ::pread(file_, &last, 1, status.st_size - 1) != 1)) {
    const int number = errno;
    ::close(std::exchange(file_, -1));
    return base::fail(system_error(number, options_.path, "read it"));
  }
  if (is_new) give_to_owner_of_folder(file_, options_.path);
  bytes_ = static_cast<uint64_t>(status.st_size);
  is_in_a_line_ = last != '\n';
  return {};
}

Result<void> RotatedFile::rotate() {
  const auto name_of = [&](uint32_t number) {
    return number == 0 ? options_.path : options_.path + "." + std::to_string(number);
  };
  if (options_.kept_files == 0 && ::unlink(options_.path.c_str()) != 0)
    return base::fail(system_error(errno, options_.path, "remove it"));
  for (uint32_t number = options_.kept_files; number > 0; --number) {
    const std::string from = name_of(number - 1);
    if (::rename(from.c_str(), name_of(number).c_str()) != 0 && errno != ENOENT)
      return base::fail(system_error(errno, from, "rename it"));
  }
  ::close(std::exchange(file_, -1));
  return open();
}

Result<void> RotatedFile::append(std::string_view lines) {
  if (file_ < 0) {
    if (auto opened = open(); !opened) return opened;
  }
  if (bytes_ > 0 && bytes_ + lines.size() > options_.max_file_bytes) {
    if (auto rotated = rotate(); !rotated) return rotated;
  }
  const std::string text = (is_in_a_line_ ? "\n" : "") + std::string(lines);
  std::string_view rest = text;
  while (!rest.empty()) {
    const ssize_t written = ::write(file_, rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return base::fail(system_error(errno, options_.path, "write it"));
    bytes_ += static_cast<uint64_t>(written);
    is_in_a_line_ = rest[static_cast<size_t>(written) - 1] != '\n';
    rest.remove_prefix(static_cast<size_t>(written));
  }
  return {};
}

}  // namespace bobbin::disk
