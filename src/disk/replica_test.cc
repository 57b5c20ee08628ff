// Copies of other servers' vbuckets, and vbuckets that are cleared, on disk.

#include <algorithm>
#include <cstdlib>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "disk/persistence_fixture.h"
#include "store/collection_event.h"
#include "store/replica_test_support.h"

namespace bobbin::disk {
namespace {

using store::ReplicaStatus;

class ReplicaOnDisk : public testing::Test, public PersistenceFixture {
 protected:
  void start_following() {
    open();
    for (uint32_t i = 0; i < bucket().vbucket_count(); ++i)
      bucket().follow(static_cast<uint16_t>(i), now());
    there().start();
  }
  ReplicaStatus begin(uint16_t vbucket, uint64_t end) {
    return bucket().begin_snapshot(vbucket, {0, end, true});
  }
  ReplicaStatus put(store::DocKey key, uint64_t seqno, std::string_view value = "v") {
    return store::apply_document(bucket(), key, value, {.seqno = seqno, .cas = 5, .revision = 7}, {}, now());
  }
  void bring_to_disk() {
    const auto brought = there().bring_to_disk();
    EXPECT_TRUE(brought) << brought.error().message;
  }
  void wait_for_commit() {
    const auto committed = std::make_shared<std::promise<void>>();
    there().after_commit(at_, [committed] { committed->set_value(); });
    committed->get_future().wait();
  }
  void expect_sound() {
    for (uint32_t i = 0; i < there().directory().shards(); ++i) {
      const ContentCheck check = there().directory().shard(i).check_content(
          {.shard = i, .shards = there().directory().shards(), .vbuckets = bucket().vbucket_count()});
      EXPECT_TRUE(check.findings.empty()) << check.findings.front().what;
    }
  }

  const store::DocKey key_{"key"};
  uint16_t at_ = 0;
};

TEST_F(ReplicaOnDisk, AfterACrashItIsWhereItsDiskIs) {
  start_following();
  at_ = bucket().vbucket_of(key_);
  const std::vector<store::FailoverEntry> failover = {{42, 900}, {41, 0}};
  ASSERT_EQ(bucket().adopt_failover(at_, failover), ReplicaStatus::applied);
  ASSERT_EQ(begin(at_, 2000), ReplicaStatus::applied);
  ASSERT_EQ(put(key_, 1000), ReplicaStatus::applied);
  bring_to_disk();
  crash();
  start_warm();
  const store::ReplicaFacts facts = bucket().replica_facts(at_);
  EXPECT_TRUE(facts.follows);
  EXPECT_EQ(facts.high_seqno, 1000U);
  EXPECT_EQ(facts.persisted_seqno, 1000U);
  EXPECT_EQ(facts.failover, failover);
  EXPECT_EQ(facts.snapshot, (store::ReplicaSnapshot{0, 2000, true}));
  EXPECT_EQ(facts.position(), (store::ReplicaPosition{42, 1000, 0, 2000}));
  const store::Fetched found = get_document(key_);
  ASSERT_TRUE(found);
  EXPECT_EQ(found.doc->seqno(), 1000U);
  EXPECT_EQ(found.doc->revision(), 7U);
  expect_sound();
  // What has nothing yet has not moved either.
  const auto other = static_cast<uint16_t>((at_ + 1) % bucket().vbucket_count());
  EXPECT_EQ(bucket().replica_facts(other).position(), (store::ReplicaPosition{}));
  close();
  start_warm();
  EXPECT_EQ(bucket().replica_facts(at_).position(), (store::ReplicaPosition{42, 1000, 0, 2000}));
  close();
}

TEST_F(ReplicaOnDisk, AStandbyThatIsStartedWithoutASourceIsActive) {
  start_following();
  at_ = bucket().vbucket_of(key_);
  ASSERT_EQ(begin(at_, 20), ReplicaStatus::applied);
  ASSERT_EQ(put(key_, 20), ReplicaStatus::applied);
  bring_to_disk();
  crash();
  open();
  EXPECT_TRUE(bucket().is_following());
  for (uint32_t i = 0; i < bucket().vbucket_count(); ++i)
    bucket().stop_following(static_cast<uint16_t>(i), now());
  there().start();
  EXPECT_EQ(set(key_, "mine").seqno, 21U);
  EXPECT_EQ(bucket().failover_log(at_).front().seqno, 20U);
  close();
  start_warm();
  EXPECT_FALSE(bucket().is_following());
  EXPECT_EQ(get(key_), "mine");
  close();
}

TEST_F(ReplicaOnDisk, ItsCollectionsAreThereAgain) {
  start_following();
  at_ = bucket().vbucket_of(key_);
  ASSERT_EQ(begin(at_, 20), ReplicaStatus::applied);
  ASSERT_EQ(bucket().apply_event(at_, {store::EventKind::collection_created, 3, 0, 9, {}, "c"}, 4, now()),
            ReplicaStatus::applied);
  ASSERT_EQ(put({9, "key"}, 5, "in it"), ReplicaStatus::applied);
  bring_to_disk();
  crash();
  start_warm();
  EXPECT_EQ(bucket().manifest()->uid(), 3U);
  EXPECT_EQ(get({9, "key"}), "in it");
  EXPECT_EQ(bucket().high_seqno(at_), 5U) << "no event of its own";
  EXPECT_EQ(bucket().collection_statistics()[9].items, 1U);
  ASSERT_EQ(bucket().apply_event(at_, {store::EventKind::collection_dropped, 4, 0, 9}, 6, now()),
            ReplicaStatus::applied);
  bring_to_disk();
  expect_sound();
  crash();
  start_warm();
  EXPECT_EQ(bucket().manifest()->collection(store::CollectionId{9}), nullptr);
  EXPECT_EQ(bucket().statistics().items, 0U);
  close();
}

TEST_F(ReplicaOnDisk, AClearedVBucketIsClearedAndFilledInOneStep) {
  start_following();
  at_ = bucket().vbucket_of(key_);
  ASSERT_EQ(begin(at_, 2000), ReplicaStatus::applied);
  ASSERT_EQ(put(key_, 1000), ReplicaStatus::applied);
  bring_to_disk();
  (void)bucket().clear(at_, now());
  ASSERT_EQ(begin(at_, 10), ReplicaStatus::applied);
  ASSERT_EQ(put(key_, 3, "again"), ReplicaStatus::applied);
  bring_to_disk();
  EXPECT_EQ(bucket().unsaved_clears(), 0U);
  expect_sound();
  crash();
  start_warm();
  EXPECT_EQ(bucket().high_seqno(at_), 3U);
  EXPECT_EQ(get(key_), "again");
  EXPECT_EQ(bucket().statistics().items, 1U);
  (void)bucket().clear(at_, now());
  bring_to_disk();
  crash();
  start_warm();
  EXPECT_EQ(bucket().high_seqno(at_), 0U);
  EXPECT_EQ(get(key_), "<miss>");
  close();
}

TEST_F(ReplicaOnDisk, WhatAVBucketIsForClientsIsKept) {
  start();
  bucket().set_role(3, store::VBucketRole::pending);
  const auto written = [&] {
    const auto states = there().directory().shard_of(3).states();
    for (const VBucketState& state : *states)
      if (state.vbucket == 3) return state.role;
    return store::VBucketRole::dead;
  };
  at_ = 3;
  while (written() != store::VBucketRole::pending)
    wait_for_commit();
  crash();
  start();
  EXPECT_EQ(bucket().role(3), store::VBucketRole::pending);
  EXPECT_EQ(bucket().role(4), store::VBucketRole::active);
  close();
}

// Random changes with crashes at random moments: whatever the disk has, it has all up to where it says.
TEST_F(ReplicaOnDisk, NoCrashLeavesAGap) {
  const char* const given = std::getenv("BOBBIN_TEST_SEED");
  const uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
  SCOPED_TRACE("BOBBIN_TEST_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);
  // What the source has at each seqno: key and value; empty: deleted.
  using History = std::map<uint64_t, std::pair<std::string, std::string>>;
  History history;
  // A crash may come before the clearing is on disk: then all is as before, which its seqnos tell.
  constexpr uint64_t kBeforeClearing = 1'000'000;
  History before_clearing;
  uint64_t last = kBeforeClearing;
  start_following();
  at_ = 5;
  for (int life = 0; life < 12 && !HasFatalFailure(); ++life) {
    uint64_t at = bucket().high_seqno(at_);
    ASSERT_EQ(bucket().persisted_seqno(at_), at);
    if (life > 6 && at > kBeforeClearing && last < kBeforeClearing) {
      history.swap(before_clearing);
      last = history.rbegin()->first;
    }
    std::map<std::string, std::string> expected;
    for (const auto& [seqno, change] : history) {
      if (seqno <= at) expected[change.first] = change.second;
    }
    uint64_t items = 0;
    for (const auto& [key, value] : expected) {
      ASSERT_EQ(get(key), value.empty() ? "<miss>" : value) << key << " at " << at;
      items += value.empty() ? 0 : 1;
    }
    ASSERT_EQ(bucket().statistics().items, items);
    if (life == 6) {
      (void)bucket().clear(at_, now());
      before_clearing.swap(history);
      last = at = 0;
    }
    for (int i = 0; i < 300; ++i) {
      last += 1 + random() % 3;
      std::string key = "k";
      while (bucket().vbucket_of(key) != at_)
        key = "k" + std::to_string(random() % 500);
      history[last] = {key,
                       random() % 4 == 0 ? "" : std::string(1 + random() % 50, 'v') + std::to_string(last)};
    }
    ASSERT_EQ(begin(at_, last), ReplicaStatus::applied);
    const uint64_t until = at + random() % (last - at + 1);
    for (auto next = history.upper_bound(at); next != history.end() && next->first <= until; ++next) {
      const auto& [key, value] = next->second;
      const ReplicaStatus status = value.empty()
                                       ? bucket().apply_removal(key, {.seqno = next->first, .cas = 1}, now())
                                       : put(key, next->first, value);
      ASSERT_EQ(status, ReplicaStatus::applied);
      if (random() % 80 == 0) wait_for_commit();
    }
    crash();
    start();
    if (random() % 2 == 0) wait_for_warmup();
  }
  close();
}

TEST(ClearedShard, EverythingOfTheVBucketGoesBeforeWhatIsInTheCommit) {
  base::ManualClock later(1'700'000'000);
  ShardFixture shard;
  shard.options().clock = &later;
  shard.options().tombstone_age_s = 1000;
  shard.open();
  const std::string longest(store::kMaxStoredKeyBytes - 1, '\xff');
  VBucketState state;
  state.vbucket = 1;
  state.high_seqno = 4;
  state.collections = {{9, 0, {}, 1, 2, 1, "c"}};
  shard.commit({document(1, "old", 1, "x"), document(1, longest, 2, "x"), document(1, {9, "k"}, 3, "x"),
                deletion(1, "gone", 4, later.now().unix_s()), document(0, longest, 1, "stays"),
                document(2, "a", 1, "stays")},
               {state});
  later.advance_s(1001);
  ASSERT_TRUE(shard->compact());
  ASSERT_EQ(shard->purge_seqno(1), 4U);
  VBucketState fresh;
  fresh.vbucket = 1;
  fresh.high_seqno = 2;
  fresh.clears = true;
  shard.commit({document(1, "old", 2, "new"), document(2, "b", 2, "y")}, {fresh});
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(shard.value_of(1, "old"), "new");
    EXPECT_EQ(shard.value_of(1, longest), "");
    EXPECT_EQ(shard.value_of(1, {9, "k"}), "");
    EXPECT_EQ(shard.value_of(0, longest), "stays");
    EXPECT_EQ(shard.value_of(2, "a"), "stays");
    EXPECT_EQ(shard.history(1), "set:2:old=new");
    EXPECT_EQ(shard->purge_seqno(1), 0U);
    const auto states = shard->states();
    ASSERT_TRUE(states);
    ASSERT_EQ(states->size(), 1U);
    EXPECT_TRUE(states->front().collections.empty());
    if (round == 1) {
      ASSERT_TRUE(shard->compact());
    }
    shard.close();
    shard.open();
  }
}

}  // namespace
}  // namespace bobbin::disk
