#include "cli/bench_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "cli/json.h"
#include "cli/quantity.h"

namespace bobbin::cli {
namespace {

double per_second(uint64_t n, double seconds) {
  return seconds <= 0 ? 0 : static_cast<double>(n) / seconds;
}

double microseconds(uint64_t ns) {
  return static_cast<double>(ns) / 1000;
}

/// "1,234,567".
std::string grouped(uint64_t number) {
  std::string digits = fmt::format("{}", number);
  for (size_t at = digits.size(); at > 3; at -= 3)
    digits.insert(at - 3, 1, ',');
  return digits;
}

std::string grouped(double number) {
  return grouped(static_cast<uint64_t>(std::llround(number)));
}

BenchHistogram all_of(const BenchResult& result) {
  BenchHistogram all = result.gets;
  all.merge(result.sets);
  return all;
}

std::string distribution_name(const BenchOptions& options) {
  return options.zipf_theta ? fmt::format("zipf:{}", *options.zipf_theta) : "uniform";
}

std::string value_size_name(const BenchOptions& options) {
  if (options.min_value_bytes == options.max_value_bytes) return fmt::format("{}", options.max_value_bytes);
  return fmt::format("{} to {}", options.min_value_bytes, options.max_value_bytes);
}

std::string table_row(std::string_view name, const BenchHistogram& latencies, double seconds) {
  const auto at = [&](double percent) { return microseconds(latencies.percentile_ns(percent)); };
  return fmt::format("{:<5}{:>15}{:>13}{:>10.1f}{:>10.1f}{:>10.1f}{:>10.1f}{:>12.1f}\n", name,
                     grouped(latencies.count()), grouped(per_second(latencies.count(), seconds)), at(50),
                     at(90), at(99), at(99.9), microseconds(latencies.max_ns()));
}

std::string latency_json(const BenchHistogram& latencies) {
  const auto at = [&](double percent) { return microseconds(latencies.percentile_ns(percent)); };
  return fmt::format(R"({{"p50":{:.3f},"p90":{:.3f},"p99":{:.3f},"p999":{:.3f},"max":{:.3f}}})", at(50),
                     at(90), at(99), at(99.9), microseconds(latencies.max_ns()));
}

std::string errors_text(const BenchReplies& replies) {
  std::string text = fmt::format("errors {}", grouped(replies.error_count()));
  for (size_t i = 0; i < kBenchErrors; ++i) {
    if (replies.errors[i] == 0) continue;
    std::string name(bench_error_name(static_cast<BenchError>(i)));
    std::replace(name.begin(), name.end(), '_', ' ');
    text += fmt::format("\n  {}: {}", name, grouped(replies.errors[i]));
  }
  if (!replies.first_refusal.empty()) {
    text += fmt::format("\n  the server said: {}", json_string(replies.first_refusal));
  }
  return text + "\n";
}

}  // namespace

std::string bench_heading(const BenchOptions& options) {
  const auto plural = [](uint64_t n, std::string_view what) {
    return fmt::format("{} {}{}", n, what, n == 1 ? "" : "s");
  };
  return fmt::format(
      "{}{} to {}: {}, {} in flight on each, {}; sets to gets {}:{}, {} a get{}\n"
      "{} of {}, {}; values of {} bytes; seed {}\n",
      bench_protocol_name(options.protocol), options.tls ? " over TLS" : "", options.server.text(),
      plural(options.connections, "connection"), plural(options.in_flight, "request"),
      plural(options.threads, "thread"), options.sets, options.gets, plural(options.multi_get, "key"),
      options.paths > 0 ? ", " + plural(options.paths, "path") : "", plural(options.keys, "key"),
      plural(options.key_bytes, "byte"), distribution_name(options), value_size_name(options), options.seed);
}

std::string bench_for_people(const BenchOptions& options, const BenchOutcome& outcome) {
  const BenchResult& result = outcome.result;
  const double seconds = outcome.seconds;
  std::string text = fmt::format("{:<5}{:>15}{:>13}{:>10}{:>10}{:>10}{:>10}{:>12}\n", "", "requests",
                                 "a second", "p50 us", "p90 us", "p99 us", "p99.9 us", "max us");
  if (options.gets > 0) text += table_row("gets", result.gets, seconds);
  if (options.sets > 0) text += table_row("sets", result.sets, seconds);
  if (options.gets > 0 && options.sets > 0) text += table_row("all", all_of(result), seconds);
  const uint64_t keys = result.get_keys + result.sets.count();
  text += fmt::format("\n{:.2f} s: {} keys/s, {}/s received\n", seconds, grouped(per_second(keys, seconds)),
                      human_bytes(static_cast<uint64_t>(per_second(result.bytes_in, seconds))));
  const uint64_t looked_up = result.replies.hits + result.replies.misses;
  if (looked_up > 0) {
    text += fmt::format("hits {}, misses {} ({:.1f} % hits), ", grouped(result.replies.hits),
                        grouped(result.replies.misses),
                        100 * static_cast<double>(result.replies.hits) / static_cast<double>(looked_up));
  }
  return text + errors_text(result.replies);
}

std::string bench_as_json(const BenchOptions& options, const BenchOutcome& outcome) {
  const BenchResult& result = outcome.result;
  const double seconds = outcome.seconds;
  const uint64_t gets = result.gets.count();
  const uint64_t sets = result.sets.count();
  std::string text = fmt::format(
      R"({{"protocol":"{}","tls":{},"connections":{},"in_flight":{},"threads":{},"value_bytes":{},)",
      bench_protocol_name(options.protocol), options.tls.has_value(), options.connections, options.in_flight,
      options.threads, (uint64_t{options.min_value_bytes} + options.max_value_bytes) / 2);
  text += fmt::format(
      R"("min_value_bytes":{},"max_value_bytes":{},"keys":{},"key_bytes":{},"multi_get":{},"paths":{},)",
      options.min_value_bytes, options.max_value_bytes, options.keys, options.key_bytes, options.multi_get,
      options.paths);
  text += fmt::format(R"("distribution":"{}","seed":{},"fill_seconds":{:.3f},"seconds":{:.3f},)",
                      distribution_name(options), options.seed, outcome.fill_seconds, seconds);
  text += fmt::format(R"("requests":{},"gets":{},"sets":{},"requests_per_s":{:.1f},"keys_per_s":{:.1f},)",
                      gets + sets, gets, sets, per_second(gets + sets, seconds),
                      per_second(result.get_keys + sets, seconds));
  text += fmt::format(R"("bytes_in":{},"bytes_in_per_s":{:.1f},"hits":{},"misses":{},"errors":{},)",
                      result.bytes_in, per_second(result.bytes_in, seconds), result.replies.hits,
                      result.replies.misses, result.replies.error_count());
  text += R"("errors_by_kind":{)";
  for (size_t i = 0; i < kBenchErrors; ++i) {
    text += fmt::format(R"({}"{}":{})", i == 0 ? "" : ",", bench_error_name(static_cast<BenchError>(i)),
                        result.replies.errors[i]);
  }
  return text + fmt::format("}},\"latency_us\":{},\"get_latency_us\":{},\"set_latency_us\":{}}}\n",
                            latency_json(all_of(result)), latency_json(result.gets),
                            latency_json(result.sets));
}

std::string bench_progress(const BenchResult& so_far, double seconds, uint64_t new_answers) {
  if (seconds <= 0) return "warming up";
  return fmt::format("{:.0f} s: {} requests/s, p99 {:.1f} us so far, {} errors", seconds,
                     grouped(new_answers), microseconds(all_of(so_far).percentile_ns(99)),
                     grouped(so_far.replies.error_count()));
}

}  // namespace bobbin::cli
