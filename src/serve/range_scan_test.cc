// Range scans over sockets, against a whole server with a disk.

#include "wire/range_scan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "disk/disk_test_support.h"
#include "feed/scans.h"
#include "net/test_socket.h"
#include "serve/mcbp_fixture.h"
#include "serve/server.h"
#include "wire/base64.h"
#include "wire/datatype.h"

namespace bobbin::serve {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using wire::BinaryOpcode;
using wire::BinaryStatus;
using wire::Feature;

constexpr uint64_t kMiB = 1 << 20;
const std::string kAllKeys = R"({"key_only":true,"range":{"start":"AA==","end":"/w=="}})";
const std::string kAllDocuments = R"({"range":{"start":"AA==","end":"/w=="}})";

disk::PersistenceOptions persistence(const std::string& folder) {
  disk::PersistenceOptions options;
  options.directory.path = folder;
  options.directory.shards = 1;
  options.directory.vbuckets = 4;
  options.directory.memory_bytes = 8 * kMiB;
  options.bucket.type = store::BucketType::persistent;
  options.bucket.quota_bytes = 1024 * kMiB;
  options.linger = 2ms;
  options.readers = 1;
  return options;
}

/// One connection of Couchbase's protocol.
class ScanClient {
 public:
  ScanClient(const net::Address& address, const std::vector<Feature>& features, int receive_buffer_bytes = 0)
      : socket_(address, receive_buffer_bytes) {
    std::string asked;
    for (const Feature feature : features)
      asked += {'\0', static_cast<char>(feature)};
    EXPECT_EQ(ask({.opcode = BinaryOpcode::hello, .key = "test", .value = asked}).status,
              BinaryStatus::success);
  }
  void send(const Frame& frame) { EXPECT_TRUE(socket_.send_all(encoded(frame))); }
  /// The next reply to anything; which opcode it answers is in `key`.
  Reply next() {
    const std::string head = socket_.receive(wire::kBinaryHeaderBytes);
    if (head.size() < wire::kBinaryHeaderBytes) return {};
    const wire::BinaryHeader header = wire::decode_header(head.data());
    const std::string body = socket_.receive(header.body_bytes);
    Reply reply;
    reply.status = static_cast<BinaryStatus>(header.vbucket_or_status);
    reply.extras = body.substr(header.framing_bytes, header.extras_bytes);
    reply.key = std::string(1, static_cast<char>(header.opcode));
    reply.value = body.substr(header.before_value());
    reply.datatype = header.datatype;
    return reply;
  }
  Reply ask(const Frame& frame) {
    send(frame);
    const Reply reply = next();
    EXPECT_EQ(reply.key, std::string(1, static_cast<char>(frame.opcode)));
    return reply;
  }
  BinaryStatus select(const std::string& bucket) {
    return ask({.opcode = BinaryOpcode::select_bucket, .key = bucket}).status;
  }
  Reply create(const std::string& json, uint16_t vbucket = 0) { return ask(creating(json, vbucket)); }
  static Frame creating(const std::string& json, uint16_t vbucket = 0) {
    return {.opcode = BinaryOpcode::range_scan_create,
            .value = json,
            .vbucket = vbucket,
            .datatype = wire::kDatatypeJson};
  }
  static Frame continuing(const std::string& id, uint16_t vbucket = 0, uint32_t items = 0) {
    std::string limits(12, '\0');
    wire::store_big_endian(limits.data(), items);
    return {.opcode = BinaryOpcode::range_scan_continue, .extras = id + limits, .vbucket = vbucket};
  }
  static Frame cancelling(const std::string& id, uint16_t vbucket = 0) {
    return {.opcode = BinaryOpcode::range_scan_cancel, .extras = id, .vbucket = vbucket};
  }
  /// Items of the continue that is under way, and its last status.
  std::pair<size_t, BinaryStatus> rest() {
    size_t count = 0;
    for (;;) {
      const Reply reply = next();
      const auto content = reply.extras == std::string("\0\0\0\1", 4) ? wire::ScanFrame::Content::documents
                                                                      : wire::ScanFrame::Content::keys;
      std::string_view items = reply.value;
      while (wire::take_scan_item(items, content))
        ++count;
      if (reply.status != BinaryStatus::success || reply.key.empty()) return {count, reply.status};
    }
  }
  net::TestSocket& socket() { return socket_; }

 private:
  net::TestSocket socket_;
};

const std::vector<Feature> kOrdered{Feature::json, Feature::xattr, Feature::select_bucket,
                                    Feature::collections};
const std::vector<Feature> kUnordered{Feature::json, Feature::select_bucket, Feature::unordered_execution,
                                      Feature::tracing};

class RangeScanTest : public testing::Test {
 protected:
  RangeScanTest() { start(); }
  ~RangeScanTest() override {
    if (server_ != nullptr) {
      server_->drain();
      EXPECT_TRUE(server_->close());
    }
  }

  void start(feed::ScanLimits limits = {}, std::unique_ptr<Users> users = nullptr) {
    server_.reset();
    ServerOptions options;
    options.front_end.listen.push_back(*net::Address::parse("127.0.0.1:0", 0));
    options.front_end.threads = 2;
    options.front_end.limits.spool_bytes = 64 << 10;
    options.front_end.limits.drain_timeout = 100ms;
    options.bucket.disk = std::move(*disk::Persistence::open(persistence(folder_.path() + "/data")));
    options.buckets.folder = folder_.path() + "/data";
    options.buckets.open_disk = [](const std::string& folder, const BucketSettings&) {
      return disk::Persistence::open(persistence(folder));
    };
    options.scans = limits;
    options.users = std::move(users);
    auto started = Server::start(std::move(options));
    ASSERT_TRUE(started) << started.error().message;
    server_ = std::move(*started);
  }
  std::unique_ptr<ScanClient> connect(const std::vector<Feature>& features = kOrdered, int buffer_bytes = 0,
                                      const std::string& bucket = "default") {
    auto client = std::make_unique<ScanClient>(server_->addresses()[0], features, buffer_bytes);
    EXPECT_EQ(client->select(bucket), BinaryStatus::success);
    return client;
  }
  static void store(store::Bucket& bucket, store::DocKey key, std::string_view value) {
    const base::Now now = base::SystemClock().now();
    auto draft = bucket.draft(key, 0, 0, static_cast<uint32_t>(value.size()), now);
    ASSERT_TRUE(draft);
    std::copy(value.begin(), value.end(), draft->value().begin());
    ASSERT_TRUE(bucket.store(std::move(*draft), store::StoreMode::set, now).ok());
  }
  /// Into vbucket 0 of a bucket, and on disk.
  void fill(size_t count, size_t value_bytes, const std::string& name = "default",
            store::CollectionId collection = 0) {
    const auto served = server_->engine().buckets.find(name);
    const std::string value(value_bytes, 'v');
    size_t stored = 0;
    for (int i = 0; stored < count; ++i) {
      const std::string key = "key-" + std::to_string(i);
      if (served->bucket().vbucket_of(key) != 0) continue;
      store(served->bucket(), {collection, key}, value);
      ++stored;
    }
    ASSERT_TRUE(served->disk()->bring_to_disk());
  }
  void make_bucket(const std::string& name) {
    BucketSettings settings;
    settings.name = name;
    settings.quota_bytes = 100 * kMiB;
    const auto made = server_->engine().buckets.create(settings);
    ASSERT_TRUE(made) << made.error().message;
  }
  void wait_until_none_is_open() {
    while (server_->engine().scans.statistics().open != 0)
      std::this_thread::sleep_for(1ms);
  }
  /// A client that has begun to read more than it can be sent, and reads no further.
  std::unique_ptr<ScanClient> stalled(std::string& id, const std::string& bucket = "default") {
    auto client = connect(kOrdered, 4096, bucket);
    id = client->create(kAllDocuments).value;
    EXPECT_EQ(id.size(), 16U);
    client->send(ScanClient::continuing(id));
    EXPECT_FALSE(client->socket().receive(1).empty());
    return client;
  }

  disk::TemporaryFolder folder_;
  base::SystemClock clock_;
  std::unique_ptr<Server> server_;
};

TEST_F(RangeScanTest, IsMadeContinuedAndCancelled) {
  fill(10, 3);
  const auto client = connect();
  const Reply made = client->create(kAllKeys);
  ASSERT_EQ(made.status, BinaryStatus::success);
  const std::string& id = made.value;
  ASSERT_EQ(id.size(), 16U);
  client->send(ScanClient::continuing(id, 0, 4));
  EXPECT_EQ(client->rest(), std::pair(size_t{4}, BinaryStatus::range_scan_more));
  EXPECT_EQ(client->ask(ScanClient::continuing(id, 1)).status, BinaryStatus::key_not_found);
  EXPECT_EQ(client->ask(ScanClient::cancelling(id, 1)).status, BinaryStatus::key_not_found);
  EXPECT_EQ(client->ask(ScanClient::continuing(std::string(16, 'x'))).status, BinaryStatus::key_not_found);
  EXPECT_EQ(client->ask(ScanClient::cancelling(id)).status, BinaryStatus::success);
  EXPECT_EQ(client->ask(ScanClient::cancelling(id)).status, BinaryStatus::key_not_found);
  EXPECT_EQ(client->ask(ScanClient::continuing(id)).status, BinaryStatus::key_not_found);
  EXPECT_EQ(client->create(R"({"range":{"start":"YQ==","end":"Yg=="}})").status, BinaryStatus::key_not_found);
  wait_until_none_is_open();
}

TEST_F(RangeScanTest, AnotherConnectionMayGoOnWhileItsMakerIsThere) {
  make_bucket("b");
  fill(10, 3);
  auto maker = connect();
  const auto other = connect(kUnordered);
  const auto elsewhere = connect(kOrdered, 0, "b");
  const std::string id = maker->create(kAllKeys).value;
  EXPECT_EQ(elsewhere->ask(ScanClient::continuing(id)).status, BinaryStatus::key_not_found);
  other->send(ScanClient::continuing(id, 0, 4));
  EXPECT_EQ(other->rest(), std::pair(size_t{4}, BinaryStatus::range_scan_more));
  maker.reset();
  wait_until_none_is_open();
  EXPECT_EQ(other->ask(ScanClient::continuing(id)).status, BinaryStatus::key_not_found);
}

TEST_F(RangeScanTest, RequestsThatAreNoneAreRefused) {
  fill(1, 3);
  const auto client = connect();
  const auto refused = [&](const Frame& frame) {
    const Reply reply = client->ask(frame);
    EXPECT_EQ(reply.status, BinaryStatus::invalid_arguments);
    return reply.value;
  };
  EXPECT_EQ(refused(ScanClient::creating("{")), R"({"error":{"context":"the body is not a JSON object"}})");
  EXPECT_THAT(refused(ScanClient::creating(R"({"range":{"start":"!","end":"/w=="}})")), HasSubstr("base64"));
  Frame frame = ScanClient::creating(kAllKeys);
  frame.datatype = 0;
  refused(frame);
  frame = ScanClient::creating(kAllKeys);
  frame.key = "k";
  refused(frame);
  frame = ScanClient::creating(kAllKeys);
  frame.extras = "1234";
  refused(frame);
  refused(ScanClient::creating(""));
  for (const size_t bytes : {0, 16, 24, 27, 29, 63})
    refused({.opcode = BinaryOpcode::range_scan_continue, .extras = std::string(bytes, 'x')});
  for (const size_t bytes : {0, 15, 17, 28})
    refused({.opcode = BinaryOpcode::range_scan_cancel, .extras = std::string(bytes, 'x')});
  EXPECT_EQ(client->create(std::string(100'000, ' ')).status, BinaryStatus::too_large);
  EXPECT_EQ(client->create(kAllKeys, 4).status, BinaryStatus::not_my_vbucket);
  EXPECT_EQ(client->create(R"({"collection":"9","sampling":{"samples":1}})").status,
            BinaryStatus::unknown_collection);
  EXPECT_EQ(client->create(kAllKeys).status, BinaryStatus::success);
}

TEST_F(RangeScanTest, OnlyWhereThereIsADiskItIsOfferedAndWorks) {
  BucketSettings settings;
  settings.name = "memory";
  settings.type = "ephemeral";
  settings.eviction = "noEviction";
  settings.quota_bytes = 100 * kMiB;
  ASSERT_TRUE(server_->engine().buckets.create(settings));
  const auto client = connect(kOrdered, 0, "memory");
  EXPECT_EQ(client->create(kAllKeys).status, BinaryStatus::not_supported);
  const Frame config{.opcode = BinaryOpcode::get_cluster_config};
  EXPECT_THAT(client->ask(config).value, testing::Not(HasSubstr("rangeScan")));
  EXPECT_EQ(client->select("default"), BinaryStatus::success);
  EXPECT_THAT(client->ask(config).value, HasSubstr("rangeScan"));
}

TEST_F(RangeScanTest, RepliesKeepTheirOrderUnlessTheClientKnowsBetter) {
  fill(5'000, 100);
  const auto client = connect();
  const Frame noop{.opcode = BinaryOpcode::noop};
  client->send(ScanClient::creating(kAllDocuments));
  client->send(noop);
  const Reply made = client->next();
  EXPECT_EQ(made.key, "\xda");
  EXPECT_EQ(client->next().key, "\x0a");
  for (int i = 0; i < 3; ++i) {
    client->send(ScanClient::continuing(made.value, 0, i < 2 ? 2'000 : 0));
    client->send(noop);
    EXPECT_EQ(client->rest().second,
              i < 2 ? BinaryStatus::range_scan_more : BinaryStatus::range_scan_complete);
    EXPECT_EQ(client->next().key, "\x0a");
  }
  // Out of order, the answers are all there.
  const auto unordered = connect(kUnordered);
  const Reply again = unordered->create(kAllKeys);
  ASSERT_EQ(again.status, BinaryStatus::success);
  unordered->send(ScanClient::continuing(again.value));
  unordered->send(noop);
  int noops = 0;
  BinaryStatus last{};
  while (noops == 0 || last != BinaryStatus::range_scan_complete) {
    const Reply reply = unordered->next();
    if (reply.key == "\x0a")
      ++noops;
    else
      last = reply.status;
  }
  EXPECT_EQ(noops, 1);
}

TEST_F(RangeScanTest, ScansWhatTheUserMayRead) {
  auto users = std::move(*Users::open({"", 3, &clock_}));
  ASSERT_TRUE(users->add({"some", "p", std::nullopt, *parse_roles("data_reader[default:_default:c]")}));
  ASSERT_TRUE(users->add({"none", "p", std::nullopt, *parse_roles("data_writer[default]")}));
  start({}, std::move(users));
  ASSERT_TRUE(server_->engine().bucket->collections().create_collection("_default", "c"));
  fill(3, 3, "default", 8);
  fill(3, 3);
  const auto log_in = [&](const std::string& user) {
    auto client = std::make_unique<ScanClient>(server_->addresses()[0], kOrdered);
    EXPECT_EQ(client
                  ->ask({.opcode = BinaryOpcode::sasl_auth,
                         .key = "PLAIN",
                         .value = std::string("\0", 1) + user + std::string("\0p", 2)})
                  .status,
              BinaryStatus::success);
    EXPECT_EQ(client->select("default"), BinaryStatus::success);
    return client;
  };
  const std::string in_collection = R"({"collection":"8",)" + kAllKeys.substr(1);
  const auto some = log_in("some");
  EXPECT_EQ(some->create(kAllKeys).status, BinaryStatus::unknown_collection);
  const Reply made = some->create(in_collection);
  ASSERT_EQ(made.status, BinaryStatus::success);
  some->send(ScanClient::continuing(made.value, 0, 1));
  EXPECT_EQ(some->rest(), std::pair(size_t{1}, BinaryStatus::range_scan_more));
  const auto none = log_in("none");
  EXPECT_EQ(none->create(kAllKeys).status, BinaryStatus::no_access);
  // It is not theirs, whatever they may read.
  EXPECT_EQ(none->ask(ScanClient::continuing(made.value)).status, BinaryStatus::key_not_found);
  EXPECT_EQ(none->ask(ScanClient::cancelling(made.value)).status, BinaryStatus::key_not_found);
  some->send(ScanClient::continuing(made.value));
  EXPECT_EQ(some->rest(), std::pair(size_t{2}, BinaryStatus::range_scan_complete));
}

TEST_F(RangeScanTest, TooManyAreRefused) {
  start({.scans = 3, .scans_per_connection = 2});
  fill(3, 3);
  const auto client = connect();
  const std::string id = client->create(kAllKeys).value;
  EXPECT_EQ(client->create(kAllKeys).status, BinaryStatus::success);
  EXPECT_EQ(client->create(kAllKeys).status, BinaryStatus::busy);
  EXPECT_EQ(client->ask(ScanClient::cancelling(id)).status, BinaryStatus::success);
  while (server_->engine().scans.statistics().open != 1)
    std::this_thread::sleep_for(1ms);
  EXPECT_EQ(client->create(kAllKeys).status, BinaryStatus::success);
}

TEST_F(RangeScanTest, StatisticsTellOfEachScan) {
  fill(3, 3);
  const auto client = connect();
  ASSERT_EQ(client->create(R"({"name":"mine",)" + kAllKeys.substr(1)).status, BinaryStatus::success);
  const auto stats = [&](const std::string& group) {
    std::map<std::string, std::string> all;
    const Frame frame{.opcode = BinaryOpcode::stat, .key = group};
    EXPECT_TRUE(client->socket().send_all(encoded(frame)));
    for (;;) {
      const std::string head = client->socket().receive(wire::kBinaryHeaderBytes);
      const wire::BinaryHeader header = wire::decode_header(head.data());
      const std::string body = client->socket().receive(header.body_bytes);
      if (header.key_bytes == 0) return all;
      const std::string name = body.substr(0, header.key_bytes);
      all[name.starts_with("vb_") ? name.substr(name.rfind(':') + 1) : name] = body.substr(header.key_bytes);
    }
  };
  auto told = stats("range-scans");
  EXPECT_EQ(told["range_scans_open"], "1");
  EXPECT_EQ(told["range_scans_created"], "1");
  EXPECT_EQ(told["state"], "idle");
  EXPECT_EQ(told["name"], "mine");
  EXPECT_EQ(told["key_value"], "key");
  EXPECT_EQ(stats("range-scans 0")["name"], "mine");
  EXPECT_EQ(stats("range-scans 1").count("name"), 0U);
  EXPECT_EQ(client->ask({.opcode = BinaryOpcode::stat, .key = "range-scans x"}).status,
            BinaryStatus::key_not_found);
}

// ---- ends, while a scan is under way that nobody reads

TEST_F(RangeScanTest, AConnectionThatDiesTakesItsScans) {
  fill(40, 100'000);
  for (const bool resets : {false, true}) {
    std::string id;
    auto client = stalled(id);
    if (resets) client->socket().reset();
    client.reset();
    wait_until_none_is_open();
  }
}

TEST_F(RangeScanTest, ABucketIsRemovedUnderIt) {
  make_bucket("b");
  fill(40, 100'000, "b");
  std::string id;
  const auto client = stalled(id, "b");
  const auto idle = connect(kOrdered, 0, "b");
  EXPECT_EQ(idle->create(kAllKeys).status, BinaryStatus::success);
  ASSERT_TRUE(server_->engine().buckets.remove("b"));
  wait_until_none_is_open();
  EXPECT_TRUE(idle->socket().receive(1).empty());
}

TEST_F(RangeScanTest, AnotherBucketIsSelected) {
  make_bucket("b");
  fill(10, 3);
  const auto client = connect();
  EXPECT_EQ(client->create(kAllKeys).status, BinaryStatus::success);
  EXPECT_EQ(client->select("default"), BinaryStatus::success);
  EXPECT_EQ(server_->engine().scans.statistics().open, 1U);
  EXPECT_EQ(client->select("b"), BinaryStatus::success);
  wait_until_none_is_open();
}

TEST_F(RangeScanTest, TheServerEndsUnderIt) {
  fill(40, 100'000);
  std::string id;
  const auto client = stalled(id);
  const auto idle = connect();
  EXPECT_EQ(idle->create(kAllKeys).status, BinaryStatus::success);
  server_->drain();
  EXPECT_TRUE(server_->close());
  server_.reset();
}

TEST_F(RangeScanTest, TheServerIsDestroyedUnderIt) {
  fill(40, 100'000);
  std::string id;
  const auto client = stalled(id);
  server_.reset();
}

TEST_F(RangeScanTest, ItIsCancelledUnderItsReader) {
  fill(40, 100'000);
  std::string id;
  const auto client = stalled(id);
  const auto other = connect();
  EXPECT_EQ(other->ask(ScanClient::continuing(id)).status, BinaryStatus::busy);
  EXPECT_EQ(other->ask(ScanClient::cancelling(id)).status, BinaryStatus::success);
  EXPECT_EQ(other->ask(ScanClient::continuing(id)).status, BinaryStatus::key_not_found);
  wait_until_none_is_open();
}

TEST_F(RangeScanTest, TheBucketIsFlushedUnderIt) {
  fill(40, 100'000);
  std::string id;
  const auto client = stalled(id);
  server_->bucket().flush(clock_.now());
  wait_until_none_is_open();
}

TEST_F(RangeScanTest, ManyComeAndGoAtOnce) {
  make_bucket("b");
  fill(500, 100);
  fill(500, 100, "b");
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([this, t] {
      for (int i = 0; i < 10; ++i) {
        const auto client = connect(i % 2 == 0 ? kOrdered : kUnordered, 0, t % 2 == 0 ? "default" : "b");
        const std::string id = client->create(i % 3 == 0 ? kAllKeys : kAllDocuments).value;
        ASSERT_EQ(id.size(), 16U);
        if (i % 4 == 3) continue;
        client->send(ScanClient::continuing(id, 0, i % 4 == 2 ? 100 : 0));
        if (i % 4 == 1) continue;
        EXPECT_EQ(client->rest().first, i % 4 == 2 ? 100U : 500U);
      }
    });
  }
  for (std::thread& thread : threads)
    thread.join();
  ASSERT_TRUE(server_->engine().buckets.remove("b"));
  wait_until_none_is_open();
}

}  // namespace
}  // namespace bobbin::serve
