// Deleted documents whose attributes stay: who finds them, what replaces them, when they go.

#include "store/tombstone.h"

#include <gtest/gtest.h>

#include <string>

#include "store/persistence_test_support.h"
#include "store/store_test_support.h"
#include "wire/xattr.h"

namespace bobbin::store {
namespace {

enum class Kind : uint8_t { cache, value, full };

BucketOptions options_of(Kind kind) {
  BucketOptions options = BucketFixture::small_options();
  options.type = kind == Kind::cache ? BucketType::cache : BucketType::persistent;
  options.eviction = kind == Kind::full ? EvictionPolicy::full : EvictionPolicy::value;
  return options;
}

std::string block_of(std::initializer_list<std::pair<std::string_view, std::string_view>> pairs) {
  std::string block;
  for (const auto& [key, value] : pairs)
    wire::set_xattr(block, key, value);
  return block;
}

const std::string kBoth = block_of({{"user", "1"}, {"_sys", "{\"a\":2}"}, {"_more", "3"}});
const std::string kSystem = block_of({{"_sys", "{\"a\":2}"}, {"_more", "3"}});

class TombstoneTest : public testing::TestWithParam<Kind>, protected BucketOnDisk {
 protected:
  TombstoneTest() : BucketOnDisk(options_of(GetParam())) {}

  // A document with attributes, or with `as_tombstone` a tombstone.
  StoreResult put_block(const std::string& block, std::string_view body, StoreOptions how = {},
                        StoreMode mode = StoreMode::set, uint32_t expiry = 0) {
    how.whole = true;
    const std::string value = block + std::string(body);
    return until_known(
        "k",
        [&] {
          auto made = bucket().draft("k", 9, expiry, static_cast<uint32_t>(value.size()), now(), true);
          EXPECT_TRUE(made);
          value.copy(made->value().data(), value.size());
          made->set_datatype(block.empty() ? 0 : Document::kAttributesBit);
          return bucket().store(std::move(*made), mode, how, now());
        },
        [](const StoreResult& result) { return result.status == StoreStatus::would_block; });
  }
  Fetched find() { return fetch("k", {.finds_deleted = true}); }
  // Of the tombstone, or "<none>".
  std::string attributes() {
    const Fetched found = find();
    return found.deleted && found.doc->has_attributes() ? std::string(found.doc->attributes()) : "<none>";
  }
  void leave() {
    put_block(kBoth, "body");
    EXPECT_EQ(remove("k").status, RemoveStatus::removed);
  }
};

INSTANTIATE_TEST_SUITE_P(Kinds, TombstoneTest, testing::Values(Kind::cache, Kind::value, Kind::full));

TEST_P(TombstoneTest, ADeletionKeepsWhatIsTheSystems) {
  const StoreResult stored = put_block(kBoth, "body");
  const RemoveResult removed = remove("k");
  EXPECT_EQ(removed.status, RemoveStatus::removed);
  EXPECT_TRUE(removed.left_tombstone);
  EXPECT_EQ(get("k"), "<miss>");
  EXPECT_EQ(bucket().statistics().items, 0U);
  const Fetched found = find();
  ASSERT_TRUE(found);
  EXPECT_TRUE(found.deleted);
  EXPECT_EQ(found.doc->value(), kSystem);
  EXPECT_EQ(found.doc->body(), "");
  EXPECT_EQ(found.doc->revision(), stored.revision + 1);
  EXPECT_EQ(found.doc->seqno(), removed.seqno);
  EXPECT_GT(found.cas, stored.cas);
  EXPECT_EQ(found.expiry, now().unix_s());
}

TEST_P(TombstoneTest, NothingStaysOfOthers) {
  put_block(block_of({{"user", "1"}}), "body");
  EXPECT_FALSE(remove("k").left_tombstone);
  EXPECT_EQ(attributes(), "<none>");
  leave();
  EXPECT_EQ(remove("k").status, RemoveStatus::not_found);
  EXPECT_EQ(attributes(), kSystem);
}

TEST_P(TombstoneTest, OrdinaryCommandsDoNotSeeThem) {
  leave();
  EXPECT_FALSE(peek("k"));
  EXPECT_EQ(touch("k", in(9)), TouchStatus::not_found);
  EXPECT_EQ(arithmetic("k", {}).status, ArithmeticStatus::not_found);
  EXPECT_EQ(put(StoreMode::replace, "k", "v").status, StoreStatus::not_stored);
  EXPECT_EQ(put(StoreMode::append, "k", "v").status, StoreStatus::not_stored);
  EXPECT_EQ(put(StoreMode::cas, "k", "v", {.cas_compare = find().cas}).status, StoreStatus::not_found);
  EXPECT_EQ(attributes(), kSystem);
  const uint64_t revision = find().doc->revision();
  const StoreResult added = put(StoreMode::add, "k", "v");
  EXPECT_TRUE(added.ok());
  EXPECT_EQ(added.revision, revision + 1);
  EXPECT_EQ(get("k"), "v");
  EXPECT_EQ(attributes(), "<none>");
  EXPECT_EQ(bucket().statistics().items, 1U);
  EXPECT_EQ(bucket().statistics().expired, 0U);
}

TEST_P(TombstoneTest, VivifyingOneMakesOneDocument) {
  leave();
  const Fetched made = fetch("k", {.vivify_expiry = in(5)});
  EXPECT_TRUE(made.vivified);
  EXPECT_EQ(remove("k").status, RemoveStatus::removed);
  EXPECT_EQ(get("k"), "<miss>");
}

TEST_P(TombstoneTest, WhoAsksForDeletedOnesComparesWithThem) {
  leave();
  const uint64_t cas = find().cas;
  const StoreOptions add{.finds_deleted = true, .as_tombstone = true};
  EXPECT_EQ(put_block(kBoth, "", add, StoreMode::add).status, StoreStatus::not_stored);
  StoreOptions change = add;
  change.cas_compare = cas + 1;
  EXPECT_EQ(put_block(kBoth, "", change, StoreMode::cas).status, StoreStatus::exists);
  change.cas_compare = cas;
  EXPECT_TRUE(put_block(kBoth, "", change, StoreMode::cas).ok());
  EXPECT_EQ(attributes(), kBoth) << "what is set there stays, whosever it is";
  change.cas_compare = find().cas;
  change.as_tombstone = false;
  EXPECT_TRUE(put_block(kBoth, "alive", change, StoreMode::cas).ok());
  EXPECT_EQ(get("k"), kBoth + "alive");
  EXPECT_EQ(bucket().statistics().items, 1U);
}

TEST_P(TombstoneTest, OneIsMadeWhereNothingWas) {
  EXPECT_TRUE(put_block(kBoth, "", {.finds_deleted = true, .as_tombstone = true}, StoreMode::add).ok());
  EXPECT_EQ(get("k"), "<miss>");
  EXPECT_EQ(attributes(), kBoth);
  EXPECT_EQ(bucket().statistics().items, 0U);
}

TEST_P(TombstoneTest, WithoutAttributesThereIsNone) {
  leave();
  StoreOptions change{.finds_deleted = true, .as_tombstone = true};
  change.cas_compare = find().cas + 1;
  EXPECT_EQ(put_block("", "", change, StoreMode::cas).status, StoreStatus::exists);
  change.cas_compare = find().cas;
  EXPECT_TRUE(put_block("", "", change, StoreMode::cas).ok());
  EXPECT_EQ(attributes(), "<none>");
  flush_to_disk();
  if (persistent()) crash();
  EXPECT_EQ(attributes(), "<none>");
}

TEST_P(TombstoneTest, TheyAreForgottenInTime) {
  leave();
  flush_to_disk();
  clock().advance_s(kTombstoneAgeS - 1);
  EXPECT_EQ(attributes(), kSystem);
  clock().advance_s(1);
  EXPECT_EQ(attributes(), "<none>");
  EXPECT_EQ(bucket().arm_sweep_waker().items_with_expiry, 1U);
  const uint64_t used = bucket().used_bytes();
  (void)bucket().sweep_expired(1000, now());
  EXPECT_LT(bucket().used_bytes(), used);
  EXPECT_EQ(bucket().arm_sweep_waker().items_with_expiry, 0U);
  EXPECT_EQ(bucket().statistics().expired, 0U);
}

TEST_P(TombstoneTest, AFlushTakesThem) {
  leave();
  bucket().flush(now());
  EXPECT_EQ(attributes(), "<none>");
  flush_to_disk();
  if (persistent()) crash();
  EXPECT_EQ(attributes(), "<none>");
}

TEST_P(TombstoneTest, ADroppedCollectionTakesThem) {
  const std::array<CollectionId, 1> ids = {8};
  bucket().set_manifest(manifest_with(ids), now());
  auto made = bucket().draft({8, "k"}, 0, 0, static_cast<uint32_t>(kBoth.size()), now(), true);
  ASSERT_TRUE(made);
  kBoth.copy(made->value().data(), kBoth.size());
  made->set_datatype(Document::kAttributesBit);
  EXPECT_TRUE(bucket().store(std::move(*made), StoreMode::set, {.whole = true}, now()).ok());
  EXPECT_TRUE(remove({8, "k"}).left_tombstone);
  EXPECT_EQ(bucket().arm_sweep_waker().items_with_expiry, 1U);
  bucket().set_manifest(manifest_with({}), now());
  EXPECT_EQ(bucket().arm_sweep_waker().items_with_expiry, 0U);
  while (bucket().sweep_garbage(100, now()))
    continue;
  EXPECT_EQ(bucket().arm_sweep_waker().items_with_expiry, 0U);
}

TEST_P(TombstoneTest, OneFromElsewhereIsTakenAsItIs) {
  ForeignChange change{.cas = 77, .revision = 5, .as_tombstone = true};
  const auto bring = [&] {
    auto made = bucket().draft("k", 0, 0, static_cast<uint32_t>(kBoth.size()), now(), true);
    kBoth.copy(made->value().data(), kBoth.size());
    made->set_datatype(Document::kAttributesBit);
    return until_known(
        "k", [&] { return bucket().store_foreign(*made, change, now()); },
        [](const StoreResult& result) { return result.status == StoreStatus::would_block; });
  };
  EXPECT_TRUE(bring().ok());
  EXPECT_EQ(attributes(), kBoth);
  EXPECT_EQ(find().cas, 77U);
  EXPECT_EQ(find().doc->revision(), 5U);
  EXPECT_EQ(bring().status, StoreStatus::exists) << "it is no news";
  ForeignChange bare{.cas = 78, .revision = 4};
  EXPECT_EQ(bucket().remove_foreign("k", bare, now()).status, RemoveStatus::exists);
  bare.revision = 6;
  EXPECT_EQ(bucket().remove_foreign("k", bare, now()).status, RemoveStatus::removed);
  EXPECT_EQ(attributes(), "<none>");
}

class TombstoneOnDiskTest : public TombstoneTest {};
INSTANTIATE_TEST_SUITE_P(Kinds, TombstoneOnDiskTest, testing::Values(Kind::value, Kind::full));

TEST_P(TombstoneOnDiskTest, ItComesBackFromTheDisk) {
  leave();
  const uint64_t cas = find().cas;
  flush_to_disk();
  evict();
  EXPECT_TRUE(bucket().fetch("k", {.finds_deleted = true}, now()).would_block || GetParam() == Kind::value)
      << "a short one takes no more than its shell";
  EXPECT_EQ(attributes(), kSystem);
  clock().advance_s(10);
  crash();
  EXPECT_EQ(attributes(), kSystem) << "while it warms up";
  crash();
  for (uint16_t i = 0; i < bucket().vbucket_count(); ++i)
    disk().warm_up(bucket(), i, now());
  EXPECT_EQ(get("k"), "<miss>");
  const Fetched found = find();
  ASSERT_TRUE(found.deleted);
  EXPECT_EQ(found.cas, cas);
  EXPECT_EQ(found.expiry, now().unix_s() - 10);
  EXPECT_EQ(bucket().statistics().items, 0U);
}

TEST_P(TombstoneOnDiskTest, ALargeOneLeavesMemory) {
  const std::string large = block_of({{"_sys", "\"" + std::string(5000, 'x') + "\""}});
  put_block(large, "body");
  remove("k");
  flush_to_disk();
  evict();
  const Fetched cold = bucket().fetch("k", {.finds_deleted = true}, now());
  EXPECT_TRUE(cold.would_block);
  EXPECT_EQ(bucket().statistics().evictions, 0U) << "nobody misses it";
  const Fetched metadata = fetch("k", {.finds_deleted = true, .needs_value = false});
  EXPECT_TRUE(metadata.deleted);
  EXPECT_EQ(attributes(), large);
  EXPECT_EQ(bucket().statistics().non_resident_items, 0U);
  EXPECT_EQ(bucket().statistics().items, 0U);
  put(StoreMode::set, "k", "v");
  EXPECT_EQ(bucket().statistics().items, 1U);
}

TEST_P(TombstoneOnDiskTest, AnExpiredDocumentLeavesOne) {
  put_block(kBoth, "body", {}, StoreMode::set, in(5));
  clock().advance_s(6);
  EXPECT_EQ(get("k"), "<miss>");
  EXPECT_EQ(attributes(), kSystem);
  flush_to_disk();
  crash();
  EXPECT_EQ(attributes(), kSystem);
  put_block(kBoth, "body", {}, StoreMode::set, in(5));
  clock().advance_s(6);
  (void)bucket().sweep_expired(1000, now());
  EXPECT_EQ(attributes(), kSystem);
}

TEST_P(TombstoneOnDiskTest, ADeletionWaitsForTheAttributes) {
  put_block(block_of({{"_sys", "\"" + std::string(5000, 'x') + "\""}}), "body");
  flush_to_disk();
  evict();
  EXPECT_EQ(bucket().remove("k", {}, now()).status, RemoveStatus::would_block);
  EXPECT_TRUE(remove("k").left_tombstone);
}

TEST_P(TombstoneOnDiskTest, WhatTheDiskHasForgottenIsGone) {
  put_block(block_of({{"_sys", "\"" + std::string(5000, 'x') + "\""}}), "body");
  remove("k");
  flush_to_disk();
  evict();
  const LoadTicket ticket = bucket().begin_load(bucket().vbucket_of("k"));
  EXPECT_EQ(bucket().load("k", nullptr, ticket, LoadPurpose::fetch, now()).status, LoadStatus::absent);
  EXPECT_FALSE(bucket().fetch("k", {.finds_deleted = true}, now()));
  EXPECT_EQ(bucket().statistics().non_resident_items, 0U);
}

TEST_P(TombstoneOnDiskTest, TheLogShowsWhatStays) {
  leave();
  const uint16_t vbucket = bucket().vbucket_of("k");
  const FlushBatch batch = bucket().take_log(vbucket, now());
  size_t seen = 0;
  batch.changes.changes.for_each([&](const Change& change) {
    if (change.kind == ChangeKind::flush) return;
    ++seen;
    EXPECT_EQ(change.kind, ChangeKind::deletion);
    EXPECT_TRUE(change.doc->is_tombstone());
    EXPECT_EQ(change.doc->value(), kSystem);
    EXPECT_EQ(change.revision, 2U);
    EXPECT_EQ(change.expiry, tombstone_end(now().unix_s()));
  });
  EXPECT_EQ(seen, 1U);
  bucket().persisted(batch);
}

TEST(SurvivingAttributesTest, ThoseOfTheSystemInTheirOrder) {
  std::string out(surviving_attribute_bytes(kBoth), '?');
  copy_surviving_attributes(kBoth, out.data());
  EXPECT_EQ(out, kSystem);
  EXPECT_EQ(surviving_attribute_bytes(""), 0U);
  EXPECT_EQ(surviving_attribute_bytes(block_of({{"user", "1"}})), 0U);
  // A length that lies ends the block.
  std::string damaged = kBoth;
  damaged[4] = '\x7f';
  EXPECT_EQ(surviving_attribute_bytes(damaged), 0U);
}

}  // namespace
}  // namespace bobbin::store
