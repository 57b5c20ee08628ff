#include "feed/stream_start.h"

#include <algorithm>

namespace bobbin::feed {
namespace {

namespace flags = wire::dcp_stream_flags;

// Up to where the consumer's branch of history is ours; nothing where we never had it.
std::optional<uint64_t> shared_until(uint64_t uuid, const store::StreamFacts& facts) {
  uint64_t until = facts.high_seqno;
  for (const store::FailoverEntry& branch : facts.failover) {
    if (branch.uuid == uuid) return until;
    until = std::min(until, branch.seqno);
  }
  return std::nullopt;
}

StreamStart roll_back(StreamStart start, uint64_t seqno) {
  start.verdict = StartVerdict::rollback;
  start.rollback_seqno = seqno;
  return start;
}

}  // namespace

StreamStart judge_start(const wire::DcpStreamRequest& request, const store::StreamFacts& facts,
                        uint64_t purge_seqno, std::optional<uint64_t> known_purge_seqno) {
  StreamStart start;
  start.bounds = {request.start_seqno, request.end_seqno == 0 ? wire::kDcpForever : request.end_seqno,
                  request.snapshot_start, request.snapshot_end};
  StreamBounds& bounds = start.bounds;
  if ((request.flags & flags::kFromLatest) != 0) {
    bounds.start_seqno = bounds.snapshot_start = bounds.snapshot_end = facts.high_seqno;
  }
  if ((request.flags & flags::kToLatest) != 0) bounds.end_seqno = facts.high_seqno;
  if ((request.flags & flags::kDiskOnly) != 0)
    bounds.end_seqno = std::min(bounds.end_seqno, std::max(facts.persisted_seqno, bounds.start_seqno));
  if ((request.flags & flags::kFromLatest) != 0) return start;
  if (bounds.snapshot_start > bounds.start_seqno || bounds.start_seqno > bounds.snapshot_end ||
      (request.end_seqno != 0 && bounds.start_seqno > request.end_seqno)) {
    start.verdict = StartVerdict::out_of_range;
    return start;
  }
  // Who has nothing can begin anywhere, and has no snapshot to finish.
  if (bounds.start_seqno == 0 && (request.uuid == 0 || (request.flags & flags::kStrictUuid) == 0)) {
    bounds.snapshot_start = bounds.snapshot_end = 0;
    return start;
  }

  // A snapshot of which all, or nothing, was received is none that has to be finished.
  uint64_t from = bounds.snapshot_start;
  uint64_t to = bounds.snapshot_end;
  if (bounds.start_seqno == to) from = to;
  if (bounds.start_seqno == from) to = from;
  const bool knows_purge =
      (request.flags & flags::kIgnorePurged) != 0 || (known_purge_seqno && *known_purge_seqno >= purge_seqno);
  if (bounds.start_seqno != 0 && (from < facts.flush_seqno || (from < purge_seqno && !knows_purge)))
    return roll_back(start, 0);
  const std::optional<uint64_t> upper = shared_until(request.uuid, facts);
  if (!upper) return roll_back(start, 0);
  if (to <= *upper) return start;
  return roll_back(start, from > *upper ? *upper : from);
}

}  // namespace bobbin::feed
