// Collections of a bucket on disk: what survives, what a drop leaves, what backups and checks know.

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "disk/backup.h"
#include "disk/check.h"
#include "disk/manifest_file.h"
#include "disk/persistence_fixture.h"
#include "disk/restore.h"
#include "store/collection_event.h"

namespace bobbin::disk {
namespace {

using store::CollectionId;
using store::Manifest;

class CollectionsOnDisk : public testing::TestWithParam<store::EvictionPolicy> {
 protected:
  void SetUp() override {
    fixture_.options().bucket.eviction = GetParam();
    fixture_.start_warm();
  }
  /// As the server does: on disk first.
  void set(const Manifest& manifest) {
    ASSERT_TRUE(fixture_.there().save_manifest(manifest));
    fixture_.bucket().set_manifest(std::make_shared<const Manifest>(manifest), fixture_.now());
  }
  Manifest now() { return *fixture_.bucket().manifest(); }
  CollectionId create(const std::string& name) {
    set(now().with_collection("_default", name, {}).value());
    return now().collection("_default", name)->id;
  }
  void drop(const std::string& name) { set(now().without_collection("_default", name).value()); }
  uint64_t items(CollectionId id) { return fixture_.bucket().collection_statistics()[id].items; }
  void fill(CollectionId id, int documents) {
    for (int i = 0; i < documents; ++i)
      ASSERT_TRUE(fixture_.set({id, "k" + std::to_string(i)}, "v" + std::to_string(id)).ok());
  }
  [[nodiscard]] const std::string& path() { return fixture_.options().directory.path; }
  /// Of a directory that nobody has.
  static ContentCheck checked(const std::string& path) {
    auto report = check_directory(path);
    EXPECT_TRUE(report) << report.error().message;
    if (!report) return {};
    for (const Finding& finding : report->content.findings)
      ADD_FAILURE() << finding.where << ": " << finding.what;
    return report->content;
  }
  std::vector<store::EventKind> events(uint16_t vbucket) {
    const auto reader = fixture_.there().directory().shard(vbucket % 2).read_seqnos(vbucket, 0, kMaxSeqno);
    std::vector<store::EventKind> kinds;
    for (auto run = reader->next_run(100, 1 << 20); run && !run->empty();
         run = reader->next_run(100, 1 << 20)) {
      for (const SeqnoItem& item : *run) {
        if (item.kind == RecordKind::event) kinds.push_back(store::decode_event(item.event)->kind);
      }
    }
    return kinds;
  }

  PersistenceFixture fixture_;
};

TEST_P(CollectionsOnDisk, SurviveRestartsAndCrashes) {
  const CollectionId kept = create("kept");
  const CollectionId dropped = create("dropped");
  fill(kept, 50);
  fill(dropped, 50);
  fill(0, 10);
  fixture_.restart();
  fixture_.wait_for_warmup();
  EXPECT_EQ(now().uid(), 2U);
  EXPECT_EQ(items(dropped), 50U);
  fixture_.evict();
  drop("dropped");
  fixture_.flush_to_disk();
  fixture_.crash();
  fixture_.start();
  EXPECT_EQ(items(kept), 50U);
  EXPECT_EQ(items(0), 10U);
  EXPECT_EQ(fixture_.items(), 60U);
  EXPECT_EQ(fixture_.get({kept, "k7"}), "v" + std::to_string(kept));
  EXPECT_TRUE(fixture_.bucket().fetch({dropped, "k7"}, fixture_.now()).unknown_collection);
  fixture_.close();
  const ContentCheck content = checked(path());
  EXPECT_EQ(content.documents, 60U);
  EXPECT_EQ(content.events, 16U * 3);
}

TEST_P(CollectionsOnDisk, AnIdIsNeverGivenOutAgain) {
  const CollectionId first = create("c");
  drop("c");
  fixture_.crash();
  fixture_.start();
  EXPECT_EQ(create("c"), first + 1);
}

TEST_P(CollectionsOnDisk, AStartMendsWhatTheLastEndHasLeftUndone) {
  const CollectionId dropped = create("dropped");
  fill(dropped, 40);
  fixture_.flush_to_disk();
  const Manifest later = now().without_collection("_default", "dropped").value().with_scope("s").value();
  ASSERT_TRUE(fixture_.there().save_manifest(later));
  fixture_.crash();
  fixture_.start();
  EXPECT_EQ(now(), later);
  EXPECT_EQ(fixture_.items(), 0U);
  fixture_.flush_to_disk();
  using store::EventKind;
  EXPECT_EQ(events(5), (std::vector{EventKind::collection_created, EventKind::collection_dropped,
                                    EventKind::scope_created}));
  fixture_.restart();
  EXPECT_EQ(events(5).size(), 3U);
  fixture_.close();
  EXPECT_EQ(checked(path()).documents, 0U);
}

TEST_P(CollectionsOnDisk, ACompactionDropsWhatTheIndexHasOfADroppedOne) {
  const CollectionId kept = create("kept");
  fill(create("dropped"), 100);
  fill(kept, 10);
  drop("dropped");
  fixture_.flush_to_disk();
  // All of it is in logs.
  fixture_.crash();
  fixture_.start_warm();
  for (const uint32_t shard : {0U, 1U})
    ASSERT_TRUE(const_cast<Directory&>(fixture_.there().directory()).shard(shard).compact());
  using store::EventKind;
  EXPECT_EQ(events(3), (std::vector{EventKind::collection_created, EventKind::collection_dropped}));
  fixture_.close();
  const ContentCheck content = checked(path());
  EXPECT_EQ(content.stale_entries, 0U);
  EXPECT_EQ(content.documents, 10U);
}

TEST_P(CollectionsOnDisk, AFlushLeavesThemWithoutDocuments) {
  const CollectionId kept = create("kept");
  create("dropped");
  fill(kept, 20);
  drop("dropped");
  fixture_.flush_all();
  fill(kept, 5);
  fixture_.flush_to_disk();
  fixture_.crash();
  fixture_.start();
  EXPECT_EQ(items(kept), 5U);
  fixture_.close();
  EXPECT_EQ(checked(path()).documents, 5U);
}

TEST_P(CollectionsOnDisk, GoIntoBackups) {
  const CollectionId kept = create("kept");
  set(now().with_scope("s").value());
  fill(kept, 20);
  fixture_.flush_to_disk();
  const TemporaryFolder folder;
  BackupOptions options;
  options.folder = folder.path() + "/backups";
  ASSERT_TRUE(back_up(fixture_.there().directory(), options));
  fixture_.close();
  const auto backups = list_backups(options.folder);
  ASSERT_TRUE(backups) << backups.error().message;
  const std::string restored = folder.path() + "/restored";
  ASSERT_TRUE(restore({options.folder, {backups->front(), {}, 0}, restored, {}}));
  EXPECT_EQ(checked(restored).documents, 20U);
  fixture_.options().directory.path = restored;
  fixture_.start();
  EXPECT_EQ(now().scope("s")->id, 8U);
  EXPECT_EQ(items(kept), 20U);
  EXPECT_EQ(fixture_.get({kept, "k3"}), "v8");
  fixture_.close();
}

TEST_P(CollectionsOnDisk, AMomentBetweenTwoBackupsHasThoseOfThatMoment) {
  fixture_.close();
  fixture_.options().directory.history_bytes = 16 << 20;
  fixture_.start_warm();
  const TemporaryFolder folder;
  const std::string backups = folder.path() + "/backups";
  const auto back_up_now = [&] {
    fixture_.flush_to_disk();
    BackupOptions options;
    options.folder = backups;
    options.unix_ns = fixture_.now().unix_ns;
    ASSERT_TRUE(back_up(fixture_.there().directory(), options));
    fixture_.clock().advance_s(1);
  };
  fill(create("old"), 5);
  back_up_now();
  set(now().with_scope("s").value().with_collection("s", "dropped", 1'000'000).value());
  const CollectionId dropped = now().collection("s", "dropped")->id;
  fill(dropped, 7);
  fixture_.flush_to_disk();
  const uint64_t moment = fixture_.now().unix_ns;
  fixture_.clock().advance_s(1);
  set(now().without_scope("s").value());
  const CollectionId later = create("later");
  back_up_now();
  const uint64_t uid = now().uid();
  fixture_.close();
  const auto plan = plan_restore(backups, list_backups(backups).value(), moment);
  ASSERT_TRUE(plan) << plan.error().message;
  const std::string restored = folder.path() + "/restored";
  ASSERT_TRUE(restore({backups, *plan, restored, {}}));
  EXPECT_EQ(checked(restored).documents, 12U);
  fixture_.options().directory.path = restored;
  fixture_.start();
  EXPECT_EQ(now().uid(), uid + 1);
  EXPECT_EQ(now().collection("s", "dropped")->id, dropped);
  EXPECT_EQ(now().collection("s", "dropped")->max_ttl_s, 1'000'000U);
  EXPECT_EQ(now().collection("_default", "later"), nullptr);
  EXPECT_EQ(items(dropped), 7U);
  EXPECT_EQ(fixture_.items(), 12U);
  EXPECT_EQ(create("new"), later + 1);
  fixture_.close();
}

TEST_P(CollectionsOnDisk, ADamagedOrMissingFileIsAnError) {
  fill(create("c"), 1);
  fixture_.close();
  const std::string file = manifest_path(path());
  const std::string whole = encode_manifest(read_manifest(path()).value());
  const auto write = [&](const std::string& bytes) { std::ofstream(file, std::ios::binary) << bytes; };
  const auto refused = [&] {
    const auto opened = Persistence::open(fixture_.options());
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().kind, ErrorKind::corrupt);
    EXPECT_EQ(opened.error().path, file);
  };
  std::mt19937 random(1);
  for (size_t i = 0; i < whole.size(); ++i) {
    std::string damaged = whole;
    damaged[i] = static_cast<char>(damaged[i] ^ (1 << (random() % 8)));
    EXPECT_FALSE(decode_manifest(damaged, file)) << i;
    EXPECT_FALSE(decode_manifest(whole.substr(0, i), file)) << i;
  }
  write(whole.substr(0, whole.size() / 2));
  refused();
  const auto report = check_directory(path());
  ASSERT_TRUE(report);
  ASSERT_EQ(report->content.findings.size(), 1U);
  EXPECT_EQ(report->content.findings.front().where, file);
  std::filesystem::remove(file);
  refused();
  write(whole);
  fixture_.start();
  EXPECT_EQ(fixture_.items(), 1U);
  fixture_.close();
}

TEST_P(CollectionsOnDisk, ADirectoryWithoutAnyHasNoSuchFile) {
  fill(0, 1);
  fixture_.restart();
  EXPECT_FALSE(std::filesystem::exists(manifest_path(path())));
  EXPECT_EQ(now(), Manifest());
}

std::string name_of(const testing::TestParamInfo<store::EvictionPolicy>& policy) {
  return policy.param == store::EvictionPolicy::full ? "Full" : "Value";
}

INSTANTIATE_TEST_SUITE_P(Eviction, CollectionsOnDisk,
                         testing::Values(store::EvictionPolicy::value, store::EvictionPolicy::full), name_of);

}  // namespace
}  // namespace bobbin::disk
