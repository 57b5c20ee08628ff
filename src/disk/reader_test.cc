#include "disk/reader.h"

#include <map>
#include <random>
#include <set>

#include "disk/disk_test_support.h"

namespace bobbin::disk {
namespace {

std::string keys_of(KeyReader& reader) {
  std::string text;
  for (;;) {
    const auto more = reader.next();
    if (!more) return "error: " + more.error().message;
    if (!*more) return text;
    if (!text.empty()) text += " ";
    text += std::to_string(reader.vbucket()) + ":" + text_of(reader.key());
  }
}

TEST(KeyReader, GoesThroughOneVBucketOrAll) {
  ShardFixture shard;
  shard.open();
  shard.commit(
      {document(2, "x", 1, ""), document(0, "b", 1, ""), document(0, "a", 2, ""), deletion(1, "d", 1, 1)});
  EXPECT_EQ(keys_of(*shard->read_keys(std::nullopt)), "0:a 0:b 1:d 2:x");
  EXPECT_EQ(keys_of(*shard->read_keys(0)), "0:a 0:b");
  EXPECT_EQ(keys_of(*shard->read_keys(0, "a")), "0:b");
  EXPECT_EQ(keys_of(*shard->read_keys(0, "b")), "");
  EXPECT_EQ(keys_of(*shard->read_keys(3)), "");
}

TEST(KeyReader, SeesTheMomentItWasMade) {
  ShardFixture shard;
  shard.open();
  shard.commit({document(0, "a", 1, "")});
  const auto reader = shard->read_keys(0);
  shard.commit({document(0, "b", 2, ""), flush_of(0, 3)});
  EXPECT_EQ(keys_of(*reader), "0:a");
}

TEST(KeyReader, GoesOnWhereItHasLetGo) {
  ShardFixture shard;
  shard.open();
  shard.commit({document(1, "a", 1, "1"), document(1, "b", 2, "2"), document(1, "bb", 3, "3"),
                document(1, "c", 4, "4"), document(2, "a", 1, "other")});
  const store::DocKey from(store::kDefaultCollection, "a");
  const store::DocKey to(store::kDefaultCollection, "c");
  const auto reader = shard->read_range(1, from.stored(), to.stored());
  shard.commit({document(1, "aa", 5, "later")});
  ASSERT_TRUE(*reader->next());
  reader->let_go(KeyReader::Resume::same);
  EXPECT_TRUE(reader->record().value.empty());
  ASSERT_TRUE(*reader->next());
  EXPECT_EQ(text_of(reader->key()), "a");
  EXPECT_EQ(reader->record().value, "1");
  reader->let_go(KeyReader::Resume::following);
  ASSERT_TRUE(*reader->next());
  EXPECT_EQ(text_of(reader->key()), "b");
  reader->let_go(KeyReader::Resume::following);
  EXPECT_EQ(keys_of(*reader), "1:bb") << "up to its bound, and of its moment";
  EXPECT_TRUE(reader->record().value.empty());
}

TEST(SeqnoReader, LeavesOutWhatWasSuperseded) {
  ShardFixture shard;
  shard.open();
  shard.commit({document(1, "z", 1, "old"), document(1, "b", 2, "b")});
  shard.commit({document(1, "a", 3, "a")});
  shard.commit({document(1, "z", 4, "new"), document(2, "z", 1, "other")});
  shard.commit({deletion(1, "b", 5, 1)});
  for (const size_t items : {1, 2, 100})
    EXPECT_EQ(shard.history(1, 0, items), "set:3:a=a set:4:z=new delete:5:b") << items;
  EXPECT_EQ(shard.history(1, 4), "set:4:z=new delete:5:b");
  EXPECT_EQ(shard.history(1, 6), "");
  EXPECT_EQ(shard.history(2), "set:1:z=other");
}

TEST(KeyReader, TellsWithWhichSeqnoItsMomentEnds) {
  ShardFixture shard;
  shard.open();
  EXPECT_EQ(shard->read_keys_until(1)->last_seqno, 0U);
  shard.commit({document(1, "z", 1, ""), document(1, "a", 2, ""), document(2, "x", 9, "")});
  auto keys = shard->read_keys_until(1);
  shard.commit({document(1, "b", 3, "")});
  ASSERT_TRUE(keys);
  EXPECT_EQ(keys->last_seqno, 2U);
  EXPECT_EQ(keys_of(*keys->reader), "1:a 1:z");
  EXPECT_EQ(shard->read_keys_until(0)->last_seqno, 0U);
}

TEST(SeqnoReader, TellsTheLastSeqnoOfItsMomentWhereverItEnds) {
  ShardFixture shard;
  shard.open();
  shard.commit({document(1, "a", 1, ""), document(1, "b", 2, "")});
  const auto reader = shard->read_seqnos(1, 1, 1);
  shard.commit({document(1, "c", 3, "")});
  EXPECT_EQ(reader->last_seqno(), 2U);
  EXPECT_EQ(reader->next_run(10, 1000)->size(), 1U);
  EXPECT_EQ(shard->read_seqnos(0, 0, kMaxSeqno)->last_seqno(), 0U);
}

TEST(SeqnoReader, StopsAtItsEnd) {
  ShardFixture shard;
  shard.open();
  shard.commit({document(1, "a", 1, ""), document(1, "b", 2, ""), document(1, "c", 3, "")});
  const auto reader = shard->read_seqnos(1, 2, 2);
  const auto run = reader->next_run(10, 1000);
  ASSERT_TRUE(run);
  ASSERT_EQ(run->size(), 1U);
  EXPECT_EQ(run->front().stored_key, store::DocKey("b").stored());
  EXPECT_TRUE(reader->next_run(10, 1000)->empty());
}

TEST(SeqnoReader, ARunIsBoundedByBytesButHasOneItem) {
  ShardFixture shard;
  shard.open();
  const std::string large(100'000, 'v');
  shard.commit({document(1, "a", 1, large), document(1, "b", 2, large), document(1, "c", 3, large)});
  const auto reader = shard->read_seqnos(1, 0, kMaxSeqno);
  EXPECT_EQ(reader->next_run(10, 1000)->size(), 1U);
  EXPECT_EQ(reader->next_run(10, 150'000)->size(), 2U);
}

TEST(SeqnoReader, AgreesWithAModel) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  ShardFixture shard;
  shard.open();
  std::map<std::string, std::pair<uint64_t, std::string>> model;
  uint64_t seqno = 0;
  for (int round = 0; round < 60; ++round) {
    std::vector<std::string> keys;
    std::vector<std::string> values;
    const size_t count = random() % 50 + 1;
    keys.reserve(count);
    values.reserve(count);
    std::vector<Change> changes;
    for (size_t i = 0; i < count; ++i) {
      keys.push_back("k" + std::to_string(random() % 300));
      values.push_back("v" + std::to_string(random() % 1000));
      changes.push_back(document(5, keys.back(), ++seqno, values.back()));
      model[keys.back()] = {seqno, values.back()};
    }
    shard.commit(changes);
    if (round % 20 == 10) {
      const auto compacted = shard->compact();
      ASSERT_TRUE(compacted) << compacted.error().message;
    }
    if (round % 20 == 15) shard.open();
  }
  std::map<uint64_t, std::string> ordered;
  for (const auto& [key, latest] : model)
    ordered[latest.first] = key + "=" + latest.second;
  std::string expected;
  for (const auto& [number, text] : ordered)
    expected += (expected.empty() ? "" : " ") + std::string("set:") + std::to_string(number) + ":" + text;
  EXPECT_EQ(shard.history(5, 0, 17), expected);
}

}  // namespace
}  // namespace bobbin::disk
