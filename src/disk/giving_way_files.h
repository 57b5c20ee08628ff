#pragma once

// Only for .cc files of this folder: it brings in RocksDB.
#include <rocksdb/file_system.h>

#include <memory>

namespace bobbin::disk {

/// The same files, for any thread. RocksDB's own threads, by their names, give way (give_way.h) when they
/// have read from a table (blob files are not looked at): a compaction that leaves out most of what it reads
/// calls nothing else of ours.
[[nodiscard]] std::shared_ptr<rocksdb::FileSystem> make_giving_way_files(
    std::shared_ptr<rocksdb::FileSystem> below);

}  // namespace bobbin::disk
