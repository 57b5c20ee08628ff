#pragma once

// Only for .cc files of this folder: it brings in RocksDB.
#include <rocksdb/file_system.h>

#include <memory>

namespace bobbin::disk {

/// The same files. RocksDB's own threads give way (give_way.h) when they have read from a table: a compaction
/// that leaves out most of what it reads calls nothing else of ours.
[[nodiscard]] std::shared_ptr<rocksdb::FileSystem> make_giving_way_files(
    std::shared_ptr<rocksdb::FileSystem> below);

}  // namespace bobbin::disk
