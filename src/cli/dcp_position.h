#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "wire/dcp_changes.h"

namespace bobbin::cli {

/// How far somebody has come in the changes of a vbucket, and in which branch of its history: what a stream
/// request needs to go on from there.
class DcpPosition {
 public:
  DcpPosition() = default;
  DcpPosition(uint64_t uuid, uint64_t seqno, uint64_t snapshot_start, uint64_t snapshot_end);

  [[nodiscard]] uint64_t uuid() const noexcept { return uuid_; }
  [[nodiscard]] uint64_t seqno() const noexcept { return seqno_; }

  /// To go on; the end is that of the request.
  [[nodiscard]] wire::DcpStreamRequest request(uint64_t end_seqno = wire::kDcpForever) const;

  /// The stream was accepted with this failover log, newest first.
  void accepted(const std::vector<wire::DcpFailoverEntry>& log);
  /// The server has another history behind `seqno`. If that is not before where this is, the position becomes
  /// that of somebody who has nothing: each rollback leads to less, so there is an end to them.
  void roll_back(uint64_t seqno);
  /// A change, an event, or a note that the vbucket went on was dealt with.
  void reached(uint64_t seqno);
  void snapshot(const wire::DcpSnapshotMarker& marker);
  void out_of_order(const wire::DcpOsoSnapshot& mark);

  friend bool operator==(const DcpPosition&, const DcpPosition&) = default;

 private:
  void choose_branch();

  uint64_t uuid_ = 0;
  uint64_t seqno_ = 0;
  uint64_t snapshot_start_ = 0;
  uint64_t snapshot_end_ = 0;
  bool is_out_of_order_ = false;
  uint64_t highest_ = 0;  ///< of what came out of order
  std::vector<wire::DcpFailoverEntry> log_;
};

/// Of a bucket: by vbucket.
using DcpPositions = std::map<uint16_t, DcpPosition>;

/// What a position file has: where it was made, and the positions.
struct PositionFile {
  std::string bucket;
  std::string what;  ///< the filter, in words: a position is of no use with another one
  DcpPositions positions;
};

/// JSON, one object: {"bobbin":"position","bucket","what","vbuckets":{"0":["uuid",seqno,start,end]}}.
[[nodiscard]] std::string position_text(const PositionFile& file);
[[nodiscard]] base::Result<PositionFile, base::Error> parse_position(std::string_view text);

/// Empty positions where there is no such file.
[[nodiscard]] base::Result<PositionFile, base::Error> load_position(const std::string& path);
/// Written beside it, synced and renamed: whenever the process or the machine ends, the file is the old one
/// or the new one.
[[nodiscard]] base::Result<void, base::Error> save_position(const std::string& path,
                                                            const PositionFile& file);

}  // namespace bobbin::cli
