#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "net/counters.h"

namespace bobbin::feed {

/// How the copy of a bucket gets on. Written by the thread that takes the changes, read by any.
struct FollowNumbers {
  explicit FollowNumbers(uint32_t vbuckets) : source_seqnos(vbuckets) {}

  // What was applied, since the server started.
  net::OwnedCounter mutations;
  net::OwnedCounter deletions;
  net::OwnedCounter expirations;
  net::OwnedCounter events;     ///< of scopes and collections
  net::OwnedCounter snapshots;  ///< begun
  net::OwnedCounter bytes;      ///< of frames, whatever they were

  // Streams, each of one vbucket.
  net::OwnedCounter streams;    ///< now open
  net::OwnedCounter resumed;    ///< accepted where something was here already
  net::OwnedCounter began_new;  ///< accepted from the beginning, though the source had something
  net::OwnedCounter rollbacks;  ///< refused, because the source's history is another one
  net::OwnedCounter cleared;    ///< vbuckets that were emptied for that, to be copied again
  net::OwnedCounter memory_waits;

  /// As the source told them last, by vbucket.
  std::vector<std::atomic<uint64_t>> source_seqnos;
  /// Milliseconds from a question for the source's seqnos to when everything up to these was here; while it
  /// is not, how long ago it was asked.
  std::atomic<uint64_t> lag_ms{0};
  /// Everything that the source had at one moment since the start was here.
  std::atomic<bool> caught_up{false};
  /// Vbuckets were emptied, and are not copied again yet.
  std::atomic<bool> is_partial{false};
};

}  // namespace bobbin::feed
