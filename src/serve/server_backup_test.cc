// Backups of all buckets: what is in them, what an interrupted or removed one leaves, and what a restore
// makes.

#include "serve/server_backup.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <thread>

#include "disk/disk_test_support.h"
#include "disk/system_file.h"
#include "serve/buckets.h"
#include "wire/compression.h"
#include "wire/datatype.h"

namespace bobbin::serve {
namespace {

namespace fs = std::filesystem;
constexpr uint64_t kMiB = 1 << 20;

disk::Result<std::unique_ptr<disk::Persistence>> open_disk(const std::string& folder,
                                                           uint64_t quota_bytes = 1024 * kMiB) {
  disk::PersistenceOptions options;
  options.directory.path = folder;
  options.directory.shards = 1;
  options.directory.vbuckets = 4;
  options.directory.memory_bytes = 8 * kMiB;
  options.bucket.type = store::BucketType::persistent;
  options.bucket.quota_bytes = quota_bytes;
  options.readers = 1;
  return disk::Persistence::open(std::move(options));
}

/// A server's buckets, on disk in `folder`.
struct Served {
  explicit Served(const std::string& folder) {
    ServedBucketOptions first_options;
    auto disk = open_disk(folder);
    EXPECT_TRUE(disk);
    first_options.disk = std::move(*disk);
    first = std::make_shared<ServedBucket>(std::move(first_options), clock);
    BucketsOptions options;
    options.folder = folder;
    options.open_disk = [](const std::string& place, const BucketSettings& settings) {
      return open_disk(place, settings.quota_bytes);
    };
    buckets = std::make_unique<Buckets>(first, std::move(options), clock);
    const auto opened = buckets->open();
    EXPECT_TRUE(opened) << opened.error().message;
    buckets->start();
  }
  ~Served() {
    EXPECT_TRUE(buckets->close());
    buckets->end();
  }
  void create(const std::string& name, bool on_disk = true) const {
    BucketSettings settings;
    settings.name = name;
    settings.quota_bytes = 100 * kMiB;
    if (!on_disk) {
      settings.type = "ephemeral";
      settings.eviction = "noEviction";
    }
    ASSERT_TRUE(buckets->create(settings));
  }
  void set(const std::string& bucket, const std::string& key) const {
    const auto served = buckets->find(bucket);
    ASSERT_NE(served, nullptr);
    auto draft = served->bucket().draft(key, 0, 0, 0, clock.now());
    ASSERT_TRUE(draft);
    ASSERT_TRUE(served->bucket().store(std::move(*draft), store::StoreMode::set, clock.now()).ok());
  }
  // As the client of a bucket that keeps such values has sent it.
  void set_compressed(const std::string& key, const std::string& value) const {
    std::string compressed;
    wire::deflate(value, compressed);
    auto draft = first->bucket().draft(key, 0, 0, static_cast<uint32_t>(compressed.size()), clock.now());
    ASSERT_TRUE(draft);
    std::copy(compressed.begin(), compressed.end(), draft->value().begin());
    draft->set_datatype(wire::kDatatypeSnappy);
    ASSERT_TRUE(first->bucket().store(std::move(*draft), store::StoreMode::set, clock.now()).ok());
  }
  [[nodiscard]] bool has(const std::string& bucket, const std::string& key) const {
    const auto served = buckets->find(bucket);
    return served != nullptr && served->bucket().peek(key, clock.now()).has_value();
  }

  base::SystemClock clock;
  std::shared_ptr<ServedBucket> first;
  std::unique_ptr<Buckets> buckets;
};

class ServerBackupTest : public testing::Test {
 protected:
  ServerBackupOptions options_for(const Served& served) {
    ServerBackupOptions options;
    options.folder = backups();
    options.unix_ns = ++moment_;
    served.buckets->visit([&](const ServedBucket& bucket) { options.buckets.push_back(bucket.settings()); });
    options.with_bucket = [&served](const BucketSettings& settings,
                                    const ServerBackupOptions::Copy& copy) -> disk::Result<bool> {
      const auto bucket = served.buckets->find(settings.name);
      if (bucket == nullptr) return false;
      if (auto saved = bucket->disk()->bring_to_disk(); !saved) return base::fail(saved.error());
      if (auto copied = copy(bucket->disk()->directory()); !copied) return base::fail(copied.error());
      return true;
    };
    return options;
  }
  ServerBackup back_up(const Served& served, const ServerBackupOptions& options) {
    EXPECT_TRUE(served.first->disk()->bring_to_disk());
    auto made = back_up_server(served.first->disk()->directory(), options);
    EXPECT_TRUE(made) << made.error().message;
    return made ? std::move(*made) : ServerBackup();
  }
  ServerBackup back_up(const Served& served) { return back_up(served, options_for(served)); }
  /// A backup that has to be there.
  disk::Backup listed(uint64_t number) const {
    const auto all = disk::list_backups(backups());
    EXPECT_TRUE(all);
    for (const disk::Backup& backup : *all)
      if (backup.number == number) return backup;
    ADD_FAILURE() << "no backup " << number;
    return {};
  }
  disk::Result<ServerRestore> restore(uint64_t number, bool is_dry = false) const {
    return restore_server({backups(), {listed(number), {}, 0}, restored(), is_dry, {}});
  }
  static std::vector<std::string> names(const ServerBackup& backup) {
    std::vector<std::string> names;
    for (const BucketBackup& bucket : backup.buckets)
      names.push_back(bucket.name + " " + std::to_string(bucket.documents));
    return names;
  }
  [[nodiscard]] std::string data() const { return folder_.path() + "/data"; }
  [[nodiscard]] std::string backups() const { return folder_.path() + "/backups"; }
  [[nodiscard]] std::string restored() const { return folder_.path() + "/restored"; }
  [[nodiscard]] size_t bucket_folders(const std::string& folder) const {
    std::error_code error;
    size_t count = 0;
    for (auto entry = fs::directory_iterator(folder + "/buckets", error);
         !error && entry != fs::directory_iterator(); entry.increment(error))
      ++count;
    return count;
  }

  disk::TemporaryFolder folder_;
  uint64_t moment_ = 1'000'000'000;
};

using Names = std::vector<std::string>;

TEST_F(ServerBackupTest, everything_that_was_kept_is_restored) {
  {
    const Served served(data());
    served.create("b");
    served.create("cache", false);
    served.set("default", "d");
    served.set("b", "k");
    ASSERT_TRUE(disk::replace_file(data() + "/seeded", "which"));
    EXPECT_EQ(names(back_up(served)), (Names{"default 1", "b 1"}));
    served.set("b", "later");
    const ServerBackup second = back_up(served);
    EXPECT_EQ(names(second), (Names{"default 1", "b 2"}));
    EXPECT_EQ(second.number, 2U);
    EXPECT_LT(second.total().new_bytes, second.total().bytes);
  }
  EXPECT_TRUE(verify_server_backup(backups(), listed(1), {}));
  EXPECT_EQ(names(*describe_backup(backups(), listed(2))), (Names{"default 1", "b 2"}));
  EXPECT_EQ(restore(1, true)->others.at(0).documents, 1U);
  EXPECT_FALSE(fs::exists(restored()));
  const auto done = restore(1);
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(done->first.documents, 1U);
  EXPECT_EQ(done->others.at(0).name, "b");
  EXPECT_FALSE(done->has_users);
  EXPECT_EQ(disk::contents(restored() + "/seeded"), "which");
  const Served again(restored());
  EXPECT_TRUE(again.has("default", "d"));
  EXPECT_TRUE(again.has("b", "k"));
  EXPECT_FALSE(again.has("b", "later"));
  EXPECT_NE(again.buckets->find("cache"), nullptr);
  // It is another one than that which was backed up.
  EXPECT_FALSE(fs::exists(restored() + "/buckets/" + listed(1).parts.at(0).uuid));
}

TEST_F(ServerBackupTest, compressed_values_are_restored_as_they_are) {
  const std::string value(500, 'x');
  {
    const Served served(data());
    served.set_compressed("k", value);
    EXPECT_EQ(names(back_up(served)), (Names{"default 1"}));
  }
  ASSERT_TRUE(restore(1));
  const Served again(restored());
  while (!again.first->disk()->warmup().finished)
    std::this_thread::yield();
  const auto lies = again.first->bucket().fetch("k", {.takes_compressed = true}, again.clock.now());
  ASSERT_TRUE(lies);
  EXPECT_EQ(lies.doc->datatype(), wire::kDatatypeSnappy);
  EXPECT_LT(lies.doc->value().size(), value.size());
  EXPECT_EQ(again.first->bucket().fetch("k", again.clock.now()).doc->value(), value);
}

TEST_F(ServerBackupTest, a_bucket_that_goes_meanwhile_is_left_out) {
  const Served served(data());
  served.create("b");
  served.create("c");
  served.set("c", "k");
  ServerBackupOptions options = options_for(served);
  const auto with_bucket = options.with_bucket;
  options.with_bucket = [&](const BucketSettings& settings, const ServerBackupOptions::Copy& copy) {
    if (settings.name != "b") return with_bucket(settings, copy);
    // When all of it has been copied, even.
    EXPECT_TRUE(with_bucket(settings, copy));
    EXPECT_TRUE(served.buckets->remove("b"));
    served.create("later");
    return disk::Result<bool>(false);
  };
  EXPECT_EQ(names(back_up(served, options)), (Names{"default 0", "c 1"}));
  ASSERT_TRUE(restore(1));
  const Served again(restored());
  EXPECT_EQ(again.buckets->all().size(), 2U);
  EXPECT_TRUE(again.has("c", "k"));
  // What was copied of it goes.
  EXPECT_EQ(bucket_folders(backups()), 1U);
  EXPECT_EQ(names(back_up(served)), (Names{"default 0", "c 1", "later 0"}));
  EXPECT_EQ(bucket_folders(backups()), 2U);
}

TEST_F(ServerBackupTest, what_fails_leaves_the_earlier_ones_alone) {
  const Served served(data());
  served.create("b");
  served.set("b", "k");
  back_up(served);
  ServerBackupOptions options = options_for(served);
  options.progress = [](std::string_view bucket, uint64_t, uint64_t) { return bucket != "b"; };
  served.set("b", "k2");
  const auto stopped = back_up_server(served.first->disk()->directory(), options);
  ASSERT_FALSE(stopped);
  EXPECT_TRUE(stopped.error().path.empty());
  EXPECT_EQ(disk::list_backups(backups())->size(), 1U);
  const std::string part = disk::bucket_folder(backups(), listed(1).parts.at(0).uuid);
  EXPECT_EQ(disk::backup_numbers(part), std::vector<uint64_t>{1});
  EXPECT_TRUE(verify_server_backup(backups(), listed(1), {}));
}

TEST_F(ServerBackupTest, earlier_ones_that_cannot_be_read_keep_their_parts) {
  const Served served(data());
  served.create("b");
  served.set("b", "k");
  back_up(served);
  const std::string part = disk::bucket_folder(backups(), listed(1).parts.at(0).uuid);
  ServerBackupOptions options = options_for(served);
  options.progress = [this](std::string_view, uint64_t, uint64_t) {
    EXPECT_TRUE(disk::replace_file(disk::contents_path(backups(), 1), "damaged"));
    return true;
  };
  served.set("default", "d");
  EXPECT_TRUE(served.first->disk()->bring_to_disk());
  const auto failed = back_up_server(served.first->disk()->directory(), options);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().path, disk::contents_path(backups(), 1));
  EXPECT_EQ(disk::backup_numbers(part), std::vector<uint64_t>{1});
}

TEST_F(ServerBackupTest, what_is_dropped_goes_with_its_parts) {
  const Served served(data());
  served.create("b");
  back_up(served);
  back_up(served);
  fs::remove_all(disk::backup_path(backups(), 1));
  EXPECT_EQ(back_up(served).number, 3U);
  const std::string part = disk::bucket_folder(backups(), listed(2).parts.at(0).uuid);
  EXPECT_EQ(disk::backup_numbers(part), (std::vector<uint64_t>{2, 3}));
}

TEST_F(ServerBackupTest, a_dry_run_writes_nothing) {
  const Served served(data());
  served.create("b");
  served.set("b", "k");
  ServerBackupOptions options = options_for(served);
  options.dry_run = true;
  const ServerBackup made = back_up(served, options);
  EXPECT_EQ(names(made), (Names{"default 0", "b 1"}));
  EXPECT_GT(made.buckets.at(1).new_bytes, 0U);
  EXPECT_FALSE(fs::exists(backups()));
}

TEST_F(ServerBackupTest, damage_in_any_part_is_found) {
  {
    const Served served(data());
    served.create("b");
    served.set("b", "k");
    back_up(served);
  }
  const disk::Backup backup = listed(1);
  const std::string part = disk::bucket_folder(backups(), backup.parts.at(0).uuid);
  const auto refuses = [&](const std::string& path, const std::string& text) {
    const auto verified = verify_server_backup(backups(), backup, {});
    const auto rehearsed = restore(1, true);
    const auto done = restore(1);
    EXPECT_FALSE(verified) << path;
    EXPECT_FALSE(rehearsed) << path;
    ASSERT_FALSE(done) << path;
    EXPECT_EQ(done.error().kind, disk::ErrorKind::corrupt);
    EXPECT_NE(done.error().message.find(text), std::string::npos) << done.error().message;
    EXPECT_FALSE(fs::exists(restored()));
  };
  const auto damage = [&](const std::string& path) {
    const std::string before = disk::contents(path);
    std::string after = before;
    after.at(after.size() / 2) ^= 1;
    disk::write_contents(path, after);
    refuses(path, path);
    disk::write_contents(path, before);
  };
  damage(backups() + "/backup-1/buckets.json");
  const disk::Backup of_part = disk::list_backups(part)->at(0);
  damage(disk::path_of(part, of_part, of_part.files.at(0)));
  fs::rename(part, part + "-away");
  refuses(part, "backup 1 of bucket b is missing");
  fs::rename(part + "-away", part);
  EXPECT_TRUE(restore(1));
}

TEST_F(ServerBackupTest, a_check_looks_at_every_bucket) {
  std::string place;
  {
    const Served served(data());
    served.create("b");
    served.create("c");
    served.set("b", "k");
    place = bucket_path(data(), served.buckets->find("b")->uuid());
  }
  const auto check = [&] {
    auto checked = check_server(data(), {});
    EXPECT_TRUE(checked) << checked.error().message;
    return std::move(*checked);
  };
  const ServerCheck well = check();
  ASSERT_EQ(well.others.size(), 2U);
  EXPECT_EQ(well.others[0].name, "b");
  EXPECT_EQ(well.others[0].report.content.documents, 1U);
  EXPECT_TRUE(well.first.content.findings.empty());
  disk::write_contents(data() + "/users.json", "{}");
  EXPECT_EQ(check().first.content.findings.at(0).where, data() + "/users.json");
  fs::remove(data() + "/users.json");
  fs::rename(place, place + "-away");
  EXPECT_EQ(check().first.content.findings.at(0).what,
            place + ": bucket b is missing: restore it from a backup");
  // Nor does a server take an empty one for it.
  ServedBucketOptions first;
  first.disk = std::move(*open_disk(folder_.path() + "/other"));
  base::SystemClock clock;
  BucketsOptions options;
  options.folder = data();
  options.open_disk = [](const std::string& folder, const BucketSettings& settings) {
    return open_disk(folder, settings.quota_bytes);
  };
  Buckets buckets(std::make_shared<ServedBucket>(std::move(first), clock), std::move(options), clock);
  const auto opened = buckets.open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().kind, disk::ErrorKind::corrupt);
}

}  // namespace
}  // namespace bobbin::serve
