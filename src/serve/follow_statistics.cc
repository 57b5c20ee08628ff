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

StatAnswer report_follow(const StatQuery& query, const StatSink& sink) {
  const Engine& engine = query.engine;
  if (engine.following == nullptr) {
    sink("follow_state", "off");
    return StatAnswer::told;
  }
  const Following& following = *engine.following;
  const feed::FollowNumbers& numbers = following.numbers;
  const Following::Link link = following.link();
  sink("follow_state", name_of(link.state));
  sink("follow_source", following.source());
  sink("follow_trouble", link.trouble);
  sink("follow_ready", following.is_ready() ? "yes" : "no");
  sink("follow_caught_up", numbers.caught_up.load() ? "yes" : "no");
  tell(sink, "follow_connections", link.connections);
  tell(sink, "follow_failures", link.failures);
  tell(sink, "follow_streams", numbers.streams.get());
  tell(sink, "follow_lag_seqnos", seqnos_behind(engine));
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
  const Engine& engine = query.engine;
  if (engine.following == nullptr) return StatAnswer::told;
  const store::Bucket& bucket = engine.bucket->bucket();
  for (uint32_t i = 0; i < bucket.vbucket_count(); ++i) {
    const auto vbucket = static_cast<uint16_t>(i);
    tell(sink, fmt::format("vb_{}:seqno", i), bucket.high_seqno(vbucket));
    tell(sink, fmt::format("vb_{}:source_seqno", i),
         engine.following->numbers.source_seqnos[i].load(std::memory_order_relaxed));
  }
  return StatAnswer::told;
}

constexpr StatGroup kGroups[] = {
    {.name = "follow", .report = report_follow, .about = "how the copy of another server gets on"},
    {.name = "follow-vbuckets",
     .report = report_vbuckets,
     .about = "the same by vbucket of the default bucket; nothing where none is followed"},
};

}  // namespace

std::span<const StatGroup> follow_groups() {
  return kGroups;
}

uint64_t seqnos_behind(const Engine& engine) {
  if (engine.following == nullptr) return 0;
  uint64_t sum = 0;
  const store::Bucket& bucket = engine.bucket->bucket();
  for (uint32_t i = 0; i < bucket.vbucket_count(); ++i) {
    const uint64_t there = engine.following->numbers.source_seqnos[i].load(std::memory_order_relaxed);
    sum += there - std::min(there, bucket.high_seqno(static_cast<uint16_t>(i)));
  }
  return sum;
}

}  // namespace bobbin::serve
