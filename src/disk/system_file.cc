#include "disk/system_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

namespace bobbin::disk {

namespace {

constexpr mode_t kFileMode = 0640;
constexpr mode_t kFolderMode = 0700;

/// Closes when it goes.
class OpenFile {
 public:
  explicit OpenFile(int file) : file_(file) {}
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  ~OpenFile() {
    if (file_ >= 0) ::close(file_);
  }
  [[nodiscard]] int get() const { return file_; }

 private:
  int file_;
};

std::string folder_of(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

bool write_all(int file, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file, bytes.data(), bytes.size());
    if (written < 0 && errno != EINTR) return false;
    if (written > 0) bytes.remove_prefix(static_cast<size_t>(written));
  }
  return true;
}

/// False with errno.
bool read_all(int file, std::string& bytes) {
  std::array<char, 4096> part{};
  for (;;) {
    const ssize_t got = ::read(file, part.data(), part.size());
    if (got == 0) return true;
    if (got < 0 && errno != EINTR) return false;
    if (got > 0) bytes.append(part.data(), static_cast<size_t>(got));
  }
}

}  // namespace

Error system_error(int number, const std::string& path, std::string_view what) {
  Error error;
  error.path = path;
  switch (number) {
    case ENOSPC:
    case EDQUOT:
      error.kind = ErrorKind::no_space;
      break;
    case EROFS:
    case EACCES:
    case EPERM:
      error.kind = ErrorKind::read_only;
      break;
    default:
      error.kind = ErrorKind::io;
  }
  error.message = path + ": cannot " + std::string(what) + ": " + std::generic_category().message(number);
  return error;
}

Result<std::optional<std::string>> read_file(const std::string& path) {
  const OpenFile file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0 && errno == ENOENT) return std::optional<std::string>();
  std::string bytes;
  if (file.get() < 0 || !read_all(file.get(), bytes)) return base::fail(system_error(errno, path, "read it"));
  return std::optional<std::string>(std::move(bytes));
}

Result<void> replace_file(const std::string& path, std::string_view bytes, unsigned mode) {
  const std::string beside = path + ".new";
  const std::string before = path + ".old";
  // Opened before anything changes: with no descriptor left, nothing has.
  const OpenFile folder(::open(folder_of(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder.get() < 0) return base::fail(system_error(errno, folder_of(path), "open it"));
  // What an interrupted call left has the permissions that it was made with.
  if (::unlink(beside.c_str()) != 0 && errno != ENOENT)
    return base::fail(system_error(errno, beside, "remove it"));
  {
    const OpenFile file(::open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode));
    if (file.get() < 0) return base::fail(system_error(errno, beside, "create it"));
    give_to_owner_of_folder(file.get(), beside);
    if (!write_all(file.get(), bytes)) return base::fail(system_error(errno, beside, "write it"));
    if (::fsync(file.get()) != 0) return base::fail(system_error(errno, beside, "sync it"));
  }
  // What is there now comes back where the new one cannot be made to last: who is told of an error goes on as
  // if nothing had happened.
  ::unlink(before.c_str());
  const bool is_kept = ::link(path.c_str(), before.c_str()) == 0;
  const bool is_first = !is_kept && errno == ENOENT;
  Result<void> done;
  if (::rename(beside.c_str(), path.c_str()) != 0) {
    done = base::fail(system_error(errno, path, "rename a file to it"));
  } else if (::fsync(folder.get()) != 0) {
    done = base::fail(system_error(errno, folder_of(path), "sync it"));
    if (is_kept) (void)!::rename(before.c_str(), path.c_str());
    if (is_first) ::unlink(path.c_str());
  }
  if (is_kept) ::unlink(before.c_str());
  return done;
}

void give_to_owner_of_folder(int file, const std::string& path) {
  struct stat folder {};
  if (::geteuid() != 0 || ::stat(folder_of(path).c_str(), &folder) != 0 || folder.st_uid == 0) return;
  // Where that is not possible (user namespaces, NFS) the file stays as every other that root makes there.
  (void)!::fchown(file, folder.st_uid, folder.st_gid);
}

Result<void> remove_file(const std::string& path) {
  if (::unlink(path.c_str()) == 0) return sync_folder(folder_of(path));
  if (errno == ENOENT) return {};
  return base::fail(system_error(errno, path, "remove it"));
}

Result<void> make_folder(const std::string& path) {
  std::error_code error;
  const bool made = std::filesystem::create_directories(path, error);
  if (error) return base::fail(system_error(error.value(), path, "create the folder"));
  // What is stored is nobody else's business. (A folder that was there is as its owner wants it.)
  if (made && ::chmod(path.c_str(), kFolderMode) != 0)
    return base::fail(system_error(errno, path, "set the permissions of the folder"));
  return made ? sync_folder(folder_of(path)) : Result<void>();
}

Result<void> sync_folder(const std::string& path) {
  const OpenFile folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder.get() < 0) return base::fail(system_error(errno, path, "open the folder"));
  if (::fsync(folder.get()) != 0) return base::fail(system_error(errno, path, "sync the folder"));
  return {};
}

Result<FileLock> FileLock::take(const std::string& path, bool shared) {
  // Not through a link: it is written to, and who could make one in the folder must not choose to what.
  const int mode = (shared ? O_RDONLY : O_RDWR | O_CREAT) | O_NOFOLLOW | O_CLOEXEC;
  FileLock lock(::open(path.c_str(), mode, kFileMode));
  if (lock.file_ < 0) return base::fail(system_error(errno, path, "open it"));
  if (::flock(lock.file_, (shared ? LOCK_SH : LOCK_EX) | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return base::fail(system_error(errno, path, "lock it"));
    std::string holder;
    (void)read_all(lock.file_, holder);
    while (holder.ends_with('\n'))
      holder.pop_back();
    Error error{ErrorKind::locked, path, path + ": another server has this directory"};
    if (!holder.empty()) error.message += " (process " + holder + ")";
    return base::fail(std::move(error));
  }
  if (!shared) {
    const std::string holder = std::to_string(::getpid()) + "\n";
    // Only for the message above: when it cannot be written, the lock holds all the same.
    if (::ftruncate(lock.file_, 0) == 0) (void)write_all(lock.file_, holder);
  }
  return lock;
}

FileLock::FileLock(FileLock&& other) noexcept : file_(std::exchange(other.file_, -1)) {}

FileLock& FileLock::operator=(FileLock&& other) noexcept {
  std::swap(file_, other.file_);
  return *this;
}

FileLock::~FileLock() {
  if (file_ >= 0) ::close(file_);
}

}  // namespace bobbin::disk
