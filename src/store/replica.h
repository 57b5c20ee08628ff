#pragma once

#include <cstdint>
#include <vector>

#include "store/persistence_types.h"

namespace bobbin::store {

/// A change of a vbucket that follows another, as it was made there. Flags, expiry, datatype and value of a
/// document are its draft's, and so are the attributes of a tombstone that has some.
struct ReplicaChange {
  /// 48 bits. Above the vbucket's high seqno, and in its snapshot.
  uint64_t seqno = 0;
  uint64_t cas = 0;
  /// 48 bits, from 1.
  uint64_t revision = 1;
  /// Of a deletion: when it was made, in Unix seconds; 0: nobody knows.
  uint32_t deleted_s = 0;
  /// Of a deletion: the document's time had come.
  bool expired = false;
};

enum class ReplicaStatus : uint8_t {
  applied,
  /// Nothing was done: again after a commit. The flushers have been hurried where that helps.
  no_memory,
  /// The vbucket does not follow, or its disk has failed.
  not_following,
  /// Not above the high seqno, or not in the snapshot, or a snapshot that ends below the high seqno.
  out_of_order,
  /// Of a collection that the vbucket was told nothing of.
  unknown_collection,
  /// An event that cannot be: a name or number that no manifest may have, too many of them, a scope that is
  /// not there.
  invalid,
};

/// Where a copy goes on, as DCP's STREAM_REQUEST wants it.
struct ReplicaPosition {
  /// Of the newest branch of the source's that the vbucket has; 0 where it has nothing.
  uint64_t uuid = 0;
  uint64_t seqno = 0;
  uint64_t snapshot_start = 0;
  uint64_t snapshot_end = 0;
  friend bool operator==(const ReplicaPosition&, const ReplicaPosition&) = default;
};

/// All that a follower has to know of one of its vbuckets, at one moment.
struct ReplicaFacts {
  bool follows = false;
  uint64_t high_seqno = 0;
  uint64_t persisted_seqno = 0;
  ReplicaSnapshot snapshot;
  /// The newest first, one at least.
  std::vector<FailoverEntry> failover;

  [[nodiscard]] ReplicaPosition position() const noexcept {
    const uint64_t uuid = high_seqno == 0 ? 0 : failover.front().uuid;
    // A whole snapshot is a state, and so is what there was before one has begun.
    if (high_seqno >= snapshot.end || high_seqno <= snapshot.start)
      return {uuid, high_seqno, high_seqno, high_seqno};
    return {uuid, high_seqno, snapshot.start, snapshot.end};
  }
};

}  // namespace bobbin::store
