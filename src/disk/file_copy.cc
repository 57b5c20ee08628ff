#include "disk/file_copy.h"

#include <fcntl.h>
#include <rocksdb/file_checksum.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <vector>

#include "disk/system_file.h"

namespace bobbin::disk {

namespace {

constexpr size_t kPieceBytes = 1024 * 1024;

class OpenFile {
 public:
  OpenFile(const std::string& path, int flags) : file_(::open(path.c_str(), flags | O_CLOEXEC, 0640)) {}
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  ~OpenFile() {
    if (file_ >= 0) ::close(file_);
  }
  [[nodiscard]] int get() const { return file_; }

 private:
  const int file_;
};

std::unique_ptr<rocksdb::FileChecksumGenerator> new_checksum() {
  return rocksdb::GetFileChecksumGenCrc32cFactory()->CreateFileChecksumGenerator({});
}

bool write_all(int file, const char* bytes, size_t count) {
  while (count > 0) {
    const ssize_t written = ::write(file, bytes, count);
    if (written < 0 && errno != EINTR) return false;
    if (written <= 0) continue;
    bytes += written;
    count -= static_cast<size_t>(written);
  }
  return true;
}

/// To `to_or_minus_1` as well.
Result<std::string> read_through(const std::string& path, uint64_t bytes, const KeepGoing& on,
                                 int to_or_minus_1, const std::string& to) {
  const OpenFile file(path, O_RDONLY);
  if (file.get() < 0 && errno == ENOENT)
    return base::fail(Error{ErrorKind::corrupt, path, path + ": missing"});
  if (file.get() < 0) return base::fail(system_error(errno, path, "read it"));
  const auto checksum = new_checksum();
  std::vector<char> piece(std::min<uint64_t>(kPieceBytes, bytes + 1));
  while (bytes > 0) {
    const ssize_t got = ::read(file.get(), piece.data(), std::min<uint64_t>(piece.size(), bytes));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return base::fail(system_error(errno, path, "read it"));
    if (got == 0)
      return base::fail(Error{ErrorKind::corrupt, path,
                              path + ": damaged: " + std::to_string(bytes) + " bytes of it are missing"});
    const auto count = static_cast<size_t>(got);
    checksum->Update(piece.data(), count);
    if (to_or_minus_1 >= 0 && !write_all(to_or_minus_1, piece.data(), count))
      return base::fail(system_error(errno, to, "write it"));
    bytes -= count;
    if (on && !on(count)) return base::fail(Error{ErrorKind::io, {}, "it was stopped"});
  }
  checksum->Finalize();
  return checksum_text(checksum->GetChecksum());
}

}  // namespace

std::string checksum_text(std::string_view recorded) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const char byte : recorded) {
    text.push_back(kDigits[static_cast<uint8_t>(byte) >> 4U]);
    text.push_back(kDigits[static_cast<uint8_t>(byte) & 0xfU]);
  }
  return text;
}

std::string checksum_of_bytes(std::string_view bytes) {
  const auto checksum = new_checksum();
  checksum->Update(bytes.data(), bytes.size());
  checksum->Finalize();
  return checksum_text(checksum->GetChecksum());
}

Result<std::string> checksum_of(const std::string& path, uint64_t bytes, const KeepGoing& on) {
  return read_through(path, bytes, on, -1, {});
}

Result<std::string> copy_file(const std::string& from, const std::string& to, uint64_t bytes,
                              const KeepGoing& on) {
  const std::string beside = to + ".new";
  auto copied = [&]() -> Result<std::string> {
    const OpenFile file(beside, O_WRONLY | O_CREAT | O_TRUNC);
    if (file.get() < 0) return base::fail(system_error(errno, beside, "create it"));
    auto checksum = read_through(from, bytes, on, file.get(), beside);
    if (!checksum) return checksum;
    if (::fsync(file.get()) != 0) return base::fail(system_error(errno, beside, "sync it"));
    return checksum;
  }();
  if (copied && ::rename(beside.c_str(), to.c_str()) == 0) return copied;
  const int number = errno;
  ::unlink(beside.c_str());
  if (!copied) return copied;
  return base::fail(system_error(number, to, "rename a file to it"));
}

}  // namespace bobbin::disk
