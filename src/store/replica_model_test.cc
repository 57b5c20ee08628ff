// Random histories of a source, told to a copy of it with crashes, evictions, late reads and warmups between
// them; the copy is compared with what it was told, exactly. A run is told by its seed: BOBBIN_TEST_SEED
// takes it back.

#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "store/expiry.h"
#include "store/persistence_test_support.h"
#include "store/replica_test_support.h"
#include "store/store_test_support.h"

namespace bobbin::store {
namespace {

constexpr uint16_t kVBuckets = 2;
constexpr int kKeys = 12;
constexpr int kCollections = 3;

BucketOptions options_of(EvictionPolicy policy) {
  BucketOptions options = BucketFixture::small_options();
  options.type = BucketType::persistent;
  options.eviction = policy;
  options.vbuckets = kVBuckets;
  return options;
}

/// One message of a source.
struct Told {
  ChangeKind kind = ChangeKind::none;  ///< none: the seqno has advanced
  uint64_t seqno = 0;
  uint64_t snapshot_start = 0;
  uint64_t snapshot_end = 0;
  std::string key;  // stored
  std::string event;
  FakeDisk::Record record;
};
using History = std::vector<Told>;

/// A bucket that is changed at random, and all it has told, of each life of each vbucket.
class Source {
 public:
  explicit Source(std::mt19937_64& random) : random_(random), disk_(options_of(EvictionPolicy::value)) {
    for (uint16_t vb = 0; vb < kVBuckets; ++vb) {
      cursors_[vb] = disk_.bucket().open_cursor(vb, "copy");
      histories_[vb].emplace_back();
    }
  }

  void step() {
    const auto what = random_() % 100;
    if (what == 0 && random_() % 20 == 0) return disk_.bucket().flush(disk_.now());
    if (what == 1) return change_collections();
    if (what == 2) return (void)disk_.bucket().sweep_expired(100, disk_.now());
    if (what == 3) return disk_.flush_to_disk();
    if (what < 8) return tell(static_cast<uint16_t>(random_() % kVBuckets));
    const std::string name = numbered("k", static_cast<int>(random_() % kKeys));
    const DocKey key(some_collection(), name);
    const uint32_t expiry = random_() % 4 == 0 ? disk_.in(1 + static_cast<uint32_t>(random_() % 6)) : 0;
    if (what < 30) {
      (void)disk_.remove(key);
    } else if (what < 40) {
      (void)disk_.touch(key, expiry);
    } else {
      const std::string value(random_() % 200, static_cast<char>('a' + random_() % 26));
      (void)disk_.set(key, value, expiry, static_cast<uint32_t>(random_() % 9));
    }
  }
  /// Takes all that the vbucket has for its readers, as one snapshot.
  void tell(uint16_t vb) {
    const TakenChanges taken = disk_.bucket().take_changes(vb, cursors_[vb]);
    ASSERT_FALSE(taken.lost || taken.no_memory);
    History said;
    taken.changes.for_each([&](const Change& change) {
      if (change.kind == ChangeKind::flush) {
        histories_[vb].emplace_back();
        said.clear();
        return;
      }
      Told told;
      told.kind = change.kind;
      told.seqno = change.seqno;
      if (change.kind == ChangeKind::event) {
        told.event = change.doc->value();
      } else {
        told.key = change.doc->stored_key();
        told.record = FakeDisk::record_of(change);
        if (!told.record.live && told.record.expiry == 0)
          told.record.expiry = static_cast<uint32_t>(change.seqno) + 1;
        told.record.stale = told.record.token_sent = false;
      }
      said.push_back(std::move(told));
    });
    History& history = histories_[vb].back();
    const uint64_t before = history.empty() ? 0 : history.back().seqno;
    if (taken.to > (said.empty() ? before : said.back().seqno)) {
      said.emplace_back();
      said.back().seqno = taken.to;
    }
    for (Told& told : said) {
      told.snapshot_start = before + 1;
      told.snapshot_end = taken.to;
      history.push_back(std::move(told));
    }
  }

  [[nodiscard]] size_t life(uint16_t vb) const { return histories_.at(vb).size() - 1; }
  [[nodiscard]] const History& history(uint16_t vb, size_t life) const { return histories_.at(vb)[life]; }
  [[nodiscard]] Bucket& bucket() { return disk_.bucket(); }
  [[nodiscard]] base::ManualClock& clock() { return disk_.clock(); }

 private:
  CollectionId some_collection() {
    const auto& all = disk_.bucket().manifest()->collections();
    return all[random_() % all.size()].id;
  }
  void change_collections() {
    const std::string name = numbered("c", static_cast<int>(random_() % kCollections));
    const Manifest before = *disk_.bucket().manifest();
    auto changed = before.with_collection("_default", name, {});
    if (!changed) {
      changed = random_() % 2 == 0 ? before.without_collection("_default", name)
                                   : before.with_max_ttl("_default", name, random_() % 100);
    }
    disk_.bucket().set_manifest(std::make_shared<const Manifest>(*changed), disk_.now());
  }

  std::mt19937_64& random_;
  BucketOnDisk disk_;
  std::map<uint16_t, ChangeLog::CursorId> cursors_;
  std::map<uint16_t, std::vector<History>> histories_;
};

class Copy {
 public:
  Copy(EvictionPolicy policy, Source& source, std::mt19937_64& random)
      : policy_(policy), source_(source), random_(random), disk_(options_of(policy)) {
    for (uint16_t vb = 0; vb < kVBuckets; ++vb)
      bucket().follow(vb, disk_.now());
    // The states of the start reserve seqnos.
    disk_.flush_to_disk();
    keep_manifests();
  }

  void step() {
    const auto vb = static_cast<uint16_t>(random_() % kVBuckets);
    switch (random_() % 16) {
      case 0:
        return disk_.evict();
      case 1:
        return take(vb);
      case 2:
        return commit(vb);
      case 3:
        return flush(vb);
      case 4:
        return begin_read();
      case 5:
        return deliver_read();
      case 6:
        return warm_some(vb);
      case 7:
        if (random_() % 15 == 0) crash();
        return;
      case 8:
        return intrude();
      case 9:
        return check_some(vb);
      default:
        return follow(vb, 1 + random_() % 8);
    }
  }
  void follow_all() {
    for (uint16_t vb = 0; vb < kVBuckets; ++vb) {
      source_.tell(vb);
      follow(vb, kAll);
    }
  }
  /// What it has is what it was told.
  void check() {
    uint64_t items = 0;
    for (uint16_t vb = 0; vb < kVBuckets; ++vb) {
      commit(vb);
      flush(vb);
      const auto expected = folded(vb);
      for (const auto& [key, told] : expected) {
        check_key(*DocKey::parse(key), &told);
        items += told.record.live ? 1 : 0;
      }
      check_disk(vb, expected);
    }
    ASSERT_EQ(bucket().statistics().items, items);
    ASSERT_EQ(bucket().dirty_bytes(), 0U);
    ASSERT_EQ(bucket().unsaved_clears(), 0U);
    ASSERT_TRUE(disk_.disk().in_order());
  }
  [[nodiscard]] Bucket& bucket() { return disk_.bucket(); }
  [[nodiscard]] base::ManualClock& clock() { return disk_.clock(); }

 private:
  static constexpr size_t kAll = SIZE_MAX;
  struct At {
    size_t life = 0;
    uint64_t seqno = 0;
  };
  struct Read {
    std::string key;
    LoadTicket ticket;
    std::optional<FakeDisk::Record> record;
  };

  void keep_manifests() {
    bucket().set_manifest_keeper([this](const Manifest& manifest) {
      manifest_ = manifest;
      return true;
    });
  }
  void follow(uint16_t vb, size_t messages) {
    if (at_[vb].life != source_.life(vb)) {
      ASSERT_TRUE(bucket().clear(vb, disk_.now()));
      at_[vb] = {source_.life(vb), 0};
      if (messages != kAll && random_() % 3 == 0) return;
    }
    ASSERT_EQ(bucket().high_seqno(vb), at_[vb].seqno);
    ASSERT_EQ(bucket().adopt_failover(vb, source_.bucket().failover_log(vb)), ReplicaStatus::applied);
    const History& history = source_.history(vb, at_[vb].life);
    check_position(vb, history);
    for (const Told& told : history) {
      if (told.seqno <= at_[vb].seqno) continue;
      if (messages-- == 0) return;
      if (bucket().replica_facts(vb).snapshot.end != told.snapshot_end) {
        ASSERT_EQ(bucket().begin_snapshot(vb, {told.snapshot_start, told.snapshot_end, false}),
                  ReplicaStatus::applied);
      }
      ASSERT_EQ(apply(vb, told), ReplicaStatus::applied) << told.seqno;
      at_[vb].seqno = told.seqno;
    }
  }
  /// The copy is in the middle of a snapshot if and only if it says so.
  void check_position(uint16_t vb, const History& history) {
    const ReplicaPosition position = bucket().replica_facts(vb).position();
    ASSERT_EQ(position.seqno, at_[vb].seqno);
    const Told* last = nullptr;
    for (const Told& told : history)
      if (told.seqno <= position.seqno) last = &told;
    if (last == nullptr || last->seqno == last->snapshot_end) {
      ASSERT_EQ(position.snapshot_start, position.seqno);
      ASSERT_EQ(position.snapshot_end, position.seqno);
    } else {
      ASSERT_EQ(position.snapshot_start, last->snapshot_start - 1);
      ASSERT_EQ(position.snapshot_end, last->snapshot_end);
    }
  }
  ReplicaStatus apply(uint16_t vb, const Told& told) {
    if (told.kind == ChangeKind::none) return bucket().advance_seqno(vb, told.seqno);
    if (told.kind == ChangeKind::event)
      return bucket().apply_event(vb, decode_event(told.event).value(), told.seqno, disk_.now());
    const FakeDisk::Record& record = told.record;
    const DocKey key = *DocKey::parse(told.key);
    ReplicaChange change{told.seqno, record.cas, record.revision, 0, record.expired};
    if (record.live) {
      return apply_document(bucket(), key, record.value, change,
                            {record.flags, record.expiry, record.datatype}, disk_.now());
    }
    change.deleted_s = record.expiry;
    if (record.deleted) return apply_attributes(bucket(), key, record.value, change, disk_.now());
    return bucket().apply_removal(key, change, disk_.now());
  }

  /// What it was told last of each key that is not gone with its collection.
  std::map<std::string, Told> folded(uint16_t vb) {
    std::map<std::string, Told> documents;
    for (const Told& told : source_.history(vb, at_[vb].life)) {
      if (told.seqno > at_[vb].seqno) break;
      if (told.kind == ChangeKind::event) {
        const auto event = decode_event(told.event).value();
        if (event.kind != EventKind::collection_dropped) continue;
        std::erase_if(documents, [&](const auto& one) {
          return DocKey::parse(one.first)->collection() == event.collection;
        });
      } else if (told.kind != ChangeKind::none) {
        documents[told.key] = told;
      }
    }
    return documents;
  }
  void check_key(DocKey key, const Told* told) {
    const bool is_there =
        told != nullptr && told->record.live && !is_expired(told->record.expiry, disk_.now().unix_s());
    const Fetched found = disk_.fetch(key, {.cannot_win = true});
    ASSERT_EQ(static_cast<bool>(found), is_there) << key.name();
    if (!found) return;
    FakeDisk::Record there;
    there.live = true;
    there.seqno = found.doc->seqno();
    there.cas = found.doc->cas();
    there.revision = found.doc->revision();
    there.flags = found.doc->flags();
    there.expiry = found.expiry;
    there.datatype = found.doc->datatype();
    there.value = found.doc->value();
    ASSERT_EQ(there, told->record) << key.name();
  }
  void check_some(uint16_t vb) {
    const auto expected = folded(vb);
    const std::string name = numbered("k", static_cast<int>(random_() % kKeys));
    if (bucket().vbucket_of(name) != vb) return;
    const auto at = expected.find(DocKey(name).stored());
    check_key(name, at == expected.end() ? nullptr : &at->second);
  }
  void check_disk(uint16_t vb, const std::map<std::string, Told>& expected) {
    const FakeDisk::Documents documents = disk_.disk().snapshot(vb);
    uint64_t items = 0;
    for (const auto& [key, told] : expected) {
      const auto at = documents.find(key);
      ASSERT_TRUE(at != documents.end());
      ASSERT_EQ(at->second, told.record) << "seqno " << at->second.seqno << "/" << told.record.seqno;
      items += told.record.live ? 1 : 0;
    }
    ASSERT_EQ(documents.size(), expected.size());
    const VBucketState state = disk_.disk().state(vb).value();
    ASSERT_EQ(state.items, items);
    ASSERT_EQ(state.high_seqno, at_[vb].seqno);
    ASSERT_EQ(state.reserved_seqno, state.high_seqno);
    ASSERT_TRUE(state.follows);
  }

  void take(uint16_t vb) {
    if (held_.contains(vb)) return;
    held_.emplace(vb, bucket().take_log(vb, disk_.now()));
    taken_at_[vb] = at_[vb];
  }
  void commit(uint16_t vb) {
    const auto at = held_.find(vb);
    if (at == held_.end()) return;
    const PriorsFound priors = disk_.disk().commit(at->second);
    persisted_at_[vb] = taken_at_[vb];
    if (random_() % 2 == 0) begin_read();
    bucket().persisted(at->second, priors);
    held_.erase(at);
  }
  void flush(uint16_t vb) {
    if (held_.contains(vb)) return;
    take(vb);
    commit(vb);
  }
  void begin_read() {
    Read read;
    const auto vb = static_cast<uint16_t>(random_() % kVBuckets);
    const FakeDisk::Documents documents = disk_.disk().snapshot(vb);
    if (documents.empty()) return;
    read.key = std::next(documents.begin(), static_cast<std::ptrdiff_t>(random_() % documents.size()))->first;
    read.ticket = bucket().begin_load(vb);
    read.record = disk_.disk().read(vb, *DocKey::parse(read.key));
    reads_.push_back(std::move(read));
  }
  void deliver_read() {
    if (reads_.empty()) return;
    const size_t which = random_() % reads_.size();
    const Read read = std::move(reads_[which]);
    reads_.erase(reads_.begin() + static_cast<std::ptrdiff_t>(which));
    ASSERT_NE(FakeDisk::deliver(bucket(), *DocKey::parse(read.key), read.record, read.ticket,
                                LoadPurpose::fetch, disk_.now())
                  .status,
              LoadStatus::missing);
  }
  void warm_some(uint16_t vb) {
    const auto at = cold_.find(vb);
    if (at == cold_.end()) return;
    auto& [ticket, documents] = at->second;
    for (int i = 0; i < 3 && !documents.empty(); ++i) {
      const auto entry = documents.extract(documents.begin());
      if (!entry.mapped().live && !entry.mapped().deleted) continue;
      (void)FakeDisk::deliver(bucket(), *DocKey::parse(entry.key()), entry.mapped(), ticket,
                              LoadPurpose::warmup, disk_.now(),
                              policy_ == EvictionPolicy::value && random_() % 3 == 0);
    }
    if (!documents.empty()) return;
    bucket().finish_warmup(vb, true);
    cold_.erase(at);
  }
  void crash() {
    held_.clear();
    reads_.clear();
    disk_.crash();
    keep_manifests();
    bucket().restore_manifest(std::make_shared<const Manifest>(manifest_));
    bucket().set_manifest(std::make_shared<const Manifest>(manifest_), disk_.now());
    for (uint16_t vb = 0; vb < kVBuckets; ++vb) {
      at_[vb] = persisted_at_[vb];
      ASSERT_EQ(bucket().high_seqno(vb), at_[vb].seqno);
      ASSERT_TRUE(bucket().follows(vb) || at_[vb].seqno == 0);
      bucket().follow(vb, disk_.now());
      cold_[vb] = {bucket().begin_load(vb), disk_.disk().snapshot(vb)};
    }
  }
  /// Whatever others do, it stays as it is.
  void intrude() {
    const std::string key = numbered("k", static_cast<int>(random_() % kKeys));
    switch (random_() % 6) {
      case 0:
        ASSERT_EQ(disk_.set(key, "mine").status, StoreStatus::no_memory);
        return;
      case 1:
        ASSERT_NE(disk_.remove(key).status, RemoveStatus::removed);
        return;
      case 2:
        ASSERT_NE(disk_.touch(key, disk_.in(100)), TouchStatus::touched);
        return;
      case 3:
        return bucket().flush(disk_.now());
      case 4:
        return (void)bucket().sweep_expired(50, disk_.now());
      default:
        while (bucket().sweep_garbage(50, disk_.now()))
          continue;
    }
  }

  const EvictionPolicy policy_;
  Source& source_;
  std::mt19937_64& random_;
  BucketOnDisk disk_;
  Manifest manifest_;
  std::map<uint16_t, At> at_;
  std::map<uint16_t, At> taken_at_;
  std::map<uint16_t, At> persisted_at_;
  std::map<uint16_t, FlushBatch> held_;
  std::vector<Read> reads_;
  std::map<uint16_t, std::pair<LoadTicket, FakeDisk::Documents>> cold_;
};

void run(EvictionPolicy policy) {
  const char* const given = std::getenv("BOBBIN_TEST_SEED");
  const uint64_t first = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
  const int runs = given != nullptr ? 1 : 4;
  for (int i = 0; i < runs && !testing::Test::HasFatalFailure(); ++i) {
    const uint64_t seed = first + static_cast<uint64_t>(i);
    SCOPED_TRACE("BOBBIN_TEST_SEED=" + std::to_string(seed));
    std::mt19937_64 random(seed);
    Source source(random);
    Copy copy(policy, source, random);
    for (int step = 0; step < 6000 && !testing::Test::HasFatalFailure(); ++step) {
      if (random() % 2 == 0) source.step();
      if (random() % 50 == 0) {
        source.clock().advance_s(1);
        copy.clock().advance_s(1);
      }
      copy.step();
      if (step % 1000 == 999 && !testing::Test::HasFatalFailure()) copy.check();
    }
    if (testing::Test::HasFatalFailure()) return;
    copy.follow_all();
    copy.check();
    ASSERT_EQ(copy.bucket().manifest()->json(), source.bucket().manifest()->json());
  }
}

TEST(ReplicaModel, ValueEvictionIsAsItWasTold) {
  run(EvictionPolicy::value);
}

TEST(ReplicaModel, FullEvictionIsAsItWasTold) {
  run(EvictionPolicy::full);
}

}  // namespace
}  // namespace bobbin::store
