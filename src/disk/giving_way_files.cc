#include "disk/giving_way_files.h"

#include <pthread.h>

#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "disk/give_way.h"

namespace bobbin::disk {

namespace {

using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;

bool is_rocksdbs() noexcept {
  std::array<char, 16> name{};
  return pthread_getname_np(pthread_self(), name.data(), name.size()) == 0 &&
         std::string_view(name.data()).starts_with("rocksdb:");
}

/// Readers whom somebody waits for read the same files.
void give_way_if_rocksdbs() noexcept {
  thread_local const bool gives_way = is_rocksdbs();
  if (gives_way) give_way_now();
}

class TableFile final : public rocksdb::FSRandomAccessFileOwnerWrapper {
 public:
  using FSRandomAccessFileOwnerWrapper::FSRandomAccessFileOwnerWrapper;

  IOStatus Read(uint64_t offset, size_t n, const IOOptions& options, rocksdb::Slice* result, char* scratch,
                IODebugContext* dbg) const override {
    IOStatus status = FSRandomAccessFileOwnerWrapper::Read(offset, n, options, result, scratch, dbg);
    give_way_if_rocksdbs();
    return status;
  }
};

class GivingWayFiles final : public rocksdb::FileSystemWrapper {
 public:
  using FileSystemWrapper::FileSystemWrapper;

  [[nodiscard]] const char* Name() const override { return "bobbin.GivingWayFiles"; }

  IOStatus NewRandomAccessFile(const std::string& path, const rocksdb::FileOptions& options,
                               std::unique_ptr<rocksdb::FSRandomAccessFile>* file,
                               IODebugContext* dbg) override {
    IOStatus status = target()->NewRandomAccessFile(path, options, file, dbg);
    if (status.ok() && path.ends_with(".sst")) *file = std::make_unique<TableFile>(std::move(*file));
    return status;
  }
};

}  // namespace

std::shared_ptr<rocksdb::FileSystem> make_giving_way_files(std::shared_ptr<rocksdb::FileSystem> below) {
  return std::make_shared<GivingWayFiles>(std::move(below));
}

}  // namespace bobbin::disk
