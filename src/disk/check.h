#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "disk/content_check.h"
#include "disk/error.h"

namespace bobbin::disk {

enum class CheckStage : uint8_t {
  files,      ///< reading files and comparing checksums: bytes
  documents,  ///< comparing documents with the index: documents
};
using CheckProgress = std::function<void(CheckStage stage, uint64_t done, uint64_t total)>;

/// What a data directory has, and what is wrong with it.
struct CheckReport {
  std::string path;
  std::string uuid;
  uint32_t shards = 0;
  uint32_t vbuckets = 0;
  bool ended_cleanly = false;
  /// False: the server that was to create it did not get to its end; it holds nothing yet.
  bool is_complete = false;
  uint64_t file_bytes = 0;
  uint64_t unreadable_shards = 0;
  /// The sum over the shards, and all findings.
  ContentCheck content;
};

/// Looks at a data directory that no server has, and changes nothing in it. Everything that can be read is
/// looked at, whatever else is damaged. An error: there is nothing to look at, or no right to. Takes as long
/// as reading all of it twice.
[[nodiscard]] Result<CheckReport> check_directory(const std::string& path,
                                                  const CheckProgress& progress = {});

}  // namespace bobbin::disk
