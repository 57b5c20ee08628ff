// The same operations on every type of bucket: with everything in memory, with everything evicted before each
// step, and with a restart before each step. The answers are the same.

#include <gtest/gtest.h>

#include <string>

#include "store/persistence_test_support.h"
#include "store/store_test_support.h"

namespace bobbin::store {
namespace {

enum class Between : uint8_t { nothing, eviction, restart, warm_restart };

struct Kind {
  const char* name;
  BucketType type;
  EvictionPolicy policy;
  Between between;
};

BucketOptions options_of(const Kind& kind) {
  BucketOptions options = BucketFixture::small_options();
  options.type = kind.type;
  options.eviction = kind.policy;
  return options;
}

// Long enough that its shell is smaller.
std::string padded(std::string_view text) {
  std::string value(text);
  return value.append(100, '.');
}

class BucketKinds : public testing::TestWithParam<Kind>, protected BucketOnDisk {
 protected:
  BucketKinds() : BucketOnDisk(options_of(GetParam())) {}

  void between() {
    if (GetParam().between == Between::nothing) return;
    flush_to_disk();
    if (GetParam().between == Between::eviction) return evict();
    crash();
    if (GetParam().between != Between::warm_restart) return;
    for (uint16_t i = 0; i < bucket().vbucket_count(); ++i)
      disk().warm_up(bucket(), i, now());
  }
  std::string read(std::string_view key) {
    between();
    return get(key);
  }
};

TEST_P(BucketKinds, WhatIsSetIsReadWithAllItHas) {
  const StoreResult stored = set("k", padded("v"), in(100), 7);
  ASSERT_TRUE(stored.ok());
  EXPECT_EQ(read("k"), padded("v"));
  between();
  const Fetched found = fetch("k", {});
  EXPECT_EQ(found.doc->flags(), 7U);
  EXPECT_EQ(found.doc->cas(), stored.cas);
  EXPECT_EQ(found.doc->seqno(), stored.seqno);
  EXPECT_EQ(found.doc->revision(), 1U);
  EXPECT_EQ(found.expiry, in(100));
  EXPECT_EQ(read("absent"), "<miss>");
}

TEST_P(BucketKinds, ConditionsSeeWhatIsThere) {
  EXPECT_EQ(put(StoreMode::replace, "k", "1").status, StoreStatus::not_stored);
  between();
  EXPECT_EQ(put(StoreMode::add, "k", padded("1")).status, StoreStatus::stored);
  between();
  EXPECT_EQ(put(StoreMode::add, "k", "2").status, StoreStatus::not_stored);
  between();
  const uint64_t cas = put(StoreMode::replace, "k", padded("2")).cas;
  between();
  EXPECT_EQ(put(StoreMode::cas, "k", "x", {.cas_compare = cas + 1}).status, StoreStatus::exists);
  between();
  EXPECT_EQ(put(StoreMode::cas, "absent", "x", {.cas_compare = cas}).status, StoreStatus::not_found);
  between();
  EXPECT_EQ(put(StoreMode::cas, "k", padded("3"), {.cas_compare = cas}).status, StoreStatus::stored);
  EXPECT_EQ(read("k"), padded("3"));
}

TEST_P(BucketKinds, ValuesGrowFromWhatIsThere) {
  EXPECT_EQ(put(StoreMode::append, "k", "x").status, StoreStatus::not_stored);
  set("k", padded("a"), 0, 5);
  between();
  EXPECT_TRUE(put(StoreMode::append, "k", "z").ok());
  between();
  EXPECT_TRUE(put(StoreMode::prepend, "k", "0").ok());
  EXPECT_EQ(read("k"), "0" + padded("a") + "z");
  EXPECT_EQ(fetch("k", {}).doc->flags(), 5U);
  between();
  EXPECT_EQ(arithmetic("n", {.delta = 2, .initial = 40}).status, ArithmeticStatus::created);
  between();
  EXPECT_EQ(arithmetic("n", {.delta = 2}).value, 42U);
  EXPECT_EQ(read("n"), "42");
}

TEST_P(BucketKinds, WhatIsRemovedStaysAway) {
  set("k", padded("1"));
  between();
  EXPECT_EQ(remove("k", {.cas_compare = 1}).status, RemoveStatus::exists);
  between();
  const RemoveResult removed = remove("k");
  EXPECT_EQ(removed.status, RemoveStatus::removed);
  EXPECT_GT(removed.seqno, 1U);
  EXPECT_EQ(get("k"), "<miss>");
  EXPECT_EQ(read("k"), "<miss>");
  between();
  EXPECT_EQ(remove("k").status, RemoveStatus::not_found);
  EXPECT_TRUE(set("k", padded("2")).ok());
  EXPECT_EQ(read("k"), padded("2"));
}

TEST_P(BucketKinds, ATouchKeepsEverythingButTheExpiry) {
  const uint64_t cas = set("k", padded("v"), in(10), 9).cas;
  between();
  EXPECT_EQ(touch("k", in(50)), TouchStatus::touched);
  EXPECT_EQ(touch("absent", in(50)), TouchStatus::not_found);
  between();
  const Fetched found = fetch("k", {.touch = in(80)});
  EXPECT_EQ(found.expiry_before, in(50));
  EXPECT_EQ(found.expiry, in(80));
  EXPECT_EQ(found.doc->cas(), cas);
  EXPECT_EQ(found.doc->flags(), 9U);
  EXPECT_EQ(found.doc->value(), padded("v"));
  EXPECT_EQ(found.published, persistent());
  between();
  clock().advance_s(79);
  EXPECT_EQ(read("k"), padded("v"));
  clock().advance_s(1);
  EXPECT_EQ(read("k"), "<miss>");
  EXPECT_EQ(read("k"), "<miss>");
}

TEST_P(BucketKinds, StaleStaysStale) {
  set("k", padded("v"));
  between();
  EXPECT_EQ(remove("k", {.mark_stale = true, .expiry = in(30)}).status, RemoveStatus::removed);
  between();
  EXPECT_TRUE(peek("k")->stale);
  Fetched found = fetch("k", {});
  EXPECT_TRUE(found.stale);
  EXPECT_TRUE(found.won);
  EXPECT_EQ(found.doc->value(), padded("v"));
  found = fetch("k", {});
  EXPECT_TRUE(found.already_won);
  EXPECT_TRUE(remove("k", {.drop_value = true}).status == RemoveStatus::removed);
  EXPECT_EQ(read("k"), "");
}

TEST_P(BucketKinds, AVivifiedDocumentKeepsItsToken) {
  Fetched found = fetch("k", {.vivify_expiry = in(30)});
  EXPECT_TRUE(found.won && found.vivified && found.published);
  between();
  found = fetch("k", {.vivify_expiry = in(30)});
  EXPECT_TRUE(found.already_won);
  EXPECT_FALSE(found.vivified);
}

TEST_P(BucketKinds, AFlushTakesAllThatWasThere) {
  for (int i = 0; i < 50; ++i)
    set(numbered("key", i), padded("old"));
  between();
  bucket().flush(now());
  EXPECT_EQ(bucket().statistics().items, 0U);
  EXPECT_EQ(get("key1"), "<miss>");
  EXPECT_EQ(put(StoreMode::add, "key2", padded("new")).status, StoreStatus::stored);
  for (int i = 0; i < 50; ++i)
    ASSERT_EQ(read(numbered("key", i)), i == 2 ? padded("new") : "<miss>") << i;
}

TEST_P(BucketKinds, ItemsAreExact) {
  for (int i = 0; i < 60; ++i)
    set(numbered("key", i), padded("v"));
  between();
  EXPECT_EQ(bucket().statistics().items, 60U);
  for (int i = 0; i < 20; ++i)
    set(numbered("key", i), padded("w"));
  for (int i = 50; i < 70; ++i)
    remove(numbered("key", i));
  for (int i = 40; i < 45; ++i) {
    set(numbered("key", i), "w");
    remove(numbered("key", i));
    set(numbered("key", i), "x");
  }
  flush_to_disk();
  between();
  EXPECT_EQ(bucket().statistics().items, 50U);
  for (int i = 0; i < 60; ++i)
    (void)get(numbered("key", i));
  EXPECT_EQ(bucket().statistics().items, 50U);
  between();
  EXPECT_EQ(bucket().statistics().items, 50U);
}

TEST_P(BucketKinds, RevisionsGoOn) {
  set("k", padded("1"));
  between();
  arithmetic("k", {});
  (void)get("k");
  set("k", padded("2"));
  EXPECT_EQ(peek("k")->doc->revision(), 2U);
  between();
  touch("k", in(5));
  EXPECT_EQ(peek("k")->doc->revision(), persistent() ? 3U : 2U);
}

const Kind kKinds[] = {
    {"cache", BucketType::cache, EvictionPolicy::value, Between::nothing},
    {"value", BucketType::persistent, EvictionPolicy::value, Between::nothing},
    {"full", BucketType::persistent, EvictionPolicy::full, Between::nothing},
    {"value_evicted", BucketType::persistent, EvictionPolicy::value, Between::eviction},
    {"full_evicted", BucketType::persistent, EvictionPolicy::full, Between::eviction},
    {"value_restarted", BucketType::persistent, EvictionPolicy::value, Between::restart},
    {"full_restarted", BucketType::persistent, EvictionPolicy::full, Between::restart},
    {"value_warmed", BucketType::persistent, EvictionPolicy::value, Between::warm_restart},
    {"full_warmed", BucketType::persistent, EvictionPolicy::full, Between::warm_restart},
};

INSTANTIATE_TEST_SUITE_P(All, BucketKinds, testing::ValuesIn(kKinds),
                         [](const testing::TestParamInfo<Kind>& one) { return std::string(one.param.name); });

}  // namespace
}  // namespace bobbin::store
