// What a shard does when the disk fails, and after the power went.
#include <sys/mount.h>

#include <cerrno>
#include <cstring>
#include <random>

#include "disk/disk_test_support.h"
#include "disk/faulty_files.h"

namespace bobbin::disk {
namespace {

class FaultTest : public testing::Test {
 protected:
  void SetUp() override {
    shard_.options().files = files_;
    shard_.open();
  }
  /// The keys must live until the call is over.
  Result<void> try_commit(std::string_view key, uint64_t seqno, Sync sync = Sync::yes) {
    const std::vector<Change> changes = {document(1, key, seqno, "value")};
    return shard_->commit(changes, {}, sync);
  }
  void power_cut(uint64_t torn_bytes = 0) {
    files_->cut_power();
    shard_.crash();
    EXPECT_TRUE(files_->drop_unsynced(torn_bytes));
  }

  std::shared_ptr<FaultyFiles> files_ = std::make_shared<FaultyFiles>();
  ShardFixture shard_;
};

// Whether a document is there is known without its value, when what is around it has been read.
TEST_F(FaultTest, ABlobIsNotReadToKnowThatItIsThere) {
  const std::string large(100'000, 'v');
  const std::vector<DocumentKey> names = {
      {1, "absent"}, {1, "large"}, {1, "removed"}, {1, "small"}, {1, "tiny"}};
  const auto known = [&] {
    std::string text;
    for (const auto& answer : shard_->are_documents(names))
      text += !answer ? '?' : *answer ? '1' : '0';
    return text;
  };
  shard_.commit({document(1, "large", 1, large), document(1, "small", 2, "s"), deletion(1, "removed", 3, 1)});
  EXPECT_EQ(known(), "01010");
  shard_.close();
  ASSERT_FALSE(files_with(shard_.path(), ".blob").empty());
  shard_.open();
  EXPECT_EQ(known(), "01010") << "read from disk";
  EXPECT_EQ(shard_.value_of(1, "small"), "s");
  files_->inject({.operation = FileOperation::read, .path_part = ".blob"});
  EXPECT_TRUE(shard_.value_of(1, "large").starts_with("error: "));
  EXPECT_EQ(known(), "01010") << "without the blob";
  files_->heal();
  // What is neither in memory nor can be read is an error, and no guess.
  shard_.close();
  shard_.options().resources = std::make_shared<Resources>(8 << 20, 1);
  shard_.open();
  files_->inject({.operation = FileOperation::read, .path_part = ".sst"});
  EXPECT_EQ(known()[1], '?');
  files_->heal();
}

TEST_F(FaultTest, APowerCutLosesNothingThatWasSynced) {
  for (int i = 1; i <= 50; ++i)
    ASSERT_TRUE(try_commit("key" + std::to_string(i), static_cast<uint64_t>(i)));
  ASSERT_TRUE(try_commit("unsynced", 51, Sync::no));
  power_cut();
  shard_.open();
  for (int i = 1; i <= 50; ++i)
    EXPECT_EQ(shard_.value_of(1, "key" + std::to_string(i)), "value") << i;
  EXPECT_EQ(shard_.value_of(1, "unsynced"), "");
}

// With memtables so small that tables, manifests and compactions come between.
TEST_F(FaultTest, APowerCutAtARandomMomentLosesNothingThatWasSynced) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  const std::string large(20'000, 'v');
  std::vector<std::string> keys;
  for (int cut = 0; cut < 6; ++cut) {
    const size_t commits = 20 + random() % 300;
    for (size_t i = 0; i < commits; ++i) {
      keys.push_back("key" + std::to_string(keys.size()));
      shard_.commit({document(1, keys.back(), keys.size(), large)});
    }
    power_cut(random() % 100);
    shard_.open();
    for (const std::string& key : keys)
      ASSERT_EQ(shard_.value_of(1, key).size(), large.size()) << key << " after cut " << cut;
  }
}

TEST_F(FaultTest, ATornLastRecordIsNoDamage) {
  for (uint64_t torn = 1; torn < 120; torn += 7) {
    const std::string kept = "kept" + std::to_string(torn);
    ASSERT_TRUE(try_commit(kept, 2 * torn));
    ASSERT_TRUE(try_commit("torn", 2 * torn + 1, Sync::no));
    power_cut(torn);
    const auto opened = shard_.try_open();
    ASSERT_TRUE(opened) << torn << ": " << opened.error().message;
    EXPECT_EQ(shard_.value_of(1, kept), "value");
  }
}

TEST_F(FaultTest, AFailedSyncSealsTheShardForGood) {
  ASSERT_TRUE(try_commit("before", 1));
  files_->inject({FileOperation::sync, ErrorKind::io, ".log", 0});
  const auto failed = try_commit("lost", 2);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().kind, ErrorKind::io);
  EXPECT_NE(failed.error().message.find(".log"), std::string::npos) << failed.error().message;
  files_->heal();
  // The disk works again; what the kernel did with the bytes nobody knows.
  const auto again = try_commit("later", 3);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().message, failed.error().message);
  ASSERT_TRUE(shard_->sealed());
  EXPECT_TRUE(shard_->statistics().sealed);
  EXPECT_EQ(shard_.value_of(1, "before"), "value");
  EXPECT_FALSE(shard_->close());
  shard_.open();
  EXPECT_EQ(shard_.value_of(1, "before"), "value");
  EXPECT_EQ(shard_.value_of(1, "later"), "");
  EXPECT_TRUE(try_commit("works", 4));
}

TEST_F(FaultTest, AFailedWriteSealsTheShardAndReadsGoOn) {
  ASSERT_TRUE(try_commit("before", 1));
  files_->inject({FileOperation::write, ErrorKind::io, ".log", 0});
  const auto failed = try_commit("lost", 2);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().kind, ErrorKind::io);
  EXPECT_FALSE(try_commit("later", 3));
  EXPECT_EQ(shard_.value_of(1, "before"), "value");
  EXPECT_EQ(shard_.history(1), "set:1:before=value");
}

TEST_F(FaultTest, AFullDiskIsToldAsThat) {
  ASSERT_TRUE(try_commit("before", 1));
  files_->inject({FileOperation::write, ErrorKind::no_space, {}, 0});
  const auto failed = try_commit("lost", 2);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().kind, ErrorKind::no_space);
  EXPECT_EQ(shard_.value_of(1, "before"), "value");
  shard_.crash();
  files_->heal();
  shard_.open();
  EXPECT_EQ(shard_.value_of(1, "before"), "value");
}

// The log takes the commits, the table that the memtable is written to does not fit.
TEST_F(FaultTest, ATableThatCannotBeWrittenSealsTheShardToo) {
  files_->inject({FileOperation::write, ErrorKind::no_space, ".blob", 0});
  const std::string large(20'000, 'v');
  std::string key;
  for (uint64_t i = 1; i < 2000 && !shard_->sealed(); ++i) {
    key = "key" + std::to_string(i);
    (void)shard_->commit(std::vector<Change>{document(1, key, i, large)}, {}, Sync::no);
  }
  ASSERT_TRUE(shard_->sealed());
  EXPECT_EQ(shard_->sealed()->kind, ErrorKind::no_space);
  EXPECT_EQ(shard_.value_of(1, "key1").size(), large.size());
}

TEST_F(FaultTest, AReadThatFailsIsAnErrorAndNoMiss) {
  ASSERT_TRUE(try_commit("key", 1));
  shard_.close();
  shard_.options().resources = std::make_shared<Resources>(8 << 20, 1);
  shard_.open();
  files_->inject({FileOperation::read, ErrorKind::io, ".sst", 0});
  const auto found = shard_->get(1, "key");
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().kind, ErrorKind::io);
  EXPECT_NE(found.error().path.find(".sst"), std::string::npos) << found.error().message;
  EXPECT_TRUE(shard_.history(1).starts_with("error: "));
  const auto reader = shard_->read_keys(1);
  EXPECT_FALSE(reader->next());
  files_->heal();
  EXPECT_EQ(shard_.value_of(1, "key"), "value");
}

TEST_F(FaultTest, ADiskThatIsReallyFull) {
  const TemporaryFolder folder;
  if (mount("tmpfs", folder.path().c_str(), "tmpfs", 0, "size=4m") != 0)
    GTEST_SKIP() << "no small file system can be mounted here (" << std::strerror(errno) << ")";
  ShardFixture shard;
  shard.options().path = folder.path() + "/shard-0";
  shard.open();
  const std::string large(50'000, 'v');
  uint64_t written = 0;
  std::optional<Error> error;
  std::string key;
  while (!error && written < 1000) {
    key = "key" + std::to_string(written + 1);
    const auto committed =
        shard->commit(std::vector<Change>{document(1, key, written + 1, large)}, {}, Sync::yes);
    if (committed)
      ++written;
    else
      error = committed.error();
  }
  ASSERT_TRUE(error);
  EXPECT_EQ(error->kind, ErrorKind::no_space) << error->message;
  EXPECT_GT(written, 10U);
  EXPECT_EQ(shard.value_of(1, "key1").size(), large.size());
  shard.crash();
  // Room is made, everything that was acknowledged is there.
  EXPECT_EQ(mount("tmpfs", folder.path().c_str(), "tmpfs", MS_REMOUNT, "size=64m"), 0);
  shard.open();
  for (uint64_t i = 1; i <= written; ++i)
    EXPECT_EQ(shard.value_of(1, "key" + std::to_string(i)).size(), large.size()) << i;
  shard.close();
  EXPECT_EQ(umount(folder.path().c_str()), 0);
}

}  // namespace
}  // namespace bobbin::disk
