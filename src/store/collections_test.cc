// Scopes and collections of a bucket: what is in them, and what the history of a vbucket tells of them.

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "store/collection_event.h"
#include "store/persistence_test_support.h"

namespace bobbin::store {
namespace {

enum class Kind : uint8_t { cache, value_eviction, full_eviction };

BucketOptions options_of(Kind kind) {
  BucketOptions options;
  options.vbuckets = 4;
  options.type = kind == Kind::cache ? BucketType::cache : BucketType::persistent;
  options.eviction = kind == Kind::full_eviction ? EvictionPolicy::full : EvictionPolicy::value;
  return options;
}

class CollectionsOf : public testing::TestWithParam<Kind> {
 protected:
  void set(const Manifest& manifest) {
    manifest_ = manifest;
    disk_.bucket().set_manifest(std::make_shared<const Manifest>(manifest), disk_.now());
  }
  CollectionId create(const std::string& name, std::optional<uint32_t> ttl_s = {}) {
    set(manifest_.with_collection("_default", name, ttl_s).value());
    return manifest_.collection("_default", name)->id;
  }
  void drop(const std::string& name) { set(manifest_.without_collection("_default", name).value()); }
  uint64_t items(CollectionId id) { return disk_.bucket().collection_statistics()[id].items; }
  uint64_t high_seqnos() {
    uint64_t sum = 0;
    for (uint16_t i = 0; i < 4; ++i)
      sum += disk_.bucket().high_seqno(i);
    return sum;
  }
  void sweep() {
    while (disk_.bucket().sweep_garbage(7, disk_.now()))
      continue;
  }
  void crash() {
    disk_.crash();
    disk_.bucket().set_manifest(std::make_shared<const Manifest>(manifest_), disk_.now());
  }
  bool is_persistent() { return GetParam() != Kind::cache; }

  Manifest manifest_;
  BucketOnDisk disk_{options_of(GetParam())};
};

TEST_P(CollectionsOf, OneNameIsAnotherDocumentInEach) {
  const CollectionId a = create("a");
  const CollectionId b = create("b");
  EXPECT_TRUE(disk_.set("k", "default").ok());
  EXPECT_TRUE(disk_.set({a, "k"}, "in a").ok());
  EXPECT_TRUE(disk_.set({a, "l"}, "in a").ok());
  EXPECT_EQ(disk_.get("k"), "default");
  EXPECT_EQ(disk_.get({a, "k"}), "in a");
  EXPECT_EQ(disk_.get({b, "k"}), "<miss>");
  EXPECT_EQ(items(0), 1U);
  EXPECT_EQ(items(a), 2U);
  EXPECT_EQ(items(b), 0U);
  EXPECT_EQ(disk_.bucket().statistics().items, 3U);
}

TEST_P(CollectionsOf, WhatIsUnknownTakesNoCommand) {
  const CollectionId dropped = create("dropped");
  const DocKey key(dropped, "k");
  EXPECT_TRUE(disk_.set(key, "1").ok());
  const Fetched held = disk_.fetch(key, {});
  ASSERT_TRUE(held);
  drop("dropped");
  for (const DocKey unknown : {key, DocKey(77, "k"), DocKey(1, "event")}) {
    EXPECT_TRUE(disk_.bucket().fetch(unknown, disk_.now()).unknown_collection);
    EXPECT_TRUE(disk_.bucket().fetch(unknown, {.vivify_expiry = 0}, disk_.now()).unknown_collection);
    EXPECT_TRUE(disk_.bucket().fetch(unknown, {.touch = 9}, disk_.now()).unknown_collection);
    EXPECT_FALSE(disk_.bucket().peek(unknown, disk_.now()));
    for (const StoreMode mode : {StoreMode::set, StoreMode::add, StoreMode::replace, StoreMode::cas,
                                 StoreMode::append, StoreMode::prepend})
      EXPECT_EQ(disk_.put(mode, unknown, "v").status, StoreStatus::unknown_collection);
    EXPECT_EQ(disk_.remove(unknown).status, RemoveStatus::unknown_collection);
    EXPECT_EQ(disk_.remove(unknown, {.mark_stale = true}).status, RemoveStatus::unknown_collection);
    EXPECT_EQ(disk_.touch(unknown, 9), TouchStatus::unknown_collection);
    EXPECT_EQ(disk_.arithmetic(unknown, {.initial = 1}).status, ArithmeticStatus::unknown_collection);
    EXPECT_EQ(disk_.bucket().lock(unknown, 1, disk_.now()).status, LockStatus::unknown_collection);
    EXPECT_EQ(disk_.bucket().unlock(unknown, 1, disk_.now()), LockStatus::unknown_collection);
  }
  EXPECT_EQ(disk_.bucket().statistics().total_items, 1U);
}

TEST_P(CollectionsOf, ADropTakesTheDocumentsFromReadersAndCountsAtOnceAndTheirMemoryLater) {
  const CollectionId kept = create("kept");
  const CollectionId dropped = create("dropped");
  for (int i = 0; i < 500; ++i) {
    EXPECT_TRUE(disk_.set({kept, "k" + std::to_string(i)}, "v", i % 3 == 0 ? disk_.in(100) : 0).ok());
    EXPECT_TRUE(disk_.set({dropped, "k" + std::to_string(i)}, "v", i % 2 == 0 ? disk_.in(100) : 0).ok());
  }
  disk_.flush_to_disk();
  const Statistics before = disk_.bucket().statistics();
  (void)disk_.bucket().arm_sweep_waker();
  drop("dropped");
  EXPECT_TRUE(disk_.bucket().arm_sweep_waker().garbage);
  const Statistics after = disk_.bucket().statistics();
  EXPECT_EQ(after.items, 500U);
  EXPECT_EQ(after.items_with_expiry, 167U);
  EXPECT_EQ(after.item_bytes * 2, before.item_bytes);
  size_t seen = 0;
  disk_.bucket().for_each(
      [&](const Peeked& one) { return seen += one.doc->collection() == kept ? 1 : 1'000; }, disk_.now());
  EXPECT_EQ(seen, 500U);
  uint64_t counted = 0;
  for (const SizeCount& count : disk_.bucket().census(disk_.now()).sizes)
    counted += count.items;
  EXPECT_EQ(counted, 500U);
  disk_.flush_to_disk();
  const uint64_t unswept = disk_.bucket().used_bytes();
  sweep();
  EXPECT_FALSE(disk_.bucket().arm_sweep_waker().garbage);
  EXPECT_LE(disk_.bucket().used_bytes() + 500 * 48, unswept);
  EXPECT_EQ(disk_.bucket().statistics().items, 500U);
  EXPECT_EQ(items(kept), 500U);
}

TEST_P(CollectionsOf, WhoNeedsRoomTakesThatOfTheDropped) {
  const CollectionId dropped = create("dropped");
  for (int i = 0; i < 400; ++i)
    EXPECT_TRUE(disk_.set({dropped, std::to_string(i)}, std::string(1'000, 'v')).ok());
  disk_.flush_to_disk();
  drop("dropped");
  disk_.flush_to_disk();
  disk_.bucket().set_quota_bytes(disk_.bucket().used_bytes());
  for (int i = 0; i < 400; ++i) {
    EXPECT_TRUE(disk_.set(std::to_string(i), std::string(900, 'v')).ok()) << i;
    if (i % 20 == 0) disk_.flush_to_disk();
  }
  EXPECT_EQ(disk_.bucket().statistics().evictions, 0U);
  EXPECT_EQ(disk_.bucket().statistics().items, 400U);
}

TEST_P(CollectionsOf, EvictionAndExpiryLeaveWhatWasDroppedOutOfTheCounts) {
  const CollectionId dropped = create("dropped");
  for (int i = 0; i < 200; ++i)
    EXPECT_TRUE(disk_.set({dropped, std::to_string(i)}, std::string(100, 'v'), disk_.in(5)).ok());
  ASSERT_EQ(disk_.bucket().lock({dropped, "1"}, 10, disk_.now()).status, LockStatus::locked);
  disk_.flush_to_disk();
  drop("dropped");
  disk_.clock().advance_s(10);
  disk_.evict();
  while (!disk_.bucket().sweep_expired(100, disk_.now()).finished)
    continue;
  sweep();
  const Statistics after = disk_.bucket().statistics();
  EXPECT_EQ(after.items, 0U);
  EXPECT_EQ(after.items_with_expiry, 0U);
  EXPECT_EQ(after.item_bytes, 0U);
  EXPECT_EQ(after.expired, 0U);
  EXPECT_EQ(after.non_resident_items, 0U);
}

TEST_P(CollectionsOf, TheirMaxTtlLimitsTheExpiryOfWhatIsStored) {
  const CollectionId limited = create("limited", 60);
  const auto expiry = [&](DocKey key) { return disk_.peek(key)->expiry; };
  const auto stored = [&](uint32_t asked) {
    const StoreResult result = disk_.set({limited, "k"}, "1", asked);
    EXPECT_EQ(result.expiry, expiry({limited, "k"}));
    return result.expiry;
  };
  EXPECT_EQ(stored(0), disk_.in(60));
  EXPECT_EQ(stored(disk_.in(59)), disk_.in(59));
  EXPECT_EQ(stored(disk_.in(61)), disk_.in(60));
  EXPECT_EQ(disk_.touch({limited, "k"}, 0), TouchStatus::touched);
  EXPECT_EQ(expiry({limited, "k"}), disk_.in(60));
  EXPECT_EQ(disk_.fetch({limited, "k"}, {.touch = disk_.in(90)}).expiry, disk_.in(60));
  EXPECT_EQ(disk_.arithmetic({limited, "n"}, {.initial = 1}).expiry, disk_.in(60));
  EXPECT_EQ(disk_.fetch({limited, "w"}, {.vivify_expiry = 0}).expiry, disk_.in(60));
  EXPECT_EQ(disk_.bucket().statistics().items_with_expiry, 3U);
  EXPECT_TRUE(disk_.set("k", "1").ok());
  EXPECT_EQ(expiry("k"), 0U);
  set(manifest_.with_max_ttl("_default", "_default", 5).value());
  EXPECT_EQ(disk_.set("k", "1").expiry, disk_.in(5));
  set(manifest_.with_max_ttl("_default", "limited", 0).value());
  EXPECT_EQ(stored(0), 0U);
  set(manifest_.with_max_ttl("_default", "limited", kMaxTtlS).value());
  EXPECT_EQ(stored(0), disk_.in(kMaxTtlS));
}

TEST_P(CollectionsOf, EveryVbucketTakesASeqnoForEachChange) {
  const uint64_t before = high_seqnos();
  set(manifest_.with_scope("s").value());
  EXPECT_EQ(high_seqnos(), before + 4);
  set(manifest_.with_collection("s", "c", {}).value());
  EXPECT_EQ(high_seqnos(), before + 8);
  set(manifest_.with_max_ttl("s", "c", 3).value());
  EXPECT_EQ(high_seqnos(), before + 12);
  set(manifest_);
  EXPECT_EQ(high_seqnos(), before + 12);
  set(manifest_.without_scope("s").value());
  EXPECT_EQ(high_seqnos(), before + 20);
  if (!is_persistent()) return;
  disk_.flush_to_disk();
  std::vector<std::string> told;
  for (const auto& [seqno, event] : disk_.disk().events(2))
    told.push_back(event);
  EXPECT_EQ(told, (std::vector<std::string>{"3:8:0:s", "0:8:8:c", "2:8:8:c", "1:8:8:", "4:8:0:"}));
  EXPECT_TRUE(disk_.disk().in_order());
}

TEST_P(CollectionsOf, AFlushTellsAgainOfWhatIsThere) {
  create("gone");
  const CollectionId kept = create("kept");
  drop("gone");
  EXPECT_TRUE(disk_.set({kept, "k"}, "v").ok());
  disk_.bucket().flush(disk_.now());
  EXPECT_EQ(items(kept), 0U);
  EXPECT_EQ(disk_.get({kept, "k"}), "<miss>");
  EXPECT_TRUE(disk_.set({kept, "l"}, "v").ok());
  EXPECT_EQ(items(kept), 1U);
  if (!is_persistent()) return;
  disk_.flush_to_disk();
  crash();
  EXPECT_EQ(items(kept), 1U);
  for (uint16_t i = 0; i < 4; ++i) {
    ASSERT_EQ(disk_.disk().events(i).size(), 1U);
    EXPECT_EQ(disk_.disk().events(i).begin()->second, "0:0:9:kept");
    EXPECT_EQ(disk_.disk().state(i)->collections.size(), 1U);
  }
}

TEST_P(CollectionsOf, AStartTellsWhatACrashHasCutOff) {
  if (!is_persistent()) return;
  const CollectionId dropped = create("dropped");
  EXPECT_TRUE(disk_.set({dropped, "k"}, "v").ok());
  disk_.flush_to_disk();
  // On disk are the manifests that follow, and nothing of what the vbuckets make of them.
  drop("dropped");
  const CollectionId created = create("created");
  crash();
  EXPECT_EQ(disk_.bucket().statistics().items, 0U);
  EXPECT_TRUE(disk_.bucket().fetch({dropped, "k"}, disk_.now()).unknown_collection);
  EXPECT_TRUE(disk_.set({created, "k"}, "v").ok());
  disk_.flush_to_disk();
  const uint16_t vbucket = disk_.bucket().vbucket_of("k");
  std::vector<std::string> told;
  for (const auto& [seqno, event] : disk_.disk().events(vbucket))
    told.push_back(event);
  EXPECT_EQ(told, (std::vector<std::string>{"0:0:8:dropped", "1:0:8:", "0:0:9:created"}));
  EXPECT_EQ(disk_.disk().snapshot(vbucket).size(), 1U);
  // All of that was told: the next start has nothing to add.
  crash();
  disk_.flush_to_disk();
  EXPECT_EQ(disk_.disk().events(vbucket).size(), 3U);
}

TEST_P(CollectionsOf, WhatADiskHasOfADroppedOneIsSuperseded) {
  if (!is_persistent()) return;
  const CollectionId dropped = create("dropped");
  const DocKey key(dropped, "k");
  const uint16_t vbucket = disk_.bucket().vbucket_of(key);
  const uint64_t seqno = disk_.set(key, "v").seqno;
  disk_.flush_to_disk();
  EXPECT_EQ(disk_.bucket().seqno_on_disk(vbucket, key), seqno);
  drop("dropped");
  EXPECT_EQ(disk_.bucket().seqno_on_disk(vbucket, key), seqno);
  EXPECT_EQ(disk_.bucket().seqno_on_disk(vbucket, {dropped, "_"}), std::nullopt);
  disk_.flush_to_disk();
  EXPECT_GT(disk_.bucket().seqno_on_disk(vbucket, key), seqno);
  EXPECT_GT(disk_.bucket().seqno_on_disk(vbucket, {dropped, "_"}), seqno);
  crash();
  EXPECT_GT(disk_.bucket().seqno_on_disk(vbucket, key), seqno);
}

// Random changes of everything against maps.
class Model {
 public:
  Model(Kind kind, uint64_t seed) : kind_(kind), random_(seed), disk_(options_of(kind)) {}

  void run(int steps) {
    for (int i = 0; i < steps && !testing::Test::HasFailure(); ++i)
      step();
    for (const auto& [id, documents] : collections_)
      check(id);
  }

 private:
  using Documents = std::map<std::string, std::string>;

  uint64_t below(uint64_t n) { return random_() % n; }
  std::string some_key() { return "k" + std::to_string(below(30)); }
  CollectionId some_collection() {
    auto at = collections_.begin();
    std::advance(at, below(collections_.size()));
    return at->first;
  }
  void set_manifest(const Manifest::Changed& changed) {
    if (!changed) return;
    manifest_ = *changed;
    tell_manifest();
  }
  void tell_manifest() {
    disk_.bucket().set_manifest(std::make_shared<const Manifest>(manifest_), disk_.now());
    std::erase_if(collections_, [&](const auto& one) { return manifest_.collection(one.first) == nullptr; });
    for (const Collection& collection : manifest_.collections())
      collections_.try_emplace(collection.id);
  }
  void crash() {
    if (kind_ == Kind::cache) return;
    disk_.crash();
    collections_ = on_disk_;
    tell_manifest();
    warm_up_from_ = 0;
  }

  void step() {
    const std::string scope = below(2) == 0 ? "_default" : "s" + std::to_string(below(3));
    const std::string name = "c" + std::to_string(below(4));
    const CollectionId id = some_collection();
    const std::string key = some_key();
    switch (below(24)) {
      case 0:
        return set_manifest(manifest_.with_scope(scope));
      case 1:
        return set_manifest(manifest_.with_collection(scope, name, {}));
      case 2:
        return set_manifest(manifest_.without_collection(scope, name));
      case 3:
        if (below(4) == 0) set_manifest(manifest_.without_scope(scope));
        return;
      case 4:
        disk_.flush_to_disk();
        on_disk_ = collections_;
        return;
      case 5:
        // A cache would forget what the model has.
        if (kind_ != Kind::cache) disk_.evict();
        return;
      case 6:
        if (below(3) == 0) crash();
        return;
      case 7:
        (void)disk_.bucket().sweep_garbage(5, disk_.now());
        return;
      case 8:
        if (below(8) != 0) return;
        disk_.bucket().flush(disk_.now());
        for (auto& [collection, documents] : collections_)
          documents.clear();
        return;
      case 9:
        if (kind_ != Kind::cache && warm_up_from_ < 4)
          disk_.disk().warm_up(disk_.bucket(), warm_up_from_++, disk_.now());
        return;
      case 10:
        return check(id);
      case 11:
      case 12:
      case 13:
        EXPECT_EQ(disk_.remove({id, key}).status == RemoveStatus::removed, collections_[id].erase(key) == 1);
        return;
      case 14:
      case 15:
        EXPECT_EQ(disk_.get({id, key}), collections_[id].contains(key) ? collections_[id][key] : "<miss>");
        return;
      default:
        value_ = std::to_string(++writes_) + std::string(below(100), 'v');
        EXPECT_TRUE(disk_.set({id, key}, value_).ok());
        collections_[id][key] = value_;
    }
  }

  void check(CollectionId id) {
    // Exact when nobody has to be asked whether a key exists.
    disk_.flush_to_disk();
    on_disk_ = collections_;
    uint64_t all = 0;
    auto statistics = disk_.bucket().collection_statistics();
    for (const auto& [collection, documents] : collections_) {
      all += documents.size();
      EXPECT_EQ(statistics[collection].items, documents.size()) << collection;
    }
    EXPECT_EQ(disk_.bucket().statistics().items, all);
    for (int i = 0; i < 30; ++i) {
      const std::string key = "k" + std::to_string(i);
      const auto found = collections_[id].find(key);
      EXPECT_EQ(disk_.get({id, key}), found == collections_[id].end() ? "<miss>" : found->second);
    }
    if (kind_ == Kind::cache) return;
    EXPECT_TRUE(disk_.disk().in_order());
    for (uint16_t vbucket = 0; vbucket < 4; ++vbucket) {
      for (const auto& [stored, record] : disk_.disk().snapshot(vbucket))
        EXPECT_TRUE(collections_.contains(DocKey::parse(stored)->collection()));
      EXPECT_EQ(disk_.disk().state(vbucket)->collections.size(), collections_.size() - 1);
    }
  }

  const Kind kind_;
  std::mt19937_64 random_;
  BucketOnDisk disk_;
  Manifest manifest_;
  std::map<CollectionId, Documents> collections_{{kDefaultCollection, {}}};
  std::map<CollectionId, Documents> on_disk_{{kDefaultCollection, {}}};
  uint16_t warm_up_from_ = 4;
  uint64_t writes_ = 0;
  std::string value_;
};

TEST_P(CollectionsOf, DoWhatMapsDo) {
  const char* const given = std::getenv("BOBBIN_TEST_SEED");
  const uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
  SCOPED_TRACE("BOBBIN_TEST_SEED=" + std::to_string(seed));
  for (uint64_t run = 0; run < 20 && !HasFailure(); ++run)
    Model(GetParam(), seed + run).run(1'500);
}

TEST_P(CollectionsOf, AreMadeAndDroppedWhileOthersWorkOnThem) {
  std::atomic<bool> done{false};
  const auto work = [&](uint64_t seed) {
    std::mt19937_64 random(seed);
    while (!done.load()) {
      const std::string name = "k" + std::to_string(random() % 50);
      const DocKey key(static_cast<CollectionId>(random() % 4 == 0 ? 0 : 8 + random() % 40), name);
      auto draft = disk_.bucket().draft(key, 0, 0, 1, disk_.now());
      ASSERT_TRUE(draft);
      draft->value()[0] = 'v';
      (void)disk_.bucket().store(*draft, StoreMode::set, {}, disk_.now());
      const Fetched found = disk_.bucket().fetch(key, disk_.now());
      if (found) {
        EXPECT_EQ(found.doc->value(), "v");
      }
      if (random() % 8 == 0) (void)disk_.bucket().remove(key, {}, disk_.now());
      if (random() % 32 == 0) (void)disk_.bucket().sweep_garbage(10, disk_.now());
    }
  };
  std::thread one(work, 1);
  std::thread other(work, 2);
  for (int i = 0; i < 20; ++i) {
    create("a" + std::to_string(i));
    create("b" + std::to_string(i));
    disk_.flush_to_disk();
    drop("a" + std::to_string(i));
    if (i >= 3) drop("b" + std::to_string(i - 3));
    if (i == 10) disk_.bucket().flush(disk_.now());
  }
  done.store(true);
  one.join();
  other.join();
  for (int i = 17; i < 20; ++i)
    drop("b" + std::to_string(i));
  disk_.flush_to_disk();
  EXPECT_EQ(disk_.bucket().statistics().items, items(0));
  uint64_t live = 0;
  sweep();
  disk_.bucket().for_each([&](const Peeked& one_document) { return ++live, bool(one_document.doc); },
                          disk_.now());
  EXPECT_EQ(live, items(0));
  EXPECT_TRUE(disk_.disk().in_order());
}

std::string name_of(const testing::TestParamInfo<Kind>& kind) {
  if (kind.param == Kind::cache) return "Cache";
  return kind.param == Kind::value_eviction ? "ValueEviction" : "FullEviction";
}

INSTANTIATE_TEST_SUITE_P(Kinds, CollectionsOf,
                         testing::Values(Kind::cache, Kind::value_eviction, Kind::full_eviction), name_of);

TEST(CollectionEvent, IsReadAsItWasWritten) {
  const CollectionEvent event{EventKind::collection_changed, 0x123456789a, 9, 0xfffffff0, 7, "name"};
  const std::string bytes = encode_event(event);
  EXPECT_EQ(decode_event(bytes), event);
  EXPECT_EQ(decode_event(encode_event({EventKind::scope_dropped, 1, 8})),
            (CollectionEvent{EventKind::scope_dropped, 1, 8}));
}

TEST(CollectionEvent, WhatIsNoneIsNotRead) {
  const std::string bytes = encode_event({EventKind::scope_created, 1, 8, 0, 1, "n"});
  for (size_t size = 0; size < 22; ++size)
    EXPECT_FALSE(decode_event(bytes.substr(0, size)));
  EXPECT_FALSE(decode_event(bytes + std::string(251, 'n')));
  std::string wrong = bytes;
  wrong[0] = 5;
  EXPECT_FALSE(decode_event(wrong));
  wrong = bytes;
  wrong[17] = 2;
  EXPECT_FALSE(decode_event(wrong));
}

}  // namespace
}  // namespace bobbin::store
