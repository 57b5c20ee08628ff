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

using Take = std::function<Result<void>(std::string_view)>;

Result<void> read_through(const std::string& path, uint64_t bytes, const KeepGoing& on, const Take& take) {
  const OpenFile file(path, O_RDONLY);
  if (file.get() < 0 && errno == ENOENT)
    return base::fail(Error{ErrorKind::corrupt, path, path + ": missing"});
  if (file.get() < 0) return base::fail(system_error(errno, path, "read it"));
  std::vector<char> piece(std::min<uint64_t>(kPieceBytes, bytes + 1));
  while (bytes > 0) {
    const ssize_t got = ::read(file.get(), piece.data(), std::min<uint64_t>(piece.size(), bytes));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return base::fail(system_error(errno, path, "read it"));
    if (got == 0)
      return base::fail(Error{ErrorKind::corrupt, path,
                              path + ": damaged: " + std::to_string(bytes) + " bytes of it are missing"});
    const auto count = static_cast<size_t>(got);
    if (auto taken = take({piece.data(), count}); !taken) return taken;
    bytes -= count;
    if (on && !on(count)) return base::fail(Error{ErrorKind::io, {}, "it was stopped"});
  }
  return {};
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
  const auto checksum = new_checksum();
  auto read = read_through(path, bytes, on, [&](std::string_view piece) -> Result<void> {
    checksum->Update(piece.data(), piece.size());
    return {};
  });
  if (!read) return base::fail(std::move(read.error()));
  checksum->Finalize();
  return checksum_text(checksum->GetChecksum());
}

struct NewFile::Impl {
  explicit Impl(const std::string& to)
      : path(to), beside(to + ".new"), file(beside, O_WRONLY | O_CREAT | O_TRUNC) {}

  const std::string path;
  const std::string beside;
  const OpenFile file;
  std::unique_ptr<rocksdb::FileChecksumGenerator> checksum = new_checksum();
};

NewFile::NewFile(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
NewFile::NewFile(NewFile&& other) noexcept = default;

NewFile::~NewFile() {
  if (impl_) ::unlink(impl_->beside.c_str());
}

Result<NewFile> NewFile::create(const std::string& path) {
  auto impl = std::make_unique<Impl>(path);
  if (impl->file.get() < 0) return base::fail(system_error(errno, impl->beside, "create it"));
  return NewFile(std::move(impl));
}

Result<void> NewFile::append(std::string_view bytes) {
  impl_->checksum->Update(bytes.data(), bytes.size());
  if (write_all(impl_->file.get(), bytes.data(), bytes.size())) return {};
  return base::fail(system_error(errno, impl_->beside, "write it"));
}

Result<std::string> NewFile::finish() {
  if (::fsync(impl_->file.get()) != 0) return base::fail(system_error(errno, impl_->beside, "sync it"));
  if (::rename(impl_->beside.c_str(), impl_->path.c_str()) != 0)
    return base::fail(system_error(errno, impl_->path, "rename a file to it"));
  impl_->checksum->Finalize();
  const std::unique_ptr<Impl> done = std::move(impl_);
  return checksum_text(done->checksum->GetChecksum());
}

Result<std::string> copy_file(const std::string& from, const std::string& to, uint64_t bytes,
                              const KeepGoing& on) {
  auto copy = NewFile::create(to);
  if (!copy) return base::fail(std::move(copy.error()));
  auto read = read_through(from, bytes, on, [&](std::string_view piece) { return copy->append(piece); });
  if (!read) return base::fail(std::move(read.error()));
  return copy->finish();
}

}  // namespace bobbin::disk
