#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "disk/error.h"

namespace bobbin::disk {

/// Something that is not as it should be.
struct Finding {
  ErrorKind kind = ErrorKind::corrupt;
  std::string where;  ///< a file, a folder, or a vbucket of one
  std::string what;   ///< a sentence for a person
};

/// Which documents a shard may have.
struct ContentRules {
  uint32_t shard = 0;
  uint32_t shards = 1;
  uint32_t vbuckets = 1024;
};

/// What a shard has, and what contradicts what.
struct ContentCheck {
  uint64_t documents = 0;
  uint64_t tombstones = 0;
  uint64_t key_bytes = 0;
  uint64_t value_bytes = 0;
  uint64_t index_entries = 0;
  /// Of the index entries: those of versions that were overwritten since. They go by themselves.
  uint64_t stale_entries = 0;
  uint64_t flushes = 0;
  /// Of the index entries: those of scopes and collections.
  uint64_t events = 0;
  /// VBuckets that have ever been written.
  uint64_t vbuckets = 0;
  /// Of the vbucket with the most: histories that ended in a crash, a flush or a restore, and the present
  /// one.
  uint64_t branches = 0;
  std::vector<Finding> findings;

  void add(const ContentCheck& other);
};

}  // namespace bobbin::disk
