#include "disk/backup.h"

#include <algorithm>
#include <map>

#include "disk/check.h"
#include "disk/disk_test_support.h"
#include "disk/persistence_fixture.h"
#include "disk/restore.h"

namespace bobbin::disk {
namespace {

namespace fs = std::filesystem;

class Backups : public testing::Test {
 protected:
  void SetUp() override {
    fixture_.options().directory.history_bytes = 16 << 20;
    fixture_.start_warm();
  }

  BackupOptions to(const std::string& folder) {
    BackupOptions options;
    options.folder = folder;
    options.unix_ns = fixture_.now().unix_ns;
    return options;
  }
  BackupResult back_up_now() {
    fixture_.flush_to_disk();
    auto done = back_up(fixture_.there().directory(), to(folder()));
    EXPECT_TRUE(done) << done.error().message;
    return done ? std::move(*done) : BackupResult{};
  }
  Error refused(const BackupOptions& options) {
    const auto done = back_up(fixture_.there().directory(), options);
    EXPECT_FALSE(done);
    return done ? Error{} : done.error();
  }
  Result<RestoreResult> restore_number(size_t which) {
    const auto backups = list_backups(folder());
    if (!backups) return base::fail(backups.error());
    fs::remove_all(restored());
    return restore({folder(), {(*backups)[which], {}, 0}, restored(), {}});
  }
  /// Everything that can be seen of a directory's documents, by key.
  static std::map<std::string, std::string> documents_of(const std::string& path) {
    DirectoryOptions options;
    options.path = path;
    options.read_only = true;
    auto directory = Directory::open(options);
    EXPECT_TRUE(directory) << directory.error().message;
    std::map<std::string, std::string> all;
    for (uint32_t shard = 0; directory && shard < (*directory)->shards(); ++shard) {
      const auto reader = (*directory)->shard(shard).read_keys(std::nullopt);
      for (auto more = reader->next(); more && *more; more = reader->next()) {
        std::string bytes;
        append_record(bytes, reader->record());
        all.emplace(text_of(reader->key()), std::move(bytes));
      }
    }
    return all;
  }
  void fill(int from, int to_key) {
    for (int i = from; i < to_key; ++i) {
      fixture_.set("key" + std::to_string(i),
                   std::string(i % 10 == 0 ? 8000 : 50, static_cast<char>('a' + i % 26)),
                   i % 3 == 0 ? fixture_.in(1000) : 0, static_cast<uint32_t>(i));
      if (i % 7 == 0) fixture_.remove("key" + std::to_string(i));
    }
  }

  [[nodiscard]] std::string folder() const { return folder_.path() + "/backups"; }
  [[nodiscard]] std::string restored() const { return folder_.path() + "/restored"; }

  PersistenceFixture fixture_;
  TemporaryFolder folder_;
};

TEST_F(Backups, GiveBackWhatThereWas) {
  fill(0, 500);
  const BackupResult first = back_up_now();
  EXPECT_EQ(first.backup.number, 1U);
  fill(400, 700);
  const BackupResult second = back_up_now();
  EXPECT_EQ(second.backup.number, 2U);
  fixture_.set("later", "x");
  fixture_.close();

  const auto now = documents_of(fixture_.options().directory.path);
  const auto done = restore_number(1);
  ASSERT_TRUE(done) << done.error().message;
  auto there = documents_of(restored());
  EXPECT_EQ(there.size() + 1, now.size());
  there.emplace("later", now.at("later"));
  EXPECT_TRUE(there == now);
  EXPECT_NE(done->uuid, first.backup.uuid);
  const auto checked = check_directory(restored());
  ASSERT_TRUE(checked);
  EXPECT_TRUE(checked->content.findings.empty()) << checked->content.findings.front().what;
  EXPECT_EQ(checked->content.documents, done->documents);
  EXPECT_FALSE(checked->ended_cleanly);

  ASSERT_TRUE(restore_number(0));
  EXPECT_LT(documents_of(restored()).size(), now.size());
}

TEST_F(Backups, BeginANewBranch) {
  fill(0, 50);
  fixture_.restart();
  fixture_.flush_to_disk();
  const std::string data = fixture_.options().directory.path;
  fixture_.close();
  DirectoryOptions options;
  options.path = data;
  options.read_only = true;
  {
    // Of a directory that no server has.
    auto directory = Directory::open(options);
    ASSERT_TRUE(directory);
    ASSERT_TRUE(back_up(**directory, to(folder())));
  }
  ASSERT_TRUE(restore_number(0));
  options.path = restored();
  auto directory = Directory::open(options);
  ASSERT_TRUE(directory);
  const auto states = (*directory)->shard(0).states();
  ASSERT_TRUE(states);
  ASSERT_FALSE(states->empty());
  for (const VBucketState& state : *states)
    EXPECT_GT(state.reserved_seqno, state.high_seqno);
}

TEST_F(Backups, OfADirectoryAfterACrashHaveItsLog) {
  fill(0, 100);
  fixture_.flush_to_disk();
  fixture_.crash();
  DirectoryOptions options;
  options.path = fixture_.options().directory.path;
  options.read_only = true;
  {
    auto directory = Directory::open(options);
    ASSERT_TRUE(directory);
    ASSERT_TRUE(back_up(**directory, to(folder())));
  }
  ASSERT_TRUE(restore_number(0));
  EXPECT_TRUE(documents_of(restored()) == documents_of(options.path));
}

TEST_F(Backups, ShareFiles) {
  fill(0, 500);
  const BackupResult first = back_up_now();
  const BackupResult second = back_up_now();
  EXPECT_EQ(first.new_files, first.backup.files.size());
  const auto own = std::count_if(second.backup.files.begin(), second.backup.files.end(),
                                 [](const BackupFile& file) { return !file.is_shared; });
  EXPECT_EQ(second.new_files, static_cast<uint64_t>(own) + second.backup.histories.size())
      << "all that is shared was there";
  fill(600, 610);
  BackupOptions dry = to(folder());
  dry.dry_run = true;
  fixture_.flush_to_disk();
  const auto foretold = back_up(fixture_.there().directory(), dry);
  ASSERT_TRUE(foretold);
  EXPECT_EQ(list_backups(folder())->size(), 2U);
  const BackupResult third = back_up_now();
  EXPECT_EQ(third.new_files, foretold->new_files);
  EXPECT_EQ(third.backup.bytes(), foretold->backup.bytes());

  // Removing a backup by hand leaves the others whole.
  fs::remove_all(backup_path(folder(), 1));
  (void)back_up_now();
  const auto backups = list_backups(folder());
  ASSERT_TRUE(backups);
  EXPECT_EQ(backups->size(), 3U);
  for (const Backup& backup : *backups)
    EXPECT_TRUE(verify_backup(folder(), backup));
}

TEST_F(Backups, WithEachKindOfDamageAreRefused) {
  fill(0, 300);
  (void)back_up_now();
  const auto backups = list_backups(folder());
  ASSERT_TRUE(backups);
  for (const BackupFile& file : backups->front().files) {
    const std::string path = path_of(folder(), backups->front(), file);
    const std::string before = contents(path);
    for (const bool is_cut : {false, true}) {
      std::string bytes = before;
      if (bytes.empty()) continue;
      bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
      write_contents(path, is_cut ? before.substr(0, before.size() - 1) : bytes);
      const auto verified = verify_backup(folder(), backups->front());
      ASSERT_FALSE(verified) << path;
      EXPECT_EQ(verified.error().path, path);
      const auto done = restore_number(0);
      ASSERT_FALSE(done) << path;
      EXPECT_EQ(done.error().kind, ErrorKind::corrupt);
      EXPECT_EQ(done.error().path, path);
      EXPECT_FALSE(fs::exists(restored()));
    }
    write_contents(path, before);
  }
  std::string text = contents(contents_path(folder(), 1));
  text[text.size() / 2] = static_cast<char>(text[text.size() / 2] ^ 1);
  write_contents(contents_path(folder(), 1), text);
  EXPECT_EQ(list_backups(folder()).error().path, contents_path(folder(), 1));
}

TEST_F(Backups, AreNotMadeOfDamage) {
  fill(0, 300);
  (void)back_up_now();
  fill(300, 600);
  fixture_.restart();
  auto tables = files_with(fixture_.options().directory.path + "/shard-0", ".blob");
  ASSERT_FALSE(tables.empty());
  std::sort(tables.begin(), tables.end());
  std::string bytes = contents(tables.back());
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  write_contents(tables.back(), bytes);
  const Error error = refused(to(folder()));
  EXPECT_EQ(error.kind, ErrorKind::corrupt);
  EXPECT_EQ(error.path, tables.back());
  ASSERT_EQ(list_backups(folder())->size(), 1U);
  EXPECT_TRUE(restore_number(0));
}

TEST_F(Backups, OfAnotherDirectoryAreNotMixedIn) {
  PersistenceFixture other;
  other.start_warm();
  ASSERT_TRUE(back_up(other.there().directory(), to(folder())));
  const Error error = refused(to(folder()));
  EXPECT_EQ(error.kind, ErrorKind::config);
  EXPECT_NE(error.message.find("another data directory"), std::string::npos);
  const TemporaryFolder strange;
  write_contents(strange.path() + "/holiday.txt", "x");
  EXPECT_EQ(refused(to(strange.path())).kind, ErrorKind::config);
  EXPECT_EQ(files_with(strange.path(), "").size(), 1U);
}

TEST_F(Backups, ThatAreInterruptedLeaveTheOthersWhole) {
  fill(0, 300);
  (void)back_up_now();
  fill(200, 600);
  fixture_.flush_to_disk();
  int calls = 0;
  BackupOptions stopped = to(folder());
  stopped.progress = [&](uint64_t, uint64_t) { return ++calls < 3; };
  EXPECT_EQ(refused(stopped).path, "");
  // As a crash leaves it.
  fs::create_directories(backup_path(folder(), 2) + "/shard-0");
  write_contents(backup_path(folder(), 2) + "/shard-0/CURRENT", "x");
  write_contents(folder() + "/files/shard-0-00000000-1-000099.sst", "x");
  ASSERT_EQ(list_backups(folder())->size(), 1U);
  EXPECT_TRUE(restore_number(0));
  const BackupResult next = back_up_now();
  EXPECT_EQ(list_backups(folder())->size(), 2U);
  EXPECT_EQ(next.backup.number, 3U);
  EXPECT_FALSE(fs::exists(backup_path(folder(), 2)));
  EXPECT_FALSE(fs::exists(folder() + "/files/shard-0-00000000-1-000099.sst"));
  EXPECT_TRUE(restore_number(1));
}

TEST_F(Backups, AreNotRestoredOverAnything) {
  fill(0, 10);
  (void)back_up_now();
  const auto backups = list_backups(folder());
  const auto done = restore({folder(), {backups->front(), {}, 0}, fixture_.options().directory.path, {}});
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::config);
}

TEST_F(Backups, StoppedRestoresLeaveNothing) {
  fill(0, 300);
  (void)back_up_now();
  const auto backups = list_backups(folder());
  const auto done =
      restore({folder(), {backups->front(), {}, 0}, restored(), [](uint64_t, uint64_t) { return false; }});
  ASSERT_FALSE(done);
  EXPECT_FALSE(fs::exists(restored()));
}

}  // namespace
}  // namespace bobbin::disk
