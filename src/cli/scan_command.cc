// bobbin scan: prints what a bucket has, from many vbuckets at once.

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <mutex>
#include <numeric>
#include <optional>
#include <random>
#include <thread>

#include "cli/client_command.h"
#include "cli/json.h"
#include "cli/quantity.h"
#include "cli/scan_output.h"
#include "wire/base64.h"
#include "wire/datatype.h"
#include "wire/range_scan.h"

namespace bobbin::cli {
namespace {

using wire::BinaryOpcode;
using wire::BinaryStatus;

template <typename T>
using Result = base::Result<T, base::Error>;

constexpr size_t kMaxConnections = 64;
// Asked for at once, so that a limit is noticed soon.
constexpr uint32_t kItemsOfContinue = 10'000;
// A scan that waits for the disk, or for a place, is tried so often.
constexpr int kTries = 50;

CommandLine scan_line() {
  CommandLine line;
  line.usage = "scan [SCOPE.COLLECTION] [options]";
  line.summary = "Prints the keys of a collection, or its documents, one a line.";
  line.details =
      "Without SCOPE.COLLECTION of the default one. What was stored before the scan began is shown, also "
      "where it "
      "was not on disk yet. Vbuckets are scanned side by side: lines come in no order, but in the order of "
      "their "
      "keys within each vbucket. What is not printable is escaped, as in JSON. Only of buckets on disk.";
  line.flags = {
      {"--prefix", 'p', "TEXT", "Only keys that begin with this"},
      {"--from", 0, "KEY", "Only this key and those behind it"},
      {"--to", 0, "KEY", "Only keys before this one"},
      {"--limit", 'n', "N", "Stop after so many"},
      {"--sample", 0, "N", "About so many, chosen at random"},
      {"--seed", 0, "N", "The same ones for the same number, as long as nothing is changed", "Options",
       "default: random"},
      {"--values", 'v', "", "Documents: the key, a tab, the value"},
      {"--json", 'j', "", "A JSON object for each; with --values all that there is to know of a document"},
      {"--connections", 'c', "N", "Vbuckets that are scanned at once", "Options", "default 4"},
  };
  line.max_positionals = 1;
  line.examples =
      "bobbin scan --prefix user:\n"
      "bobbin scan shop.orders --values --json | jq .value\n"
      "bobbin scan --sample 100 --seed 1";
  add_bucket_flags(line);
  add_client_flags(line);
  return line;
}

struct Plan {
  McbpOptions server;
  std::string collection = "_default._default";
  std::string from;
  std::optional<std::string> to;
  std::optional<std::string> prefix;
  uint64_t limit = 0;
  uint64_t sample = 0;
  uint64_t seed = 0;
  ScanFormat format;
  size_t connections = 4;
};

std::string base64(std::string_view bytes) {
  std::string text(wire::base64_chars(bytes.size()), '\0');
  text.resize(wire::encode_base64(bytes, text.data()));
  return text;
}

/// `number` stays as it is where the flag was not given.
Result<void> read_count(const Arguments& arguments, const char* flag, uint64_t& number) {
  if (!arguments.has(flag)) return {};
  const auto count = parse_count(arguments.last(flag));
  if (!count)
    return base::fail(base::Error{fmt::format("{}: \"{}\" is not a number", flag, arguments.last(flag))});
  number = *count;
  return {};
}

Result<Plan> plan_of(const Arguments& arguments) {
  Plan plan;
  auto server = mcbp_options(arguments);
  if (!server) return base::fail(server.error());
  plan.server = std::move(*server);
  plan.server.features = {wire::Feature::json, wire::Feature::xerror, wire::Feature::unordered_execution};
  if (!arguments.positionals().empty()) plan.collection = arguments.positionals().front();
  if (plan.collection.find('.') == std::string::npos)
    return base::fail(base::Error{printable(plan.collection) + " is not SCOPE.COLLECTION"});
  plan.from = arguments.last("--from");
  if (arguments.has("--to")) plan.to = arguments.last("--to");
  if (arguments.has("--prefix")) plan.prefix = arguments.last("--prefix");
  if (plan.prefix && (arguments.has("--from") || plan.to))
    return base::fail(base::Error{"--prefix excludes --from and --to"});
  for (const std::string* const key :
       {&plan.from, plan.to ? &*plan.to : nullptr, plan.prefix ? &*plan.prefix : nullptr})
    if (key != nullptr && key->size() > kMaxKeyBytes) return base::fail(base::Error{key_problem(*key)});
  std::random_device random;
  plan.seed = random();
  uint64_t connections = plan.connections;
  for (const auto& [flag, number] :
       {std::pair{"--limit", &plan.limit}, std::pair{"--sample", &plan.sample},
        std::pair{"--seed", &plan.seed}, std::pair{"--connections", &connections}}) {
    if (auto read = read_count(arguments, flag, *number); !read) return base::fail(read.error());
  }
  plan.connections = std::clamp<size_t>(connections, 1, kMaxConnections);
  if (plan.sample != 0 && (plan.prefix || plan.to || !plan.from.empty()))
    return base::fail(
        base::Error{"--sample is of the whole collection: leave out --prefix, --from and --to"});
  plan.format = {.values = arguments.has("--values"), .json = arguments.has("--json")};
  return plan;
}

/// What all connections share.
class Scanning {
 public:
  Scanning(const Plan& plan, uint32_t collection, std::vector<McbpClient::VBucket> vbuckets)
      : plan_(plan),
        collection_(collection),
        vbuckets_(std::move(vbuckets)),
        limit_(plan.limit == 0 ? UINT64_MAX : plan.limit) {
    if (plan.sample == 0) return;
    // Some vbuckets are enough for a small sample: which ones depends on the seed alone.
    std::mt19937_64 random(plan.seed);
    std::shuffle(vbuckets_.begin(), vbuckets_.end(), random);
    samples_of_vbucket_ = (plan.sample + vbuckets_.size() - 1) / vbuckets_.size();
    limit_ = std::min(limit_, plan.sample);
  }

  /// One connection's part, on a thread of its own.
  void work(McbpClient& client) {
    for (size_t i = next_.fetch_add(1); i < vbuckets_.size() && !is_over(); i = next_.fetch_add(1)) {
      if (auto scanned = scan(client, vbuckets_[i]); !scanned) return fail(std::move(scanned.error()));
    }
  }
  void fail(base::Error error) {
    const std::lock_guard lock(mutex_);
    if (!error_) error_ = std::move(error);
    over_ = true;
  }
  /// After all have worked.
  [[nodiscard]] const std::optional<base::Error>& error() const { return error_; }

 private:
  [[nodiscard]] bool is_over() const { return over_.load(); }

  [[nodiscard]] std::string body(const McbpClient::VBucket& vbucket, uint64_t uuid) const {
    std::string json = fmt::format(R"({{"name":"bobbin scan","collection":"{:x}","key_only":{},)",
                                   collection_, !plan_.format.values);
    if (plan_.sample != 0) {
      json += fmt::format(R"("sampling":{{"samples":{},"seed":{}}})", samples_of_vbucket_,
                          plan_.seed ^ vbucket.number);
    } else {
      const std::string& start = plan_.prefix ? *plan_.prefix : plan_.from;
      // Longer than any key, so that it is behind all with the prefix.
      std::string end = plan_.prefix.value_or("");
      if (!plan_.to) end.resize(kMaxKeyBytes, '\xff');
      json += fmt::format(R"("range":{{"start":"{}","{}":"{}"}})", base64(start),
                          plan_.to ? "excl_end" : "end", base64(plan_.to.value_or(end)));
    }
    return json +
           fmt::format(R"(,"snapshot_requirements":{{"vb_uuid":"{}","seqno":{},"timeout_ms":60000}}}})", uuid,
                       vbucket.high_seqno);
  }

  /// The scan's id; empty: there is nothing in it.
  Result<std::string> create(McbpClient& client, const McbpClient::VBucket& vbucket) const {
    BinaryStatus status{};
    for (int i = 0; i < kTries; ++i) {
      const auto uuid = client.vbucket_uuid(vbucket.number);
      if (!uuid) return base::fail(uuid.error());
      const std::string json = body(vbucket, *uuid);
      const auto reply = client.ask({.opcode = BinaryOpcode::range_scan_create,
                                     .value = json,
                                     .vbucket = vbucket.number,
                                     .datatype = wire::kDatatypeJson});
      if (!reply) return base::fail(reply.error());
      status = reply->status();
      if (status == BinaryStatus::success) return std::string(reply->value());
      if (status == BinaryStatus::key_not_found) return std::string();
      // What others hold is given back soon; a vbucket that was flushed has another uuid.
      if (status != BinaryStatus::busy && status != BinaryStatus::temporary_failure &&
          status != BinaryStatus::vbucket_uuid_not_equal)
        break;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return base::fail(base::Error{status == BinaryStatus::not_supported
                                      ? std::string("only buckets on disk can be scanned")
                                      : fmt::format("vbucket {}: {}", vbucket.number, status_words(status))});
  }

  Result<void> scan(McbpClient& client, const McbpClient::VBucket& vbucket) {
    const auto id = create(client, vbucket);
    if (!id) return base::fail(id.error());
    if (id->empty()) return {};
    McbpFrame frame;
    for (BinaryStatus status = BinaryStatus::range_scan_more; status == BinaryStatus::range_scan_more;) {
      if (is_over()) return {};
      std::string extras = *id + std::string(12, '\0');
      const uint64_t most = std::min<uint64_t>(kItemsOfContinue, limit_);
      wire::store_big_endian(extras.data() + id->size(), static_cast<uint32_t>(most));
      if (auto sent = client.send(
              {.opcode = BinaryOpcode::range_scan_continue, .extras = extras, .vbucket = vbucket.number});
          !sent)
        return sent;
      do {
        if (auto received = client.receive(frame); !received) return received;
        status = frame.status();
        if (auto printed = print_items(frame, vbucket.number); !printed) return printed;
      } while (status == BinaryStatus::success);
    }
    if (status_is_fine(frame.status())) return {};
    return base::fail(base::Error{
        fmt::format("vbucket {}: the scan ended early: {}", vbucket.number, status_words(frame.status()))});
  }
  [[nodiscard]] static bool status_is_fine(BinaryStatus status) {
    return status == BinaryStatus::range_scan_complete || status == BinaryStatus::range_scan_more;
  }

  Result<void> print_items(const McbpFrame& frame, uint16_t vbucket) {
    if (frame.status() != BinaryStatus::success && !status_is_fine(frame.status())) return {};
    const auto content =
        plan_.format.values ? wire::ScanFrame::Content::documents : wire::ScanFrame::Content::keys;
    std::string_view rest = frame.value();
    std::string lines;
    std::vector<size_t> ends;
    while (!rest.empty()) {
      const auto item = wire::take_scan_item(rest, content);
      if (!item) return base::fail(base::Error{"the server's items cannot be read"});
      append_scan_line(lines, plan_.format, *item, vbucket);
      ends.push_back(lines.size());
    }
    const std::lock_guard lock(mutex_);
    const size_t count = std::min<uint64_t>(ends.size(), limit_ - printed_);
    printed_ += count;
    if (printed_ == limit_) over_ = true;
    if (count == 0) return {};
    print(std::string_view(lines).substr(0, ends[count - 1]));
    if (std::ferror(stdout) == 0) return {};
    return base::fail(base::Error{"cannot write to standard output"});
  }

  const Plan& plan_;
  const uint32_t collection_;
  std::vector<McbpClient::VBucket> vbuckets_;
  uint64_t limit_ = 0;
  uint64_t samples_of_vbucket_ = 0;
  std::atomic<size_t> next_{0};
  std::atomic<bool> over_{false};
  std::mutex mutex_;
  uint64_t printed_ = 0;              // with the lock
  std::optional<base::Error> error_;  // with the lock
};

extern "C" void end_by_signal(int) {
  // What was not printed is no matter: who has interrupted it does not wait for it.
  _exit(128 + SIGINT);
}

Result<void> scan(const Plan& plan) {
  auto first = McbpClient::connect(plan.server);
  if (!first) return base::fail(first.error());
  const auto collection = first->collection_id(plan.collection);
  if (!collection) return base::fail(collection.error());
  auto vbuckets = first->vbuckets();
  if (!vbuckets) return base::fail(vbuckets.error());
  const size_t connections = std::min(plan.connections, vbuckets->size());
  Scanning scanning(plan, *collection, std::move(*vbuckets));
  std::vector<std::thread> others;
  for (size_t i = 1; i < connections; ++i) {
    others.emplace_back([&] {
      auto client = McbpClient::connect(plan.server);
      if (!client) return scanning.fail(std::move(client.error()));
      scanning.work(*client);
    });
  }
  scanning.work(*first);
  for (std::thread& other : others)
    other.join();
  if (scanning.error()) return base::fail(*scanning.error());
  return {};
}

}  // namespace

int scan_command(int argc, char** argv) {
  int exit_code = kExitOk;
  const auto arguments = begin_client_command(scan_line(), argc, argv, exit_code);
  if (!arguments) return exit_code;
  const auto plan = plan_of(*arguments);
  if (!plan) return complain(plan.error().message, kExitUsage);
  std::signal(SIGINT, end_by_signal);
  const auto scanned = scan(*plan);
  const bool flushed = std::fflush(stdout) == 0;
  if (!scanned) return complain(scanned.error().message, kExitFailed);
  return flushed ? kExitOk : complain("cannot write to standard output", kExitFailed);
}

}  // namespace bobbin::cli
