#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "disk/persistence.h"
#include "feed/follow_numbers.h"
#include "net/output.h"
#include "store/replica.h"
#include "wire/dcp_changes.h"
#include "wire/json_index.h"

namespace bobbin::feed {

struct ConsumerOptions {
  std::string name;  ///< of the connection: the source closes an older one of this name
  uint32_t buffer_bytes = 8 << 20;
  uint32_t noop_interval_s = 5;
};

/// What came of a frame.
enum class FrameOutcome : uint8_t {
  taken,
  wait,    ///< nothing was done: show it again after a commit of waits_for()'s shard, or after a while
  broken,  ///< the connection is of no further use; trouble() says why
};

/// The consumer's side of a connection of change streams, for all vbuckets of a persistent bucket that is to
/// be a copy (kv_engine docs/dcp/documentation). Takes frames and writes frames; knows no socket. What comes
/// is not trusted: numbers, lengths, order and vbuckets are compared with what may come.
///
/// One thread, which no client waits for: an event of collections waits for the disk.
class Consumer {
 public:
  using SteadyTime = std::chrono::steady_clock::time_point;

  /// Disk and numbers live longer.
  Consumer(disk::Persistence& disk, FollowNumbers& numbers, ConsumerOptions options);
  ~Consumer();
  Consumer(const Consumer&) = delete;
  Consumer& operator=(const Consumer&) = delete;

  /// To be called once, where the source's bucket is selected and collections are agreed on.
  void begin(SteadyTime steady, net::Output& out);
  /// One whole frame, a request or a reply; its lengths fit it (header.before_value() ≤ body_bytes).
  [[nodiscard]] FrameOutcome take(std::string_view frame, base::Now now, SteadyTime steady, net::Output& out);
  /// Every few tens of milliseconds: asks again for streams that have ended, and how far the source is.
  void tick(SteadyTime steady, net::Output& out);

  /// For a person; after `broken`.
  [[nodiscard]] const std::string& trouble() const noexcept { return trouble_; }
  /// The vbucket that had no room; after `wait`.
  [[nodiscard]] uint16_t waits_for() const noexcept { return waits_for_; }
  /// The source has accepted every stream.
  [[nodiscard]] bool is_streaming() const noexcept { return open_ == streams_.size(); }

  /// How old the copy is at most. For the time in which frames have to wait, and nothing else tells it.
  void tell_lag(SteadyTime steady);

 private:
  static constexpr std::string_view kChangedByItself = "the vbucket has changed by itself";
  enum class Phase : uint8_t {
    closed,
    requested,
    comparing,  ///< the source was asked for its history, because something is here that is no copy
    open,
  };
  /// A vbucket's stream.
  struct Stream {
    Phase phase = Phase::closed;
    bool went_nowhere = false;       ///< it was told to go back to where it is, or to later
    bool has_newest_branch = false;  ///< here is what the source's history has branched into last
    bool is_behind = false;          ///< it has not come to `target`; counts in behind_
    uint32_t opaque = 0;             ///< of the request
    uint64_t seqno = 0;              ///< up to here it is here
    uint64_t target = 0;  ///< of the source, when it was asked the last time but for a question under way
  };

  FrameOutcome take_reply(std::string_view frame, base::Now now, SteadyTime steady, net::Output& out);
  FrameOutcome take_request(std::string_view frame, base::Now now, SteadyTime steady, net::Output& out);
  FrameOutcome take_setup(const wire::BinaryHeader& header);
  FrameOutcome take_stream_reply(const wire::BinaryHeader& header, std::string_view value, base::Now now,
                                 SteadyTime steady, net::Output& out);
  FrameOutcome take_history(const wire::BinaryHeader& header, std::string_view value, net::Output& out);
  FrameOutcome take_seqnos(const wire::BinaryHeader& header, std::string_view value, SteadyTime steady,
                           net::Output& out);
  FrameOutcome accepted(uint16_t vbucket, std::string_view value, base::Now now, SteadyTime steady);
  FrameOutcome roll_back(uint16_t vbucket, uint64_t seqno, base::Now now, net::Output& out);
  void compare_histories(net::Output& out);
  void request_streams(net::Output& out);
  void begin_anew(uint16_t vbucket, base::Now now, net::Output& out);

  FrameOutcome apply(uint16_t vbucket, const wire::DcpSnapshotMarker& marker, base::Now now);
  FrameOutcome apply(uint16_t vbucket, const wire::DcpMutation& received, base::Now now);
  FrameOutcome apply(uint16_t vbucket, const wire::DcpRemoval& received, base::Now now);
  FrameOutcome apply(uint16_t vbucket, const wire::DcpSystemEvent& event, base::Now now);
  FrameOutcome apply(uint16_t vbucket, const wire::DcpSeqnoAdvanced& advanced, base::Now now);
  FrameOutcome apply(uint16_t vbucket, const wire::DcpEnd& reason, base::Now now);
  /// What nobody asked for.
  template <typename Other>
  FrameOutcome apply(uint16_t vbucket, const Other& other, base::Now now);
  /// Whether there may be such a key in the vbucket.
  [[nodiscard]] bool fits(uint16_t vbucket, const wire::DcpKey& key) const;
  [[nodiscard]] bool has_sound_attributes(std::string_view value, bool with_body);
  /// False: it is no value that can be.
  [[nodiscard]] bool take_compressed(std::string_view& value, uint8_t& datatype);
  FrameOutcome outcome_of(store::ReplicaStatus status, uint16_t vbucket, uint64_t seqno);
  FrameOutcome wait(uint16_t vbucket);
  void reached(uint16_t vbucket, uint64_t seqno);

  void request_stream(uint16_t vbucket, net::Output& out);
  void close_stream(uint16_t vbucket);
  void ask_seqnos(SteadyTime steady, net::Output& out);
  void acknowledge(uint32_t bytes, net::Output& out);
  void settle_lag(SteadyTime steady);
  FrameOutcome broken(std::string_view why);

  disk::Persistence& disk_;
  store::Bucket& bucket_;
  FollowNumbers& numbers_;
  const ConsumerOptions options_;
  std::vector<Stream> streams_;
  std::string trouble_;
  wire::JsonIndex index_;
  std::string plain_;  // a value that came compressed, for as long as its message is applied
  uint16_t waits_for_ = 0;
  bool has_begun_ = false;     // streams were asked for
  size_t comparing_ = 0;       // vbuckets
  bool knows_source_ = false;  // some vbucket has a branch of history in common with it
  size_t open_ = 0;            // streams
  uint32_t requests_ = 0;      // each has an opaque of its own
  uint32_t done_bytes_ = 0;    // not acknowledged yet
  bool seqnos_asked_ = false;  // the answer is on its way
  SteadyTime asked_at_{};      // of the question that is under way, or was answered last
  SteadyTime targets_at_{};    // of the one that the targets are from
  bool is_settled_ = true;     // all were reached
  size_t behind_ = 0;          // streams
};

}  // namespace bobbin::feed
