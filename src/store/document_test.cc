#include "store/document.h"

#include <gtest/gtest.h>

#include <vector>

#include "store/memory.h"
#include "store/store_test_support.h"

namespace bobbin::store {

/// Reaches a document's reference count, which nothing else can bring to its limit.
class DocumentTestPeer {
 public:
  static void set_references(const Document& document, uint32_t count) {
    const_cast<Document&>(document).references_.store(count);
  }
  static uint32_t references(const Document& document) { return document.references(); }
  static constexpr uint32_t kLimit = Document::kMaxReferences;
};

namespace {

TEST(Document, ASixteenByteKeyWithThirtyTwoByteValueTakesNinetySixBytes) {
  BucketFixture fixture;
  fixture.set("sixteen-byte-key", std::string(32, 'v'));
  EXPECT_EQ(fixture.bucket().fetch("sixteen-byte-key", fixture.now()).doc->size(), 96U);
}

TEST(Document, TellsItsCollectionAndItsKey) {
  BucketFixture fixture;
  const std::vector<CollectionId> collections = {0, 9, 0x555, 0xffffffff};
  fixture.bucket().set_manifest(manifest_with(collections), fixture.now());
  for (const CollectionId collection : collections) {
    const DocKey key(collection, "the key");
    const Draft draft = fixture.draft(key, "the value");
    EXPECT_EQ(draft.key(), "the key") << collection;
    EXPECT_EQ(draft.doc_key(), key) << collection;
    fixture.set(key, "the value");
    const DocumentRef document = std::move(fixture.bucket().fetch(key, fixture.now()).doc);
    ASSERT_TRUE(document) << collection;
    EXPECT_EQ(document->key(), "the key") << collection;
    EXPECT_EQ(document->collection(), collection);
    EXPECT_EQ(document->stored_key(), key.stored()) << collection;
    EXPECT_EQ(document->value(), "the value") << collection;
  }
}

TEST(Document, ADraftIsCountedFromTheStartAndGivenBackWhenDropped) {
  BucketFixture fixture;
  const uint64_t before = fixture.bucket().statistics().used_bytes;
  {
    const Draft draft = fixture.draft("k", std::string(1000, 'x'));
    EXPECT_GE(fixture.bucket().statistics().used_bytes, before + 1000);
  }
  EXPECT_EQ(fixture.bucket().statistics().used_bytes, before);
}

TEST(Document, StaysValidAndChargedWhilePinnedAfterItWasReplaced) {
  BucketFixture fixture;
  fixture.set("k", std::string(5000, 'a'));
  base::PinnedBytes pinned = pin(std::move(fixture.bucket().fetch("k", fixture.now()).doc));
  fixture.set("k", "b");
  EXPECT_EQ(std::string(pinned.bytes().data(), pinned.size()), std::string(5000, 'a'));
  const uint64_t with = fixture.bucket().statistics().used_bytes;
  pinned = {};
  EXPECT_GE(with - fixture.bucket().statistics().used_bytes, 5000U);
}

TEST(Document, MayOutliveItsBucket) {
  DocumentRef kept;
  {
    BucketFixture fixture;
    fixture.set("k", "value");
    kept = std::move(fixture.bucket().fetch("k", fixture.now()).doc);
  }
  EXPECT_EQ(kept->value(), "value");
}

TEST(Document, RefusesReferencesAtItsLimitAndNeverWraps) {
  BucketFixture fixture;
  fixture.set("k", "1");
  const DocumentRef mine = std::move(fixture.bucket().fetch("k", fixture.now()).doc);
  DocumentTestPeer::set_references(*mine, DocumentTestPeer::kLimit);
  EXPECT_FALSE(mine.share());
  EXPECT_FALSE(fixture.bucket().fetch("k", fixture.now()));
  EXPECT_FALSE(fixture.bucket().fetch("k", FetchOptions{}, fixture.now()));
  EXPECT_FALSE(fixture.bucket().peek("k", fixture.now()));
  EXPECT_EQ(DocumentTestPeer::references(*mine), DocumentTestPeer::kLimit);
  EXPECT_EQ(fixture.put(StoreMode::append, "k", "2").status, StoreStatus::no_memory);
  EXPECT_EQ(fixture.bucket().arithmetic("k", {.initial = 1}, fixture.now()).status,
            ArithmeticStatus::no_memory);
  EXPECT_TRUE(fixture.set("k", "new").ok());
  EXPECT_EQ(fixture.get("k"), "new");
  DocumentTestPeer::set_references(*mine, 1);
}

TEST(Document, SharedReferencesAreEqual) {
  BucketFixture fixture;
  fixture.set("k", "v");
  const DocumentRef one = std::move(fixture.bucket().fetch("k", fixture.now()).doc);
  const DocumentRef two = one.share();
  EXPECT_EQ(one.get(), two.get());
  EXPECT_EQ(DocumentTestPeer::references(*one), 3U);
  EXPECT_FALSE(DocumentRef().share());
}

}  // namespace
}  // namespace bobbin::store
