#pragma once

// Only for .cc files of this folder: it brings in RocksDB.
#include <rocksdb/file_system.h>

#include <memory>

#include "disk/files.h"

namespace bobbin::disk {

struct Files::Impl {
  std::shared_ptr<rocksdb::FileSystem> file_system;
};

}  // namespace bobbin::disk
