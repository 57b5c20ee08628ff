#include "disk/directory.h"

#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "disk/disk_test_support.h"
#include "disk/layout_file.h"
#include "disk/system_file.h"

namespace bobbin::disk {
namespace {

DirectoryOptions options_for(const TemporaryFolder& folder) {
  DirectoryOptions options;
  options.path = folder.path() + "/data";
  options.memory_bytes = 16 << 20;
  return options;
}

std::unique_ptr<Directory> open(const DirectoryOptions& options) {
  auto opened = Directory::open(options);
  EXPECT_TRUE(opened) << opened.error().message;
  return opened ? std::move(*opened) : nullptr;
}

Error refused(const DirectoryOptions& options) {
  const auto opened = Directory::open(options);
  EXPECT_FALSE(opened);
  return opened ? Error{} : opened.error();
}

TEST(Directory, KeepsWhoItIsAndHowItEnded) {
  const TemporaryFolder folder;
  auto options = options_for(folder);
  options.shards = 3;
  options.vbuckets = 64;
  auto directory = open(options);
  ASSERT_TRUE(directory);
  EXPECT_TRUE(directory->is_new());
  EXPECT_TRUE(directory->ended_cleanly());
  const std::string uuid = directory->uuid();
  EXPECT_EQ(uuid.size(), 32U);
  ASSERT_TRUE(directory->close());

  directory = open(options_for(folder));
  ASSERT_TRUE(directory);
  EXPECT_FALSE(directory->is_new());
  EXPECT_EQ(directory->uuid(), uuid);
  EXPECT_EQ(directory->shards(), 3U);
  EXPECT_EQ(directory->vbuckets(), 64U);
  EXPECT_TRUE(directory->ended_cleanly());
  directory.reset();  // no close

  directory = open(options);
  ASSERT_TRUE(directory);
  EXPECT_FALSE(directory->ended_cleanly());
  ASSERT_TRUE(directory->close());
  EXPECT_TRUE(open(options)->ended_cleanly());
}

TEST(Directory, IsItsOwnersAlone) {
  const TemporaryFolder folder;
  const auto options = options_for(folder);
  ASSERT_TRUE(open(options));
  struct stat found {};
  ASSERT_EQ(stat(options.path.c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777U, 0700U);
}

TEST(Directory, ALinkInPlaceOfTheLockIsNotFollowed) {
  const TemporaryFolder folder;
  const auto options = options_for(folder);
  ASSERT_TRUE(open(options)->close());
  const std::string lock = options.path + "/lock";
  const std::string victim = folder.path() + "/victim";
  std::ofstream(victim) << "mine";
  std::filesystem::remove(lock);
  std::filesystem::create_symlink(victim, lock);
  EXPECT_EQ(refused(options).path, lock);
  std::string text;
  std::ifstream(victim) >> text;
  EXPECT_EQ(text, "mine");
}

TEST(Directory, VBucketsLieInTheirShards) {
  const TemporaryFolder folder;
  auto directory = open(options_for(folder));
  ASSERT_TRUE(directory);
  for (uint16_t vbucket = 0; vbucket < 8; ++vbucket) {
    const std::vector<Change> changes = {document(vbucket, "k", 1, "v")};
    ASSERT_TRUE(directory->shard_of(vbucket).commit(changes, {}, Sync::yes));
  }
  EXPECT_EQ(directory->shard_number(5), 1U);
  EXPECT_TRUE(directory->shard(1).get(5, "k")->has_value());
  EXPECT_FALSE(directory->shard(0).get(5, "k")->has_value());
  const ShardStatistics all = directory->statistics();
  EXPECT_EQ(all.commits, 8U);
  EXPECT_GT(all.file_bytes, 0U);
  EXPECT_GT(directory->resources().used_bytes(), 0U);
}

TEST(Directory, TwoServersOnOneDirectoryAreRefusedWithTheProcess) {
  const TemporaryFolder folder;
  const auto directory = open(options_for(folder));
  ASSERT_TRUE(directory);
  const Error error = refused(options_for(folder));
  EXPECT_EQ(error.kind, ErrorKind::locked);
  EXPECT_NE(error.message.find(folder.path()), std::string::npos);
  EXPECT_NE(error.message.find("process " + std::to_string(getpid())), std::string::npos) << error.message;
}

TEST(Directory, AProcessThatDiedHoldsNoLock) {
  const TemporaryFolder folder;
  const auto options = options_for(folder);
  std::filesystem::create_directories(options.path);
  const pid_t child = fork();
  if (child == 0) {
    // Nothing but system calls: the threads of the parent are not here.
    const auto lock = FileLock::take(options.path + "/lock", false);
    raise(lock ? SIGKILL : SIGTERM);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  ASSERT_EQ(WTERMSIG(status), SIGKILL);
  EXPECT_TRUE(open(options));
}

TEST(Directory, ContradictionsAreRefused) {
  const TemporaryFolder folder;
  auto options = options_for(folder);
  options.vbuckets = 64;
  ASSERT_TRUE(open(options)->close());
  options.vbuckets = 128;
  Error error = refused(options);
  EXPECT_EQ(error.kind, ErrorKind::config);
  EXPECT_NE(error.message.find("64 vbuckets, not 128"), std::string::npos) << error.message;
  options.vbuckets = 64;
  options.shards = 5;
  error = refused(options);
  EXPECT_EQ(error.kind, ErrorKind::config);
  EXPECT_NE(error.message.find("2 shards, not 5"), std::string::npos) << error.message;
}

TEST(Directory, ANewerVersionIsRefused) {
  const TemporaryFolder folder;
  const auto options = options_for(folder);
  ASSERT_TRUE(open(options)->close());
  const std::string path = options.path + "/layout";
  std::string text = contents(path);
  text.replace(text.find("format "), 8, "format 9");
  write_contents(path, text);
  const Error error = refused(options);
  EXPECT_EQ(error.kind, ErrorKind::other_version);
  EXPECT_EQ(error.path, path);
}

// What this version writes, the one that made the directory would pass over.
TEST(Directory, AnOlderVersionsIsThisOnesOnceItIsOpenedToBeWritten) {
  const TemporaryFolder folder;
  auto options = options_for(folder);
  ASSERT_TRUE(open(options)->close());
  const std::string path = options.path + "/layout";
  const auto made = decode_layout(contents(path), path);
  ASSERT_TRUE(made);
  EXPECT_EQ(made->format, kDirectoryFormat);
  Layout older = *made;
  older.format = kOldestDirectoryFormat;
  write_contents(path, encode_layout(older));
  options.read_only = true;
  ASSERT_TRUE(open(options)->close());
  EXPECT_EQ(contents(path), encode_layout(older));
  options.read_only = false;
  ASSERT_TRUE(open(options)->close());
  EXPECT_EQ(contents(path), encode_layout(*made));
}

// An empty start would be taken for a directory without documents.
TEST(Directory, WhatIsMissingIsNotMadeAnew) {
  for (const std::string part : {"layout", "shard-1"}) {
    const TemporaryFolder folder;
    const auto options = options_for(folder);
    ASSERT_TRUE(open(options)->close());
    std::filesystem::remove_all(options.path + "/" + part);
    const Error error = refused(options);
    EXPECT_EQ(error.kind, ErrorKind::corrupt) << part;
    EXPECT_NE(error.message.find(options.path + "/" + part), std::string::npos) << error.message;
  }
}

TEST(Directory, ACreationThatWasInterruptedIsFinished) {
  const TemporaryFolder folder;
  const auto options = options_for(folder);
  std::filesystem::create_directories(options.path);
  write_contents(options.path + "/layout",
                 encode_layout({kDirectoryFormat, std::string(32, 'a'), 2, 1024, false}));
  const auto directory = open(options);
  ASSERT_TRUE(directory);
  EXPECT_EQ(directory->uuid(), std::string(32, 'a'));
}

TEST(Directory, AFileInItsPlaceIsToldByName) {
  const TemporaryFolder folder;
  const auto options = options_for(folder);
  write_contents(options.path, "x");
  EXPECT_EQ(refused(options).path, options.path);
}

TEST(Directory, OneThatCannotBeWritten) {
  const TemporaryFolder folder;
  auto options = options_for(folder);
  if (mount("tmpfs", folder.path().c_str(), "tmpfs", 0, "size=64m") != 0)
    GTEST_SKIP() << "no file system can be mounted here (" << std::strerror(errno) << ")";
  {
    auto directory = open(options);
    ASSERT_TRUE(directory);
    const std::vector<Change> changes = {document(0, "k", 1, "v")};
    ASSERT_TRUE(directory->shard(0).commit(changes, {}, Sync::yes));
    ASSERT_TRUE(directory->close());
  }
  ASSERT_EQ(mount("tmpfs", folder.path().c_str(), "tmpfs", MS_REMOUNT | MS_RDONLY, nullptr), 0);
  const Error error = refused(options);
  EXPECT_EQ(error.kind, ErrorKind::read_only);
  EXPECT_NE(error.message.find(options.path), std::string::npos) << error.message;
  // Looking at it works.
  options.read_only = true;
  {
    auto directory = open(options);
    ASSERT_TRUE(directory);
    EXPECT_TRUE(directory->shard(0).get(0, "k")->has_value());
    EXPECT_TRUE(directory->close());
  }
  EXPECT_EQ(umount(folder.path().c_str()), 0);
}

TEST(Directory, LookingAtOneChangesNothingInIt) {
  const TemporaryFolder folder;
  auto options = options_for(folder);
  {
    auto directory = open(options);
    ASSERT_TRUE(directory);
    const std::vector<Change> changes = {document(0, "k", 1, "v")};
    ASSERT_TRUE(directory->shard(0).commit(changes, {}, Sync::yes));
  }
  const auto listing = [&] {
    std::string text;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(options.path)) {
      if (entry.is_regular_file()) text += entry.path().string() + contents(entry.path().string());
    }
    return text;
  };
  const std::string before = listing();
  options.read_only = true;
  {
    auto directory = open(options);
    ASSERT_TRUE(directory);
    EXPECT_FALSE(directory->ended_cleanly());
    EXPECT_TRUE(directory->shard(0).get(0, "k")->has_value());
    EXPECT_TRUE(directory->close());
  }
  EXPECT_TRUE(before == listing());
}

}  // namespace
}  // namespace bobbin::disk
