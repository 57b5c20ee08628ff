#include "serve/engine_statistics.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>
#include <utility>

#include "serve/served_bucket.h"

namespace bobbin::serve {
namespace {

// One statistic of one vbucket at a time.
class VBucketReport {
 public:
  VBucketReport(const ServedBucket& served, const StatSink& sink, uint16_t vbucket)
      : sink_(sink), prefix_(fmt::format("vb_{}", vbucket)), state_(served.vbuckets().of(vbucket)) {}
  [[nodiscard]] std::string_view state() const {
    static constexpr std::string_view kStates[] = {"deleted", "active", "replica", "pending", "dead"};
    return kStates[state_];
  }
  template <typename Value>
  void operator()(std::string_view name, const Value& value) const {
    sink_(name.empty() ? prefix_ : fmt::format("{}:{}", prefix_, name), fmt::format("{}", value));
  }

 private:
  const StatSink& sink_;
  const std::string prefix_;
  const VBucketStates::State state_;
};

void report_state(const store::Bucket&, uint16_t, const VBucketReport& stat) {
  stat("", stat.state());
}

void report_details(const store::Bucket& bucket, uint16_t vbucket, const VBucketReport& stat) {
  const store::VBucketFacts facts = bucket.facts(vbucket);
  stat("", stat.state());
  stat("num_items", facts.items);
  stat("num_non_resident", facts.non_resident_items);
  stat("ht_item_memory", facts.item_bytes);
  stat("ht_memory", facts.table_bytes);
  stat("ht_size", facts.table_buckets);
  stat("queue_size", facts.dirty_items);
  stat("high_seqno", facts.high_seqno);
  stat("max_cas", facts.max_cas);
  stat("uuid", bucket.vbucket_uuid(vbucket));
}

void report_seqnos(const store::Bucket& bucket, uint16_t vbucket, const VBucketReport& stat) {
  const store::VBucketFacts facts = bucket.facts(vbucket);
  stat("high_seqno", facts.high_seqno);
  stat("abs_high_seqno", facts.high_seqno);
  stat("last_persisted_seqno", facts.persisted_seqno);
  stat("last_persisted_snap_start", facts.persisted_seqno);
  stat("last_persisted_snap_end", facts.persisted_seqno);
  stat("uuid", bucket.vbucket_uuid(vbucket));
}

void report_failovers(const store::Bucket& bucket, uint16_t vbucket, const VBucketReport& stat) {
  const auto log = bucket.failover_log(vbucket);
  stat("num_entries", log.size());
  for (size_t i = 0; i < log.size(); ++i) {
    stat(fmt::format("{}:id", i), log[i].uuid);
    stat(fmt::format("{}:seq", i), log[i].seqno);
  }
}

void report_hash(const store::Bucket& bucket, uint16_t vbucket, const VBucketReport& stat) {
  const store::VBucketFacts facts = bucket.facts(vbucket);
  stat("state", stat.state());
  stat("size", facts.table_buckets);
  stat("counted", facts.items);
  stat("mem_size", facts.item_bytes);
  stat("mem_size_counted", facts.item_bytes);
}

constexpr std::pair<std::string_view, void (*)(const store::Bucket&, uint16_t, const VBucketReport&)>
    kOfVBuckets[] = {{"vbucket", report_state},
                     {"vbucket-details", report_details},
                     {"vbucket-seqno", report_seqnos},
                     {"failovers", report_failovers},
                     {"hash", report_hash}};

void report_memory(const store::Bucket& bucket, const StatSink& sink) {
  const store::Statistics all = bucket.statistics();
  const auto stat = [&](std::string_view name, uint64_t value) {
    sink(name, fmt::format_int(value).c_str());
  };
  stat("mem_used", all.used_bytes);
  stat("ep_kv_size", all.item_bytes);
  stat("ep_max_size", all.quota_bytes);
  stat("ep_overhead", all.used_bytes - std::min(all.used_bytes, all.item_bytes));
  stat("ep_mem_high_wat", all.quota_bytes);
}

void report_config(const store::Bucket& bucket, const StatSink& sink) {
  const bool persistent = bucket.is_persistent();
  const bool full = bucket.eviction_policy() == store::EvictionPolicy::full;
  sink("ep_bucket_type", persistent ? "persistent" : "cache");
  sink("ep_item_eviction_policy", !persistent ? "auto_delete" : full ? "full_eviction" : "value_only");
  sink("ep_max_size", fmt::format_int(bucket.quota_bytes()).c_str());
  sink("ep_max_item_size", fmt::format_int(bucket.max_value_bytes()).c_str());
  sink("ep_max_vbuckets", fmt::format_int(bucket.vbucket_count()).c_str());
}

// Nothing: no number, or none of a vbucket.
std::optional<uint16_t> vbucket_in(std::string_view text, const store::Bucket& bucket) {
  uint16_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number >= bucket.vbucket_count())
    return std::nullopt;
  return number;
}

}  // namespace

bool report_engine_statistics(const ServedBucket& served, std::string_view group, const StatSink& sink) {
  const store::Bucket& bucket = served.bucket();
  if (group == "uuid") {
    sink("uuid", served.uuid());
    return true;
  }
  if (group == "memory" || group == "config") {
    (group == "memory" ? report_memory : report_config)(bucket, sink);
    return true;
  }
  const size_t space = group.find(' ');
  for (const auto& [name, report] : kOfVBuckets) {
    if (name != group.substr(0, space)) continue;
    if (space != std::string_view::npos) {
      const auto one = vbucket_in(group.substr(space + 1), bucket);
      if (one) report(bucket, *one, VBucketReport(served, sink, *one));
      return one.has_value();
    }
    for (uint32_t i = 0; i < bucket.vbucket_count(); ++i) {
      const auto vbucket = static_cast<uint16_t>(i);
      report(bucket, vbucket, VBucketReport(served, sink, vbucket));
    }
    return true;
  }
  return false;
}

}  // namespace bobbin::serve
