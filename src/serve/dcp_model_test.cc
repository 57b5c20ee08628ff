// A consumer rebuilds a bucket from its streams while keys are written, removed, expire and are evicted, and
// the server is restarted; what it has at the end is what the bucket has, and on the way nothing came twice,
// out of order, or outside of its snapshot (Replica).

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <random>
#include <string>
#include <thread>

#include "serve/stream_client.h"

namespace bobbin::serve {
namespace {

class DcpModelTest : public testing::TestWithParam<store::EvictionPolicy> {
 protected:
  DcpModelTest() {
    const char* const given = std::getenv("BOBBIN_SEED");
    seed_ = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
    random_.seed(seed_);
    RecordProperty("seed", std::to_string(seed_));
  }
  std::string random_key() { return "key" + std::to_string(random_() % 400); }

  // What is refused for lack of memory, or waits for the disk, is left.
  void change() {
    const std::string key = random_key();
    switch (random_() % 20) {
      case 0:
      case 1:
      case 2:
        (void)server_.remove(key);
        return;
      case 3:
        server_.set(key, "expires", 1);  // long ago
        (void)server_.bucket().fetch(key, server_.now());
        return;
      case 4:
        if (random_() % 20 == 0) server_.evict();
        return;
      case 5:
        if (random_() % 20 == 0) server_.bring_to_disk();
        return;
      default:
        server_.set(key, std::string(random_() % 300, static_cast<char>('a' + random_() % 26)), 0,
                    static_cast<uint32_t>(random_() % 3));
    }
  }
  // Until it has all that there is.
  void catch_up(StreamClient& client, Replica& replica) {
    const auto is_behind = [&] {
      for (uint16_t vbucket = 0; vbucket < StreamServer::kVBuckets; ++vbucket)
        if (replica.of(vbucket).seqno < server_.bucket().high_seqno(vbucket)) return true;
      return false;
    };
    while (is_behind()) {
      const auto received = client.next();
      ASSERT_NE(received, nullptr);
      ASSERT_FALSE(std::holds_alternative<wire::DcpEnd>(received->message)) << text_of(received->message);
      replica.apply(*received);
    }
  }
  // The documents of the bucket, from memory and disk.
  std::map<std::string, Replica::Document> documents() {
    server_.bring_to_disk();
    std::map<std::string, Replica::Document> all;
    for (uint16_t vbucket = 0; vbucket < StreamServer::kVBuckets; ++vbucket) {
      const auto reader = server_->disk()->directory().shard_of(vbucket).read_keys(vbucket);
      while (*reader->next()) {
        const disk::Record& record = reader->record();
        if (disk::is_tombstone(record.kind)) continue;
        all[std::string(reader->stored_key())] = {std::string(record.value), record.seqno, record.cas,
                                                  record.revision,           record.flags, record.time_s};
      }
    }
    return all;
  }
  void compare(const Replica& replica) {
    const auto expected = documents();
    const auto got = replica.all();
    ASSERT_EQ(got.size(), expected.size());
    for (const auto& [key, document] : expected) {
      const auto found = got.find(key);
      ASSERT_NE(found, got.end()) << key;
      EXPECT_EQ(found->second.seqno, document.seqno) << key;
      EXPECT_TRUE(found->second == document) << key;
    }
  }

  uint64_t seed_ = 0;
  std::mt19937_64 random_;
  StreamServer server_{GetParam()};
};

TEST_P(DcpModelTest, AReplicaHasWhatTheBucketHas) {
  Replica replica(StreamServer::kVBuckets);
  for (int round = 0; round < 4; ++round) {
    server_.wait_for_warmup();
    StreamClient client(server_->addresses()[0]);
    ASSERT_EQ(client.open(), wire::BinaryStatus::success);
    // The first round's changes are on disk before anybody asks for them; later rounds go on where they were.
    for (int i = 0; i < 500; ++i)
      change();
    if (round % 2 == 1) server_.bring_to_disk();
    replica.follow(client);
    std::atomic<bool> done{false};
    std::thread writer([&] {
      for (int i = 0; i < 4000; ++i)
        change();
      done.store(true);
    });
    while (!done.load()) {
      // Every change moves some vbucket on, so there is a next message, if only that of the last write.
      bool behind = false;
      for (uint16_t vbucket = 0; vbucket < StreamServer::kVBuckets; ++vbucket)
        behind = behind || replica.of(vbucket).seqno < server_.bucket().high_seqno(vbucket);
      if (!behind) continue;
      const auto received = client.next();
      if (received == nullptr) break;
      replica.apply(*received);
    }
    writer.join();
    catch_up(client, replica);
    // Where nobody gives it processor time, it has been behind the flusher so far.
    server_.await_streams();
    for (int i = 0; i < 100; ++i)
      change();
    catch_up(client, replica);
    compare(replica);
    if (HasFailure()) break;
    server_.restart();
  }
  EXPECT_EQ(replica.rollbacks, 0) << "each end was a clean one";
  EXPECT_GT(replica.memory_snapshots, 0);
  EXPECT_GT(replica.disk_snapshots, 0);
  if (HasFailure()) ADD_FAILURE() << "BOBBIN_SEED=" << seed_;
}

// Cursors may pin next to nothing: the streams go back to the disk again and again.
TEST_P(DcpModelTest, ASlowReplicaIsServedFromTheDisk) {
  server_.stop();
  server_.cursor_lag_bytes = 200;
  server_.start();
  Replica replica(StreamServer::kVBuckets);
  StreamClient client(server_->addresses()[0]);
  ASSERT_EQ(client.open(), wire::BinaryStatus::success);
  ASSERT_EQ(client.control("connection_buffer_size", "5000"), wire::BinaryStatus::success);
  replica.follow(client);
  uint32_t bytes = 0;
  for (int round = 0; round < 30; ++round) {
    for (int i = 0; i < 100; ++i)
      change();
    server_.bring_to_disk();
    for (int i = 0; i < 40; ++i) {
      bool behind = false;
      for (uint16_t vbucket = 0; vbucket < StreamServer::kVBuckets; ++vbucket)
        behind = behind || replica.of(vbucket).seqno < server_.bucket().high_seqno(vbucket);
      if (!behind) break;
      const auto received = client.next();
      ASSERT_NE(received, nullptr);
      replica.apply(*received);
      bytes += static_cast<uint32_t>(received->bytes.size());
      if (bytes > 2000) client.acknowledge(std::exchange(bytes, 0));
    }
  }
  EXPECT_EQ(client.control("connection_buffer_size", "0"), wire::BinaryStatus::success);
  catch_up(client, replica);
  compare(replica);
  EXPECT_GT(server_->engine().bucket->streams().totals().lost_cursors.load(), 0U);
  if (HasFailure()) ADD_FAILURE() << "BOBBIN_SEED=" << seed_;
}

TEST_P(DcpModelTest, AReplicaBeginsAnewAfterAFlush) {
  Replica replica(StreamServer::kVBuckets);
  for (int i = 0; i < 500; ++i)
    change();
  {
    StreamClient client(server_->addresses()[0]);
    ASSERT_EQ(client.open(), wire::BinaryStatus::success);
    replica.follow(client);
    catch_up(client, replica);
  }
  server_.bucket().flush(server_.now());
  for (int i = 0; i < 500; ++i)
    change();
  StreamClient client(server_->addresses()[0]);
  ASSERT_EQ(client.open(), wire::BinaryStatus::success);
  replica.follow(client);
  EXPECT_EQ(replica.rollbacks, static_cast<int>(StreamServer::kVBuckets));
  catch_up(client, replica);
  compare(replica);
}

INSTANTIATE_TEST_SUITE_P(Policies, DcpModelTest,
                         testing::Values(store::EvictionPolicy::value, store::EvictionPolicy::full),
                         [](const auto& policy) {
                           return policy.param == store::EvictionPolicy::value ? "Value" : "Full";
                         });

}  // namespace
}  // namespace bobbin::serve
