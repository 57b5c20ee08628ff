#include "disk/state_records.h"

#include <algorithm>
#include <random>

#include "disk/bytes.h"
#include "disk/disk_test_support.h"
#include "disk/shard_impl.h"

namespace bobbin::disk {
namespace {

using States = std::map<uint16_t, VBucketState>;

VBucketState state_at(uint16_t vbucket, uint64_t high_seqno) {
  VBucketState state;
  state.vbucket = vbucket;
  state.high_seqno = high_seqno;
  state.max_cas = high_seqno * 3;
  state.items = high_seqno % 7;
  state.as_of_ns = high_seqno * 5;
  state.failover = {{vbucket + 1U, 0}};
  return state;
}

States states_of(ShardFixture& shard) {
  States all;
  const auto states = shard->states();
  EXPECT_TRUE(states) << states.error().message;
  if (!states) return all;
  for (const VBucketState& state : *states)
    EXPECT_TRUE(all.emplace(state.vbucket, state).second) << state.vbucket;
  return all;
}

/// What a shard's file of rows has, past all that Shard knows.
class Rows {
 public:
  explicit Rows(const std::string& path) {
    rocksdb::DBOptions options;
    std::vector<rocksdb::ColumnFamilyHandle*> handles;
    rocksdb::DB* db = nullptr;
    const auto status = rocksdb::DB::Open(
        options, path, {{rocksdb::kDefaultColumnFamilyName, {}}, {"docs", {}}, {"seqnos", {}}}, &handles,
        &db);
    EXPECT_TRUE(status.ok()) << status.ToString();
    db_.reset(db);
    for (auto* handle : handles)
      handles_.emplace_back(handle);
  }
  [[nodiscard]] size_t count(char prefix) const {
    const std::unique_ptr<rocksdb::Iterator> rows(db_->NewIterator({}));
    size_t count = 0;
    for (rows->SeekToFirst(); rows->Valid(); rows->Next())
      count += rows->key().starts_with({&prefix, 1}) ? 1 : 0;
    return count;
  }
  [[nodiscard]] std::string get(const std::string& key) const {
    std::string value;
    EXPECT_TRUE(db_->Get({}, key, &value).ok());
    return value;
  }
  void put(const std::string& key, const std::string& value) { EXPECT_TRUE(db_->Put({}, key, value).ok()); }
  void remove(const std::string& key) { EXPECT_TRUE(db_->Delete({}, key).ok()); }

 private:
  std::unique_ptr<rocksdb::DB> db_;
  std::vector<std::unique_ptr<rocksdb::ColumnFamilyHandle>> handles_;
};

std::string slot_key(uint32_t slot) {
  std::string key(1, kStateRecordPrefix);
  put_sortable(key, slot, 2);
  return key;
}

// Through several rounds of the slots, with clean and unclean ends at any place in them.
TEST(StateRecords, TheNewestStateOfEachVBucketIsThereAfterAnyEnd) {
  const auto seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  ShardFixture shard;
  shard.open();
  States expected;
  uint64_t seqno = 0;
  for (uint32_t commit = 0; commit < 3 * kStateSlots; ++commit) {
    std::vector<VBucketState> states;
    for (uint16_t vbucket = 0; vbucket < 16; ++vbucket) {
      if (random() % 8 == 0) states.push_back(state_at(vbucket, ++seqno));
    }
    for (const VBucketState& state : states)
      expected[state.vbucket] = state;
    ASSERT_TRUE(shard->commit({}, states, Sync::no));
    if (random() % 400 != 0) continue;
    EXPECT_EQ(states_of(shard), expected);
    if (random() % 2 == 0)
      shard.close();
    else
      shard.crash();
    shard.open();
    ASSERT_EQ(states_of(shard), expected) << "after commit " << commit;
  }
  EXPECT_EQ(states_of(shard), expected);
}

TEST(StateRecords, SlotsAreUsedAnewWhenTheStatesAreInRows) {
  ShardFixture shard;
  shard.open();
  for (uint64_t seqno = 1; seqno <= kStateSlots; ++seqno)
    shard.commit({}, {state_at(seqno % 2 == 0 ? 2 : 3, seqno)});
  shard.close();
  {
    const Rows rows(shard.path());
    EXPECT_EQ(rows.count(kStatePrefix), 0U);
    EXPECT_EQ(rows.count(kStateRecordPrefix), kStateSlots);
  }
  shard.open();
  shard.commit({}, {state_at(5, 7)});
  shard.commit({}, {state_at(2, 2 * kStateSlots)});
  const States expected = {
      {2, state_at(2, 2 * kStateSlots)}, {3, state_at(3, kStateSlots - 1)}, {5, state_at(5, 7)}};
  EXPECT_EQ(states_of(shard), expected);
  shard.close();
  {
    const Rows rows(shard.path());
    EXPECT_EQ(rows.count(kStatePrefix), 3U);
    EXPECT_EQ(rows.count(kStateRecordPrefix), kStateSlots);
  }
  shard.open();
  EXPECT_EQ(states_of(shard), expected);
}

TEST(StateRecords, RecordsAreBoundedInBytesToo) {
  ShardFixture shard;
  shard.open();
  VBucketState state = state_at(1, 1);
  for (uint64_t i = 1; i < kMaxFailoverEntries; ++i)
    state.failover.push_back({i, i});
  constexpr uint64_t kCommits = 900;
  for (uint64_t seqno = 1; seqno <= kCommits; ++seqno) {
    state.high_seqno = seqno;
    shard.commit({}, {state});
  }
  EXPECT_EQ(states_of(shard), (States{{1, state}}));
  shard.close();
  const size_t slots = Rows(shard.path()).count(kStateRecordPrefix);
  EXPECT_GT(slots, 200U);
  EXPECT_LT(slots, kStateRecordBytes / 4096 + 1);
}

// As directories of format 2 have them.
TEST(StateRecords, RowsAreReadWhereThereAreNoRecords) {
  ShardFixture shard;
  shard.open();
  shard.close();
  {
    Rows rows(shard.path());
    for (const uint16_t vbucket : {4, 9}) {
      std::string bytes;
      append_state(bytes, state_at(vbucket, 100 + vbucket));
      rows.put(row_key(kStatePrefix, vbucket), bytes);
    }
  }
  shard.open();
  EXPECT_EQ(states_of(shard), (States{{4, state_at(4, 104)}, {9, state_at(9, 109)}}));
  shard.commit({}, {state_at(9, 200)});
  EXPECT_EQ(states_of(shard), (States{{4, state_at(4, 104)}, {9, state_at(9, 200)}}));
}

TEST(StateRecords, WhatIsMissingOrCannotBeUnderstoodIsToldAndNotWrittenOver) {
  const std::vector<std::function<void(Rows&)>> damages = {
      [](Rows& rows) { rows.remove(slot_key(1)); },
      [](Rows& rows) { rows.put(slot_key(1), rows.get(slot_key(0))); },
      [](Rows& rows) { rows.put(slot_key(1), rows.get(slot_key(1)).substr(0, 40)); },
      [](Rows& rows) { rows.put(slot_key(1), ""); },
      [](Rows& rows) { rows.put(slot_key(1) + "x", rows.get(slot_key(1))); },
      [](Rows& rows) { rows.put(std::string(1, kStatesInRowsPrefix), "short"); },
      [](Rows& rows) { rows.put(std::string(1, kStatesInRowsPrefix), std::string(8, '\xff')); },
  };
  for (size_t i = 0; i < damages.size(); ++i) {
    ShardFixture shard;
    shard.open();
    for (uint64_t seqno = 1; seqno <= 3; ++seqno)
      shard.commit({}, {state_at(2, seqno), state_at(3, seqno)});
    shard.close();
    {
      Rows rows(shard.path());
      damages[i](rows);
    }
    shard.open();
    const auto states = shard->states();
    ASSERT_FALSE(states) << i;
    EXPECT_EQ(states.error().kind, ErrorKind::corrupt) << i;
    EXPECT_FALSE(shard->commit({}, std::vector{state_at(2, 9)}, Sync::yes)) << i;
    ContentRules rules;
    rules.vbuckets = 16;
    EXPECT_FALSE(shard->check_content(rules).findings.empty()) << i;
  }
}

TEST(StateRecords, TruncationsAndFlipsOfARecordNeverReadBeyondIt) {
  std::string record;
  put_number(record, 1, 1);
  put_number(record, 1, 8);
  std::vector<std::string> states(2);
  for (uint16_t vbucket = 0; vbucket < 2; ++vbucket) {
    append_state(states[vbucket], state_at(vbucket, 5));
    put_number(record, vbucket, 2);
    put_number(record, states[vbucket].size(), 2);
    record += states[vbucket];
  }
  const auto read = [](const std::string& bytes, std::vector<std::string>* into = nullptr) {
    // A block of its own, so that AddressSanitizer sees what lies behind it.
    const std::vector<char> exact(bytes.begin(), bytes.end());
    return visit_states(slot_key(0), {exact.data(), exact.size()},
                        [&](uint16_t vbucket, std::string_view state) {
                          EXPECT_EQ(std::string(state), std::string(state.begin(), state.end()));
                          if (into != nullptr && vbucket < 2) (*into)[vbucket] = state;
                        });
  };
  std::vector<std::string> found(2);
  EXPECT_TRUE(read(record, &found));
  EXPECT_EQ(found, states);
  const size_t header = 9;
  const size_t first = header + 4 + states[0].size();
  for (size_t length = 0; length < record.size(); ++length)
    EXPECT_EQ(read(record.substr(0, length)), length == header || length == first) << length;
  for (size_t i = 0; i < record.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string flipped = record;
      flipped[i] = static_cast<char>(flipped[i] ^ 1 << bit);
      (void)read(flipped);
    }
  }
  EXPECT_FALSE(read("\x02" + record.substr(1)));
  EXPECT_TRUE(visit_states("something else", "", [](uint16_t, std::string_view) { FAIL(); }));
  EXPECT_FALSE(visit_states("v", "", [](uint16_t, std::string_view) { FAIL(); }));
}

TEST(StateRecords, ACommitOfTheHistoryTellsTheTimeOfItsRecord) {
  ShardFixture shard;
  shard.options().history_bytes = 1 << 20;
  shard.open();
  const uint64_t before = shard->sequence();
  shard.commit({document(2, "a", 1, "x")}, {state_at(2, 1), state_at(3, 8)});
  shard.commit({document(2, "b", 2, "x")}, {state_at(2, 2)});
  std::vector<uint64_t> times;
  ShardFixture other;
  other.open();
  const auto visit = [&](const HistoryCommit& commit) {
    times.push_back(commit.as_of_ns);
    return other->replay(commit);
  };
  const auto whole = shard->read_history(before, visit);
  ASSERT_TRUE(whole && *whole);
  EXPECT_EQ(times, (std::vector<uint64_t>{40, 10}));
  // Commits that come after those that were done again go on behind them.
  EXPECT_EQ(states_of(other), (States{{2, state_at(2, 2)}, {3, state_at(3, 8)}}));
  other.commit({}, {state_at(4, 4)});
  other.commit({}, {state_at(3, 9)});
  const States expected = {{2, state_at(2, 2)}, {3, state_at(3, 9)}, {4, state_at(4, 4)}};
  EXPECT_EQ(states_of(other), expected);
  other.crash();
  other.open();
  EXPECT_EQ(states_of(other), expected);
}

}  // namespace
}  // namespace bobbin::disk
