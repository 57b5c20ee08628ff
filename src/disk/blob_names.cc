#include "disk/blob_names.h"

#include <utility>

#include "disk/giving_way_files.h"
#include "disk/rocks_files.h"

namespace bobbin::disk {

namespace {

using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;

thread_local std::string t_last_blob_file;

class BlobFile final : public rocksdb::FSRandomAccessFileOwnerWrapper {
 public:
  BlobFile(std::unique_ptr<rocksdb::FSRandomAccessFile> file, std::string path)
      : FSRandomAccessFileOwnerWrapper(std::move(file)), path_(std::move(path)) {}

  IOStatus Read(uint64_t offset, size_t n, const IOOptions& options, rocksdb::Slice* result, char* scratch,
                IODebugContext* dbg) const override {
    t_last_blob_file = path_;
    return FSRandomAccessFileOwnerWrapper::Read(offset, n, options, result, scratch, dbg);
  }
  IOStatus MultiRead(rocksdb::FSReadRequest* requests, size_t count, const IOOptions& options,
                     IODebugContext* dbg) override {
    t_last_blob_file = path_;
    return FSRandomAccessFileOwnerWrapper::MultiRead(requests, count, options, dbg);
  }

 private:
  std::string path_;
};

class BlobNamingFileSystem final : public rocksdb::FileSystemWrapper {
 public:
  using FileSystemWrapper::FileSystemWrapper;

  [[nodiscard]] const char* Name() const override { return "bobbin.BlobNamingFileSystem"; }

  IOStatus NewRandomAccessFile(const std::string& path, const rocksdb::FileOptions& options,
                               std::unique_ptr<rocksdb::FSRandomAccessFile>* file,
                               IODebugContext* dbg) override {
    IOStatus status = target()->NewRandomAccessFile(path, options, file, dbg);
    if (status.ok() && path.ends_with(".blob")) *file = std::make_unique<BlobFile>(std::move(*file), path);
    return status;
  }
};

}  // namespace

std::unique_ptr<rocksdb::Env> make_blob_naming_env(Files* files) {
  auto below = files != nullptr ? files->impl().file_system : rocksdb::FileSystem::Default();
  return rocksdb::NewCompositeEnv(
      std::make_shared<BlobNamingFileSystem>(make_giving_way_files(std::move(below))));
}

const std::string& last_blob_file() {
  return t_last_blob_file;
}

}  // namespace bobbin::disk
