#pragma once

// Only for .cc files of this folder: it brings in RocksDB.
#include <rocksdb/env.h>

#include <memory>
#include <string>

#include "disk/files.h"

namespace bobbin::disk {

/// An environment that remembers, for each thread, which blob file it read last: RocksDB 7.8 does not say in
/// which file a damaged blob is. Other files go through as giving_way_files.h has them.
[[nodiscard]] std::unique_ptr<rocksdb::Env> make_blob_naming_env(Files* files);

/// Of the calling thread; empty when it has read none.
[[nodiscard]] const std::string& last_blob_file();

}  // namespace bobbin::disk
