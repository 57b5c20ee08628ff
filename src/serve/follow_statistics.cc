#include "serve/follow_statistics.h"

#include <fmt/format.h>

#include <algorithm>

#include "serve/engine.h"

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

void number(const StatSink& sink, std::string_view name, uint64_t value) {
  sink(name, fmt::format_int(value).c_str());
}

void report_all(const Engine& engine, const StatSink& sink) {
  if (engine.following == nullptr) return sink("follow_state", "off");
  const Following& following = *engine.following;
  const feed::FollowNumbers& numbers = following.numbers;
  const Following::Link link = following.link();
  sink("follow_state", name_of(link.state));
  sink("follow_source", following.source());
  sink("follow_trouble", link.trouble);
  sink("follow_ready", following.is_ready() ? "yes" : "no");
  sink("follow_caught_up", numbers.caught_up.load() ? "yes" : "no");
  number(sink, "follow_connections", link.connections);
  number(sink, "follow_failures", link.failures);
  number(sink, "follow_streams", numbers.streams.get());
  number(sink, "follow_lag_seqnos", seqnos_behind(engine));
  number(sink, "follow_lag_ms", numbers.lag_ms.load());
  number(sink, "follow_resumed_vbuckets", numbers.resumed.get());
  number(sink, "follow_full_copies", numbers.began_new.get());
  number(sink, "follow_rollbacks", numbers.rollbacks.get());
  number(sink, "follow_cleared_vbuckets", numbers.cleared.get());
  number(sink, "follow_mutations", numbers.mutations.get());
  number(sink, "follow_deletions", numbers.deletions.get());
  number(sink, "follow_expirations", numbers.expirations.get());
  number(sink, "follow_collection_events", numbers.events.get());
  number(sink, "follow_snapshots", numbers.snapshots.get());
  number(sink, "follow_bytes", numbers.bytes.get());
  number(sink, "follow_memory_waits", numbers.memory_waits.get());
}

void report_vbuckets(const Engine& engine, const StatSink& sink) {
  if (engine.following == nullptr) return;
  const store::Bucket& bucket = engine.bucket->bucket();
  for (uint32_t i = 0; i < bucket.vbucket_count(); ++i) {
    const auto vbucket = static_cast<uint16_t>(i);
    number(sink, fmt::format("vb_{}:seqno", i), bucket.high_seqno(vbucket));
    number(sink, fmt::format("vb_{}:source_seqno", i),
           engine.following->numbers.source_seqnos[i].load(std::memory_order_relaxed));
  }
}

}  // namespace

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

bool report_follow(const Engine& engine, const ServedBucket& /*bucket*/, std::string_view group,
                   const StatSink& sink) {
  if (group == "follow")
    report_all(engine, sink);
  else if (group == "follow-vbuckets")
    report_vbuckets(engine, sink);
  else
    return false;
  return true;
}

}  // namespace bobbin::serve
