#include "disk/disk_test_support.h"

namespace bobbin::disk {
namespace {

uint64_t dropped(ShardFixture& shard) {
  return shard->statistics().index_entries_dropped;
}

void overwrite(ShardFixture& shard, int times) {
  for (int i = 1; i <= times; ++i)
    shard.commit({document(1, "k", static_cast<uint64_t>(i), "v" + std::to_string(i))});
}

TEST(StaleFilter, DropsWhatTheStoreKnowsToBeSuperseded) {
  ShardFixture shard;
  shard.options().freshness = [](uint16_t vbucket, store::DocKey key, uint64_t seqno) {
    return vbucket == 1 && key == store::DocKey("k") && seqno < 10 ? Freshness::superseded
                                                                   : Freshness::current;
  };
  shard.open();
  overwrite(shard, 10);
  ASSERT_TRUE(shard->compact());
  EXPECT_EQ(dropped(shard), 9U);
  EXPECT_EQ(shard.history(1), "set:10:k=v10");
}

TEST(StaleFilter, LooksIntoTheDocumentsForWhatTheStoreDoesNotKnow) {
  ShardFixture shard;
  shard.open();
  overwrite(shard, 10);
  shard.close();
  shard.open();
  ASSERT_TRUE(shard->compact());
  EXPECT_EQ(dropped(shard), 9U);
  EXPECT_EQ(shard.history(1), "set:10:k=v10");
}

TEST(StaleFilter, KeepsWhatIsCurrent) {
  ShardFixture shard;
  shard.options().freshness = [](uint16_t, store::DocKey, uint64_t) { return Freshness::current; };
  shard.open();
  overwrite(shard, 10);
  ASSERT_TRUE(shard->compact());
  EXPECT_EQ(dropped(shard), 0U);
}

TEST(StaleFilter, AReaderThatIsUnderWayMissesNothing) {
  ShardFixture shard;
  shard.open();
  shard.commit({document(1, "a", 1, "1"), document(1, "b", 2, "2")});
  const auto reader = shard->read_seqnos(1, 0, kMaxSeqno);
  shard.commit({document(1, "a", 3, "3")});
  ASSERT_TRUE(shard->compact());
  const auto run = reader->next_run(10, 1000);
  ASSERT_TRUE(run);
  EXPECT_EQ(run->size(), 2U);
}

TEST(PurgeFilter, OldTombstonesGoAndThePurgeSeqnoIsToldFirst) {
  base::ManualClock later(1'700'000'000);
  ShardFixture shard;
  shard.options().clock = &later;
  shard.options().tombstone_age_s = 1000;
  shard.open();
  const uint32_t now_s = later.now().unix_s();
  shard.commit({document(1, "gone", 1, "x"), document(1, "stays", 2, "x")});
  shard.commit({deletion(1, "gone", 3, now_s), deletion(1, "young", 4, now_s + 900)});
  ASSERT_TRUE(shard->compact());
  EXPECT_EQ(shard.value_of(1, "gone"), "-");
  EXPECT_EQ(shard->purge_seqno(1), 0U);

  later.advance_s(1001);
  ASSERT_TRUE(shard->compact());
  EXPECT_EQ(shard.value_of(1, "gone"), "");
  EXPECT_EQ(shard.value_of(1, "young"), "-");
  EXPECT_EQ(shard.value_of(1, "stays"), "x");
  EXPECT_EQ(shard->purge_seqno(1), 3U);
  EXPECT_EQ(shard.history(1), "set:2:stays=x delete:4:young");
  shard.close();
  shard.open();
  EXPECT_EQ(shard->purge_seqno(1), 3U);
  EXPECT_EQ(shard->purge_seqno(2), 0U);
}

}  // namespace
}  // namespace bobbin::disk
