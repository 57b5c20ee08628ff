#include "serve/follow_statistics.h"

#include <fmt/format.h>

#include <algorithm>

#include "serve/engine.h"
#include "serve/stat_groups.h"

namespace bobbin::serve {
namespace {

constexpr std::string_view name_of(FollowLink link) {
  switch (link) {
    case FollowLink::connecting:
      return "connecting";
    case FollowLink::streaming:
      return "streaming";
    case FollowLink::waiting:
      break;
  }
  return "waiting";
}

// Of all buckets together.
void report_buckets(const Following& following, const StatSink& sink) {
  uint64_t expected = 0;
  uint64_t streaming = 0;
  for (const auto& bucket : following.all()) {
    expected += bucket->is_expected() ? 1 : 0;
    streaming += bucket->link().state == FollowLink::streaming ? 1 : 0;
  }
  sink("follow_source", following.source());
  tell(sink, "follow_buckets", expected);
  tell(sink, "follow_buckets_streaming", streaming);
  sink("follow_buckets_ready", following.missing().empty() ? "yes" : "no");
  sink("follow_buckets_trouble", following.list_trouble());
}

StatAnswer report_follow(const StatQuery& query, const StatSink& sink) {
  const Following* const following = query.engine.following;
  const auto followed = following == nullptr ? nullptr : following->find(query.bucket.name());
  sink("follow_state", followed == nullptr ? "off" : name_of(followed->link().state));
  if (following != nullptr) report_buckets(*following, sink);
  if (followed == nullptr) return StatAnswer::told;
  const feed::FollowNumbers& numbers = followed->numbers;
  const FollowedBucket::Link link = followed->link();
  sink("follow_trouble", link.trouble);
  sink("follow_settings_differ", followed->kept_settings());
  sink("follow_ready", followed->is_ready() ? "yes" : "no");
  sink("follow_caught_up", numbers.caught_up.load() ? "yes" : "no");
  tell(sink, "follow_connections", link.connections);
  tell(sink, "follow_failures", link.failures);
  tell(sink, "follow_streams", numbers.streams.get());
  tell(sink, "follow_lag_seqnos", seqnos_behind(*followed, query.bucket.bucket()));
  tell(sink, "follow_lag_ms", numbers.lag_ms.load());
  tell(sink, "follow_resumed_vbuckets", numbers.resumed.get());
  tell(sink, "follow_full_copies", numbers.began_new.get());
  tell(sink, "follow_rollbacks", numbers.rollbacks.get());
  tell(sink, "follow_cleared_vbuckets", numbers.cleared.get());
  tell(sink, "follow_mutations", numbers.mutations.get());
  tell(sink, "follow_deletions", numbers.deletions.get());
  tell(sink, "follow_expirations", numbers.expirations.get());
  tell(sink, "follow_collection_events", numbers.events.get());
  tell(sink, "follow_snapshots", numbers.snapshots.get());
  tell(sink, "follow_bytes", numbers.bytes.get());
  tell(sink, "follow_memory_waits", numbers.memory_waits.get());
  return StatAnswer::told;
}

StatAnswer report_vbuckets(const StatQuery& query, const StatSink& sink) {
  const Following* const following = query.engine.following;
  const auto followed = following == nullptr ? nullptr : following->find(query.bucket.name());
  if (followed == nullptr) return StatAnswer::told;
  const auto& there = followed->numbers.source_seqnos;
  for (size_t i = 0; i < there.size(); ++i) {
    tell(sink, fmt::format("vb_{}:seqno", i), query.bucket.bucket().high_seqno(static_cast<uint16_t>(i)));
    tell(sink, fmt::format("vb_{}:source_seqno", i), there[i].load(std::memory_order_relaxed));
  }
  return StatAnswer::told;
}

constexpr StatGroup kGroups[] = {
    {.name = "follow",
     .report = report_follow,
     .about = "how the bucket gets on as a copy of another server's"},
    {.name = "follow-vbuckets",
     .report = report_vbuckets,
     .about = "the same by vbucket; nothing where it is none"},
};

}  // namespace

std::span<const StatGroup> follow_groups() {
  return kGroups;
}

uint64_t seqnos_behind(const FollowedBucket& followed, const store::Bucket& bucket) {
  uint64_t sum = 0;
  for (size_t i = 0; i < followed.numbers.source_seqnos.size(); ++i) {
    const uint64_t there = followed.numbers.source_seqnos[i].load(std::memory_order_relaxed);
    sum += there - std::min(there, bucket.high_seqno(static_cast<uint16_t>(i)));
  }
  return sum;
}

}  // namespace bobbin::serve
