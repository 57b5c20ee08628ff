// Groups of statistics that tell of each vbucket, under the names that Couchbase's engine gives them
// (ep-engine docs/stats.org).

#include <fmt/format.h>

#include <string>

#include "serve/served_bucket.h"
#include "serve/stat_groups.h"

namespace bobbin::serve {
namespace {

// One statistic of one vbucket at a time.
class VBucketReport {
 public:
  VBucketReport(const StatSink& sink, uint16_t vbucket)
      : sink_(sink), prefix_(fmt::format("vb_{}", vbucket)) {}
  template <typename Value>
  void operator()(std::string_view name, const Value& value) const {
    sink_(name.empty() ? prefix_ : fmt::format("{}:{}", prefix_, name), fmt::format("{}", value));
  }

 private:
  const StatSink& sink_;
  const std::string prefix_;
};

void report_state(const ServedBucket& served, uint16_t vbucket, const StatSink& sink) {
  VBucketReport(sink, vbucket)("", name_of(served.vbuckets().of(vbucket)));
}

// How far its history has come, and what that is called.
void report_history(const ServedBucket& served, uint16_t vbucket, const store::VBucketFacts& facts,
                    const VBucketReport& stat) {
  stat("high_seqno", facts.high_seqno);
  stat("uuid", served.bucket().vbucket_uuid(vbucket));
}

void report_details(const ServedBucket& served, uint16_t vbucket, const StatSink& sink) {
  const store::VBucketFacts facts = served.bucket().facts(vbucket);
  const VBucketReport stat(sink, vbucket);
  stat("", name_of(served.vbuckets().of(vbucket)));
  stat("num_items", facts.items);
  stat("num_non_resident", facts.non_resident_items);
  stat("ht_item_memory", facts.item_bytes);
  stat("ht_memory", facts.table_bytes);
  stat("ht_size", facts.table_buckets);
  stat("queue_size", facts.dirty_items);
  stat("max_cas", facts.max_cas);
  report_history(served, vbucket, facts, stat);
}

void report_seqnos(const ServedBucket& served, uint16_t vbucket, const StatSink& sink) {
  const store::VBucketFacts facts = served.bucket().facts(vbucket);
  const VBucketReport stat(sink, vbucket);
  report_history(served, vbucket, facts, stat);
  stat("abs_high_seqno", facts.high_seqno);
  stat("last_persisted_seqno", facts.persisted_seqno);
  stat("last_persisted_snap_start", facts.persisted_seqno);
  stat("last_persisted_snap_end", facts.persisted_seqno);
}

void report_failovers(const ServedBucket& served, uint16_t vbucket, const StatSink& sink) {
  const auto log = served.bucket().failover_log(vbucket);
  const VBucketReport stat(sink, vbucket);
  stat("num_entries", log.size());
  for (size_t i = 0; i < log.size(); ++i) {
    stat(fmt::format("{}:id", i), log[i].uuid);
    stat(fmt::format("{}:seq", i), log[i].seqno);
  }
}

void report_hash(const ServedBucket& served, uint16_t vbucket, const StatSink& sink) {
  const store::VBucketFacts facts = served.bucket().facts(vbucket);
  const VBucketReport stat(sink, vbucket);
  stat("state", name_of(served.vbuckets().of(vbucket)));
  stat("size", facts.table_buckets);
  stat("counted", facts.items);
  stat("mem_size", facts.item_bytes);
  stat("mem_size_counted", facts.item_bytes);
}

// There is one log instead of checkpoints, and so no numbers of these.
void report_log(const ServedBucket& served, uint16_t vbucket, const StatSink& sink) {
  const VBucketReport stat(sink, vbucket);
  stat("state", name_of(served.vbuckets().of(vbucket)));
  if (!served.bucket().is_persistent()) return;
  const store::ChangeLogFacts log = served.bucket().log_facts(vbucket);
  stat("num_checkpoint_items", log.items);
  stat("num_items_for_persistence", log.open_items);
  stat("mem_usage", log.bytes);
  stat("num_conn_cursors", log.readers.size());
  stat("persistence:cursor_seqno", log.persistence_seqno);
  for (const store::ChangeLogFacts::Reader& reader : log.readers)
    stat(fmt::format("{}:cursor_seqno", reader.name), reader.seqno);
}

// Seqnos of changes that were prepared before they were made: nothing ever is, because one node is a
// majority.
void report_durability(const ServedBucket& served, uint16_t vbucket, const StatSink& sink) {
  const VBucketStates::State state = served.vbuckets().of(vbucket);
  const VBucketReport stat(sink, vbucket);
  stat("state", name_of(state));
  stat("high_prepared_seqno", 0);
  if (state != VBucketStates::kActive) return stat("high_completed_seqno", 0);
  stat("num_tracked", 0);
  stat("last_tracked_seqno", 0);
  stat("last_committed_seqno", 0);
  stat("last_aborted_seqno", 0);
}

void report_state_before(const ServedBucket& served, uint16_t vbucket, const StatSink& sink) {
  VBucketReport(sink, vbucket)("", name_of(served.vbuckets().at_start(vbucket)));
}

constexpr StatGroup kGroups[] = {
    of_vbuckets("vbucket", report_state, "states"),
    of_vbuckets("prev-vbucket", report_state_before, "states as they were when the server started"),
    of_vbuckets("vbucket-details", report_details, "documents, memory, seqnos"),
    of_vbuckets("vbucket-seqno", report_seqnos, "seqnos, in memory and on disk"),
    of_vbuckets("durability-monitor", report_durability,
                "nothing is ever prepared, as one node is a majority: the numbers are 0"),
    of_vbuckets("failovers", report_failovers, "the branches of the history"),
    of_vbuckets("hash", report_hash, "hash tables"),
    of_vbuckets(
        "checkpoint", report_log,
        "the change log and who reads it, in a persistent bucket; there is one log a vbucket, so nothing "
        "has a checkpoint's number"),
};

}  // namespace

std::span<const StatGroup> vbucket_groups() {
  return kGroups;
}

}  // namespace bobbin::serve
