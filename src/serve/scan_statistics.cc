#include "serve/scan_statistics.h"

#include <fmt/format.h>

#include <charconv>
#include <optional>
#include <string>

#include "feed/scan.h"
#include "serve/engine.h"

namespace bobbin::serve {
namespace {

constexpr std::string_view kGroup = "range-scans";

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

void number(const StatSink& sink, std::string_view name, uint64_t value) {
  sink(name, fmt::format_int(value).c_str());
}

void report_scan(const feed::Scan& scan, const StatSink& sink) {
  const std::string name = fmt::format("vb_{}:{}:", scan.vbucket(), hex(scan.id()));
  const feed::Scan::Facts facts = scan.facts();
  sink(name + "state", name_of(facts.state));
  sink(name + "name", scan.what().name);
  sink(name + "collection", fmt::format("{:#x}", scan.what().collection));
  sink(name + "key_value", scan.what().key_only ? "key" : "value");
  sink(name + "sampling", scan.what().sampling ? "true" : "false");
  number(sink, name + "items", facts.items);
  number(sink, name + "bytes", facts.bytes);
  number(sink, name + "age_ms", facts.age_ms);
}

}  // namespace

bool report_range_scans(const Engine& engine, const ServedBucket& bucket, std::string_view group,
                        const StatSink& sink) {
  if (!group.starts_with(kGroup)) return false;
  std::string_view rest = group.substr(kGroup.size());
  std::optional<uint16_t> vbucket;
  if (!rest.empty()) {
    uint16_t wanted = 0;
    const auto [end, error] = std::from_chars(rest.data() + 1, rest.data() + rest.size(), wanted);
    if (rest.front() != ' ' || error != std::errc() || end != rest.data() + rest.size()) return false;
    if (wanted >= bucket.bucket().vbucket_count()) return false;
    vbucket = wanted;
  }
  const feed::ScanStatistics numbers = engine.scans.statistics();
  number(sink, "range_scans_open", numbers.open);
  number(sink, "range_scans_limit", engine.scans.limits().scans);
  number(sink, "range_scans_created", numbers.created);
  number(sink, "range_scans_completed", numbers.completed);
  number(sink, "range_scans_cancelled", numbers.cancelled);
  number(sink, "range_scans_expired", numbers.expired);
  number(sink, "range_scans_refused", numbers.refused);
  number(sink, "range_scans_items", numbers.items);
  number(sink, "range_scans_bytes", numbers.bytes);
  for (const auto& scan : engine.scans.all()) {
    if (scan->is_of(bucket.bucket()) && (!vbucket || scan->vbucket() == *vbucket)) report_scan(*scan, sink);
  }
  return true;
}

}  // namespace bobbin::serve
