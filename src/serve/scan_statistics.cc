#include <fmt/format.h>

#include <charconv>
#include <optional>
#include <string>

#include "feed/scan.h"
#include "serve/engine.h"
#include "serve/stat_groups.h"

namespace bobbin::serve {
namespace {

std::string hex(const wire::ScanId& id) {
  std::string text;
  for (const char byte : id)
    text += fmt::format("{:02x}", static_cast<uint8_t>(byte));
  return text;
}

std::string_view name_of(feed::Scan::State state) {
  switch (state) {
    case feed::Scan::State::opening:
      return "opening";
    case feed::Scan::State::idle:
      return "idle";
    case feed::Scan::State::continuing:
      return "continuing";
    case feed::Scan::State::over:
      break;
  }
  return "over";
}

void report_scan(const feed::Scan& scan, const StatSink& sink) {
  const std::string name = fmt::format("vb_{}:{}:", scan.vbucket(), hex(scan.id()));
  const feed::Scan::Facts facts = scan.facts();
  sink(name + "state", name_of(facts.state));
  sink(name + "name", scan.what().name);
  sink(name + "collection", fmt::format("{:#x}", scan.what().collection));
  sink(name + "key_value", scan.what().key_only ? "key" : "value");
  sink(name + "sampling", scan.what().sampling ? "true" : "false");
  tell(sink, name + "items", facts.items);
  tell(sink, name + "bytes", facts.bytes);
  tell(sink, name + "age_ms", facts.age_ms);
}

StatAnswer report_scans(const StatQuery& query, const StatSink& sink) {
  std::optional<uint16_t> vbucket;
  if (!query.argument.empty()) {
    const char* const last = query.argument.data() + query.argument.size();
    uint16_t wanted = 0;
    const auto [end, error] = std::from_chars(query.argument.data(), last, wanted);
    if (error != std::errc() || end != last || wanted >= query.bucket.bucket().vbucket_count())
      return StatAnswer::unknown;
    vbucket = wanted;
  }
  const feed::ScanStatistics numbers = query.engine.scans.statistics();
  tell(sink, "range_scans_open", numbers.open);
  tell(sink, "range_scans_limit", query.engine.scans.limits().scans);
  tell(sink, "range_scans_created", numbers.created);
  tell(sink, "range_scans_completed", numbers.completed);
  tell(sink, "range_scans_cancelled", numbers.cancelled);
  tell(sink, "range_scans_expired", numbers.expired);
  tell(sink, "range_scans_refused", numbers.refused);
  tell(sink, "range_scans_items", numbers.items);
  tell(sink, "range_scans_bytes", numbers.bytes);
  tell(sink, "range_scans_held_bytes", numbers.memory.held_bytes);
  tell(sink, "range_scans_held_limit", query.engine.scans.limits().memory.bytes);
  tell(sink, "range_scans_waiting", numbers.memory.waiting);
  for (const auto& scan : query.engine.scans.all()) {
    if (scan->is_of(query.bucket.bucket()) && (!vbucket || scan->vbucket() == *vbucket))
      report_scan(*scan, sink);
  }
  return StatAnswer::told;
}

constexpr StatGroup kGroups[] = {
    {.name = "range-scans",
     .report = report_scans,
     .about = "range scans, each one and in all",
     .argument = "[vbucket]"},
};

}  // namespace

std::span<const StatGroup> scan_groups() {
  return kGroups;
}

}  // namespace bobbin::serve
