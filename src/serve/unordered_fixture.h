#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "disk/disk_test_support.h"
#include "disk/faulty_files.h"
#include "net/test_socket.h"
#include "serve/mcbp_fixture.h"
#include "serve/server.h"

namespace bobbin::serve {

/// A connection that has said HELLO, and numbers its requests. For tests only, as all here.
class NumberedClient {
 public:
  struct Answer {
    uint32_t number = 0;  ///< 0: the connection was closed
    wire::BinaryStatus status{};
    std::string value;
    bool operator==(const Answer&) const = default;
  };

  NumberedClient(const net::Address& address, const std::vector<wire::Feature>& features,
                 const std::string& bucket = "default")
      : socket_(address) {
    std::string asked;
    for (const wire::Feature feature : features)
      asked += {'\0', static_cast<char>(feature)};
    EXPECT_EQ(ask({.opcode = wire::BinaryOpcode::hello, .key = "test", .value = asked}),
              wire::BinaryStatus::success);
    EXPECT_EQ(ask({.opcode = wire::BinaryOpcode::select_bucket, .key = bucket}), wire::BinaryStatus::success);
  }

  static std::string numbered(uint32_t number, const Frame& frame) {
    std::string bytes = encoded(frame);
    wire::store_big_endian(bytes.data() + 12, number);
    return bytes;
  }
  void send(uint32_t number, const Frame& frame) { EXPECT_TRUE(socket_.send_all(numbered(number, frame))); }
  Answer next() {
    const std::string head = socket_.receive(wire::kBinaryHeaderBytes);
    if (head.size() < wire::kBinaryHeaderBytes) return {};
    const wire::BinaryHeader header = wire::decode_header(head.data());
    const std::string body = socket_.receive(header.body_bytes);
    return {header.opaque, static_cast<wire::BinaryStatus>(header.vbucket_or_status),
            body.substr(header.before_value())};
  }
  /// The numbers of the next replies, in their order.
  std::vector<uint32_t> next_numbers(size_t count) {
    std::vector<uint32_t> numbers;
    for (size_t i = 0; i < count; ++i)
      numbers.push_back(next().number);
    return numbers;
  }
  wire::BinaryStatus ask(const Frame& frame) {
    send(kAsked, frame);
    const Answer answer = next();
    EXPECT_EQ(answer.number, kAsked);
    return answer.status;
  }
  net::TestSocket& socket() { return socket_; }

 private:
  static constexpr uint32_t kAsked = 0xa5ced;

  net::TestSocket socket_;
};

/// A server whose disk can be held: reads of values on disk, or commits, begin and do not end before heal().
class UnorderedTest : public testing::Test {
 protected:
  using Feature = wire::Feature;
  static inline const std::vector<Feature> kOrdered{Feature::xerror, Feature::select_bucket,
                                                    Feature::alt_request, Feature::sync_replication};
  static inline const std::vector<Feature> kUnordered{Feature::xerror, Feature::select_bucket,
                                                      Feature::alt_request, Feature::sync_replication,
                                                      Feature::unordered_execution};
  static constexpr uint32_t kVBuckets = 4;
  /// On disk it is in a file of its own kind, of which nothing is kept in memory.
  static inline const std::string kLarge = std::string(8192, 'v');

  void start(bool durable = false, std::chrono::milliseconds drain_timeout = std::chrono::minutes(10)) {
    ServerOptions options;
    options.front_end.listen.push_back(*net::Address::parse("127.0.0.1:0", 0));
    options.front_end.threads = 1;
    options.front_end.limits.drain_timeout = drain_timeout;
    options.bucket.disk = open(folder_.path() + "/data");
    options.bucket.durable_replies = durable;
    options.buckets.folder = folder_.path() + "/data";
    options.buckets.open_disk = [this](const std::string& folder, const BucketSettings&) {
      return disk::Persistence::open(persistence(folder));
    };
    auto started = Server::start(std::move(options));
    ASSERT_TRUE(started) << started.error().message;
    server_ = std::move(*started);
  }
  ~UnorderedTest() override {
    files_->heal();
    if (server_ == nullptr) return;
    server_->drain();
    EXPECT_TRUE(server_->close());
  }

  std::unique_ptr<NumberedClient> connect(const std::vector<Feature>& features = kUnordered,
                                          const std::string& bucket = "default") {
    return std::make_unique<NumberedClient>(server_->addresses()[0], features, bucket);
  }
  Frame get(const std::string& key) const { return document(wire::BinaryOpcode::get, key); }
  Frame set(const std::string& key, const std::string& value) const {
    Frame frame = document(wire::BinaryOpcode::set, key);
    frame.value = value;
    frame.extras = kSetExtras;
    return frame;
  }
  Frame append(const std::string& key, const std::string& value) const {
    Frame frame = document(wire::BinaryOpcode::append, key);
    frame.value = value;
    return frame;
  }
  Frame document(wire::BinaryOpcode opcode, const std::string& key) const {
    return {.opcode = opcode, .key = key, .vbucket = vbucket_of(key)};
  }
  static Frame barrier(Frame frame) {
    frame.framing = std::string(1, '\0');
    return frame;
  }
  /// Has to be on disk when it is answered.
  static Frame durable(Frame frame) {
    frame.framing = {'\x11', static_cast<char>(wire::DurabilityLevel::persist_to_majority)};
    return frame;
  }
  [[nodiscard]] uint16_t vbucket_of(const std::string& key) const {
    return server_->bucket().vbucket_of(key);
  }

  /// Documents whose values are on disk only.
  void put_on_disk(const std::vector<std::string>& keys, const std::string& bucket = "default") {
    const auto served = server_->engine().buckets.find(bucket);
    store::Bucket& documents = served->bucket();
    for (const std::string& key : keys) {
      auto draft = documents.draft(key, 0, 0, static_cast<uint32_t>(kLarge.size()), clock_.now());
      ASSERT_TRUE(draft);
      std::memcpy(draft->value().data(), kLarge.data(), kLarge.size());
      ASSERT_TRUE(documents.store(*draft, store::StoreMode::set, {}, clock_.now()).ok());
    }
    ASSERT_TRUE(served->disk()->bring_to_disk());
    std::atomic<bool> canceled{false};
    ASSERT_TRUE(served->disk()->compact(0, canceled));  // out of RocksDB's memory
    const uint64_t quota = documents.quota_bytes();
    documents.set_quota_bytes(1);
    for (int i = 0; i < 3; ++i)
      (void)documents.draft("nobody", 0, 0, 0, clock_.now());
    documents.set_quota_bytes(quota);
  }
  void put_in_memory(const std::string& key, const std::string& value) {
    auto draft = server_->bucket().draft(key, 0, 0, static_cast<uint32_t>(value.size()), clock_.now());
    ASSERT_TRUE(draft);
    std::memcpy(draft->value().data(), value.data(), value.size());
    ASSERT_TRUE(server_->bucket().store(*draft, store::StoreMode::set, {}, clock_.now()).ok());
    ASSERT_TRUE(server_->disk()->bring_to_disk());
  }
  void hold_reads() { hold({disk::FileOperation::read, disk::ErrorKind::io, ".blob", 0, true}); }
  void hold_commits() { hold({disk::FileOperation::sync, disk::ErrorKind::io, ".log", 0, true}); }
  void hold(const disk::Fault& fault) {
    before_ = files_->hits();
    files_->inject(fault);
  }
  /// Until somebody waits for what is held.
  void wait_until_held() {
    while (files_->hits() == before_)
      std::this_thread::yield();
  }
  void heal() { files_->heal(); }
  [[nodiscard]] CommandCounters& counters() { return *server_->engine().counters[0]; }
  void wait_until_aside(uint64_t requests) {
    while (counters().unordered_waiting.get() != requests)
      std::this_thread::yield();
  }
  /// Whether something is there to be read after the loop has done what is due.
  bool is_silent(NumberedClient& client) { return is_silent(client.socket()); }
  bool is_silent(const net::TestSocket& socket) {
    // A neighbour on the same loop is answered, and so was everything before.
    for (int i = 0; i < 2; ++i) {
      EXPECT_EQ(connect(kOrdered)->ask({.opcode = wire::BinaryOpcode::noop}), wire::BinaryStatus::success);
    }
    int readable = 0;
    EXPECT_EQ(ioctl(socket.descriptor(), FIONREAD, &readable), 0);
    return readable == 0;
  }

  disk::PersistenceOptions persistence(const std::string& folder) {
    disk::PersistenceOptions options;
    options.directory.path = folder;
    options.directory.shards = 1;
    options.directory.vbuckets = kVBuckets;
    options.directory.memory_bytes = 8 << 20;
    options.directory.files = files_;
    options.bucket.type = store::BucketType::persistent;
    options.bucket.quota_bytes = 512 << 20;
    options.linger = std::chrono::milliseconds(2);
    options.readers = 2;
    return options;
  }
  std::unique_ptr<disk::Persistence> open(const std::string& folder) {
    auto opened = disk::Persistence::open(persistence(folder));
    EXPECT_TRUE(opened) << opened.error().message;
    return std::move(*opened);
  }

  const std::shared_ptr<disk::FaultyFiles> files_ = std::make_shared<disk::FaultyFiles>();
  uint64_t before_ = 0;  // what faults had hit when something was held
  base::SystemClock clock_;
  disk::TemporaryFolder folder_;
  std::unique_ptr<Server> server_;
};

}  // namespace bobbin::serve
