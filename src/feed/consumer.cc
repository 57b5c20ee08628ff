// The consumer's requests and their answers; what streams carry is in consumer_apply.cc.

#include "feed/consumer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace bobbin::feed {
namespace {

using wire::BinaryHeader;
using wire::BinaryOpcode;
using wire::BinaryStatus;

using Head = std::array<char, wire::kMaxDcpHeadBytes>;

// Opaques of what is asked for once or again and again; those of streams are above.
constexpr uint32_t kNeeded = 1;   // without it there is no going on
constexpr uint32_t kWelcome = 2;  // an older source may not know it
constexpr uint32_t kFirstStream = 16;

// How often the source is asked how far it is. The answer has ten bytes for each vbucket.
constexpr std::chrono::milliseconds kAskEvery{250};

void write_seqnos_request(net::Output& out) {
  char* const begin = out.reserve(wire::kBinaryHeaderBytes);
  const BinaryHeader header{.opcode = static_cast<uint8_t>(BinaryOpcode::get_all_vb_seqnos),
                            .opaque = kNeeded};
  out.commit(static_cast<size_t>(wire::encode_header(begin, header) - begin));
}

std::string words_of(BinaryStatus status) {
  switch (status) {
    case BinaryStatus::no_access:
      return "its user may not read it (roles)";
    case BinaryStatus::not_supported:
      return "not supported";
    case BinaryStatus::invalid_arguments:
      return "invalid arguments";
    case BinaryStatus::not_my_vbucket:
      return "it is not there";
    default:
      return fmt::format("status 0x{:02x}", static_cast<uint16_t>(status));
  }
}

std::vector<store::FailoverEntry> failover_of(std::string_view value, size_t count) {
  std::vector<store::FailoverEntry> failover;
  for (size_t i = 0; i < count; ++i) {
    const wire::DcpFailoverEntry entry = wire::read_dcp_failover_entry(value, i);
    failover.push_back({entry.uuid, entry.seqno});
  }
  return failover;
}

// A start of this server's own begins a branch where it is, and where nothing was changed nothing is in it:
// the source knows what was before. Only for a source whose history has not branched since: what is here may
// be a part of a snapshot that it has lost the end of, and that start has forgotten so.
uint64_t branch_to_ask_by(const store::ReplicaFacts& facts, const store::ReplicaPosition& position) {
  const uint64_t high_seqno = facts.high_seqno;
  if (high_seqno == 0 || position.snapshot_end != high_seqno || facts.failover.front().seqno != high_seqno)
    return position.uuid;
  const auto used =
      std::find_if(facts.failover.begin(), facts.failover.end(),
                   [high_seqno](const store::FailoverEntry& branch) { return branch.seqno < high_seqno; });
  return used == facts.failover.end() ? facts.failover.back().uuid : used->uuid;
}

bool has_branch_in_common(const std::vector<store::FailoverEntry>& one,
                          const std::vector<store::FailoverEntry>& other) {
  return std::any_of(one.begin(), one.end(), [&other](const store::FailoverEntry& here) {
    return std::any_of(other.begin(), other.end(),
                       [&here](const store::FailoverEntry& there) { return here.uuid == there.uuid; });
  });
}

}  // namespace

Consumer::Consumer(disk::Persistence& disk, FollowNumbers& numbers, ConsumerOptions options)
    : disk_(disk),
      bucket_(disk.bucket()),
      numbers_(numbers),
      options_(std::move(options)),
      streams_(bucket_.vbucket_count()) {}

Consumer::~Consumer() {
  numbers_.streams.sub(open_);
}

FrameOutcome Consumer::broken(std::string_view why) {
  trouble_ = why;
  return FrameOutcome::broken;
}

// ---- the beginning

void Consumer::begin(SteadyTime steady, net::Output& out) {
  namespace flags = wire::dcp_open_flags;
  Head head;
  const auto send = [&](const char* end, std::string_view key, std::string_view value) {
    out.append({head.data(), static_cast<size_t>(end - head.data())});
    out.append(key);
    out.append(value);
  };
  const wire::DcpOpen open{
      .flags = flags::kProducer | flags::kXattrs | flags::kDeleteTimes | flags::kDeletedUserXattrs,
      .name = options_.name};
  send(wire::write_dcp_open(head.data(), kNeeded, open), open.name, {});
  const auto control = [&](uint32_t opaque, std::string_view key, std::string_view value) {
    send(wire::write_dcp_control(head.data(), opaque, {key, value}), key, value);
  };
  control(kNeeded, "connection_buffer_size", std::to_string(options_.buffer_bytes));
  control(kNeeded, "enable_noop", "true");
  control(kNeeded, "set_noop_interval", std::to_string(options_.noop_interval_s));
  control(kNeeded, "enable_expiry_opcode", "true");
  // Bobbin's own: otherwise nobody is told that a collection's max TTL has changed.
  control(kWelcome, "bobbin_collection_changes", "true");
  ask_seqnos(steady, out);
}

FrameOutcome Consumer::take_setup(const BinaryHeader& header) {
  const auto status = static_cast<BinaryStatus>(header.vbucket_or_status);
  if (status == BinaryStatus::success || header.opaque == kWelcome) return FrameOutcome::taken;
  if (header.opcode == static_cast<uint8_t>(BinaryOpcode::dcp_open)) {
    if (status == BinaryStatus::not_supported)
      return broken("the source is a cache: it keeps no history that could be followed");
    return broken("the source gives out no change streams: " + words_of(status));
  }
  return broken("the source refuses how its streams are wanted: " + words_of(status));
}

// ---- how far the source is

void Consumer::ask_seqnos(SteadyTime steady, net::Output& out) {
  write_seqnos_request(out);
  seqnos_asked_ = true;
  asked_at_ = steady;
}

FrameOutcome Consumer::take_seqnos(const BinaryHeader& header, std::string_view value, SteadyTime steady,
                                   net::Output& out) {
  const auto status = static_cast<BinaryStatus>(header.vbucket_or_status);
  if (!seqnos_asked_ || status != BinaryStatus::success)
    return broken("the source does not say which vbuckets it has: " + words_of(status));
  seqnos_asked_ = false;
  const size_t count = value.size() / wire::kDcpVbucketSeqnoBytes;
  if (count != streams_.size())
    return broken(
        fmt::format("the source has {} vbuckets, and this server {}: they have to have the same number",
                    count, streams_.size()));
  const bool sets_targets = behind_ == 0;
  std::vector<bool> seen(streams_.size());
  while (const auto entry = wire::take_dcp_vbucket_seqno(value)) {
    if (entry->vbucket >= streams_.size() || seen[entry->vbucket])
      return broken("the source's list of vbuckets cannot be read");
    seen[entry->vbucket] = true;
    numbers_.source_seqnos[entry->vbucket].store(entry->seqno, std::memory_order_relaxed);
    Stream& stream = streams_[entry->vbucket];
    if (!has_begun_) stream.seqno = bucket_.high_seqno(entry->vbucket);
    if (!sets_targets) continue;
    stream.target = entry->seqno;
    stream.is_behind = stream.seqno < stream.target;
    if (stream.is_behind) ++behind_;
  }
  if (!value.empty()) return broken("the source's list of vbuckets cannot be read");
  if (sets_targets) {
    targets_at_ = asked_at_;
    is_settled_ = false;
  }
  settle_lag(steady);
  if (has_begun_) return FrameOutcome::taken;
  compare_histories(out);
  if (comparing_ == 0) request_streams(out);
  return FrameOutcome::taken;
}

// A vbucket whose stream is not open may have another history than the source, whatever its seqno is.
void Consumer::settle_lag(SteadyTime steady) {
  if (is_settled_ || behind_ != 0 || open_ != streams_.size()) return;
  is_settled_ = true;
  tell_lag(steady);
  numbers_.caught_up.store(true, std::memory_order_release);
  numbers_.is_partial.store(false, std::memory_order_release);
}

void Consumer::tell_lag(SteadyTime steady) {
  const auto lag = std::chrono::duration_cast<std::chrono::milliseconds>(steady - targets_at_);
  numbers_.lag_ms.store(static_cast<uint64_t>(std::max<int64_t>(lag.count(), 0)), std::memory_order_relaxed);
}

void Consumer::tick(SteadyTime steady, net::Output& out) {
  if (!has_begun_) return;
  if (open_ != streams_.size()) {
    for (size_t vbucket = 0; vbucket < streams_.size(); ++vbucket)
      if (streams_[vbucket].phase == Phase::closed) request_stream(static_cast<uint16_t>(vbucket), out);
  }
  if (!is_settled_) tell_lag(steady);
  if (!seqnos_asked_ && steady - asked_at_ >= kAskEvery) ask_seqnos(steady, out);
}

// ---- streams

void Consumer::request_stream(uint16_t vbucket, net::Output& out) {
  Stream& stream = streams_[vbucket];
  const store::ReplicaFacts facts = bucket_.replica_facts(vbucket);
  const store::ReplicaPosition position = facts.position();
  stream.seqno = position.seqno;
  stream.phase = Phase::requested;
  stream.opaque = kFirstStream + requests_++;
  const wire::DcpStreamRequest request{
      .start_seqno = position.seqno,
      .uuid = stream.has_newest_branch ? branch_to_ask_by(facts, position) : position.uuid,
      .snapshot_start = position.snapshot_start,
      .snapshot_end = position.snapshot_end};
  char* const begin = out.reserve(wire::kMaxDcpHeadBytes);
  const wire::DcpRoute route{.vbucket = vbucket, .opaque = stream.opaque};
  out.commit(static_cast<size_t>(wire::write_dcp_stream_request(begin, route, request) - begin));
}

void Consumer::close_stream(uint16_t vbucket) {
  if (streams_[vbucket].phase != Phase::open) return;
  streams_[vbucket].phase = Phase::closed;
  --open_;
  is_settled_ = false;
  numbers_.streams.sub(1);
}

FrameOutcome Consumer::take_stream_reply(const BinaryHeader& header, std::string_view value, base::Now now,
                                         SteadyTime steady, net::Output& out) {
  // Requests are few, and answered once.
  const auto asked = std::find_if(streams_.begin(), streams_.end(), [&](const Stream& stream) {
    return stream.phase == Phase::requested && stream.opaque == header.opaque;
  });
  if (asked == streams_.end()) return broken("the source answers a request for a stream that nobody made");
  const auto vbucket = static_cast<uint16_t>(asked - streams_.begin());
  const auto status = static_cast<BinaryStatus>(header.vbucket_or_status);
  switch (status) {
    case BinaryStatus::success:
      return accepted(vbucket, value, now, steady);
    case BinaryStatus::rollback: {
      const auto seqno = wire::read_dcp_rollback(value);
      if (!seqno) return broken("the source's rollback cannot be read");
      numbers_.rollbacks.add(1);
      return roll_back(vbucket, *seqno, now, out);
    }
    case BinaryStatus::busy:
    case BinaryStatus::temporary_failure:
    case BinaryStatus::out_of_memory:
      asked->phase = Phase::closed;  // again with the next tick
      return FrameOutcome::taken;
    default:
      return broken(fmt::format("the source does not stream vbucket {}: {}", vbucket, words_of(status)));
  }
}

FrameOutcome Consumer::accepted(uint16_t vbucket, std::string_view value, base::Now now, SteadyTime steady) {
  const auto count = wire::count_dcp_failover_entries(value);
  if (!count) return broken("the source's history cannot be read");
  const std::vector<store::FailoverEntry> failover = failover_of(value, *count);
  // One that was empty and is so no more has nothing copied twice.
  const bool is_known = has_branch_in_common(bucket_.failover_log(vbucket), failover);
  Stream& stream = streams_[vbucket];
  bucket_.follow(vbucket, now);
  // Something had expired here between the question and the answer.
  if (bucket_.high_seqno(vbucket) != stream.seqno) return broken(kChangedByItself);
  if (const auto adopted = bucket_.adopt_failover(vbucket, failover);
      adopted != store::ReplicaStatus::applied)
    return outcome_of(adopted, vbucket, stream.seqno);
  stream.phase = Phase::open;
  stream.went_nowhere = false;
  ++open_;
  numbers_.streams.add(1);
  if (stream.seqno != 0)
    numbers_.resumed.add(1);
  else if (!is_known && numbers_.source_seqnos[vbucket].load(std::memory_order_relaxed) != 0)
    numbers_.began_new.add(1);
  settle_lag(steady);
  return FrameOutcome::taken;
}

// The source has another history behind `seqno`. There is no way back to a moment, so a vbucket that has more
// is emptied.
FrameOutcome Consumer::roll_back(uint16_t vbucket, uint64_t seqno, base::Now now, net::Output& out) {
  const uint64_t high_seqno = bucket_.high_seqno(vbucket);
  const bool went_nowhere = std::exchange(streams_[vbucket].went_nowhere, true);
  if (high_seqno <= seqno && !went_nowhere) {
    request_stream(vbucket, out);
    return FrameOutcome::taken;
  }
  if (high_seqno == 0) return broken("the source refuses a stream from the beginning");
  if (!disk_.writable(vbucket)) return broken("changes cannot be written to disk here");
  begin_anew(vbucket, now, out);
  return FrameOutcome::taken;
}

// What is here may be emptied only if it has some history in common with the source: otherwise it is
// somebody's, and a wrong address, or a source that has lost its disk, would delete it. Found out before
// anything is changed.
constexpr std::string_view kStranger =
    "this server has documents that the source never had, and would lose them: nothing was changed; give it "
    "an "
    "empty data directory";

void Consumer::compare_histories(net::Output& out) {
  for (size_t i = 0; i < streams_.size(); ++i) {
    const auto vbucket = static_cast<uint16_t>(i);
    if (bucket_.high_seqno(vbucket) == 0) continue;
    Stream& stream = streams_[i];
    stream.phase = Phase::comparing;
    stream.opaque = kFirstStream + requests_++;
    ++comparing_;
    char* const begin = out.reserve(wire::kMaxDcpHeadBytes);
    const wire::DcpRoute route{.vbucket = vbucket, .opaque = stream.opaque};
    out.commit(
        static_cast<size_t>(wire::write_dcp_bare(begin, BinaryOpcode::dcp_failover_log, route) - begin));
  }
}

FrameOutcome Consumer::take_history(const BinaryHeader& header, std::string_view value, net::Output& out) {
  const auto asked = std::find_if(streams_.begin(), streams_.end(), [&](const Stream& stream) {
    return stream.phase == Phase::comparing && stream.opaque == header.opaque;
  });
  const auto count = wire::count_dcp_failover_entries(value);
  if (asked == streams_.end() || !count ||
      static_cast<BinaryStatus>(header.vbucket_or_status) != BinaryStatus::success)
    return broken("the source's history cannot be read");
  const auto vbucket = static_cast<uint16_t>(asked - streams_.begin());
  // A copy may have to begin some vbuckets anew, but not all of them: that is another source, or an empty
  // one.
  const std::vector<store::FailoverEntry> here = bucket_.failover_log(vbucket);
  const std::vector<store::FailoverEntry> there = failover_of(value, *count);
  const bool is_known = has_branch_in_common(here, there);
  if (!is_known && !bucket_.follows(vbucket)) return broken(kStranger);
  asked->has_newest_branch = has_branch_in_common(here, {there.front()});
  knows_source_ = knows_source_ || is_known;
  asked->phase = Phase::closed;
  if (--comparing_ != 0) return FrameOutcome::taken;
  if (!knows_source_) return broken(kStranger);
  request_streams(out);
  return FrameOutcome::taken;
}

void Consumer::request_streams(net::Output& out) {
  has_begun_ = true;
  for (size_t vbucket = 0; vbucket < streams_.size(); ++vbucket)
    request_stream(static_cast<uint16_t>(vbucket), out);
}

void Consumer::begin_anew(uint16_t vbucket, base::Now now, net::Output& out) {
  Stream& stream = streams_[vbucket];
  bucket_.follow(vbucket, now);
  if (bucket_.high_seqno(vbucket) != 0) {
    numbers_.cleared.add(1);
    numbers_.is_partial.store(true, std::memory_order_release);
  }
  (void)bucket_.clear(vbucket, now);  // it was writable just now; where it is no more, no change is taken
  request_stream(vbucket, out);
  const bool was_behind = std::exchange(stream.is_behind, stream.seqno < stream.target);
  if (stream.is_behind && !was_behind) ++behind_;
  if (!stream.is_behind && was_behind) --behind_;
}

// ---- frames

FrameOutcome Consumer::take(std::string_view frame, base::Now now, SteadyTime steady, net::Output& out) {
  const auto magic = static_cast<uint8_t>(frame.front());
  if (magic == wire::kBinaryReplyMagic || magic == wire::kFlexibleReplyMagic)
    return take_reply(frame, now, steady, out);
  return take_request(frame, now, steady, out);
}

FrameOutcome Consumer::take_reply(std::string_view frame, base::Now now, SteadyTime steady,
                                  net::Output& out) {
  const BinaryHeader header = wire::decode_header(frame.data());
  const std::string_view value = frame.substr(wire::kBinaryHeaderBytes + header.before_value());
  switch (static_cast<BinaryOpcode>(header.opcode)) {
    case BinaryOpcode::dcp_open:
    case BinaryOpcode::dcp_control:
      return take_setup(header);
    case BinaryOpcode::get_all_vb_seqnos:
      return take_seqnos(header, value, steady, out);
    case BinaryOpcode::dcp_stream_request:
      return take_stream_reply(header, value, now, steady, out);
    case BinaryOpcode::dcp_failover_log:
      return take_history(header, value, out);
    default:
      // An acknowledgement is answered only where it was wrong.
      return broken(fmt::format("the source answers what it was not asked: opcode 0x{:02x}, {}",
                                header.opcode,
                                words_of(static_cast<BinaryStatus>(header.vbucket_or_status))));
  }
}

void Consumer::acknowledge(uint32_t bytes, net::Output& out) {
  done_bytes_ += bytes;
  if (done_bytes_ < options_.buffer_bytes / 5) return;
  char* const begin = out.reserve(wire::kMaxDcpHeadBytes);
  const char* const end = wire::write_dcp_buffer_ack(begin, 0, std::exchange(done_bytes_, 0));
  out.commit(static_cast<size_t>(end - begin));
}

}  // namespace bobbin::feed
