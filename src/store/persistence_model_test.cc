// Random operations against a map, with random flushes, evictions, late reads, restarts and warmups between
// them. A run is told by its seed: BOBBIN_TEST_SEED takes it back.

#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "store/persistence_test_support.h"
#include "store/store_test_support.h"

namespace bobbin::store {
namespace {

uint64_t seed_of_run() {
  const char* const given = std::getenv("BOBBIN_TEST_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
}

struct Item {
  std::string value;
  uint32_t flags = 0;
  uint32_t expiry = 0;
  uint64_t cas = 0;
  uint64_t seqno = 0;
  uint64_t revision = 0;
  bool stale = false;
  friend bool operator==(const Item&, const Item&) = default;
};
using Items = std::map<std::string, Item>;

constexpr uint32_t kVBuckets = 4;

BucketOptions options_of(EvictionPolicy policy) {
  BucketOptions options = BucketFixture::small_options();
  options.type = BucketType::persistent;
  options.eviction = policy;
  options.vbuckets = kVBuckets;
  return options;
}

class Model {
 public:
  Model(EvictionPolicy policy, uint64_t seed, bool expires)
      : policy_(policy), expires_(expires), random_(seed), disk_(options_of(policy)) {
    open_cursors();
  }

  void step() {
    switch (random_() % 40) {
      case 0:
        return disk_.evict();
      case 1:
      case 2:
        return flush_one();
      case 3:
        return take_one();
      case 4:
        return commit_one();
      case 5:
      case 6:
        return begin_read();
      case 7:
      case 8:
        return deliver_read();
      case 9:
        if (expires_ && random_() % 4 == 0) disk_.clock().advance_s(1);
        return;
      case 10:
        if (random_() % 30 == 0) flush_all();
        return;
      case 11:
        if (random_() % 20 == 0) restart();
        return;
      case 12:
      case 13:
        return warm_some();
      case 14:
        (void)disk_.bucket().sweep_expired(50, disk_.now());
        return;
      case 15:
        return replicate();
      default:
        return operate();
    }
  }

  void check_everything() {
    for (int i = 0; i < kKeys; ++i)
      check(key_of(i));
    for (uint16_t vb = 0; vb < kVBuckets; ++vb) {
      commit(vb);
      flush(vb);
    }
    ASSERT_TRUE(disk_.disk().in_order());
    ASSERT_EQ(disk_.bucket().dirty_bytes(), 0U);
    ASSERT_EQ(disk_.bucket().statistics().dirty_items, 0U);
    if (!expires_) {
      ASSERT_EQ(disk_.bucket().statistics().items, items_.size());
      uint64_t on_disk = 0;
      for (uint16_t vb = 0; vb < kVBuckets; ++vb)
        on_disk += disk_.disk().state(vb)->items;
      ASSERT_EQ(on_disk, items_.size());
    }
    check_replica();
    for (const auto& [key, item] : live_items()) {
      const auto record = disk_.disk().read(disk_.bucket().vbucket_of(key), key);
      ASSERT_TRUE(record) << key;
      const Item there{record->value, record->flags,    record->expiry, record->cas,
                       record->seqno, record->revision, record->stale};
      ASSERT_EQ(there, item) << key;
    }
  }

 private:
  static constexpr int kKeys = 60;

  struct Read {
    std::string key;
    LoadTicket ticket;
    std::optional<FakeDisk::Record> record;
  };
  struct Warmup {
    LoadTicket ticket;
    FakeDisk::Documents documents;
    FakeDisk::Documents::const_iterator next;
  };

  static std::string key_of(int number) { return numbered("key", number); }
  std::string some_key() { return key_of(static_cast<int>(random_() % kKeys)); }
  bool is_gone(const Item& item) const { return item.expiry != 0 && item.expiry <= disk_.now().unix_s(); }
  Item* find(const std::string& key) {
    const auto at = items_.find(key);
    if (at != items_.end() && is_gone(at->second)) items_.erase(at);
    const auto found = items_.find(key);
    return found == items_.end() ? nullptr : &found->second;
  }
  Items live_items() const {
    Items live;
    for (const auto& [key, item] : items_) {
      if (!is_gone(item)) live.insert({key, item});
    }
    return live;
  }

  void check(const std::string& key) {
    const Item* const expected = find(key);
    const Fetched found = disk_.fetch(key, {.cannot_win = true});
    ASSERT_EQ(static_cast<bool>(found), expected != nullptr) << key;
    if (!found) return;
    const Item there{std::string(found.doc->value()),
                     found.doc->flags(),
                     found.expiry,
                     found.doc->cas(),
                     found.doc->seqno(),
                     found.doc->revision(),
                     found.stale};
    ASSERT_EQ(there, *expected) << key << " value " << there.value.size() << "/" << expected->value.size()
                                << " seqno " << there.seqno << "/" << expected->seqno << " revision "
                                << there.revision << "/" << expected->revision;
  }
  /// Notes what a change has left, and that its numbers are new.
  void changed(const std::string& key, uint64_t seqno, uint64_t revision, bool new_cas = true) {
    const uint16_t vb = disk_.bucket().vbucket_of(key);
    ASSERT_GT(seqno, last_seqno_[vb]) << key;
    last_seqno_[vb] = seqno;
    ASSERT_GT(revision, revisions_[vb][key]) << key;
    revisions_[vb][key] = revision;
    Item* const item = find(key);
    if (item == nullptr) return;
    const auto seen = disk_.peek(key);
    ASSERT_TRUE(seen && seen->doc) << key;
    ASSERT_EQ(seen->doc->seqno(), seqno);
    if (new_cas) {
      ASSERT_GT(seen->doc->cas(), last_cas_[vb]) << key;
      last_cas_[vb] = seen->doc->cas();
    } else {
      ASSERT_EQ(seen->doc->cas(), item->cas);
    }
    item->cas = seen->doc->cas();
    item->seqno = seqno;
    ASSERT_EQ(seen->doc->revision(), revision) << key;
    item->revision = revision;
    item->stale = seen->stale;
  }
  std::string some_value() { return std::string(random_() % 300, static_cast<char>('a' + random_() % 26)); }
  uint32_t some_expiry() {
    return expires_ && random_() % 3 == 0 ? disk_.in(1 + static_cast<uint32_t>(random_() % 5)) : 0;
  }

  void operate() {
    const std::string key = some_key();
    switch (random_() % 10) {
      case 0:
      case 1:
        return store(key, StoreMode::set);
      case 2:
        return store(key, StoreMode::add);
      case 3:
        return store(key, StoreMode::replace);
      case 4:
        return extend(key);
      case 5:
        return remove(key);
      case 6:
        return touch(key);
      case 7:
        return mark_stale(key);
      case 8:
        return compare(key);
      default:
        return check(key);
    }
  }
  void store(const std::string& key, StoreMode mode) {
    const bool present = find(key) != nullptr;
    Item next;
    next.value = some_value();
    next.flags = static_cast<uint32_t>(random_() % 1000);
    next.expiry = some_expiry();
    const StoreResult result = disk_.put(mode, key, next.value, {}, next.expiry, next.flags);
    const bool stores = mode == StoreMode::set || (mode == StoreMode::add) != present;
    ASSERT_EQ(result.status, stores ? StoreStatus::stored : StoreStatus::not_stored) << key;
    if (!stores) return;
    items_[key] = next;
    changed(key, result.seqno, result.revision);
  }
  void compare(const std::string& key) {
    Item* const item = find(key);
    const uint64_t cas = item == nullptr ? 1 : item->cas + random_() % 2;
    const std::string value = some_value();
    const StoreResult result = disk_.put(StoreMode::cas, key, value, {.cas_compare = cas});
    if (item == nullptr) {
      ASSERT_EQ(result.status, StoreStatus::not_found) << key;
      return;
    }
    ASSERT_EQ(result.status, cas == item->cas ? StoreStatus::stored : StoreStatus::exists) << key;
    if (!result.ok()) return;
    *item = Item{};
    item->value = value;
    changed(key, result.seqno, result.revision);
  }
  void extend(const std::string& key) {
    Item* const item = find(key);
    const StoreResult result = disk_.put(StoreMode::append, key, "+");
    ASSERT_EQ(result.ok(), item != nullptr) << key;
    if (item == nullptr) return;
    item->value += "+";
    changed(key, result.seqno, result.revision);
  }
  void remove(const std::string& key) {
    const bool present = find(key) != nullptr;
    const RemoveResult result = disk_.remove(key);
    ASSERT_EQ(result.status, present ? RemoveStatus::removed : RemoveStatus::not_found) << key;
    if (!present) return;
    items_.erase(key);
    changed(key, result.seqno, result.revision);
  }
  void touch(const std::string& key) {
    Item* const item = find(key);
    const uint32_t expiry = some_expiry();
    const Fetched found = disk_.fetch(key, {.touch = expiry, .cannot_win = true});
    ASSERT_EQ(static_cast<bool>(found), item != nullptr) << key;
    if (item == nullptr) return;
    ASSERT_EQ(found.published, item->expiry != expiry);
    item->expiry = expiry;
    if (found.published) changed(key, found.doc->seqno(), found.doc->revision(), false);
  }
  void mark_stale(const std::string& key) {
    Item* const item = find(key);
    const RemoveResult result = disk_.remove(key, {.mark_stale = true});
    ASSERT_EQ(result.status, item != nullptr ? RemoveStatus::removed : RemoveStatus::not_found) << key;
    if (item != nullptr) changed(key, result.seqno, result.revision);
  }

  // -- the disk -----------------------------------------------------------------------------------------

  uint16_t some_vbucket() { return static_cast<uint16_t>(random_() % kVBuckets); }
  /// What a restart has when the changes of a vbucket up to here are on disk.
  void note_taken(uint16_t vb) {
    taken_items_[vb].clear();
    taken_revisions_[vb] = revisions_[vb];
    for (const auto& [key, item] : items_) {
      if (disk_.bucket().vbucket_of(key) == vb) taken_items_[vb].insert({key, item});
    }
  }
  void take_one() {
    const uint16_t vb = some_vbucket();
    if (held_.contains(vb)) return;
    held_.emplace(vb, disk_.bucket().take_log(vb, disk_.now()));
    note_taken(vb);
  }
  void commit(uint16_t vb) {
    const auto at = held_.find(vb);
    if (at == held_.end()) return;
    const PriorsFound priors = disk_.disk().commit(at->second);
    persisted_items_[vb] = taken_items_[vb];
    persisted_revisions_[vb] = taken_revisions_[vb];
    // A crash between the two would be seen by nobody; reads may come in between.
    if (random_() % 2 == 0) begin_read();
    disk_.bucket().persisted(at->second, priors);
    held_.erase(at);
  }
  void commit_one() { commit(some_vbucket()); }
  void flush(uint16_t vb) {
    if (held_.contains(vb)) return;
    disk_.disk().flush(disk_.bucket(), vb, disk_.now());
    note_taken(vb);
    persisted_items_[vb] = taken_items_[vb];
    persisted_revisions_[vb] = taken_revisions_[vb];
  }
  void flush_one() { flush(some_vbucket()); }
  void flush_all() {
    // What a flush takes from the disk, nobody can learn there any more.
    for (uint16_t vb = 0; vb < kVBuckets; ++vb) {
      if (disk_.bucket().lacks_revisions(vb)) return;
    }
    flushed_ = true;
    disk_.bucket().flush(disk_.now());
    items_.clear();
    while (disk_.bucket().sweep_garbage(1000, disk_.now())) {
    }
  }
  void begin_read() {
    Read read;
    read.key = some_key();
    const uint16_t vb = disk_.bucket().vbucket_of(read.key);
    read.ticket = disk_.bucket().begin_load(vb);
    read.record = disk_.disk().read_any(vb, read.key);
    reads_.push_back(std::move(read));
  }
  void deliver_read() {
    if (reads_.empty()) return;
    const size_t which = random_() % reads_.size();
    const Read read = std::move(reads_[which]);
    reads_.erase(reads_.begin() + static_cast<std::ptrdiff_t>(which));
    const LoadStatus status =
        FakeDisk::deliver(disk_.bucket(), read.key, read.record, read.ticket, LoadPurpose::fetch, disk_.now())
            .status;
    ASSERT_NE(status, LoadStatus::missing) << read.key;
    if (random_() % 2 == 0) check(read.key);
  }
  void warm_some() {
    const uint16_t vb = some_vbucket();
    const auto at = warmups_.find(vb);
    if (at == warmups_.end()) return;
    Warmup& warmup = at->second;
    for (int i = 0; i < 5 && warmup.next != warmup.documents.end(); ++i, ++warmup.next) {
      const auto& [key, record] = *warmup.next;
      if (!record.live) continue;
      const bool metadata_only = policy_ == EvictionPolicy::value && random_() % 3 == 0;
      const Loaded loaded = FakeDisk::deliver(disk_.bucket(), *DocKey::parse(key), record, warmup.ticket,
                                              LoadPurpose::warmup, disk_.now(), metadata_only);
      if (loaded.status == LoadStatus::read_again) {
        (void)disk_.disk().fetch(disk_.bucket(), *DocKey::parse(key), disk_.now(), LoadPurpose::warmup);
      }
    }
    if (warmup.next != warmup.documents.end()) return;
    disk_.disk().learn(disk_.bucket(), vb);
    disk_.bucket().finish_warmup(vb, policy_ == EvictionPolicy::value || random_() % 2 == 0);
    warmups_.erase(at);
  }
  void restart() {
    held_.clear();
    reads_.clear();
    warmups_.clear();
    // As if an older program had been here.
    for (uint16_t vb = 0; vb < kVBuckets; ++vb) {
      if (random_() % 8 == 0 && !flushed_) disk_.disk().forget_revisions(vb);
    }
    disk_.crash();
    items_.clear();
    for (uint16_t vb = 0; vb < kVBuckets; ++vb) {
      items_.insert(persisted_items_[vb].begin(), persisted_items_[vb].end());
      revisions_[vb] = persisted_revisions_[vb];
      Warmup& warmup = warmups_[vb];
      warmup.ticket = disk_.bucket().begin_load(vb);
      warmup.documents = disk_.disk().snapshot(vb);
      warmup.next = warmup.documents.begin();
    }
    open_cursors();
    replica_.clear();
    for (const auto& [key, item] : items_)
      replica_[disk_.bucket().vbucket_of(key)][key] = item.seqno;
    if (random_() % 2 == 0) {
      for (int i = 0; i < kKeys; ++i)
        check(key_of(i));
    }
  }

  // -- another reader of the changes --------------------------------------------------------------------

  void open_cursors() {
    for (uint16_t vb = 0; vb < kVBuckets; ++vb)
      cursors_[vb] = disk_.bucket().open_cursor(vb, "replica");
  }
  void replicate() {
    const uint16_t vb = some_vbucket();
    replicate(vb);
  }
  void replicate(uint16_t vb) {
    const TakenChanges taken = disk_.bucket().take_changes(vb, cursors_[vb]);
    ASSERT_FALSE(taken.lost);
    taken.changes.for_each([&](const Change& change) {
      if (change.kind == ChangeKind::flush) {
        replica_[vb].clear();
      } else if (change.kind == ChangeKind::mutation) {
        replica_[vb][std::string(change.doc->key())] = change.seqno;
      } else {
        replica_[vb].erase(std::string(change.doc->key()));
      }
    });
  }
  void check_replica() {
    for (uint16_t vb = 0; vb < kVBuckets; ++vb) {
      replicate(vb);
      std::map<std::string, uint64_t> seqnos = replica_[vb];
      for (const auto& [key, item] : live_items()) {
        if (disk_.bucket().vbucket_of(key) != vb) continue;
        ASSERT_EQ(seqnos[key], item.seqno) << key;
      }
    }
  }

  const EvictionPolicy policy_;
  const bool expires_;
  std::mt19937_64 random_;
  BucketOnDisk disk_;
  Items items_;
  /// By vbucket and key, the latest that somebody was told of: none is ever below it, whatever has become of
  /// the document.
  using Revisions = std::map<uint16_t, std::map<std::string, uint64_t>>;
  Revisions revisions_;
  Revisions taken_revisions_;
  Revisions persisted_revisions_;
  bool flushed_ = false;
  std::map<uint16_t, Items> taken_items_;
  std::map<uint16_t, Items> persisted_items_;
  std::map<uint16_t, FlushBatch> held_;
  std::vector<Read> reads_;
  std::map<uint16_t, Warmup> warmups_;
  std::map<uint16_t, ChangeLog::CursorId> cursors_;
  std::map<uint16_t, std::map<std::string, uint64_t>> replica_;
  std::map<uint16_t, uint64_t> last_seqno_;
  std::map<uint16_t, uint64_t> last_cas_;
};

void run(EvictionPolicy policy) {
  const uint64_t first = seed_of_run();
  const int runs = std::getenv("BOBBIN_TEST_SEED") != nullptr ? 1 : 10;
  for (int i = 0; i < runs && !testing::Test::HasFatalFailure(); ++i) {
    const uint64_t seed = first + static_cast<uint64_t>(i);
    SCOPED_TRACE("BOBBIN_TEST_SEED=" + std::to_string(seed));
    Model model(policy, seed, seed % 2 == 0);
    for (int step = 0; step < 6000 && !testing::Test::HasFatalFailure(); ++step) {
      model.step();
      if (step % 1500 == 1499 && !testing::Test::HasFatalFailure()) model.check_everything();
    }
  }
}

TEST(PersistenceModel, ValueEvictionKeepsToTheModel) {
  run(EvictionPolicy::value);
}

TEST(PersistenceModel, FullEvictionKeepsToTheModel) {
  run(EvictionPolicy::full);
}

}  // namespace
}  // namespace bobbin::store
