#pragma once

#include <cstdint>
#include <optional>

#include "store/persistence_types.h"
#include "wire/dcp.h"

namespace bobbin::feed {

/// Where a stream begins and ends, after flags that move it have done so.
struct StreamBounds {
  uint64_t start_seqno = 0;
  uint64_t end_seqno = wire::kDcpForever;
  uint64_t snapshot_start = 0;
  uint64_t snapshot_end = 0;
};

enum class StartVerdict : uint8_t { granted, rollback, out_of_range };

struct StreamStart {
  StartVerdict verdict = StartVerdict::granted;
  StreamBounds bounds;
  uint64_t rollback_seqno = 0;
};

/// Whether the consumer can go on where it says it is (couchbase/kv_engine
/// docs/dcp/documentation/rollback.md). `purge_seqno`: tombstones up to there may be gone;
/// `known_purge_seqno`: the consumer has seen a marker that said so. A flush counts as a purge that nobody
/// can have seen through: what was before it is gone without tombstones.
[[nodiscard]] StreamStart judge_start(const wire::DcpStreamRequest& request, const store::StreamFacts& facts,
                                      uint64_t purge_seqno, std::optional<uint64_t> known_purge_seqno);

}  // namespace bobbin::feed
