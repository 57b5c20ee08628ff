#include "cli/bench_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <utility>

#include "cli/client_command.h"
#include "cli/quantity.h"

namespace bobbin::cli {
namespace {

constexpr uint32_t kMaxKeys = 1'000'000'000;
constexpr uint32_t kMaxValueBytes = 1 << 30;
constexpr uint32_t kMaxConnections = 100'000;
constexpr uint32_t kMaxInFlight = 65'536;
constexpr uint32_t kMaxMultiGet = 10'000;
constexpr uint32_t kMaxThreads = 256;
constexpr double kDefaultTheta = 0.99;
constexpr double kMaxTheta = 10;

auto wrong(const char* flag, std::string_view text, std::string_view expected) {
  return base::fail(base::Error{fmt::format("{}: \"{}\" is not {}", flag, text, expected)});
}

/// Reads flags into fields until the first that is wrong.
class FlagReader {
 public:
  explicit FlagReader(const Arguments& arguments) : arguments_(arguments) {}

  template <typename Number>
  void count(const char* flag, uint64_t min, uint64_t max, Number& field) {
    if (failed() || !arguments_.has(flag)) return;
    const std::string text = arguments_.last(flag);
    const auto number = parse_count(text);
    if (!number || *number < min || *number > max) {
      fail(fmt::format("{}: \"{}\" is not a number from {} to {}", flag, text, min, max));
    } else {
      field = static_cast<Number>(*number);
    }
  }
  void duration(const char* flag, std::chrono::milliseconds& field) {
    if (failed() || !arguments_.has(flag)) return;
    const std::string text = arguments_.last(flag);
    const auto ms = parse_duration_ms(text);
    if (!ms || *ms > uint64_t{365} * 86'400'000) {
      fail(fmt::format("{}: \"{}\" is not a duration (examples: 30s, 500ms)", flag, text));
    } else {
      field = std::chrono::milliseconds(*ms);
    }
  }
  /// `parse` is given the text of the flag and the options, and answers with an error or nothing.
  template <typename Parse>
  void with(const char* flag, Parse parse) {
    if (failed() || !arguments_.has(flag)) return;
    if (auto parsed = parse(arguments_.last(flag)); !parsed) fail(parsed.error().message);
  }
  void fail(std::string message) {
    if (!failed()) error_.message = std::move(message);
  }
  [[nodiscard]] bool failed() const { return !error_.message.empty(); }
  [[nodiscard]] const base::Error& error() const { return error_; }

 private:
  const Arguments& arguments_;
  base::Error error_;
};

using Parsed = base::Result<void, base::Error>;

Parsed parse_ratio(std::string_view text, BenchOptions& options) {
  const size_t colon = text.find(':');
  const auto sets = parse_count(text.substr(0, colon));
  const auto gets = colon == std::string_view::npos ? std::nullopt : parse_count(text.substr(colon + 1));
  constexpr uint64_t kMax = 1'000'000;
  if (!sets || !gets || *sets > kMax || *gets > kMax || *sets + *gets == 0) {
    return wrong("--ratio", text, "of the form SETS:GETS (examples: 0:1, 1:10)");
  }
  options.sets = static_cast<uint32_t>(*sets);
  options.gets = static_cast<uint32_t>(*gets);
  return {};
}

Parsed parse_distribution(std::string_view text, BenchOptions& options) {
  options.zipf_theta.reset();
  if (text == "uniform") return {};
  double theta = kDefaultTheta;
  bool right = text.starts_with("zipf");
  if (right && text != "zipf") {
    const std::string_view digits = text.substr(std::min<size_t>(5, text.size()));
    const auto [end, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), theta);
    right = text[4] == ':' && problem == std::errc{} && end == digits.data() + digits.size() && theta >= 0 &&
            theta <= kMaxTheta;
  }
  if (!right) return wrong("--distribution", text, "uniform, zipf or zipf:THETA (example: zipf:0.99)");
  options.zipf_theta = theta;
  return {};
}

Parsed parse_value_size(std::string_view text, BenchOptions& options) {
  const size_t dash = text.find('-');
  const auto min = parse_size(text.substr(0, dash));
  const auto max = dash == std::string_view::npos ? min : parse_size(text.substr(dash + 1));
  if (!min || !max || *min > *max || *max > kMaxValueBytes) {
    return wrong("--value-size", text, "a size up to 1G or a range of them (examples: 100, 4K, 16-1K)");
  }
  options.min_value_bytes = static_cast<uint32_t>(*min);
  options.max_value_bytes = static_cast<uint32_t>(*max);
  return {};
}

Parsed parse_protocol(std::string_view text, BenchOptions& options) {
  const auto protocol = parse_bench_protocol(text);
  if (!protocol) return wrong("--protocol", text, "text, meta, binary, mcbp or redis");
  options.protocol = *protocol;
  return {};
}

Parsed read_tls(const Arguments& arguments, BenchOptions& options) {
  net::TlsTrust trust{arguments.last("--cafile"), arguments.has("--insecure")};
  if (!arguments.has("--tls")) {
    if (trust.insecure || arguments.has("--cafile"))
      return base::fail(base::Error{"--cafile and --insecure are for --tls"});
    return {};
  }
  if (trust.insecure && arguments.has("--cafile"))
    return base::fail(base::Error{"--insecure takes any certificate; --cafile has no use then"});
  if (options.server.is_unix())
    return base::fail(base::Error{"--tls: not on a Unix socket, which has no name to be certified"});
  options.tls = std::move(trust);
  return {};
}

Parsed check_together(const BenchOptions& options) {
  if (const size_t digits = BenchKeys::digits_for(options.keys); options.key_bytes < digits) {
    return base::fail(
        base::Error{fmt::format("--key-size: {} keys need at least {} bytes", options.keys, digits)});
  }
  if (options.paths > 0 && (options.protocol != BenchProtocol::mcbp || options.multi_get != 1))
    return base::fail(base::Error{"--paths: this is for --protocol mcbp, and for gets of one key"});
  if (const uint32_t least = 2 + options.paths * kBenchPathBytes;
      options.paths > 0 &&
      (options.min_value_bytes != options.max_value_bytes || options.min_value_bytes < least)) {
    return base::fail(base::Error{
        fmt::format("--paths: a document with {} paths has one --value-size, of {} bytes at least",
                    options.paths, least)});
  }
  if (options.threads > options.connections) {
    return base::fail(base::Error{
        fmt::format("--threads: {} threads need at least as many --connections", options.threads)});
  }
  if (uint64_t{options.in_flight} * options.multi_get * options.connections > uint64_t{1} << 28) {
    return base::fail(
        base::Error{"--connections times --in-flight times --multi-get is more than 268435456"});
  }
  return {};
}

}  // namespace

CommandLine bench_line() {
  CommandLine line;
  line.usage = "bench [options]";
  line.summary = "Puts load on a server and measures how fast it answers.";
  line.details =
      "Stores the keys, warms up, then sends gets and sets for a time and prints requests per second and "
      "latencies. A connection sends its next request when an answer came; latency is from handing a request "
      "to the connection until its answer was read. A get of several keys is one request. Every answer is "
      "checked: a value of the wrong length is an error. Ends with 3 if there were errors or the server "
      "cannot be reached. Ctrl-C ends the measurement early.";
  line.flags = {
      {"--protocol", 'p', "NAME",
       "text, meta or binary; mcbp is Couchbase's, on the bucket default; redis speaks GET, MGET and SET to "
       "a Redis server",
       "Load", "default text"},
      {"--connections", 'c', "N", "Connections open at once", "Load", "default 50"},
      {"--in-flight", 'i', "N", "Requests that a connection sends ahead of their answers", "Load",
       "default 1"},
      {"--threads", 't', "N", "Threads of the load generator; connections are shared out", "Load",
       "default 1"},
      {"--ratio", 0, "SETS:GETS", "How many sets come with how many gets", "Load", "default 0:1"},
      {"--multi-get", 'm', "N", "Keys of one get", "Load", "default 1"},
      {"--paths", 0, "N",
       "A get is a sub-document lookup of so many paths in a JSON document, 16 at most; with --protocol mcbp",
       "Load"},
      {"--rate", 0, "N", "Send so many requests a second; one that is held up counts from when it was due",
       "Load", "default as fast as answers come"},
      {"--keys", 'k', "N", "How many different keys", "Data", "default 10000"},
      {"--key-size", 0, "BYTES", "Length of a key", "Data", "default 16, at most 250"},
      {"--value-size", 'v', "SIZE", "Length of the values, or MIN-MAX: each key then has its own", "Data",
       "default 100"},
      {"--distribution", 0, "NAME", "Which keys are asked for: uniform, or zipf:THETA, some far more often",
       "Data", "default uniform; zipf alone is zipf:0.99"},
      {"--no-fill", 0, "", "Do not store the keys first: an earlier run with the same keys and sizes did",
       "Data"},
      {"--seed", 0, "N", "For the choice of keys; the same seed asks for the same keys", "Data",
       "default random, printed"},
      {"--duration", 'd', "DURATION", "How long to measure", "Time", "default 10s, none with --requests"},
      {"--requests", 'n', "N", "End after so many requests", "Time", "default no limit"},
      {"--warmup", 'w', "DURATION", "How long to send requests before they are counted", "Time",
       "default 1s"},
      {"--json", 'j', "", "Print one JSON object", "Output"},
      {"--quiet", 'q', "", "Print nothing but the results: no progress on the terminal", "Output"},
  };
  line.examples =
      "bobbin bench\n"
      "bobbin bench --connections 200 --in-flight 16 --ratio 1:10 --distribution zipf\n"
      "bobbin bench --protocol meta --multi-get 100 --value-size 16-4K --duration 30s\n"
      "bobbin bench --tls --cafile ca.pem --server cache.example.com:11207\n"
      "bobbin bench --protocol redis --server 127.0.0.1:6379 --json";
  add_client_flags(line);
  line.flags.push_back({"--tls", 0, "", "Speak TLS; --server then names a port that does", "Connection"});
  line.flags.push_back({"--cafile", 0, "FILE", "Who may sign the server's certificate, in PEM; with --tls",
                        "Connection", "default whom this machine trusts"});
  line.flags.push_back({"--insecure", 0, "", "Take any certificate of the server; with --tls", "Connection"});
  return line;
}

base::Result<BenchOptions, base::Error> parse_bench_options(const Arguments& arguments, uint64_t seed) {
  BenchOptions options;
  auto server = server_address(arguments);
  if (!server) return base::fail(server.error());
  options.server = std::move(*server);
  options.seed = seed;
  FlagReader reader(arguments);
  reader.with("--protocol", [&](const std::string& text) { return parse_protocol(text, options); });
  reader.count("--connections", 1, kMaxConnections, options.connections);
  reader.count("--in-flight", 1, kMaxInFlight, options.in_flight);
  reader.count("--threads", 1, kMaxThreads, options.threads);
  reader.with("--ratio", [&](const std::string& text) { return parse_ratio(text, options); });
  reader.count("--multi-get", 1, kMaxMultiGet, options.multi_get);
  reader.count("--paths", 1, kMaxBenchPaths, options.paths);
  reader.count("--rate", 1, 1'000'000'000, options.rate);
  reader.count("--keys", 1, kMaxKeys, options.keys);
  reader.count("--key-size", 1, kMaxKeyBytes, options.key_bytes);
  reader.with("--value-size", [&](const std::string& text) { return parse_value_size(text, options); });
  reader.with("--distribution", [&](const std::string& text) { return parse_distribution(text, options); });
  reader.count("--seed", 0, std::numeric_limits<uint64_t>::max(), options.seed);
  reader.count("--requests", 1, std::numeric_limits<int64_t>::max(), options.requests);
  if (options.requests > 0) options.duration = std::chrono::milliseconds(0);
  reader.duration("--duration", options.duration);
  reader.duration("--warmup", options.warmup);
  reader.duration("--timeout", options.timeout);
  if (!reader.failed() && options.duration.count() == 0 && options.requests == 0) {
    reader.fail("--duration: 0 measures nothing without --requests");
  }
  if (reader.failed()) return base::fail(reader.error());
  if (auto read = read_tls(arguments, options); !read) return base::fail(read.error());
  if (auto checked = check_together(options); !checked) return base::fail(checked.error());
  options.fill = !arguments.has("--no-fill");
  options.json = arguments.has("--json");
  options.quiet = arguments.has("--quiet");
  return options;
}

}  // namespace bobbin::cli
