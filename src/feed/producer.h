#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "feed/bucket_streams.h"
#include "feed/outlet.h"
#include "feed/pool.h"
#include "feed/stream.h"
#include "store/news.h"

namespace bobbin::feed {

struct ProducerSetup {
  std::string name;
  StreamOptions options;
  /// Persistent, like its disk; both live as long as `keeper` does, and so do `streams`.
  store::Bucket& bucket;
  disk::Persistence& disk;
  BucketStreams& streams;
  std::shared_ptr<const void> keeper;
  net::Spool spool;
  /// Rises when what users may do has changed. Any thread.
  std::function<uint64_t()> access_generation;
  /// Whether the client may still see what passes. Any thread.
  std::function<bool(const StreamFilter&)> may_see;
  /// For a client that does not speak DCP: called by steps, one after the other.
  Outlet::Translate translate = nullptr;
  /// How long a second of a no-op's interval takes.
  std::chrono::milliseconds second{1000};
};

/// What became of a request for a stream.
struct StreamAnswer {
  wire::BinaryStatus status = wire::BinaryStatus::success;
  uint64_t rollback_seqno = 0;
  /// Newest first; of a stream that was granted.
  std::vector<store::FailoverEntry> failover = {};
};

/// The change streams of one connection (kv_engine docs/dcp): all their messages, one stream after the other
/// in turns of about 64 KiB, as fast as the client takes them.
///
/// Its steps run on the pool. What the session calls, on its loop, changes a few words under a lock that no
/// step holds while it reads or encodes. Memory: the connection's spool, the outlet's piece, what streams
/// have taken from the change log and not sent (each once, what the log had at that moment), and, of those
/// that read the disk, a run of 128 KiB; how many do so at once is the bucket's limit.
class Producer final : public Task {
 public:
  static constexpr size_t kMaxStreams = 4096;

  explicit Producer(ProducerSetup setup);
  ~Producer() override;

  // The session's, on its loop.

  /// success, invalid_arguments or not_supported.
  [[nodiscard]] wire::BinaryStatus control(std::string_view key, std::string_view value) EXCLUDES(mutex_);
  [[nodiscard]] StreamAnswer open_stream(const wire::DcpRoute& route, const wire::DcpStreamRequest& request,
                                         const wire::DcpFilter& asked, StreamFilter filter) EXCLUDES(mutex_);
  /// key_not_found when there is none.
  [[nodiscard]] wire::BinaryStatus close_stream(uint16_t vbucket, uint16_t stream_id) EXCLUDES(mutex_);
  void acknowledge(uint32_t bytes) EXCLUDES(mutex_);
  void noop_answered();
  [[nodiscard]] bool has_stream_ids() const EXCLUDES(mutex_);
  [[nodiscard]] bool is_aware() const noexcept { return setup_.options.collections; }

  // Any thread.

  /// Lets go of the bucket in its next step, which is its last.
  void end();
  /// The connection is to be closed: its consumer is dead, or another has taken its name. The session's spool
  /// is resumed then.
  void ask_to_close();
  [[nodiscard]] bool wants_close() const noexcept { return wants_close_.load(); }

  [[nodiscard]] const std::string& name() const noexcept { return setup_.name; }
  [[nodiscard]] std::string_view kind() const noexcept override { return "change_stream"; }
  struct Report {
    uint64_t sent_bytes = 0;
    uint64_t unacknowledged_bytes = 0;
    uint64_t window_bytes = 0;
    bool is_full = false;          ///< the client does not read
    bool is_window_full = false;   ///< the client does not acknowledge
    uint64_t noop_interval_s = 0;  ///< 0: it wants none
  };
  [[nodiscard]] Report report() const EXCLUDES(mutex_);
  /// Calls `visit` for each stream that is open.
  void visit(const std::function<void(const Stream&)>& visit) const EXCLUDES(mutex_);
  [[nodiscard]] size_t streams() const EXCLUDES(mutex_);

 private:
  using Time = Next::Time;
  using Key = std::pair<uint16_t, uint16_t>;  // vbucket, stream id

  struct Open {
    std::shared_ptr<Stream> stream;
    bool queued = false;
    uint64_t lost_cursors = 0;  // that were added to the bucket's totals
    uint64_t backfills = 0;
    uint64_t items = 0;
  };

  Next step() override;
  void abandoned() noexcept override { let_go(); }

  void let_go() noexcept EXCLUDES(mutex_);
  void collect() EXCLUDES(mutex_);
  void queue(uint64_t number);
  void queue_news();
  [[nodiscard]] bool end_if_too_slow(uint64_t number);
  void end_unprivileged();
  void advance_streams();
  void settle(Open& open, Stream::Turn turn, uint64_t number);
  void forget(uint64_t number) EXCLUDES(mutex_);
  void publish() EXCLUDES(mutex_);
  [[nodiscard]] std::optional<Time> care_for_noops(Time now);
  [[nodiscard]] Next rest(Time now);
  [[nodiscard]] std::function<void()> ready_of(uint64_t number);

  // producer_control.cc
  [[nodiscard]] wire::BinaryStatus set_flag(std::string_view key, bool on) REQUIRES(mutex_);
  [[nodiscard]] wire::BinaryStatus set_choice(std::string_view key, std::string_view value) REQUIRES(mutex_);

  ProducerSetup setup_;  // its options are the mutex's
  std::shared_ptr<store::News> news_;
  std::atomic<bool> ended_{false};
  std::atomic<bool> wants_close_{false};
  std::atomic<bool> noop_answered_{false};
  const std::shared_ptr<Progress> progress_ = std::make_shared<Progress>();
  bool gone_ = false;  // of the steps: nothing is held any more

  mutable base::Mutex mutex_;
  // What is open for the client, by number: a stream's number is never given out again.
  std::map<Key, std::pair<uint64_t, std::shared_ptr<Stream>>> open_ GUARDED_BY(mutex_);
  std::vector<std::pair<uint64_t, std::shared_ptr<Stream>>> opened_ GUARDED_BY(mutex_);
  std::vector<uint64_t> ready_ GUARDED_BY(mutex_);
  uint64_t acknowledged_ GUARDED_BY(mutex_) = 0;
  uint64_t window_bytes_ GUARDED_BY(mutex_) = 0;
  bool wants_noops_ GUARDED_BY(mutex_) = false;
  uint64_t noop_interval_s_ GUARDED_BY(mutex_) = 180;
  Report report_ GUARDED_BY(mutex_);

  std::atomic<uint64_t> next_number_{1};
  std::atomic<size_t> held_{0};  // streams that were opened and not yet forgotten

  // The steps'.
  std::unique_ptr<Outlet> out_;
  std::map<uint64_t, Open> streams_;
  std::vector<std::vector<uint64_t>> by_vbucket_;
  std::deque<uint64_t> queue_;
  bool retries_ = false;
  uint64_t seen_generation_ = 0;
  bool judges_anew_ = false;
  uint64_t counted_bytes_ = 0;
  bool has_had_stream_ = false;
  std::chrono::milliseconds noop_interval_{0};  // 0: none
  Time last_sent_{};
  std::optional<Time> noop_sent_;
  uint32_t noop_opaque_ = 0x0b0b0000;
};

}  // namespace bobbin::feed
