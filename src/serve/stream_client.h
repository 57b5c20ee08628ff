#pragma once

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "disk/disk_test_support.h"
#include "feed/producer.h"
#include "feed/stream.h"
#include "net/blocking_stream.h"
#include "serve/server.h"
#include "wire/dcp_changes.h"
#include "wire/dcp_filter.h"
#include "wire/feature.h"

namespace bobbin::serve {

/// A server with a disk, in this process, that can be closed and started again. For tests only, as all here.
class StreamServer {
 public:
  explicit StreamServer(store::EvictionPolicy eviction = store::EvictionPolicy::value) : eviction_(eviction) {
    start();
  }
  ~StreamServer() { stop(); }
  void start() {
    disk::PersistenceOptions persistence;
    persistence.directory.path = folder_.path();
    persistence.directory.shards = 2;
    persistence.directory.vbuckets = kVBuckets;
    persistence.directory.memory_bytes = 8 << 20;
    persistence.bucket.type = store::BucketType::persistent;
    persistence.bucket.eviction = eviction_;
    persistence.bucket.quota_bytes = 64 << 20;
    persistence.bucket.cursor_lag_bytes = cursor_lag_bytes;
    persistence.linger = std::chrono::milliseconds(5);
    persistence.clock = &clock_;
    auto disk = disk::Persistence::open(std::move(persistence));
    ASSERT_TRUE(disk) << disk.error().message;
    ServerOptions options;
    net::Address any;
    any.host = "127.0.0.1";
    options.front_end.listen = {any};
    options.front_end.threads = 2;
    options.front_end.limits.spool_bytes = spool_bytes;
    options.bucket.disk = std::move(*disk);
    options.bucket.max_backfills = max_backfills;
    options.bucket.stream_patience = stream_patience;
    auto server = Server::start(std::move(options));
    ASSERT_TRUE(server) << server.error().message;
    server_ = std::move(*server);
  }
  void stop() {
    if (server_ == nullptr) return;
    server_->drain();
    EXPECT_TRUE(server_->close());
    server_.reset();
  }
  void restart() {
    stop();
    start();
  }

  Server& operator*() { return *server_; }
  Server* operator->() { return server_.get(); }
  [[nodiscard]] store::Bucket& bucket() { return server_->bucket(); }
  [[nodiscard]] base::Now now() const { return clock_.now(); }

  store::StoreResult set(store::DocKey key, std::string_view value, uint32_t expiry = 0, uint32_t flags = 0,
                         uint8_t datatype = 0) {
    auto draft = bucket().draft(key, flags, expiry, static_cast<uint32_t>(value.size()), now());
    if (!draft) return {store::StoreStatus::no_memory};
    if (!value.empty()) std::memcpy(draft->value().data(), value.data(), value.size());
    draft->set_datatype(datatype);
    return bucket().store(*draft, store::StoreMode::set, {.whole = datatype != 0}, now());
  }
  store::RemoveResult remove(store::DocKey key) { return bucket().remove(key, {}, now()); }
  void bring_to_disk() { EXPECT_TRUE(server_->disk()->bring_to_disk()); }
  void wait_for_warmup() {
    while (!server_->disk()->warmup().finished)
      std::this_thread::yield();
  }
  /// Until no stream misses anything: each has its place in the change log then, so that what is written from
  /// now on comes from memory, however soon it is on disk.
  void await_streams() {
    bool waits = false;
    while (!waits) {
      waits = true;
      server_->engine().bucket->streams().visit([&](const feed::Producer& producer) {
        producer.visit([&](const feed::Stream& stream) {
          const feed::StreamPhase phase = stream.status().phase.load();
          waits = waits && (phase == feed::StreamPhase::caught_up || phase == feed::StreamPhase::ended);
        });
      });
    }
  }
  /// Evicts all that can be evicted.
  void evict() {
    const uint64_t quota = bucket().quota_bytes();
    bucket().set_quota_bytes(1);
    for (int i = 0; i < 3; ++i)
      (void)bucket().draft("nobody", 0, 0, 0, now());
    bucket().set_quota_bytes(quota);
  }
  void set_manifest(const store::Manifest& manifest) {
    ASSERT_TRUE(server_->disk()->save_manifest(manifest));
    bucket().set_manifest(std::make_shared<store::Manifest>(manifest), now());
  }

  static constexpr uint32_t kVBuckets = 4;
  // Before start().
  size_t spool_bytes = 1 << 20;
  size_t max_backfills = 4;
  std::chrono::milliseconds stream_patience{5000};
  uint64_t cursor_lag_bytes = 8 << 20;

 private:
  const store::EvictionPolicy eviction_;
  base::SystemClock clock_;
  disk::TemporaryFolder folder_;
  std::unique_ptr<Server> server_;
};

/// A consumer: a blocking socket.
class StreamClient {
 public:
  using Message = wire::DcpMessage;
  struct Received {
    wire::DcpRoute route;
    std::string bytes;  ///< what the message's views point into
    Message message;
  };
  struct Reply {
    wire::BinaryStatus status = wire::BinaryStatus::internal_error;
    std::string value;
  };

  explicit StreamClient(const net::Address& address,
                        const std::vector<wire::Feature>& features = all_features())
      : stream_(*net::BlockingStream::connect(address, std::chrono::seconds(60))) {
    std::string asked;
    for (const wire::Feature feature : features) {
      asked += {'\0', static_cast<char>(feature)};
      collections_ = collections_ || feature == wire::Feature::collections;
    }
    EXPECT_EQ(ask(wire::BinaryOpcode::hello, {}, "test", asked).status, wire::BinaryStatus::success);
    EXPECT_EQ(ask(wire::BinaryOpcode::select_bucket, {}, "default").status, wire::BinaryStatus::success);
  }
  static std::vector<wire::Feature> all_features() {
    return {wire::Feature::xattr,      wire::Feature::xerror, wire::Feature::select_bucket,
            wire::Feature::json,       wire::Feature::snappy, wire::Feature::alt_request,
            wire::Feature::collections};
  }

  void send(const std::string& bytes) { EXPECT_TRUE(stream_.write_all(bytes)); }
  /// The reply; messages that come before it are kept.
  Reply ask(wire::BinaryOpcode opcode, const std::string& extras, std::string_view key = {},
            std::string_view value = {}, uint16_t vbucket = 0, uint32_t opaque = 0xabcd) {
    std::string bytes(wire::kBinaryHeaderBytes, '\0');
    wire::encode_header(bytes.data(),
                        {.opcode = static_cast<uint8_t>(opcode),
                         .key_bytes = static_cast<uint16_t>(key.size()),
                         .extras_bytes = static_cast<uint8_t>(extras.size()),
                         .vbucket_or_status = vbucket,
                         .body_bytes = static_cast<uint32_t>(extras.size() + key.size() + value.size()),
                         .opaque = opaque});
    send(bytes + extras + std::string(key) + std::string(value));
    return reply();
  }
  Reply reply() {
    while (true) {
      std::string frame = read_frame();
      if (frame.empty()) return {};
      const wire::BinaryHeader header = wire::decode_header(frame.data());
      if (header.magic == wire::kBinaryReplyMagic) {
        return {static_cast<wire::BinaryStatus>(header.vbucket_or_status),
                frame.substr(wire::kBinaryHeaderBytes + header.extras_bytes + header.key_bytes)};
      }
      kept_.push_back(std::move(frame));
    }
  }
  wire::BinaryStatus open(uint32_t flags = wire::dcp_open_flags::kProducer,
                          const std::string& name = "stream test") {
    std::string extras(8, '\0');
    wire::store_big_endian(extras.data() + 4, flags);
    return ask(wire::BinaryOpcode::dcp_open, extras, name).status;
  }
  wire::BinaryStatus control(std::string_view key, std::string_view value) {
    return ask(wire::BinaryOpcode::dcp_control, {}, key, value).status;
  }
  Reply request(uint16_t vbucket, wire::DcpStreamRequest request = {}, uint32_t opaque = 0) {
    std::array<char, wire::kMaxDcpHeadBytes> head;
    char* const end = wire::write_dcp_stream_request(
        head.data(), {.vbucket = vbucket, .opaque = opaque == 0 ? 0x100U + vbucket : opaque}, request);
    send(std::string(head.data(), end).append(request.filter));
    return reply();
  }
  wire::BinaryStatus close_stream(uint16_t vbucket) {
    return ask(wire::BinaryOpcode::dcp_close_stream, {}, {}, {}, vbucket).status;
  }
  void acknowledge(uint32_t bytes) {
    std::array<char, wire::kMaxDcpHeadBytes> head;
    send(std::string(head.data(), wire::write_dcp_buffer_ack(head.data(), 0, bytes)));
  }
  /// The next message of the producer; nothing when the connection has ended.
  std::unique_ptr<Received> next() {
    auto received = std::make_unique<Received>();
    if (!kept_.empty()) {
      received->bytes = std::move(kept_.front());
      kept_.erase(kept_.begin());
    } else {
      received->bytes = read_frame();
    }
    if (received->bytes.empty()) return nullptr;
    wire::BinaryRequest request;
    EXPECT_EQ(wire::cut_frame(received->bytes, request, true), wire::FrameState::complete);
    const auto message = wire::read_dcp_message(request, collections_);
    EXPECT_TRUE(message) << "opcode " << int{request.header.opcode};
    if (!message) return nullptr;
    received->message = *message;
    received->route = *wire::read_dcp_route(request);
    return received;
  }
  [[nodiscard]] bool knows_collections() const { return collections_; }

 private:
  std::string read_frame() {
    std::string frame(wire::kBinaryHeaderBytes, '\0');
    if (!stream_.read_exact(frame)) return {};
    const wire::BinaryHeader header = wire::decode_header(frame.data());
    frame.resize(wire::kBinaryHeaderBytes + header.body_bytes);
    if (header.body_bytes != 0 &&
        !stream_.read_exact(std::span(frame.data() + wire::kBinaryHeaderBytes, header.body_bytes)))
      return {};
    return frame;
  }

  net::BlockingStream stream_;
  bool collections_ = false;
  std::vector<std::string> kept_;
};

/// A message in a few characters: "marker 0-3 disk", "set k@1=v", "del k@2", "exp k@2", "event 0:8 a@1",
/// "advanced 3", "end 0", "oso 1".
inline std::string text_of(const wire::DcpMessage& message) {
  const auto key = [](const wire::DcpKey& name) {
    return (name.collection == 0 ? "" : std::to_string(name.collection) + "/") + std::string(name.name);
  };
  if (const auto* marker = std::get_if<wire::DcpSnapshotMarker>(&message)) {
    return "marker " + std::to_string(marker->start_seqno) + "-" + std::to_string(marker->end_seqno) +
           ((marker->flags & wire::dcp_snapshot_flags::kDisk) != 0 ? " disk" : " memory");
  }
  if (const auto* set = std::get_if<wire::DcpMutation>(&message))
    return "set " + key(set->key) + "@" + std::to_string(set->seqno) + "=" + std::string(set->value);
  if (const auto* gone = std::get_if<wire::DcpRemoval>(&message)) {
    const bool expired = gone->kind == wire::DcpRemovalKind::expiration;
    return (expired ? "exp " : "del ") + key(gone->key) + "@" + std::to_string(gone->seqno);
  }
  if (const auto* event = std::get_if<wire::DcpSystemEvent>(&message)) {
    return "event " + std::to_string(static_cast<uint32_t>(event->event)) + ":" +
           std::to_string(event->event >= wire::DcpEvent::scope_created &&
                                  event->event <= wire::DcpEvent::scope_dropped
                              ? event->scope
                              : event->collection) +
           " " + std::string(event->name) + "@" + std::to_string(event->seqno);
  }
  if (const auto* advanced = std::get_if<wire::DcpSeqnoAdvanced>(&message))
    return "advanced " + std::to_string(advanced->seqno);
  if (const auto* end = std::get_if<wire::DcpEnd>(&message))
    return "end " + std::to_string(static_cast<uint32_t>(*end));
  if (const auto* oso = std::get_if<wire::DcpOsoSnapshot>(&message))
    return "oso " + std::to_string(oso->flags);
  if (std::holds_alternative<wire::DcpNoop>(message)) return "noop";
  return "?";
}

/// What a consumer rebuilds of a bucket. Every message is checked against the rules of streams.
class Replica {
 public:
  struct Document {
    std::string value;
    uint64_t seqno = 0;
    uint64_t cas = 0;
    uint64_t revision = 0;
    uint32_t flags = 0;
    uint32_t expiry = 0;
    friend bool operator==(const Document&, const Document&) = default;
  };
  struct VBucket {
    std::map<std::string, Document> documents;
    uint64_t seqno = 0;  ///< the last that it has
    uint64_t uuid = 0;
    uint64_t snapshot_start = 0;
    uint64_t snapshot_end = 0;
    bool out_of_order = false;
    bool from_disk = false;
    std::map<std::string, uint64_t> keys_of_snapshot;  // with their seqnos
  };

  explicit Replica(uint32_t vbuckets) : vbuckets_(vbuckets) {}

  [[nodiscard]] VBucket& of(uint16_t vbucket) { return vbuckets_[vbucket]; }
  /// Asks for all streams from where this is, rolling back where it is told to.
  void follow(StreamClient& client, uint32_t flags = 0) {
    for (uint16_t number = 0; size_t{number} < vbuckets_.size(); ++number) {
      for (int tries = 0;; ++tries) {
        ASSERT_LT(tries, 3);
        VBucket& mine = vbuckets_[number];
        wire::DcpStreamRequest request;
        request.flags = flags;
        request.start_seqno = mine.seqno;
        request.uuid = mine.uuid;
        request.snapshot_start = std::min(mine.snapshot_start, mine.seqno);
        request.snapshot_end = std::max(mine.snapshot_end, mine.seqno);
        if (mine.seqno == mine.snapshot_end) request.snapshot_start = mine.seqno;
        const StreamClient::Reply reply = client.request(number, request);
        if (reply.status == wire::BinaryStatus::rollback) {
          ASSERT_EQ(*wire::read_dcp_rollback(reply.value), 0U) << "this replica can only begin anew";
          mine = {};
          ++rollbacks;
          continue;
        }
        ASSERT_EQ(reply.status, wire::BinaryStatus::success);
        mine.uuid = wire::read_dcp_failover_entry(reply.value, 0).uuid;
        mine.snapshot_start = mine.snapshot_end = mine.seqno;
        mine.keys_of_snapshot.clear();
        break;
      }
    }
  }
  void apply(const StreamClient::Received& received) {
    VBucket& mine = vbuckets_[received.route.vbucket];
    std::visit([&](const auto& message) { take(mine, message); }, received.message);
  }
  [[nodiscard]] std::map<std::string, Document> all() const {
    std::map<std::string, Document> all;
    for (const VBucket& one : vbuckets_)
      all.insert(one.documents.begin(), one.documents.end());
    return all;
  }

  uint64_t items = 0;
  int rollbacks = 0;
  int disk_snapshots = 0;
  int memory_snapshots = 0;

 private:
  void take(VBucket& mine, const wire::DcpSnapshotMarker& marker) {
    EXPECT_EQ(mine.seqno, mine.snapshot_end) << "the snapshot before is not complete";
    EXPECT_LE(marker.start_seqno, mine.seqno + 1 + marker.end_seqno);
    EXPECT_GT(marker.end_seqno, mine.seqno);
    const bool disk = (marker.flags & wire::dcp_snapshot_flags::kDisk) != 0;
    ++(disk ? disk_snapshots : memory_snapshots);
    mine.from_disk = disk;
    mine.snapshot_start = marker.start_seqno;
    mine.snapshot_end = marker.end_seqno;
    mine.keys_of_snapshot.clear();
  }
  void note(VBucket& mine, uint64_t seqno, const std::string& key) {
    ++items;
    if (!mine.out_of_order) {
      EXPECT_GT(seqno, mine.seqno) << key << ": out of order, or twice";
      EXPECT_LE(seqno, mine.snapshot_end) << key << ": outside of its snapshot";
    }
    const auto [before, is_new] = mine.keys_of_snapshot.emplace(key, seqno);
    EXPECT_TRUE(is_new) << key << " is twice in a snapshot from " << (mine.from_disk ? "disk" : "memory")
                        << ", at " << before->second << " and " << seqno;
    mine.seqno = std::max(mine.seqno, seqno);
  }
  void take(VBucket& mine, const wire::DcpMutation& set) {
    const std::string key(set.key.wire);
    note(mine, set.seqno, key);
    mine.documents[key] = {std::string(set.value), set.seqno, set.cas, set.revision, set.flags, set.expiry_s};
  }
  void take(VBucket& mine, const wire::DcpRemoval& gone) {
    const std::string key(gone.key.wire);
    note(mine, gone.seqno, key);
    mine.documents.erase(key);
  }
  void take(VBucket& mine, const wire::DcpSystemEvent& event) {
    note(mine, event.seqno, "event " + std::to_string(event.seqno));
  }
  void take(VBucket& mine, const wire::DcpSeqnoAdvanced& advanced) {
    EXPECT_GT(advanced.seqno, mine.seqno);
    mine.seqno = advanced.seqno;
  }
  void take(VBucket& mine, const wire::DcpOsoSnapshot& oso) {
    mine.out_of_order = oso.flags == wire::dcp_oso_flags::kStart;
    mine.keys_of_snapshot.clear();
    mine.snapshot_start = mine.snapshot_end = mine.seqno;
  }
  template <typename Other>
  void take(VBucket&, const Other&) {}

  std::vector<VBucket> vbuckets_;
};

}  // namespace bobbin::serve
