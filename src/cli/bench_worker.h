#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "cli/bench_histogram.h"
#include "cli/bench_options.h"
#include "cli/bench_stages.h"
#include "net/loop.h"

namespace bobbin::cli {

class BenchConnection;

/// Monotonic time in nanoseconds.
uint64_t bench_now_ns() noexcept;

/// What all workers share and none changes.
struct BenchPlan {
  /// `client` with options.tls, which outlives the workers; otherwise null.
  explicit BenchPlan(const BenchOptions& wanted, const net::TlsClientContext* client = nullptr);

  const BenchOptions options;
  const net::TlsClientContext* const tls;
  const BenchKeys keys;
  const BenchValueSizes sizes;
  const std::optional<BenchZipf> zipf;
  const std::unique_ptr<BenchWriter> writer;
  const std::string value;  ///< as long as the longest value; shorter ones are its front
};

/// What a worker measured: answers to requests sent after the warm-up, and every error.
struct BenchResult {
  BenchReplies replies;
  BenchHistogram gets;  ///< latency of each get that was answered
  BenchHistogram sets;
  uint64_t bytes_in = 0;        ///< of the answers
  uint64_t get_keys = 0;        ///< keys of the gets
  uint64_t last_answer_ns = 0;  ///< when the last answer came, on the clock of bench_now_ns

  void merge(const BenchResult& other);
};

/// A request that waits for its answer.
struct BenchRequest {
  uint64_t sent_ns = 0;
  uint64_t bytes_in = 0;  ///< of its answer, so far
  bool is_set = false;
  bool counted = false;  ///< sent after the warm-up
};

/// One loop with its thread and its share of the connections: says what each of them sends next and counts
/// what comes back. Functions marked "any thread" are for the coordinator, the others for the worker's
/// connections, on its loop.
class BenchWorker {
 public:
  /// `index` < options.threads. Plan and stages must outlive the worker.
  BenchWorker(const BenchPlan& plan, uint32_t index, BenchStages& stages);
  /// Closes the connections and joins the thread. Any thread but the worker's.
  ~BenchWorker();
  BenchWorker(const BenchWorker&) = delete;
  BenchWorker& operator=(const BenchWorker&) = delete;

  // Any thread. Each stage may begin when the one before was reached.
  /// Starts the thread and connects. Once.
  void start();
  /// Stores this worker's share of the keys.
  void fill();
  /// Sends requests from now on; those sent at `count_from_ns` or later count.
  void measure(uint64_t count_from_ns);
  /// Sends nothing more; `finished` is reached when the answers are in.
  void stop_sending();
  /// Closes the connections and joins the thread. result() may be called afterwards.
  void stop();
  [[nodiscard]] const BenchResult& result() const noexcept { return result_; }
  /// Has the worker put what it has so far where snapshot() finds it.
  void take_snapshot();
  [[nodiscard]] BenchResult snapshot() const EXCLUDES(snapshot_mutex_);

  // The worker's loop only:
  void opened(BenchConnection& connection);
  /// `lost` requests of the connection will not be answered, for this reason.
  void closed(BenchConnection& connection, uint64_t lost, BenchError why);
  /// Chooses the next request and its keys (multi_get of them, for a set one); false if none is due.
  bool next(uint64_t now_ns, BenchRequest& request, std::span<uint32_t> keys);
  /// Where the answer to the request is counted.
  [[nodiscard]] BenchReplies& replies_for(const BenchRequest& request) noexcept {
    return request.counted ? result_.replies : uncounted_;
  }
  void answered(const BenchRequest& request, uint64_t now_ns);
  /// To be called after a batch: tells the coordinator if a stage has been reached.
  void look(uint64_t now_ns);

  /// Requests that a connection may have in flight in this stage.
  [[nodiscard]] uint32_t window() const noexcept { return window_; }
  [[nodiscard]] const BenchPlan& plan() const noexcept { return plan_; }
  /// Where values are read to that nobody looks at.
  [[nodiscard]] std::span<char> sink() noexcept { return sink_; }
  /// The largest window there will be.
  static uint32_t largest_window(const BenchOptions& options) noexcept;

 private:
  enum class Phase : uint8_t { idle, filling, running };

  void go_all();
  void tick();
  void rate_tick();
  [[nodiscard]] bool nothing_more_to_send(uint64_t now_ns) const noexcept;
  void fill_is_over();

  const BenchPlan& plan_;
  BenchStages& stages_;
  const uint32_t connection_count_;  // this worker's share
  const uint64_t request_limit_;     // as well
  const uint64_t interval_ns_;       // between two requests; 0 without a rate

  // The loop's thread only, and before and after it any.
  BenchRandom random_;
  BenchResult result_;
  BenchReplies uncounted_;
  std::vector<BenchConnection*> connections_;  // owned by the loop; null once closed
  std::vector<char> sink_;
  uint32_t live_ = 0;
  uint32_t window_ = 1;
  Phase phase_ = Phase::idle;
  uint64_t fill_next_;  // number of the next key to store
  uint64_t in_flight_ = 0;
  uint64_t count_from_ns_ = 0;
  uint64_t end_ns_ = 0;
  uint64_t sent_ = 0;  // of the requests that count
  uint64_t set_credit_ = 0;
  uint64_t due_ns_ = 0;  // with a rate: when the next request is due
  size_t round_at_ = 0;  // with a rate: which connection comes next

  mutable base::Mutex snapshot_mutex_;
  BenchResult snapshot_ GUARDED_BY(snapshot_mutex_);

  net::Loop loop_;
  std::thread thread_;
};

}  // namespace bobbin::cli
