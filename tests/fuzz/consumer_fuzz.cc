#include <stdlib.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "feed/consumer.h"
#include "fuzz_check.h"

/// What a source sends to a follower whose two streams are open, frame after frame: nothing that is refused
/// changes anything, and what is taken is there at its seqno. The opaques are put right, so that what comes
/// gets as far as it can.

namespace bobbin::fuzz {
namespace {

using namespace std::chrono_literals;
using feed::Consumer;
using feed::FrameOutcome;
using wire::BinaryHeader;
using wire::BinaryOpcode;

constexpr uint16_t kVbuckets = 2;
constexpr base::Now kNow{1'800'000'000'000'000'000};

/// A bucket on disk for all inputs, and its folder, which goes at the end.
class World {
 public:
  World() {
    std::string name = (std::filesystem::temp_directory_path() / "bobbin-fuzz-XXXXXX").string();
    folder_ = mkdtemp(name.data()) == nullptr ? std::string() : name;
    disk::PersistenceOptions options;
    options.directory.path = folder_;
    options.directory.shards = 1;
    options.directory.vbuckets = kVbuckets;
    options.directory.memory_bytes = 8 << 20;
    options.bucket.quota_bytes = 64 << 20;
    options.linger = 1ms;
    options.clock = &clock_;
    auto opened = disk::Persistence::open(std::move(options));
    BOBBIN_FUZZ_CHECK(opened.has_value());
    disk_ = std::move(*opened);
    disk_->start();
  }
  World(const World&) = delete;
  World& operator=(const World&) = delete;
  ~World() {
    disk_.reset();
    std::error_code error;
    std::filesystem::remove_all(folder_, error);
  }
  [[nodiscard]] disk::Persistence& disk() { return *disk_; }

 private:
  std::string folder_;
  const base::SystemClock clock_;
  std::unique_ptr<disk::Persistence> disk_;
};

std::string reply(BinaryOpcode opcode, uint32_t opaque, std::string_view value) {
  std::string bytes(wire::kBinaryHeaderBytes, '\0');
  wire::encode_header(bytes.data(), {.magic = wire::kBinaryReplyMagic,
                                     .opcode = static_cast<uint8_t>(opcode),
                                     .body_bytes = static_cast<uint32_t>(value.size()),
                                     .opaque = opaque});
  return bytes.append(value);
}

/// A connection whose streams are open; the opaque of a stream is its vbucket and `first`.
class Follower {
 public:
  static constexpr uint32_t kFirstOpaque = 16;

  explicit Follower(World& world)
      : bucket_(world.disk().bucket()), consumer_(world.disk(), numbers_, {"fuzz"}) {
    for (uint16_t vbucket = 0; vbucket < kVbuckets; ++vbucket) {
      bucket_.follow(vbucket, kNow);
      (void)bucket_.clear(vbucket, kNow);
    }
    consumer_.begin(steady_, out_);
    std::array<char, kVbuckets * wire::kDcpVbucketSeqnoBytes> seqnos{};
    wire::store_big_endian(seqnos.data() + wire::kDcpVbucketSeqnoBytes, uint16_t{1});
    take(reply(BinaryOpcode::get_all_vb_seqnos, 1, {seqnos.data(), seqnos.size()}));
    std::array<char, wire::kDcpFailoverEntryBytes> failover;
    wire::write_dcp_failover_entry(failover.data(), {77, 0});
    for (uint32_t vbucket = 0; vbucket < kVbuckets; ++vbucket)
      take(reply(BinaryOpcode::dcp_stream_request, kFirstOpaque + vbucket,
                 {failover.data(), failover.size()}));
    BOBBIN_FUZZ_CHECK(consumer_.is_streaming());
  }

  FrameOutcome take(const std::string& frame) {
    const FrameOutcome outcome = consumer_.take(frame, kNow, steady_, out_);
    out_.clear();
    return outcome;
  }
  [[nodiscard]] std::array<uint64_t, kVbuckets> seqnos() const {
    return {bucket_.high_seqno(0), bucket_.high_seqno(1)};
  }
  void tick() {
    steady_ += 1s;
    consumer_.tick(steady_, out_);
    out_.clear();
  }

 private:
  store::Bucket& bucket_;
  feed::FollowNumbers numbers_{kVbuckets};
  net::Output out_;
  Consumer::SteadyTime steady_{};
  Consumer consumer_;
};

/// The seqno of what is a change; 0 for everything else.
uint64_t seqno_of(const std::string& frame) {
  wire::BinaryRequest request;
  if (wire::cut_frame(frame, request, true) != wire::FrameState::complete) return 0;
  const auto message = wire::read_dcp_message(request, true);
  if (!message) return 0;
  if (const auto* mutation = std::get_if<wire::DcpMutation>(&*message)) return mutation->seqno;
  if (const auto* removal = std::get_if<wire::DcpRemoval>(&*message)) return removal->seqno;
  if (const auto* event = std::get_if<wire::DcpSystemEvent>(&*message)) return event->seqno;
  return 0;
}

void follow(World& world, std::string_view bytes) {
  Follower follower(world);
  while (bytes.size() >= wire::kBinaryHeaderBytes) {
    BinaryHeader header = wire::decode_header(bytes.data());
    // As the connection sees to it.
    if (header.before_value() > header.body_bytes ||
        bytes.size() - wire::kBinaryHeaderBytes < header.body_bytes)
      return;
    std::string frame(bytes.substr(0, wire::kBinaryHeaderBytes + header.body_bytes));
    bytes.remove_prefix(frame.size());
    const bool is_of_stream =
        header.magic == wire::kBinaryRequestMagic && header.vbucket_or_status < kVbuckets;
    if (is_of_stream) {
      header.opaque = Follower::kFirstOpaque + header.vbucket_or_status;
      wire::encode_header(frame.data(), header);
    }
    const auto before = follower.seqnos();
    const FrameOutcome outcome = follower.take(frame);
    const auto after = follower.seqnos();
    if (outcome != FrameOutcome::taken) {
      BOBBIN_FUZZ_CHECK(after == before);
      return;
    }
    const uint64_t seqno = is_of_stream ? seqno_of(frame) : 0;
    if (seqno != 0) BOBBIN_FUZZ_CHECK(after.at(header.vbucket_or_status) == seqno);
  }
  follower.tick();
}

}  // namespace
}  // namespace bobbin::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static bobbin::fuzz::World world;
  bobbin::fuzz::follow(world, {reinterpret_cast<const char*>(data), size});
  return 0;
}
