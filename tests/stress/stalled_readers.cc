// Clients that ask for scans and streams and then read nothing: what they hold is bounded, nobody else
// notices, and all of it is let go of when they have gone.

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "disk/disk_test_support.h"
#include "feed/producer.h"
#include "feed/scan.h"
#include "net/test_socket.h"
#include "serve/mcbp_fixture.h"
#include "serve/server.h"
#include "wire/datatype.h"
#include "wire/dcp.h"

namespace bobbin::serve {
namespace {

using wire::BinaryOpcode;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr size_t kReaders = 40;
#else
constexpr size_t kReaders = 1000;
#endif
constexpr size_t kSpoolBytes = 128 << 10;
// More than a spool and what the kernel takes for a Unix socket.
constexpr size_t kDocuments = 800;
constexpr size_t kValueBytes = 1000;

class StalledReadersTest : public testing::Test {
 protected:
  StalledReadersTest() {
    // Both ends of each connection are files of this process.
    rlimit files{};
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = std::min<rlim_t>(files.rlim_max, 3 * kReaders + 200);
    setrlimit(RLIMIT_NOFILE, &files);
    disk::PersistenceOptions persistence;
    persistence.directory.path = folder_.path() + "/data";
    persistence.directory.shards = 1;
    persistence.directory.vbuckets = 1;
    persistence.directory.memory_bytes = 8 << 20;
    persistence.bucket.type = store::BucketType::persistent;
    persistence.bucket.quota_bytes = 64 << 20;
    persistence.linger = std::chrono::milliseconds(2);
    ServerOptions options;
    options.bucket.disk = std::move(*disk::Persistence::open(std::move(persistence)));
    options.bucket.max_backfills = kReaders;
    options.front_end.listen.push_back(*net::Address::parse("unix:" + folder_.path() + "/socket", 0));
    options.front_end.threads = 2;
    options.front_end.limits.spool_bytes = kSpoolBytes;
    options.front_end.limits.stall_timeout = std::chrono::milliseconds(0);
    auto started = Server::start(std::move(options));
    EXPECT_TRUE(started) << started.error().message;
    server_ = std::move(*started);
  }
  ~StalledReadersTest() override {
    server_->drain();
    EXPECT_TRUE(server_->close());
  }

  void fill() {
    const base::SystemClock clock;
    for (size_t i = 0; i < kDocuments; ++i) {
      const std::string key = "key-" + std::to_string(i);
      auto draft = server_->bucket().draft(store::DocKey(key), 0, 0, kValueBytes, clock.now());
      ASSERT_TRUE(draft);
      std::fill(draft->value().begin(), draft->value().end(), 'v');
      ASSERT_TRUE(server_->bucket().store(*draft, store::StoreMode::set, {}, clock.now()).ok());
    }
    ASSERT_TRUE(server_->disk()->bring_to_disk());
  }
  net::TestSocket connect() {
    net::TestSocket socket(server_->addresses()[0]);
    EXPECT_TRUE(socket.open());
    return socket;
  }
  static std::string ask(net::TestSocket& socket, const Frame& frame) {
    EXPECT_TRUE(socket.send_all(encoded(frame)));
    const wire::BinaryHeader header = wire::decode_header(socket.receive(wire::kBinaryHeaderBytes).data());
    EXPECT_EQ(header.vbucket_or_status, 0);
    return socket.receive(header.body_bytes);
  }
  net::TestSocket connect_to_bucket() {
    net::TestSocket socket = connect();
    (void)ask(socket,
              {.opcode = BinaryOpcode::hello, .key = "test", .value = std::string("\0\x0b\0\x08", 4)});
    (void)ask(socket, {.opcode = BinaryOpcode::select_bucket, .key = "default"});
    return socket;
  }
  // Asks for everything, and reads nothing of it.
  net::TestSocket stall_in_scan() {
    net::TestSocket socket = connect_to_bucket();
    const std::string id = ask(socket, {.opcode = BinaryOpcode::range_scan_create,
                                        .value = R"({"range":{"start":"AA==","end":"/w=="}})",
                                        .datatype = wire::kDatatypeJson});
    EXPECT_TRUE(socket.send_all(
        encoded({.opcode = BinaryOpcode::range_scan_continue, .extras = id + std::string(12, '\0')})));
    return socket;
  }
  net::TestSocket stall_in_stream(size_t number) {
    net::TestSocket socket = connect_to_bucket();
    (void)ask(socket, {.opcode = BinaryOpcode::dcp_open,
                       .key = "stalled " + std::to_string(number),
                       .extras = std::string("\0\0\0\0\0\0\0\x01", 8)});
    std::array<char, wire::kMaxDcpHeadBytes> head;
    char* const end = wire::write_dcp_stream_request(head.data(), {}, {});
    EXPECT_TRUE(socket.send_all({head.data(), end}));
    return socket;
  }

  [[nodiscard]] uint64_t sum(net::OwnedCounter net::LoopCounters::*counter) const {
    uint64_t all = 0;
    for (const auto& loop : server_->front_end().loops())
      all += (loop->counters().*counter).get();
    return all;
  }
  [[nodiscard]] size_t full_producers() const {
    size_t full = 0;
    server_->engine().bucket->streams().visit(
        [&full](const feed::Producer& producer) { full += producer.report().is_full ? 1 : 0; });
    return full;
  }
  template <typename Condition>
  static void wait_for(Condition condition) {
    while (!condition())
      std::this_thread::yield();
  }

  disk::TemporaryFolder folder_;
  std::unique_ptr<Server> server_;
};

TEST_F(StalledReadersTest, HoldWhatTheirSpoolsMayAndNobodyElsesTime) {
  fill();
  const uint64_t used_before = server_->bucket().used_bytes();
  std::vector<net::TestSocket> readers;
  for (size_t i = 0; i < kReaders / 2; ++i) {
    readers.push_back(stall_in_scan());
    readers.push_back(stall_in_stream(i));
  }

  // Full is who has no room for one frame more: of a scan 32 KiB, of a stream 64, and what they begin with.
  constexpr uint64_t kLeast = kReaders / 2 * (2 * kSpoolBytes - (33 << 10) - (66 << 10));
  wait_for(
      [this] { return full_producers() == kReaders / 2 && sum(&net::LoopCounters::unsent_bytes) >= kLeast; });
  EXPECT_LE(sum(&net::LoopCounters::unsent_bytes), kReaders * kSpoolBytes);
  EXPECT_EQ(server_->engine().scans.statistics().open, kReaders / 2);

  net::TestSocket other = connect();
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(other.send_all("set mine 0 0 4\r\n" + std::to_string(1000 + i) + "\r\nget mine\r\n"));
    const std::string reply = "STORED\r\nVALUE mine 0 4\r\n" + std::to_string(1000 + i) + "\r\nEND\r\n";
    ASSERT_EQ(other.receive(reply.size()), reply);
  }
  ASSERT_TRUE(other.send_all("delete mine\r\n"));
  ASSERT_EQ(other.receive(9), "DELETED\r\n");
  EXPECT_EQ(full_producers(), kReaders / 2);

  readers.clear();
  wait_for([this] { return server_->front_end().connection_count() == 1; });
  wait_for([this] { return server_->engine().feeds->tasks() == 0; });
  EXPECT_EQ(sum(&net::LoopCounters::unsent_bytes), 0U);
  EXPECT_EQ(server_->engine().scans.statistics().open, 0U);
  EXPECT_EQ(server_->engine().bucket->streams().producers(), 0U);
  EXPECT_EQ(server_->engine().bucket->streams().backfills().running(), 0U);
  ASSERT_TRUE(server_->disk()->bring_to_disk());
  EXPECT_LE(server_->bucket().used_bytes(), used_before + (64 << 10)) << "the tombstone of a key, and tables";
}

}  // namespace
}  // namespace bobbin::serve
