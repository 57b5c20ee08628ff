#include "disk/check.h"

#include <algorithm>

#include "disk/disk_test_support.h"
#include "disk/layout_file.h"
#include "disk/persistence_fixture.h"
#include "store/key_hash.h"

namespace bobbin::disk {
namespace {

namespace fs = std::filesystem;

CheckReport report_on(const std::string& path) {
  auto report = check_directory(path);
  EXPECT_TRUE(report) << report.error().message;
  return report ? std::move(*report) : CheckReport{};
}

std::string text_of(const CheckReport& report) {
  std::string text;
  for (const Finding& finding : report.content.findings)
    text += finding.where + ": " + finding.what + "\n";
  return text;
}

/// One shard whose documents lie where their keys belong, unless a test says otherwise.
class Planted {
 public:
  Planted() {
    options_.path = folder_.path() + "/data";
    options_.shards = 1;
    options_.vbuckets = 16;
    options_.memory_bytes = 8 << 20;
    auto opened = Directory::open(options_);
    EXPECT_TRUE(opened) << opened.error().message;
    directory_ = std::move(*opened);
  }
  static uint16_t vbucket_of(std::string_view key) {
    return static_cast<uint16_t>(store::vbucket_of_key(key, 16));
  }
  Shard& shard() { return directory_->shard(0); }
  [[nodiscard]] const std::string& path() const { return options_.path; }

  /// A vbucket with one document, and a state that says so.
  void store(std::string_view key, uint64_t seqno, uint64_t items = 1, uint64_t high_seqno = 0) {
    const std::vector<Change> changes = {document(vbucket_of(key), key, seqno, "value")};
    write(changes, vbucket_of(key), items, high_seqno == 0 ? seqno : high_seqno);
  }
  void write(const std::vector<Change>& changes, uint16_t vbucket, uint64_t items, uint64_t high_seqno) {
    VBucketState state;
    state.vbucket = vbucket;
    state.items = items;
    state.high_seqno = high_seqno;
    state.revisions.revision = highest_revision;
    state.failover = {{1, 0}};
    const std::vector<VBucketState> states = {state};
    ASSERT_TRUE(shard().commit(changes, states, Sync::yes));
  }
  void close() { ASSERT_TRUE(directory_->close()); }
  void crash() { directory_.reset(); }

  /// That states tell of.
  uint64_t highest_revision = store::kMaxRevision;

 private:
  TemporaryFolder folder_;
  DirectoryOptions options_;
  std::unique_ptr<Directory> directory_;
};

TEST(Check, FindsNothingWhereNothingIsWrong) {
  for (const bool is_clean : {true, false}) {
    PersistenceFixture fixture;
    fixture.start_warm();
    for (int round = 0; round < 3; ++round) {
      for (int i = 0; i < 500; ++i) {
        const std::string key = "key" + std::to_string(i);
        fixture.set(key, std::string(static_cast<size_t>(i % 7 == 0 ? 6000 : i), 'v'),
                    i % 5 == 0 ? fixture.in(100) : 0);
        if (i % 3 == round) fixture.remove(key);
      }
      fixture.flush_to_disk();
      if (round == 1) fixture.flush_all();
    }
    fixture.flush_to_disk();
    const uint64_t items = fixture.items();
    if (is_clean)
      fixture.close();
    else
      fixture.crash();
    const CheckReport report = report_on(fixture.options().directory.path);
    EXPECT_EQ(text_of(report), "");
    EXPECT_EQ(report.ended_cleanly, is_clean);
    EXPECT_TRUE(report.is_complete);
    EXPECT_EQ(report.content.documents, items);
    EXPECT_GT(report.content.tombstones, 0U);
    EXPECT_GT(report.content.flushes, 0U);
    EXPECT_GE(report.content.index_entries, report.content.documents);
    EXPECT_EQ(report.uuid.size(), 32U);
    EXPECT_EQ(report.shards, 2U);
  }
}

TEST(Check, ChangesNothing) {
  Planted planted;
  planted.store("a", 1);
  planted.crash();
  const auto listing = [&] {
    std::vector<std::string> text;
    for (const auto& entry : fs::recursive_directory_iterator(planted.path())) {
      if (entry.is_regular_file()) text.push_back(entry.path().string() + contents(entry.path().string()));
    }
    std::sort(text.begin(), text.end());
    return text;
  };
  const auto before = listing();
  EXPECT_EQ(text_of(report_on(planted.path())), "");
  EXPECT_EQ(listing(), before);
}

TEST(Check, AServerThatHasTheDirectoryIsNotDisturbed) {
  const Planted planted;
  const auto report = check_directory(planted.path());
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().kind, ErrorKind::locked);
}

TEST(Check, WhatIsNoDirectoryIsToldAsThat) {
  const TemporaryFolder folder;
  EXPECT_EQ(check_directory(folder.path()).error().kind, ErrorKind::config);
  EXPECT_EQ(check_directory(folder.path() + "/nothing").error().kind, ErrorKind::config);
}

TEST(Check, FindsAKeyInAVBucketWhereNobodyLooks) {
  Planted planted;
  const auto wrong = static_cast<uint16_t>((Planted::vbucket_of("a") + 1) % 16);
  planted.write({document(wrong, "a", 1, "v")}, wrong, 1, 1);
  planted.close();
  const std::string text = text_of(report_on(planted.path()));
  EXPECT_NE(text.find("vbucket " + std::to_string(wrong) + ": 1 documents belong into other vbuckets"),
            std::string::npos)
      << text;
}

TEST(Check, FindsACountThatIsWrong) {
  Planted planted;
  planted.store("a", 1, 2);
  planted.write({}, static_cast<uint16_t>((Planted::vbucket_of("a") + 1) % 16), 7, 9);
  planted.close();
  const std::string text = text_of(report_on(planted.path()));
  EXPECT_NE(text.find("counts 2 documents, there are 1"), std::string::npos) << text;
  EXPECT_NE(text.find("counts 7 documents, there are 0"), std::string::npos) << text;
}

TEST(Check, FindsASeqnoThatTheStateDoesNotKnow) {
  Planted planted;
  planted.store("a", 10, 1, 9);
  planted.close();
  const std::string text = text_of(report_on(planted.path()));
  EXPECT_NE(text.find("1 documents have a seqno above"), std::string::npos) << text;
  EXPECT_NE(text.find("1 index entries have a seqno above"), std::string::npos) << text;
}

TEST(Check, FindsARevisionThatTheStateDoesNotKnow) {
  Planted planted;
  planted.store("a", 10);
  planted.highest_revision = 0;
  planted.store("b", 10);
  planted.close();
  const std::string text = text_of(report_on(planted.path()));
  EXPECT_NE(text.find("1 documents have a revision above"), std::string::npos) << text;
}

TEST(Check, FindsDocumentsWithoutAState) {
  Planted planted;
  ASSERT_TRUE(planted.shard().commit(std::vector<Change>{document(Planted::vbucket_of("a"), "a", 1, "v")}, {},
                                     Sync::yes));
  planted.close();
  const std::string text = text_of(report_on(planted.path()));
  EXPECT_NE(text.find("but no state"), std::string::npos) << text;
}

TEST(Check, CountsTheEntriesOfOverwrittenVersionsAsNormal) {
  Planted planted;
  for (uint64_t seqno = 1; seqno <= 5; ++seqno)
    planted.store("a", seqno);
  planted.crash();
  const CheckReport report = report_on(planted.path());
  EXPECT_EQ(text_of(report), "");
  EXPECT_EQ(report.content.documents, 1U);
  EXPECT_EQ(report.content.stale_entries, 4U);
}

// The index of one version, the document of an older one: what a lost write of `docs` alone would leave.
TEST(Check, FindsVersionsThatAreLost) {
  Planted planted;
  planted.store("a", 5);
  planted.store("a", 3, 1, 5);
  planted.close();
  const std::string text = text_of(report_on(planted.path()));
  EXPECT_NE(text.find("1 index entries name versions of documents that are not there"), std::string::npos)
      << text;
}

TEST(Check, FindsADocumentOlderThanItsFlush) {
  Planted planted;
  const uint16_t vbucket = Planted::vbucket_of("a");
  planted.write({flush_of(vbucket, 5)}, vbucket, 0, 5);
  planted.store("a", 3, 1, 5);
  planted.close();
  const std::string text = text_of(report_on(planted.path()));
  EXPECT_NE(text.find("older than the flush"), std::string::npos) << text;
}

class DamagedFiles : public testing::Test {
 protected:
  /// Two shards with tables, blobs and, unless it was closed, a log.
  void fill(bool is_clean) {
    fixture_.start_warm();
    for (int i = 0; i < 400; ++i)
      fixture_.set("key" + std::to_string(i),
                   std::string(i % 4 == 0 ? 8000 : 100, static_cast<char>('a' + i % 26)));
    fixture_.flush_to_disk();
    fixture_.restart();
    fixture_.wait_for_warmup();
    for (int i = 0; i < 100; ++i)
      fixture_.set("late" + std::to_string(i), "value");
    fixture_.flush_to_disk();
    if (is_clean)
      fixture_.close();
    else
      fixture_.crash();
  }
  [[nodiscard]] const std::string& path() const { return path_; }
  /// The largest file of shard 0 with this in its name.
  [[nodiscard]] std::string file(const std::string& part) const {
    auto paths = files_with(path_ + "/shard-0", part);
    std::sort(paths.begin(), paths.end(),
              [](const auto& a, const auto& b) { return fs::file_size(a) > fs::file_size(b); });
    EXPECT_FALSE(paths.empty()) << part;
    return paths.empty() ? std::string() : paths.front();
  }
  static void flip(const std::string& file) {
    std::string bytes = contents(file);
    bytes[bytes.size() / 3] = static_cast<char>(bytes[bytes.size() / 3] ^ 4);
    write_contents(file, bytes);
  }

 private:
  PersistenceFixture fixture_;
  const std::string path_ = fixture_.options().directory.path;
};

TEST_F(DamagedFiles, AreNamedAndTheRestIsStillLookedAt) {
  fill(true);
  const uint64_t all = report_on(path()).content.documents;
  EXPECT_EQ(all, 500U);
  const std::string table = file(".sst");
  const std::string blob = file(".blob");
  flip(table);
  flip(blob);
  const CheckReport report = report_on(path());
  const std::string text = text_of(report);
  EXPECT_NE(text.find(table), std::string::npos) << text;
  EXPECT_NE(text.find(blob), std::string::npos) << text;
  // The other shard at least.
  EXPECT_GT(report.content.documents, 100U);
  EXPECT_EQ(text.find("count"), std::string::npos) << "what cannot be read is not counted: " << text;
  EXPECT_EQ(text.find("lost"), std::string::npos) << text;
}

TEST_F(DamagedFiles, OfTheLogAndTheManifest) {
  fill(false);
  for (const std::string part : {".log", "MANIFEST"}) {
    const std::string damaged = file(part);
    const std::string before = contents(damaged);
    flip(damaged);
    const CheckReport report = report_on(path());
    EXPECT_NE(text_of(report).find(damaged), std::string::npos) << text_of(report);
    EXPECT_EQ(report.unreadable_shards, 1U);
    EXPECT_GT(report.content.documents, 100U) << "of the other shard";
    write_contents(damaged, before);
  }
  EXPECT_EQ(text_of(report_on(path())), "");
}

TEST_F(DamagedFiles, ThatAreMissing) {
  fill(true);
  for (const std::string part : {".sst", ".blob", "CURRENT", "MANIFEST"}) {
    const std::string missing = file(part);
    const std::string before = contents(missing);
    fs::remove(missing);
    const CheckReport report = report_on(path());
    EXPECT_NE(text_of(report).find("/shard-0/"), std::string::npos) << part << ": " << text_of(report);
    EXPECT_EQ(text_of(report).find("/shard-1"), std::string::npos) << part << ": " << text_of(report);
    write_contents(missing, before);
  }
}

TEST_F(DamagedFiles, OfTheLayout) {
  fill(true);
  const std::string layout = path() + "/layout";
  const std::string before = contents(layout);
  flip(layout);
  EXPECT_NE(text_of(report_on(path())).find(layout), std::string::npos);
  fs::remove(layout);
  EXPECT_NE(text_of(report_on(path())).find(layout + ": missing, but there are shards"), std::string::npos);
  std::string newer = before;
  newer.replace(newer.find("format "), 8, "format 9");
  write_contents(layout, newer);
  EXPECT_EQ(check_directory(path()).error().kind, ErrorKind::other_version);
}

TEST_F(DamagedFiles, AManifestThatIsCutOff) {
  fill(true);
  const std::string manifest = file("MANIFEST");
  const std::string bytes = contents(manifest);
  write_contents(manifest, bytes.substr(0, bytes.size() / 2));
  EXPECT_NE(text_of(report_on(path())), "");
}

}  // namespace
}  // namespace bobbin::disk
