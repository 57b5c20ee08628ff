// Buckets that come and go at run time: what is kept, what they share, and who waits for whom.

#include "serve/buckets.h"

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "disk/disk_test_support.h"
#include "disk/system_file.h"
#include "net/loop.h"
#include "serve/test_session.h"

namespace bobbin::serve {
namespace {

constexpr uint64_t kMiB = 1 << 20;

BucketSettings in_memory(const std::string& name) {
  BucketSettings settings;
  settings.name = name;
  settings.type = "ephemeral";
  settings.eviction = "noEviction";
  settings.quota_bytes = 100 * kMiB;
  return settings;
}

BucketSettings on_disk(const std::string& name) {
  BucketSettings settings;
  settings.name = name;
  settings.quota_bytes = 100 * kMiB;
  return settings;
}

class BucketsTest : public testing::Test {
 protected:
  std::unique_ptr<Buckets> make() { return make(folder_.path()); }
  std::unique_ptr<Buckets> make(const std::string& folder_of_all) {
    BucketsOptions options;
    options.folder = folder_of_all;
    options.cache.vbuckets = 4;
    options.open_disk =
        [this](const std::string& folder,
               const BucketSettings& settings) -> disk::Result<std::unique_ptr<disk::Persistence>> {
      disk::PersistenceOptions persistence;
      persistence.directory.path = folder;
      persistence.directory.shards = 1;
      persistence.directory.vbuckets = 4;
      persistence.directory.memory_bytes = 8 * kMiB;
      persistence.bucket.type = store::BucketType::persistent;
      persistence.bucket.quota_bytes = settings.quota_bytes;
      persistence.readers = 1;
      auto opened = disk::Persistence::open(std::move(persistence));
      if (fails_to_open_) return base::fail(disk::Error{disk::ErrorKind::io, folder, folder + ": no"});
      return opened;
    };
    ServedBucketOptions first;
    first.cache.vbuckets = 4;
    first.cache.quota_bytes = 1024 * kMiB;
    auto buckets = std::make_unique<Buckets>(std::make_shared<ServedBucket>(std::move(first), clock_),
                                             std::move(options), clock_);
    const auto opened = buckets->open();
    EXPECT_TRUE(opened) << opened.error().message;
    buckets->start();
    return buckets;
  }
  static void close(std::unique_ptr<Buckets> buckets) {
    EXPECT_TRUE(buckets->close());
    buckets->end();
  }
  void set(ServedBucket& bucket, std::string_view key) {
    auto draft = bucket.bucket().draft(key, 0, 0, 0, clock_.now());
    ASSERT_TRUE(draft);
    ASSERT_TRUE(bucket.bucket().store(std::move(*draft), store::StoreMode::set, clock_.now()).ok());
  }
  [[nodiscard]] size_t folders() const {
    const auto path = std::filesystem::path(folder_.path()) / "buckets";
    if (!std::filesystem::exists(path)) return 0;
    return static_cast<size_t>(
        std::distance(std::filesystem::directory_iterator(path), std::filesystem::directory_iterator()));
  }

  base::SystemClock clock_;
  disk::TemporaryFolder folder_;
  bool fails_to_open_ = false;  // with the folder made
};

TEST_F(BucketsTest, what_was_made_is_there_after_a_restart) {
  auto buckets = make();
  ASSERT_TRUE(buckets->create(on_disk("b")));
  ASSERT_TRUE(buckets->create(in_memory("a")));
  set(*buckets->find("b"), "k");
  const std::string uuid = buckets->find("b")->uuid();
  close(std::move(buckets));

  buckets = make();
  ASSERT_EQ(buckets->all().size(), 3U);
  EXPECT_EQ(buckets->all()[0]->name(), "default");
  EXPECT_EQ(buckets->all()[1]->name(), "a");
  EXPECT_EQ(buckets->find("b")->uuid(), uuid);
  EXPECT_EQ(buckets->find("b")->bucket().statistics().items, 1U);
  EXPECT_EQ(buckets->find("b")->settings(), [&] {
    BucketSettings settings = on_disk("b");
    settings.uuid = uuid;
    return settings;
  }());
  close(std::move(buckets));
}

TEST_F(BucketsTest, what_is_removed_is_gone_with_its_folder) {
  auto buckets = make();
  ASSERT_TRUE(buckets->create(on_disk("b")));
  EXPECT_EQ(folders(), 1U);
  ASSERT_TRUE(buckets->remove("b"));
  EXPECT_EQ(buckets->find("b"), nullptr);
  EXPECT_EQ(folders(), 0U);
  EXPECT_EQ(buckets->remove("b").error().kind, BucketError::Kind::missing);
  ASSERT_TRUE(buckets->create(on_disk("b")));
  EXPECT_EQ(buckets->find("b")->bucket().statistics().items, 0U);
  close(std::move(buckets));
  EXPECT_EQ(make()->all().size(), 2U);
}

TEST_F(BucketsTest, what_one_is_made_to_be_is_in_its_first_state) {
  auto buckets = make();
  ASSERT_TRUE(buckets->create(on_disk("b"), [&](store::Bucket& fresh) {
    EXPECT_EQ(buckets->find("b"), nullptr);
    for (uint16_t vbucket = 0; vbucket < 4; ++vbucket)
      fresh.follow(vbucket, clock_.now());
  }));
  ASSERT_TRUE(buckets->find("b")->disk()->bring_to_disk());
  // What a kill leaves.
  const disk::TemporaryFolder copy;
  std::filesystem::copy(folder_.path(), copy.path(), std::filesystem::copy_options::recursive);
  close(std::move(buckets));
  buckets = make(copy.path());
  const store::Bucket& bucket = buckets->find("b")->bucket();
  for (uint16_t vbucket = 0; vbucket < 4; ++vbucket) {
    EXPECT_TRUE(bucket.follows(vbucket));
    EXPECT_EQ(bucket.high_seqno(vbucket), 0U);
  }
  close(std::move(buckets));
}

TEST_F(BucketsTest, one_that_cannot_be_opened_leaves_no_folder) {
  auto buckets = make();
  fails_to_open_ = true;
  const auto made = buckets->create(on_disk("b"));
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().kind, BucketError::Kind::disk);
  EXPECT_EQ(folders(), 0U);
  fails_to_open_ = false;
  EXPECT_TRUE(buckets->create(on_disk("b")));
  close(std::move(buckets));
}

TEST_F(BucketsTest, one_of_a_name_that_was_there_has_another_history) {
  const auto buckets = make();
  ASSERT_TRUE(buckets->create(in_memory("b")));
  const uint64_t first = buckets->find("b")->bucket().vbucket_uuid(0);
  EXPECT_NE(buckets->find("default")->bucket().vbucket_uuid(0), first);
  ASSERT_TRUE(buckets->remove("b"));
  ASSERT_TRUE(buckets->create(in_memory("b")));
  EXPECT_NE(buckets->find("b")->bucket().vbucket_uuid(0), first);
}

TEST_F(BucketsTest, memory_is_shared) {
  const auto buckets = make();
  const auto quota = [&](std::string_view name) {
    return buckets->find(name)->bucket().quota_bytes() / kMiB;
  };
  ASSERT_TRUE(buckets->create(in_memory("a")));
  EXPECT_EQ(quota("default"), 924U);
  BucketSettings large = in_memory("l");
  large.quota_bytes = 700 * kMiB;
  EXPECT_EQ(buckets->create(large).error().field, "ramQuota");
  large.quota_bytes = 600 * kMiB;
  ASSERT_TRUE(buckets->create(large));
  EXPECT_EQ(quota("default"), 324U);
  BucketSettings changed = buckets->find("a")->settings();
  changed.quota_bytes = 150 * kMiB;
  ASSERT_TRUE(buckets->change(changed));
  EXPECT_EQ(quota("a"), 150U);
  EXPECT_EQ(quota("default"), 274U);
  ASSERT_TRUE(buckets->remove("l"));
  EXPECT_EQ(quota("default"), 874U);
}

TEST_F(BucketsTest, what_cannot_be_is_refused) {
  const auto buckets = make();
  EXPECT_EQ(buckets->create(in_memory("default")).error().kind, BucketError::Kind::exists);
  EXPECT_EQ(buckets->create(in_memory("a/b")).error().field, "name");
  ASSERT_TRUE(buckets->create(in_memory("a")));
  EXPECT_EQ(buckets->create(in_memory("a")).error().kind, BucketError::Kind::exists);
  EXPECT_EQ(buckets->remove("default").error().kind, BucketError::Kind::invalid);
  BucketSettings changed = buckets->find("a")->settings();
  changed.eviction = "nruEviction";
  EXPECT_EQ(buckets->change(changed).error().field, "evictionPolicy");
  EXPECT_EQ(buckets->change(in_memory("x")).error().kind, BucketError::Kind::missing);
}

TEST_F(BucketsTest, is_emptied_where_that_is_allowed) {
  auto buckets = make();
  ASSERT_TRUE(buckets->create(on_disk("b")));
  set(*buckets->find("b"), "k");
  EXPECT_EQ(buckets->flush("b").error().kind, BucketError::Kind::no_flush);
  EXPECT_EQ(buckets->find("b")->bucket().statistics().items, 1U);
  BucketSettings settings = buckets->find("b")->settings();
  settings.flush_enabled = true;
  ASSERT_TRUE(buckets->change(settings));
  ASSERT_TRUE(buckets->flush("b"));
  EXPECT_EQ(buckets->find("b")->bucket().statistics().items, 0U);
  close(std::move(buckets));
}

TEST_F(BucketsTest, a_damaged_file_is_no_empty_one) {
  ASSERT_TRUE(disk::replace_file(folder_.path() + "/buckets.json", "{}"));
  BucketsOptions options;
  options.folder = folder_.path();
  Buckets buckets(std::make_shared<ServedBucket>(ServedBucketOptions{.cache = {.vbuckets = 1}}, clock_),
                  std::move(options), clock_);
  EXPECT_EQ(buckets.open().error().kind, disk::ErrorKind::corrupt);
}

// --- who is in a bucket that is removed ---

std::string frame(uint8_t opcode, std::string_view key) {
  std::string text(24, '\0');
  text[0] = static_cast<char>(0x80);
  text[1] = static_cast<char>(opcode);
  text[3] = static_cast<char>(key.size());
  text[11] = static_cast<char>(key.size());
  return text.append(key);
}

class GuestsTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(server_.buckets().create(in_memory("b"))); }
  std::unique_ptr<TestConnection> enter() {
    auto connection = server_.connect();
    connection->feed(frame(0x1f, ""));  // HELLO
    connection->feed(frame(0x89, "b"));
    EXPECT_EQ(connection->replies().substr(24 + 6, 2), std::string(2, '\0'));
    return connection;
  }

  net::Loop loop_{net::Limits{}};
  TestEngine server_{loop_, {.quota_bytes = 1024 * kMiB, .vbuckets = 4}};
};

TEST_F(GuestsTest, have_left_when_the_bucket_is_gone) {
  auto one = enter();
  auto other = enter();
  std::atomic<bool> removed{false};
  std::thread remover([&] {
    EXPECT_TRUE(server_.buckets().remove("b"));
    removed.store(true);
  });
  while (server_.buckets().find("b") != nullptr)
    std::this_thread::yield();
  EXPECT_FALSE(removed.load());
  other.reset();
  EXPECT_FALSE(removed.load()) << "the first is still in it";
  // What the spool does on a loop that runs. Before the remover has asked, nothing happens.
  while (!one->closing())
    one->resume();
  remover.join();
  EXPECT_TRUE(removed.load());
}

TEST_F(GuestsTest, work_on_documents_of_their_bucket_alone) {
  const auto guest = enter();
  const auto memcached = server_.connect();
  memcached->feed("set k 0 0 1\r\nx\r\n");
  const size_t before = guest->replies().size();
  guest->feed(frame(0x00, "k"));
  EXPECT_EQ(guest->replies().substr(before + 6, 2), std::string("\0\1", 2)) << "not found";
  guest->feed(frame(0x89, "default") + frame(0x00, "k"));
  EXPECT_EQ(guest->replies().back(), 'x');
  EXPECT_TRUE(server_.buckets().remove("b")) << "who has selected another is no guest";
}

TEST_F(GuestsTest, cannot_enter_what_is_not_there) {
  const auto connection = server_.connect();
  connection->feed(frame(0x1f, "") + frame(0x89, "nowhere"));
  EXPECT_EQ(connection->replies().substr(24 + 6, 2), std::string("\0\1", 2));
}

// What a guest leaves behind goes with it, however often it comes back.
TEST_F(BucketsTest, AGuestThatHasLeftIsNotRemembered) {
  const auto buckets = make();
  ASSERT_TRUE(buckets->create(in_memory("b")));
  net::Loop loop{net::Limits{}};
  TestEngine server(loop);
  const auto client = server.connect();
  for (int i = 0; i < 3; ++i) {
    const Buckets::Entered entered = buckets->enter("b", client->spool());
    ASSERT_NE(entered.guest, 0U);
    entered.bucket->guests()->leave(entered.guest);
  }
  EXPECT_EQ(buckets->find("b")->guests()->size(), 0U);
  EXPECT_EQ(buckets->enter("none", client->spool()).bucket, nullptr);
  EXPECT_TRUE(buckets->remove("b"));
}

}  // namespace
}  // namespace bobbin::serve
