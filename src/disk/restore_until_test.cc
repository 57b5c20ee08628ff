// A moment between two backups: what is restored is what was there.
#include <algorithm>
#include <cstdlib>
#include <map>
#include <random>
#include <vector>

#include "disk/check.h"
#include "disk/disk_test_support.h"
#include "disk/persistence_fixture.h"
#include "disk/restore.h"

namespace bobbin::disk {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kSecond = 1'000'000'000;
/// stored key -> record, as it is on disk, tombstones as well.
using Contents = std::map<std::string, std::string>;

Contents contents_of(const Directory& directory) {
  Contents all;
  for (uint32_t shard = 0; shard < directory.shards(); ++shard) {
    const auto reader = directory.shard(shard).read_keys(std::nullopt);
    auto more = reader->next();
    for (; more && *more; more = reader->next()) {
      std::string bytes;
      append_record(bytes, reader->record());
      all.emplace(text_of(reader->key()), std::move(bytes));
    }
    EXPECT_TRUE(more) << more.error().message;
  }
  return all;
}

class RestoreUntil : public testing::Test {
 protected:
  void SetUp() override {
    fixture_.options().directory.history_bytes = 16 << 20;
    fixture_.start_warm();
  }

  Backup back_up_now(const CopyProgress& progress = {}) {
    fixture_.flush_to_disk();
    BackupOptions options;
    options.progress = progress;
    options.folder = folder();
    options.unix_ns = fixture_.now().unix_ns;
    auto done = back_up(fixture_.there().directory(), options);
    EXPECT_TRUE(done) << done.error().message;
    return done ? done->backup : Backup{};
  }
  /// What is there now is there until the clock is moved on.
  uint64_t mark() {
    fixture_.flush_to_disk();
    const uint64_t moment = fixture_.now().unix_ns;
    marks_[moment] = contents_of(fixture_.there().directory());
    return moment;
  }
  void pass(uint32_t seconds = 1) { fixture_.clock().advance_s(seconds); }
  Result<RestorePlan> plan(uint64_t moment) {
    const auto backups = list_backups(folder());
    EXPECT_TRUE(backups);
    return plan_restore(folder(), *backups, moment);
  }
  std::string refusal(uint64_t moment) {
    const auto planned = plan(moment);
    EXPECT_FALSE(planned);
    return planned ? "" : planned.error().message;
  }
  void expect_restored(uint64_t moment) {
    SCOPED_TRACE(moment_text(moment));
    const auto planned = plan(moment);
    ASSERT_TRUE(planned) << planned.error().message;
    fs::remove_all(restored());
    const RestoreOptions options{folder(), *planned, restored(), {}};
    const auto rehearsed = rehearse_restore(options);
    ASSERT_TRUE(rehearsed) << rehearsed.error().message;
    EXPECT_FALSE(fs::exists(restored()));
    const auto done = restore(options);
    ASSERT_TRUE(done) << done.error().message;
    EXPECT_LE(done->replayed.as_of_ns, moment);
    const auto checked = check_directory(restored());
    ASSERT_TRUE(checked) << checked.error().message;
    EXPECT_TRUE(checked->content.findings.empty()) << checked->content.findings.front().what;
    EXPECT_EQ(checked->content.documents, done->documents);
    DirectoryOptions opening;
    opening.path = restored();
    opening.read_only = true;
    const auto directory = Directory::open(opening);
    ASSERT_TRUE(directory) << directory.error().message;
    EXPECT_TRUE(contents_of(**directory) == std::prev(marks_.upper_bound(moment))->second);
  }

  [[nodiscard]] std::string folder() const { return folder_.path() + "/backups"; }
  [[nodiscard]] std::string restored() const { return folder_.path() + "/restored"; }

  PersistenceFixture fixture_;
  TemporaryFolder folder_;
  std::map<uint64_t, Contents> marks_;
};

// They are in the history of that backup and in the next one's.
TEST_F(RestoreUntil, CommitsThatWereMadeWhileABackupWas) {
  fixture_.set("before", "1");
  mark();
  back_up_now();
  pass();
  fixture_.set("before", "2");
  const uint64_t begun = mark();
  int calls = 0;
  back_up_now([&](uint64_t, uint64_t) {
    if (++calls > 2) return true;
    pass(2);
    // First in both shards, then in the second alone: between these the first has more than the backup
    // before, and the backup as a whole is of a later moment.
    for (int i = 0; i < 16; ++i) {
      const std::string key = "meanwhile " + std::to_string(i);
      if (calls == 1 || fixture_.there().directory().shard_number(fixture_.bucket().vbucket_of(key)) == 1)
        fixture_.set(key, std::to_string(calls));
    }
    mark();
    return true;
  });
  EXPECT_GE(calls, 1);
  pass(2);
  fixture_.set("after", "1");
  const uint64_t after = mark();
  back_up_now();
  pass();
  mark();
  back_up_now();
  for (uint64_t moment = begun; moment <= after; moment += kSecond)
    expect_restored(moment);
}

TEST_F(RestoreUntil, KeysThatWereChangedBeforeAndAfterIt) {
  fixture_.set("kept", "1");
  fixture_.set("overwritten", "1");
  fixture_.set("deleted", "1");
  const uint64_t first = mark();
  back_up_now();
  pass();
  fixture_.set("overwritten", "2");
  fixture_.set("new", "1");
  const uint64_t second = mark();
  pass();
  fixture_.set("overwritten", "3");
  fixture_.remove("deleted");
  fixture_.set("new", std::string(9000, 'n'));
  const uint64_t third = mark();
  pass();
  fixture_.flush_all();
  fixture_.set("after", "1");
  const uint64_t fourth = mark();
  pass();
  fixture_.set("overwritten", "4");
  mark();
  back_up_now();
  for (const uint64_t moment : {first, second, third, fourth, fourth + kSecond / 2, fixture_.now().unix_ns})
    expect_restored(moment);
}

TEST_F(RestoreUntil, BetweenAnyTwoOfSeveralBackups) {
  for (int i = 0; i < 4; ++i) {
    fixture_.set("k", std::to_string(i));
    mark();
    pass();
    back_up_now();
    pass();
  }
  for (const auto& [moment, contents] : marks_)
    expect_restored(moment + kSecond / 2);
}

// ...and each of these moments is exact, whatever came in between.
TEST_F(RestoreUntil, RandomHistories) {
  const char* given = std::getenv("BOBBIN_SEED");
  const uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  SCOPED_TRACE("BOBBIN_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);
  const auto below = [&](uint64_t limit) { return static_cast<uint32_t>(random() % limit); };
  fixture_.close();
  fixture_.options().bucket.eviction =
      below(2) == 0 ? store::EvictionPolicy::full : store::EvictionPolicy::value;
  fixture_.start_warm();
  std::map<std::string, std::string> model;
  for (int i = 0; i < 400; ++i) {
    const std::string key = "key" + std::to_string(below(40));
    const uint32_t what = below(100);
    if (what < 55) {
      const std::string value(below(10) == 0 ? 6000 : below(50), static_cast<char>('a' + below(26)));
      fixture_.set(key, value);
      model[key] = value;
    } else if (what < 60) {
      fixture_.set(key, "soon", fixture_.in(1 + below(3)));
      model.erase(key);  // from the next look at it on, and nobody looks before
      pass(4);
      EXPECT_EQ(fixture_.get(key), "<miss>");
    } else if (what < 75) {
      fixture_.remove(key);
      model.erase(key);
    } else if (what < 77) {
      fixture_.flush_all();
      model.clear();
    } else if (what < 80) {
      fixture_.flush_to_disk();
      below(2) == 0 ? fixture_.crash() : fixture_.close();
      fixture_.start();
    } else if (what < 82) {
      fixture_.evict();
    } else if (what < 92) {
      (void)mark();
      size_t live = 0;
      for (const auto& [name, bytes] : marks_.rbegin()->second) {
        const auto record = decode_record(bytes);
        if (is_tombstone(record->kind)) continue;
        ++live;
        EXPECT_EQ(model.at(name), record->value);
      }
      EXPECT_EQ(live, model.size());
      pass();
    } else if (what < 94) {
      (void)back_up_now();
      pass();
    }
  }
  mark();
  const uint64_t last_backup = back_up_now().unix_ns;
  const uint64_t first_backup = list_backups(folder())->front().unix_ns;
  std::vector<uint64_t> moments;
  for (const auto& [moment, contents] : marks_) {
    if (moment >= first_backup && moment <= last_backup) moments.push_back(moment);
  }
  std::shuffle(moments.begin(), moments.end(), random);
  moments.resize(std::min<size_t>(moments.size(), 8));
  for (const uint64_t moment : moments)
    expect_restored(moment);
}

TEST_F(RestoreUntil, IsRefusedWhereThereIsNoBackupOnBothSides) {
  fixture_.set("k", "1");
  const uint64_t early = mark();
  pass();
  fixture_.set("k", "2");
  back_up_now();
  pass();
  EXPECT_NE(refusal(early).find("no older backup"), std::string::npos) << refusal(early);
  const uint64_t late = fixture_.now().unix_ns;
  EXPECT_NE(refusal(late).find("make another one first"), std::string::npos) << refusal(late);
}

TEST_F(RestoreUntil, IsRefusedWhereTheServerKeepsNothing) {
  fixture_.close();
  fixture_.options().directory.history_bytes = 0;
  fixture_.start();
  fixture_.set("k", "1");
  back_up_now();
  pass();
  fixture_.set("k", "2");
  const uint64_t between = mark();
  pass();
  fixture_.set("k", "3");
  // Brings all of it into tables.
  fixture_.restart();
  EXPECT_TRUE(back_up_now().histories.empty());
  EXPECT_NE(refusal(between).find("--history"), std::string::npos) << refusal(between);
  EXPECT_EQ(fixture_.there().directory().statistics().history_bytes, 0U);
}

TEST_F(RestoreUntil, IsRefusedWhereABackupBetweenWasRemoved) {
  std::vector<uint64_t> moments;
  for (int i = 0; i < 3; ++i) {
    back_up_now();
    pass();
    fixture_.set("k", std::to_string(i));
    moments.push_back(mark());
    pass();
    fixture_.set("k", "after that");
  }
  back_up_now();
  fs::remove_all(backup_path(folder(), 2));
  EXPECT_NE(refusal(moments[0]).find("was removed"), std::string::npos) << refusal(moments[0]);
  EXPECT_FALSE(plan(moments[1]));
  expect_restored(moments[2]);
}

TEST_F(RestoreUntil, FindsDamageBeforeItMakesAnything) {
  fixture_.set("k", "1");
  back_up_now();
  pass();
  for (int i = 0; i < 100; ++i)
    fixture_.set("key" + std::to_string(i), "2");
  const uint64_t between = mark();
  pass();
  fixture_.set("k", "3");
  const Backup second = back_up_now();
  const std::string path = path_of(folder(), second, second.histories[1]);
  std::string bytes = contents(path);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  write_contents(path, bytes);
  EXPECT_FALSE(verify_backup(folder(), second));
  const auto planned = plan(between);
  ASSERT_TRUE(planned);
  const RestoreOptions options{folder(), *planned, restored(), {}};
  const auto rehearsed = rehearse_restore(options);
  ASSERT_FALSE(rehearsed);
  EXPECT_EQ(rehearsed.error().path, path);
  const auto done = restore(options);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::corrupt);
  EXPECT_EQ(done.error().path, path);
  EXPECT_FALSE(fs::exists(restored()));
}

TEST_F(RestoreUntil, WhatIsKeptIsBounded) {
  fixture_.close();
  fixture_.options().directory.history_bytes = 2 << 20;
  fixture_.start();
  for (int i = 0; i < 300; ++i) {
    fixture_.set("key" + std::to_string(i % 40), std::string(100'000, static_cast<char>('a' + i % 26)));
    if (i % 10 == 0) fixture_.flush_to_disk();
  }
  back_up_now();
  // Each shard looks after every megabyte, and a log file is given up as a whole.
  for (int i = 0; i < 40; ++i)
    fixture_.set("key" + std::to_string(i), std::string(100'000, '.'));
  fixture_.flush_to_disk();
  const ShardStatistics now = fixture_.there().directory().statistics();
  EXPECT_LE(now.history_bytes, fixture_.options().directory.history_bytes);
  EXPECT_GE(now.file_bytes, now.history_bytes);
  // And goes when nothing is to be kept any more.
  fixture_.close();
  fixture_.options().directory.history_bytes = 0;
  fixture_.start();
  for (const char* shard : {"/shard-0", "/shard-1"})
    EXPECT_TRUE(files_with(fixture_.options().directory.path + shard + "/archive", ".log").empty());
}

TEST_F(RestoreUntil, AHistoryFileThatEndsTooEarlyIsDamage) {
  std::string bytes;
  HistoryCommit commit{5, 2, 7, "batch"};
  append_commit_header(bytes, commit);
  bytes += commit.bytes;
  const std::string path = folder_.path() + "/history";
  for (size_t length = 0; length <= bytes.size(); ++length) {
    write_contents(path, bytes.substr(0, length));
    int visited = 0;
    const auto visit = [&](const HistoryCommit& read) -> Result<void> {
      ++visited;
      EXPECT_EQ(read.last_sequence(), 6U);
      EXPECT_EQ(read.bytes, "batch");
      return {};
    };
    const auto read = read_history_file(path, length, visit);
    EXPECT_EQ(read.has_value(), length == 0 || length == bytes.size()) << length;
    EXPECT_EQ(visited, length == bytes.size() ? 1 : 0);
    EXPECT_FALSE(read_history_file(path, bytes.size() + 1, visit));
    visited = 0;
  }
}

}  // namespace
}  // namespace bobbin::disk
