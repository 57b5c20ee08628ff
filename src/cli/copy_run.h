#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "base/result.h"
#include "cli/dcp_client.h"
#include "cli/dcp_position.h"
#include "cli/mcbp_client.h"
#include "cli/meta_writer.h"
#include "feed/change_text.h"

namespace bobbin::cli {

struct CopyOptions {
  McbpOptions source;
  McbpOptions target;
  std::string what;           ///< as stream_filter() takes it
  std::string position_path;  ///< empty: none is kept
};

struct CopySurroundings {
  std::function<void(uint64_t done, uint64_t total)> progress;  ///< in changes
  std::function<void(const std::string& message)> notice;
  std::function<bool()> stop;
};

struct CopyResult {
  MetaWriter::Counts counts;
  bool complete = false;  ///< false when it was stopped
  // Documents of the buckets at the end, when the whole bucket was copied.
  std::optional<uint64_t> source_items = std::nullopt;
  std::optional<uint64_t> target_items = std::nullopt;
};

/// `bobbin copy`: brings what a bucket has to another server: its change streams up to where they were when
/// it began, written with their metadata. Scopes and collections are found by their names and have to be
/// there. A position covers what the target has confirmed.
class Copy {
 public:
  Copy(CopyOptions options, CopySurroundings surroundings);
  base::Result<CopyResult, base::Error> run();

 private:
  base::Result<void, base::Error> connect();
  base::Result<void, base::Error> connect_target();
  base::Result<void, base::Error> load();
  base::Result<void, base::Error> request(uint16_t vbucket);
  base::Result<uint32_t, base::Error> target_collection(uint32_t source);
  base::Result<void, base::Error> handle(uint16_t vbucket, const DcpStreamReply& reply);
  base::Result<void, base::Error> handle(uint16_t vbucket, const wire::DcpMessage& message);
  base::Result<void, base::Error> ended(uint16_t vbucket, wire::DcpEnd reason);
  base::Result<void, base::Error> settle(bool at_end);
  base::Result<void, base::Error> count_items(CopyResult& result);

  const CopyOptions options_;
  const CopySurroundings around_;
  feed::CollectionNames names_;
  std::map<uint32_t, uint32_t> collections_;  ///< of the source -> of the target
  std::string filter_;
  std::optional<DcpClient> source_;
  std::optional<MetaWriter> target_;
  DcpPositions positions_;
  std::map<uint16_t, uint64_t> ends_;
  std::set<uint16_t> open_;
  uint64_t total_ = 0;
  std::chrono::steady_clock::time_point saved_{};
};

}  // namespace bobbin::cli
