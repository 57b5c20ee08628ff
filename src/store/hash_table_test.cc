#include "store/hash_table.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>
#include <string>
#include <unordered_map>

#include "store/memory.h"

namespace bobbin::store {

/// Makes the bare documents that a table holds.
class TableTestPeer {
 public:
  static Document* make(MemoryAccount& account, std::string_view key) {
    Draft draft = Draft::allocate(account, key, 8);
    return std::exchange(draft.document_, nullptr);
  }
};

namespace {

class HashTableTest : public testing::Test {
 protected:
  HashTableTest() : account_(*MemoryAccount::open(uint64_t{1} << 30)), table_(&account_) {}
  ~HashTableTest() override {
    table_ = HashTable(&account_);
    EXPECT_EQ(account_.used_bytes(), 0U);
    account_.close();
  }

  static uint64_t hash(const std::string& key) {
    return std::hash<std::string>()(key) * 0x9e3779b97f4a7c15U >> 20;
  }
  static uint32_t tag(const std::string& key) { return HashTable::tag_of(hash(key)); }
  static std::string name(uint64_t i) { return "key" + std::to_string(i); }

  void insert(const std::string& key) {
    ASSERT_TRUE(table_.insert(TableTestPeer::make(account_, key), tag(key)));
  }
  void erase(const std::string& key) {
    const HashTable::Slot slot = table_.find(key, tag(key));
    ASSERT_TRUE(slot) << key;
    HashTable::release(table_.erase(slot));
  }

  MemoryAccount& account_;
  HashTable table_;
};

TEST_F(HashTableTest, AnEmptyTableHoldsNoMemory) {
  EXPECT_EQ(table_.bytes(), 0U);
  EXPECT_FALSE(table_.find("k", 0));
  EXPECT_EQ(table_.visit_bucket(0, [](Document*) { return false; }), HashTable::kEnd);
}

TEST_F(HashTableTest, ASmallTableStaysNearOneKibibyte) {
  for (uint64_t i = 0; i < 50; ++i)
    insert(name(i));
  EXPECT_LE(table_.bytes(), 1200U);
}

TEST_F(HashTableTest, AgreesWithAMapUnderRandomOperations) {
  const uint64_t seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  std::unordered_map<std::string, const Document*> model;
  // The key range swells and shrinks, so that the table splits and merges many times.
  for (int phase = 0; phase < 6; ++phase) {
    const bool growing = phase % 2 == 0;
    for (int i = 0; i < 30'000; ++i) {
      const std::string key = name(random() % 20'000);
      const HashTable::Slot slot = table_.find(key, tag(key));
      ASSERT_EQ(static_cast<bool>(slot), model.contains(key)) << key;
      if (slot) {
        ASSERT_EQ(slot.document(), model[key]);
      }
      const bool removes = random() % 100 < (growing ? 20 : 90);
      if (removes) {
        if (!slot) continue;
        HashTable::release(table_.erase(slot));
        model.erase(key);
      } else {
        Document* document = TableTestPeer::make(account_, key);
        if (slot) {
          HashTable::release(HashTable::replace(slot, document));
        } else {
          ASSERT_TRUE(table_.insert(document, tag(key)));
        }
        model[key] = document;
      }
      ASSERT_EQ(table_.size(), model.size());
    }
  }
  for (const auto& [key, document] : model) {
    ASSERT_EQ(table_.find(key, tag(key)).document(), document);
  }
  while (!model.empty()) {
    erase(model.begin()->first);
    model.erase(model.begin());
  }
  EXPECT_EQ(table_.buckets(), HashTable::kLinesPerSegment);
}

TEST_F(HashTableTest, GrowsByOneBucketAnInsertAtMost) {
  for (uint64_t i = 0; i < 10'000; ++i) {
    const uint32_t before = table_.buckets();
    insert(name(i));
    if (before != 0) {
      ASSERT_LE(table_.buckets(), before + 1);
    }
    ASSERT_LE(table_.size(), uint64_t{table_.buckets()} * HashTable::kSplitAbove + 1);
  }
}

TEST_F(HashTableTest, TakesKeysWhoseTagsAreAllEqual) {
  for (uint64_t i = 0; i < 300; ++i) {
    ASSERT_TRUE(table_.insert(TableTestPeer::make(account_, name(i)), 0));
  }
  for (uint64_t i = 0; i < 300; ++i)
    ASSERT_TRUE(table_.find(name(i), 0));
  EXPECT_FALSE(table_.find("absent", 0));
  for (uint64_t i = 0; i < 300; ++i)
    HashTable::release(table_.erase(table_.find(name(i), 0)));
  EXPECT_EQ(table_.size(), 0U);
}

TEST_F(HashTableTest, AWalkSeesEachStayingDocumentOnceWhileTheTableGrowsAndShrinks) {
  const uint64_t seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  constexpr uint64_t kStaying = 2000;
  for (uint64_t i = 0; i < kStaying; ++i)
    insert(name(i));
  for (int round = 0; round < 6; ++round) {
    std::map<std::string, int> seen;
    uint64_t extra = 0;
    const bool grows_first = round % 2 == 0;
    if (!grows_first) {
      for (; extra < 12'000; ++extra)
        insert("extra" + std::to_string(extra));
    }
    for (uint32_t cursor = 0; cursor != HashTable::kEnd;) {
      cursor = table_.visit_bucket(cursor, [&](Document* document) {
        ++seen[std::string(document->key())];
        return false;
      });
      for (uint64_t i = random() % 40; i > 0; --i) {
        if (grows_first && extra < 12'000) {
          insert("extra" + std::to_string(extra++));
        } else if (!grows_first && extra > 0) {
          erase("extra" + std::to_string(--extra));
        }
      }
    }
    for (uint64_t i = 0; i < kStaying; ++i)
      ASSERT_EQ(seen[name(i)], 1) << name(i) << " round " << round;
    while (extra > 0)
      erase("extra" + std::to_string(--extra));
  }
}

TEST_F(HashTableTest, AVisitMayTakeDocumentsOut) {
  for (uint64_t i = 0; i < 5000; ++i)
    insert(name(i));
  uint64_t taken = 0;
  for (uint32_t cursor = 0; cursor != HashTable::kEnd;) {
    cursor = table_.visit_bucket(cursor, [&](Document* document) {
      if (document->key().back() % 2 == 0) return false;
      HashTable::release(document);
      ++taken;
      return true;
    });
  }
  EXPECT_EQ(table_.size() + taken, 5000U);
  for (uint64_t i = 0; i < 5000; ++i) {
    EXPECT_EQ(static_cast<bool>(table_.find(name(i), tag(name(i)))), name(i).back() % 2 == 0);
  }
}

}  // namespace
}  // namespace bobbin::store
