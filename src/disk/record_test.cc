#include "disk/record.h"

#include <gtest/gtest.h>

#include <optional>
#include <random>

#include "store/collection_event.h"

namespace bobbin::disk {
namespace {

Record full_record() {
  Record record;
  record.kind = RecordKind::document;
  record.marks = 0xb;
  record.datatype = 0x03;
  record.seqno = 0xa1b2c3d4e5f6;
  record.cas = 0x1122334455667788;
  record.revision = 0x0102030405ff;
  record.flags = 0xdeadbeef;
  record.time_s = 0xfedcba98;
  record.value = "the value";
  return record;
}

std::string encoded(const Record& record) {
  std::string bytes;
  append_record(bytes, record);
  return bytes;
}

TEST(Record, ComesBackAsItWas) {
  const std::string bytes = encoded(full_record());
  EXPECT_EQ(bytes.size(), kRecordHeaderBytes + 9);
  EXPECT_EQ(decode_record(bytes), full_record());
}

TEST(Record, TombstonesComeBackToo) {
  for (const RecordKind kind : {RecordKind::deletion, RecordKind::expiration}) {
    Record record = full_record();
    record.kind = kind;
    record.value = {};
    EXPECT_EQ(decode_record(encoded(record)), record);
  }
}

// The first byte decides whether an older program may touch the data at all.
TEST(Record, BytesAreLaidOutAsDocumented) {
  const std::string bytes = encoded(full_record());
  EXPECT_EQ(bytes[0], 1);
  EXPECT_EQ(static_cast<uint8_t>(bytes[1]), 0xb0);
  EXPECT_EQ(static_cast<uint8_t>(bytes[2]), 0xf6);
  EXPECT_EQ(static_cast<uint8_t>(bytes[7]), 0xa1);
  EXPECT_EQ(static_cast<uint8_t>(bytes[8]), 0x88);
}

// Behind the header every length is a record: how long the value is, is RocksDB's to know.
TEST(Record, EveryTruncationIsRefusedOrIsAShorterValue) {
  const std::string bytes = encoded(full_record());
  for (size_t length = 0; length <= bytes.size(); ++length) {
    const std::string cut = bytes.substr(0, length);
    const auto record = decode_record(cut);
    EXPECT_EQ(record.has_value(), length >= kRecordHeaderBytes) << length;
    if (record) {
      EXPECT_EQ(record->value, std::string_view("the value").substr(0, length - kRecordHeaderBytes));
    }
  }
}

TEST(Record, AnotherFormatOrKindIsRefused) {
  std::string bytes = encoded(full_record());
  bytes[0] = 2;
  EXPECT_FALSE(decode_record(bytes));
  bytes[0] = 1;
  for (int kind = 3; kind < 16; ++kind) {
    bytes[1] = static_cast<char>(kind);
    EXPECT_FALSE(decode_record(bytes)) << kind;
  }
}

TEST(Record, KeysSortByVBucketAndSeqno) {
  const auto key = [](uint16_t vbucket, uint64_t seqno) {
    std::string bytes;
    append_seqno_key(bytes, vbucket, seqno);
    return bytes;
  };
  EXPECT_LT(key(1, 255), key(1, 256));
  EXPECT_LT(key(1, kMaxSeqno), key(2, 0));
  EXPECT_LT(key(255, 9), key(256, 0));
  const auto name = decode_seqno_key(key(513, kMaxSeqno));
  ASSERT_TRUE(name);
  EXPECT_EQ(name->vbucket, 513);
  EXPECT_EQ(name->seqno, kMaxSeqno);
}

TEST(Record, KeysOfAnotherLengthAreRefused) {
  std::string bytes;
  append_seqno_key(bytes, 7, 9);
  for (size_t length = 0; length < bytes.size(); ++length)
    EXPECT_FALSE(decode_seqno_key(bytes.substr(0, length))) << length;
  EXPECT_FALSE(decode_seqno_key(bytes + "x"));
  bytes[2] = 1;  // beyond 48 bits
  EXPECT_FALSE(decode_seqno_key(bytes));

  std::string name;
  append_document_key(name, 7, std::string(store::kMaxStoredKeyBytes - 1, 'k'));
  EXPECT_TRUE(decode_document_key(name));
  EXPECT_FALSE(decode_document_key(name + "k"));
  EXPECT_FALSE(decode_document_key(name.substr(0, 3))) << "a collection and no name";
  EXPECT_FALSE(decode_document_key(name.substr(0, 2)));
  EXPECT_FALSE(decode_document_key(name.substr(0, 1)));
  EXPECT_FALSE(decode_document_key(""));
}

TEST(Record, KeysOfCollectionsComeBackAndAreNeighbours) {
  const auto bytes_of = [](store::DocKey key) {
    std::string bytes;
    append_document_key(bytes, 7, key);
    return bytes;
  };
  EXPECT_EQ(bytes_of("k"), std::string("\0\7\0k", 4));
  for (const store::CollectionId id : {0U, 8U, 127U, 128U, 0xffffffffU}) {
    const std::string bytes = bytes_of({id, "name"});
    const auto name = decode_document_key(bytes);
    ASSERT_TRUE(name) << id;
    EXPECT_EQ(name->vbucket, 7);
    EXPECT_EQ(name->key, store::DocKey(id, "name"));
    std::string entry;
    append_index_entry(entry, {RecordKind::document, 1, {id, "name"}});
    ASSERT_TRUE(decode_index_entry(entry)) << id;
    EXPECT_EQ(decode_index_entry(entry)->key, store::DocKey(id, "name"));
  }
  EXPECT_LT(bytes_of({8, "\xff"}), bytes_of({9, "a"}));
  EXPECT_LT(bytes_of({127, "\xff"}), bytes_of({128, "a"}));
  EXPECT_FALSE(decode_document_key(std::string("\0\7\x88\0k", 5))) << "8, written longer than it need be";
}

TEST(Record, IndexEntriesComeBackAndTruncationsAreRefused) {
  const IndexEntry entry{RecordKind::deletion, 123456, "k"};
  std::string bytes;
  append_index_entry(bytes, entry);
  EXPECT_EQ(decode_index_entry(bytes), entry);
  for (size_t length = 0; length < bytes.size(); ++length)
    EXPECT_FALSE(decode_index_entry(bytes.substr(0, length))) << length;
  bytes[0] = 4;
  EXPECT_FALSE(decode_index_entry(bytes));
  bytes[0] = 3;  // a flush has no key
  EXPECT_FALSE(decode_index_entry(bytes));
  EXPECT_TRUE(decode_index_entry(bytes.substr(0, 5)));
}

TEST(Record, EventsComeBackAndTruncationsAreRefused) {
  const std::string event =
      store::encode_event({store::EventKind::collection_created, 7, 8, 9, std::nullopt, "name"});
  std::string bytes;
  append_index_entry(bytes, {RecordKind::event, static_cast<uint32_t>(event.size()), {}, event});
  ASSERT_TRUE(decode_index_entry(bytes));
  EXPECT_EQ(decode_index_entry(bytes)->kind, RecordKind::event);
  EXPECT_EQ(decode_index_entry(bytes)->event, event);
  for (size_t length = 0; length < bytes.size() - 4; ++length)
    EXPECT_FALSE(decode_index_entry(bytes.substr(0, length))) << length;
  bytes[0] = 5;
  EXPECT_FALSE(decode_index_entry(bytes));
}

TEST(Record, WhatAVbucketKnowsOfCollectionsComesBackAndTruncationsAreRefused) {
  const store::ScopeState scope{9, 1'234'567, "scope"};
  std::string bytes;
  append_scope(bytes, scope);
  EXPECT_EQ(decode_scope(9, bytes), scope);
  for (size_t length = 0; length < bytes.size() - scope.name.size(); ++length)
    EXPECT_FALSE(decode_scope(9, bytes.substr(0, length))) << length;
  EXPECT_FALSE(decode_scope(9, bytes + std::string(247, 'n')));
  for (const auto& ttl_s :
       {std::optional<uint32_t>(), std::optional<uint32_t>(0), std::optional<uint32_t>(77)}) {
    const store::CollectionState collection{0xfffffff0, 9, ttl_s, 5, kMaxSeqno, uint64_t{1} << 40, "name"};
    bytes.clear();
    append_collection(bytes, collection);
    EXPECT_EQ(decode_collection(collection.id, bytes), collection);
    for (size_t length = 0; length < bytes.size() - collection.name.size(); ++length)
      EXPECT_FALSE(decode_collection(1, bytes.substr(0, length))) << length;
  }
  bytes[5] = 2;  // neither a TTL nor none
  EXPECT_FALSE(decode_collection(1, bytes));
}

TEST(Record, StatesComeBackAndTruncationsAreRefused) {
  VBucketState state;
  state.vbucket = 5;
  state.high_seqno = 10;
  state.max_cas = 11;
  state.reserved_seqno = 12;
  state.reserved_cas = 13;
  state.items = 14;
  state.flush_at_s = 15;
  state.as_of_ns = uint64_t{16} << 56;
  state.may_have_attributes = true;
  state.failover = {{1, 2}, {3, 4}};
  std::string bytes;
  append_state(bytes, state);
  EXPECT_EQ(decode_state(5, bytes), state);
  constexpr size_t kWithoutFailover = 57;
  for (size_t length = 0; length < bytes.size(); ++length) {
    // Between two entries of the failover table a cut is a shorter table.
    const bool whole = length >= kWithoutFailover && (length - kWithoutFailover) % 16 == 0;
    EXPECT_EQ(decode_state(5, bytes.substr(0, length)).has_value(), whole) << length;
  }
  EXPECT_FALSE(decode_state(5, bytes + std::string(16 * kMaxFailoverEntries, 'x')));
}

TEST(Record, StatesOfCopiesAndOfOthersThanActiveComeBack) {
  VBucketState active;
  active.failover = {{1, 2}};
  std::string bytes;
  append_state(bytes, active);
  EXPECT_EQ(bytes[0], 2) << "an older program reads it";
  for (const bool follows : {true, false}) {
    VBucketState state = active;
    state.follows = follows;
    if (follows) state.snapshot = {uint64_t{1} << 40, kMaxSeqno, true};
    state.role = store::VBucketRole::dead;
    bytes.clear();
    append_state(bytes, state);
    EXPECT_EQ(bytes[0], 3);
    EXPECT_EQ(decode_state(0, bytes), state);
    for (size_t length = 0; length < bytes.size() - 16; ++length)
      EXPECT_FALSE(decode_state(0, bytes.substr(0, length))) << length;
    constexpr size_t kRoleAt = 1 + 5 * 8 + 4 + 8 + 4;
    bytes[kRoleAt] = 5;
    EXPECT_FALSE(decode_state(0, bytes));
  }
}

TEST(Record, StatesWithTheHighestRemovalComeBack) {
  for (const bool complete : {true, false}) {
    VBucketState state;
    state.failover = {{1, 2}};
    state.follows = complete;
    if (complete) state.snapshot = {3, 4, false};
    state.removals = {kMaxSeqno, UINT64_MAX, complete};
    std::string bytes;
    append_state(bytes, state);
    EXPECT_EQ(bytes[0], 4);
    EXPECT_EQ(decode_state(0, bytes), state);
    for (size_t length = 0; length < bytes.size() - 16; ++length)
      EXPECT_FALSE(decode_state(0, bytes.substr(0, length))) << length;
    // Of a format to come.
    bytes[0] = 6;
    EXPECT_FALSE(decode_state(0, bytes));
  }
}

TEST(Record, StatesWithTheHighestRevisionComeBack) {
  for (const bool complete : {true, false}) {
    VBucketState state;
    state.failover = {{1, 2}};
    state.role = complete ? store::VBucketRole::dead : store::VBucketRole::active;
    state.removals = {complete ? 0 : 7U, 9, true};
    state.revisions = {store::kMaxRevision, complete};
    std::string bytes;
    append_state(bytes, state);
    EXPECT_EQ(bytes[0], 5);
    EXPECT_EQ(decode_state(0, bytes), state);
    for (size_t length = 0; length < bytes.size() - 16; ++length)
      EXPECT_FALSE(decode_state(0, bytes.substr(0, length))) << length;
  }
}

// The fourth format, as programs before this one have written it: they did not know the mark of revisions.
TEST(Record, StatesOfTheFourthFormatLackRevisions) {
  VBucketState state;
  state.high_seqno = 10;
  state.failover = {{1, 2}};
  state.removals = {7, 9, true};
  std::string bytes;
  append_state(bytes, state);
  ASSERT_EQ(bytes[0], 4);
  constexpr size_t kMarksAt = 1 + 5 * 8 + 4 + 8;
  constexpr char kMarksOfThen = 8;
  bytes[kMarksAt] = kMarksOfThen;
  state.revisions.complete = false;
  EXPECT_EQ(decode_state(0, bytes), state);
  std::string again;
  append_state(again, state);
  EXPECT_EQ(decode_state(0, again), state) << "nor does it know them when it was written again";
}

// Who wrote these counted no removals.
TEST(Record, StatesOfOlderProgramsHaveUnknownRemovals) {
  std::string bytes;
  append_state(bytes, VBucketState());
  EXPECT_TRUE(decode_state(0, bytes)->removals.complete);
  constexpr size_t kMarksAt = 1 + 5 * 8 + 4 + 8;
  bytes[kMarksAt] = 0;
  EXPECT_FALSE(decode_state(0, bytes)->removals.complete);
  EXPECT_FALSE(decode_state(0, bytes)->revisions.complete);
}

TEST(Record, StatesOfTheFirstFormatAreRead) {
  VBucketState state;
  state.high_seqno = 10;
  state.items = 14;
  state.failover = {{1, 2}};
  std::string bytes;
  append_state(bytes, state);
  constexpr size_t kOfTheSecond = 16;
  bytes.erase(41, kOfTheSecond);
  bytes.front() = 1;
  state.removals.complete = false;
  state.revisions.complete = false;
  EXPECT_EQ(decode_state(0, bytes), state);
  bytes.front() = 3;
  EXPECT_FALSE(decode_state(0, bytes));
}

// Whatever comes, decoding reads nothing beyond the bytes (sanitizers see to that) and what it accepts is
// what it would write.
TEST(Record, RandomBytesAreRefusedOrComeBack) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes(random() % 80, '\0');
    for (char& byte : bytes)
      byte = static_cast<char>(random() % 3 == 0 ? random() : random() % 4);
    if (const auto record = decode_record(bytes)) {
      EXPECT_EQ(encoded(*record), bytes);
    }
    if (const auto entry = decode_index_entry(bytes)) {
      std::string again;
      append_index_entry(again, *entry);
      EXPECT_EQ(again, bytes);
    }
    if (const auto state = decode_state(0, bytes)) {
      // One of the first format is written as one of the second.
      std::string again;
      append_state(again, *state);
      EXPECT_EQ(decode_state(0, again), state);
    }
  }
}

}  // namespace
}  // namespace bobbin::disk
