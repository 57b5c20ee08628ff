#include "disk/faulty_files.h"

#include <algorithm>
#include <condition_variable>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "disk/rocks_files.h"

namespace bobbin::disk {

namespace fs = std::filesystem;

using rocksdb::FileOptions;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

namespace {

struct Known {
  uint64_t size = 0;
  uint64_t synced = 0;
  bool named = false;  ///< its folder has been synced since it was created
};

/// What a loss of power would take away, by path.
struct Unsynced {
  std::map<std::string, Known> files;
  // Targets of renames that would be undone, with what they held before, if they were there.
  std::map<std::string, std::optional<std::string>> replaced;
};

bool take_away(const Unsynced& unsynced, uint64_t torn_bytes) {
  std::error_code error;
  bool fine = true;
  for (const auto& [path, file] : unsynced.files) {
    if (!fs::exists(path, error)) continue;
    if (!file.named)
      fs::remove(path, error);
    else if (fs::file_size(path, error) > file.synced)
      fs::resize_file(path, std::min(fs::file_size(path, error), file.synced + torn_bytes), error);
    fine = fine && !error;
  }
  for (const auto& [path, before] : unsynced.replaced) {
    if (before)
      std::ofstream(path, std::ios::binary | std::ios::trunc) << *before;
    else
      fs::remove(path, error);
    fine = fine && !error;
  }
  return fine;
}

/// A note is a run of such entries; strings have their lengths before them.
void write_note(std::ostream& note, const Unsynced& unsynced) {
  for (const auto& [path, file] : unsynced.files)
    note << "file " << file.synced << ' ' << file.named << ' ' << path.size() << ' ' << path << '\n';
  for (const auto& [path, before] : unsynced.replaced) {
    note << "replaced " << before.has_value() << ' ' << path.size() << ' ' << path << ' '
         << before.value_or("").size() << ' ' << before.value_or("") << '\n';
  }
  note << "end\n";
}

std::string read_string(std::istream& note) {
  size_t size = 0;
  note >> size;
  std::string text(note ? size : 0, '\0');
  note.get();
  note.read(text.data(), static_cast<std::streamsize>(text.size()));
  return text;
}

/// False for a note that is not whole.
bool read_note(std::istream& note, Unsynced& unsynced) {
  for (std::string what; note >> what;) {
    if (what == "end") return true;
    if (what == "file") {
      Known file;
      note >> file.synced >> file.named;
      unsynced.files[read_string(note)] = file;
    } else {
      bool was_there = false;
      note >> was_there;
      const std::string path = read_string(note);
      std::string before = read_string(note);
      unsynced.replaced[path] = was_there ? std::optional(std::move(before)) : std::nullopt;
    }
  }
  return false;
}

}  // namespace

/// What was injected, and what is known of each file that was written.
class FaultyFiles::State {
 public:
  void inject(const Fault& fault) {
    const base::MutexLock lock(mutex_);
    faults_.push_back(fault);
  }
  void heal() {
    const base::MutexLock lock(mutex_);
    faults_.clear();
    healed_.notify_all();
  }
  void cut_power() {
    const base::MutexLock lock(mutex_);
    power_is_off_ = true;
  }
  [[nodiscard]] uint64_t hits() const {
    const base::MutexLock lock(mutex_);
    return hits_;
  }
  [[nodiscard]] uint64_t syncs() const {
    const base::MutexLock lock(mutex_);
    return syncs_;
  }

  /// The status of an operation that is about to be done.
  IOStatus may(FileOperation operation, const std::string& path) {
    const base::MutexLock lock(mutex_);
    if (is_held(operation, path)) ++hits_;
    while (is_held(operation, path))
      healed_.wait(mutex_);
    if (power_is_off_ && operation != FileOperation::read) return IOStatus::IOError("power is off", path);
    for (Fault& fault : faults_) {
      if (!matches(fault, operation, path)) continue;
      if (fault.after > 0) {
        --fault.after;
        continue;
      }
      ++hits_;
      if (fault.kind == ErrorKind::no_space) return IOStatus::NoSpace("No space left on device", path);
      return IOStatus::IOError("Input/output error (injected)", path);
    }
    return IOStatus::OK();
  }

  void opened(const std::string& path, uint64_t size, bool is_new) {
    const base::MutexLock lock(mutex_);
    const auto [found, inserted] = files_.try_emplace(path);
    if (inserted || is_new) found->second = {size, size, !is_new};
  }
  void appended(const std::string& path, uint64_t bytes) {
    const base::MutexLock lock(mutex_);
    files_[path].size += bytes;
  }
  void synced(const std::string& path) {
    const base::MutexLock lock(mutex_);
    ++syncs_;
    files_[path].synced = files_[path].size;
  }
  void folder_synced(const std::string& folder) {
    const base::MutexLock lock(mutex_);
    const auto inside = [&](const std::string& path) {
      return fs::path(path).parent_path() == fs::path(folder);
    };
    for (auto& [path, file] : files_)
      file.named = file.named || inside(path);
    std::erase_if(replaced_, [&](const auto& entry) { return inside(entry.first); });
  }
  void deleted(const std::string& path) {
    const base::MutexLock lock(mutex_);
    files_.erase(path);
    replaced_.erase(path);
    // What is deleted here does not come back, as if it were on disk at once. A file system that keeps the
    // order of what happens in a folder has the renames before it on disk, too: otherwise a name that was
    // pointed elsewhere would point at what is gone.
    const fs::path folder = fs::path(path).parent_path();
    std::erase_if(replaced_,
                  [&](const auto& entry) { return fs::path(entry.first).parent_path() == folder; });
  }
  void renamed(const std::string& from, const std::string& to, const std::optional<std::string>& before) {
    const base::MutexLock lock(mutex_);
    const auto moved = files_.find(from);
    if (moved != files_.end()) {
      files_[to] = moved->second;
      files_[to].named = true;  // what it takes back is in replaced_
      files_.erase(from);
    }
    replaced_.try_emplace(to, before);
  }

  bool drop_unsynced(uint64_t torn_bytes) {
    Unsynced unsynced;
    {
      const base::MutexLock lock(mutex_);
      unsynced.files.swap(files_);
      unsynced.replaced.swap(replaced_);
      power_is_off_ = false;
    }
    return take_away(unsynced, torn_bytes);
  }

  [[noreturn]] void lose_power(const std::string& path) {
    // Held to the end: no sync that is not in the note can return, and so nobody can be told of it.
    const base::MutexLock lock(mutex_);
    std::ofstream note(path, std::ios::binary | std::ios::trunc);
    write_note(note, {files_, replaced_});
    note.close();
    for (;;)
      (void)::raise(SIGKILL);
  }

 private:
  [[nodiscard]] static bool matches(const Fault& fault, FileOperation operation, const std::string& path) {
    return fault.operation == operation && path.find(fault.path_part) != std::string::npos;
  }
  [[nodiscard]] bool is_held(FileOperation operation, const std::string& path) const REQUIRES(mutex_) {
    return std::any_of(faults_.begin(), faults_.end(),
                       [&](const Fault& fault) { return fault.holds && matches(fault, operation, path); });
  }

  mutable base::Mutex mutex_;
  std::condition_variable_any healed_;
  std::vector<Fault> faults_ GUARDED_BY(mutex_);
  std::map<std::string, Known> files_ GUARDED_BY(mutex_);
  // Targets of renames that a loss of power undoes, with what they held before, if they were there.
  std::map<std::string, std::optional<std::string>> replaced_ GUARDED_BY(mutex_);
  bool power_is_off_ GUARDED_BY(mutex_) = false;
  uint64_t hits_ GUARDED_BY(mutex_) = 0;
  uint64_t syncs_ GUARDED_BY(mutex_) = 0;
};

namespace {

using SharedState = std::shared_ptr<FaultyFiles::State>;

class FaultyWritableFile final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  FaultyWritableFile(std::unique_ptr<rocksdb::FSWritableFile> file, std::string path, SharedState state)
      : FSWritableFileOwnerWrapper(std::move(file)), path_(std::move(path)), state_(std::move(state)) {}

  using FSWritableFileOwnerWrapper::Append;
  IOStatus Append(const Slice& data, const IOOptions& options, IODebugContext* dbg) override {
    IOStatus status = state_->may(FileOperation::write, path_);
    if (status.ok()) status = FSWritableFileOwnerWrapper::Append(data, options, dbg);
    if (status.ok()) state_->appended(path_, data.size());
    return status;
  }
  IOStatus Append(const Slice& data, const IOOptions& options, const rocksdb::DataVerificationInfo& /*info*/,
                  IODebugContext* dbg) override {
    return Append(data, options, dbg);
  }
  IOStatus Sync(const IOOptions& options, IODebugContext* dbg) override {
    IOStatus status = state_->may(FileOperation::sync, path_);
    if (status.ok()) status = FSWritableFileOwnerWrapper::Sync(options, dbg);
    if (status.ok()) state_->synced(path_);
    return status;
  }
  IOStatus Fsync(const IOOptions& options, IODebugContext* dbg) override { return Sync(options, dbg); }

 private:
  std::string path_;
  SharedState state_;
};

class FaultyRandomAccessFile final : public rocksdb::FSRandomAccessFileOwnerWrapper {
 public:
  FaultyRandomAccessFile(std::unique_ptr<rocksdb::FSRandomAccessFile> file, std::string path,
                         SharedState state)
      : FSRandomAccessFileOwnerWrapper(std::move(file)), path_(std::move(path)), state_(std::move(state)) {}

  IOStatus Read(uint64_t offset, size_t n, const IOOptions& options, Slice* result, char* scratch,
                IODebugContext* dbg) const override {
    IOStatus status = state_->may(FileOperation::read, path_);
    if (!status.ok()) return status;
    return FSRandomAccessFileOwnerWrapper::Read(offset, n, options, result, scratch, dbg);
  }
  IOStatus MultiRead(rocksdb::FSReadRequest* requests, size_t count, const IOOptions& options,
                     IODebugContext* dbg) override {
    IOStatus status = state_->may(FileOperation::read, path_);
    if (!status.ok()) return status;
    return FSRandomAccessFileOwnerWrapper::MultiRead(requests, count, options, dbg);
  }

 private:
  std::string path_;
  SharedState state_;
};

class FaultySequentialFile final : public rocksdb::FSSequentialFileOwnerWrapper {
 public:
  FaultySequentialFile(std::unique_ptr<rocksdb::FSSequentialFile> file, std::string path, SharedState state)
      : FSSequentialFileOwnerWrapper(std::move(file)), path_(std::move(path)), state_(std::move(state)) {}

  IOStatus Read(size_t n, const IOOptions& options, Slice* result, char* scratch,
                IODebugContext* dbg) override {
    IOStatus status = state_->may(FileOperation::read, path_);
    if (!status.ok()) return status;
    return FSSequentialFileOwnerWrapper::Read(n, options, result, scratch, dbg);
  }

 private:
  std::string path_;
  SharedState state_;
};

class FaultyFolder final : public rocksdb::FSDirectoryWrapper {
 public:
  FaultyFolder(std::unique_ptr<rocksdb::FSDirectory> folder, std::string path, SharedState state)
      : FSDirectoryWrapper(std::move(folder)), path_(std::move(path)), state_(std::move(state)) {}

  IOStatus Fsync(const IOOptions& options, IODebugContext* dbg) override {
    return noted(FSDirectoryWrapper::Fsync(options, dbg));
  }
  IOStatus FsyncWithDirOptions(const IOOptions& options, IODebugContext* dbg,
                               const rocksdb::DirFsyncOptions& how) override {
    return noted(FSDirectoryWrapper::FsyncWithDirOptions(options, dbg, how));
  }

 private:
  IOStatus noted(IOStatus status) {
    IOStatus injected = state_->may(FileOperation::sync, path_);
    if (!injected.ok()) return injected;
    if (status.ok()) state_->folder_synced(path_);
    return status;
  }

  std::string path_;
  SharedState state_;
};

/// Hands out files that ask the state first.
class FaultyFileSystem final : public rocksdb::FileSystemWrapper {
 public:
  explicit FaultyFileSystem(SharedState state)
      : FileSystemWrapper(rocksdb::FileSystem::Default()), state_(std::move(state)) {}

  [[nodiscard]] const char* Name() const override { return "bobbin.FaultyFileSystem"; }

  IOStatus NewSequentialFile(const std::string& path, const FileOptions& options,
                             std::unique_ptr<rocksdb::FSSequentialFile>* file, IODebugContext* dbg) override {
    IOStatus status = target()->NewSequentialFile(path, options, file, dbg);
    if (status.ok()) *file = std::make_unique<FaultySequentialFile>(std::move(*file), path, state_);
    return status;
  }
  IOStatus NewRandomAccessFile(const std::string& path, const FileOptions& options,
                               std::unique_ptr<rocksdb::FSRandomAccessFile>* file,
                               IODebugContext* dbg) override {
    IOStatus status = target()->NewRandomAccessFile(path, options, file, dbg);
    if (status.ok()) *file = std::make_unique<FaultyRandomAccessFile>(std::move(*file), path, state_);
    return status;
  }
  IOStatus NewWritableFile(const std::string& path, const FileOptions& options,
                           std::unique_ptr<rocksdb::FSWritableFile>* file, IODebugContext* dbg) override {
    IOStatus status = state_->may(FileOperation::write, path);
    if (status.ok()) status = target()->NewWritableFile(path, options, file, dbg);
    if (status.ok()) wrap(path, 0, true, file);
    return status;
  }
  IOStatus ReopenWritableFile(const std::string& path, const FileOptions& options,
                              std::unique_ptr<rocksdb::FSWritableFile>* file, IODebugContext* dbg) override {
    IOStatus status = state_->may(FileOperation::write, path);
    std::error_code error;
    const bool is_new = !fs::exists(path, error);
    if (status.ok()) status = target()->ReopenWritableFile(path, options, file, dbg);
    if (status.ok()) wrap(path, is_new ? 0 : fs::file_size(path, error), is_new, file);
    return status;
  }
  IOStatus NewDirectory(const std::string& path, const IOOptions& options,
                        std::unique_ptr<rocksdb::FSDirectory>* folder, IODebugContext* dbg) override {
    IOStatus status = target()->NewDirectory(path, options, folder, dbg);
    if (status.ok()) *folder = std::make_unique<FaultyFolder>(std::move(*folder), path, state_);
    return status;
  }
  IOStatus DeleteFile(const std::string& path, const IOOptions& options, IODebugContext* dbg) override {
    IOStatus status = state_->may(FileOperation::write, path);
    if (status.ok()) status = target()->DeleteFile(path, options, dbg);
    if (status.ok()) state_->deleted(path);
    return status;
  }
  IOStatus RenameFile(const std::string& from, const std::string& to, const IOOptions& options,
                      IODebugContext* dbg) override {
    IOStatus status = state_->may(FileOperation::write, to);
    if (!status.ok()) return status;
    std::optional<std::string> before;
    if (std::ifstream file(to, std::ios::binary); file) {
      std::ostringstream bytes;
      bytes << file.rdbuf();
      before = bytes.str();
    }
    status = target()->RenameFile(from, to, options, dbg);
    if (status.ok()) state_->renamed(from, to, before);
    return status;
  }

 private:
  void wrap(const std::string& path, uint64_t size, bool is_new,
            std::unique_ptr<rocksdb::FSWritableFile>* file) {
    state_->opened(path, size, is_new);
    *file = std::make_unique<FaultyWritableFile>(std::move(*file), path, state_);
  }

  SharedState state_;
};

std::unique_ptr<Files::Impl> make_impl(const SharedState& state) {
  auto impl = std::make_unique<Files::Impl>();
  impl->file_system = std::make_shared<FaultyFileSystem>(state);
  return impl;
}

}  // namespace

// The base class is made first, so the state comes from it by way of a second constructor's argument.
FaultyFiles::FaultyFiles() : FaultyFiles(std::make_shared<State>()) {}

FaultyFiles::FaultyFiles(std::shared_ptr<State> state) : Files(make_impl(state)), state_(std::move(state)) {}

FaultyFiles::~FaultyFiles() = default;

void FaultyFiles::inject(const Fault& fault) {
  state_->inject(fault);
}
void FaultyFiles::heal() {
  state_->heal();
}
uint64_t FaultyFiles::hits() const {
  return state_->hits();
}
uint64_t FaultyFiles::syncs() const {
  return state_->syncs();
}
void FaultyFiles::cut_power() {
  state_->cut_power();
}
void FaultyFiles::lose_power(const std::string& note) {
  state_->lose_power(note);
}
bool FaultyFiles::drop_noted(const std::string& note, uint64_t torn_bytes) {
  std::ifstream file(note, std::ios::binary);
  if (!file) return true;
  Unsynced unsynced;
  if (!read_note(file, unsynced) || !take_away(unsynced, torn_bytes)) return false;
  std::error_code error;
  return fs::remove(note, error);
}
bool FaultyFiles::drop_unsynced(uint64_t torn_bytes) {
  return state_->drop_unsynced(torn_bytes);
}

}  // namespace bobbin::disk
