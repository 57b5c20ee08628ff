#include "disk/rotated_file.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "disk/disk_test_support.h"

namespace bobbin::disk {
namespace {

class Rotated : public testing::Test {
 protected:
  [[nodiscard]] std::string path() const { return folder_.path() + "/log"; }
  [[nodiscard]] RotatedFileOptions options(uint64_t max_file_bytes, uint32_t kept_files) const {
    return {path(), max_file_bytes, kept_files};
  }

 private:
  TemporaryFolder folder_;
};

TEST_F(Rotated, grows_across_openings_and_is_the_owners_alone) {
  {
    RotatedFile file(options(1000, 1));
    EXPECT_FALSE(std::filesystem::exists(path()));
    EXPECT_TRUE(file.append("one\ntwo\n"));
  }
  RotatedFile file(options(1000, 1));
  EXPECT_TRUE(file.append("three\n"));
  EXPECT_EQ(contents(path()), "one\ntwo\nthree\n");
  EXPECT_EQ(std::filesystem::status(path()).permissions(),
            std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
}

TEST_F(Rotated, keeps_the_last_files) {
  RotatedFile file(options(10, 2));
  for (const char* line : {"aaaaaa\n", "bbbbbb\n", "cccccc\n", "dddddd\n", "e\n"})
    EXPECT_TRUE(file.append(line));
  EXPECT_EQ(contents(path()), "dddddd\ne\n");
  EXPECT_EQ(contents(path() + ".1"), "cccccc\n");
  EXPECT_EQ(contents(path() + ".2"), "bbbbbb\n");
  EXPECT_FALSE(std::filesystem::exists(path() + ".3"));
}

TEST_F(Rotated, writes_lines_that_are_longer_than_a_file_whole) {
  RotatedFile file(options(4, 0));
  EXPECT_TRUE(file.append("a long line\n"));
  EXPECT_TRUE(file.append("b\n"));
  EXPECT_EQ(contents(path()), "b\n");
}

TEST_F(Rotated, counts_what_was_there) {
  std::ofstream(path()) << "12345678\n";
  RotatedFile file(options(10, 1));
  EXPECT_TRUE(file.append("next\n"));
  EXPECT_EQ(contents(path()), "next\n");
  EXPECT_EQ(contents(path() + ".1"), "12345678\n");
}

TEST_F(Rotated, ends_the_half_line_of_a_crash) {
  std::ofstream(path()) << "whole\nhal";
  RotatedFile file(options(1000, 1));
  EXPECT_TRUE(file.append("next\n"));
  EXPECT_EQ(contents(path()), "whole\nhal\nnext\n");
}

TEST_F(Rotated, says_what_it_cannot_open_and_tries_again) {
  std::filesystem::create_directory(path());
  RotatedFile file(options(1000, 1));
  const auto failed = file.append("lost\n");
  ASSERT_FALSE(failed);
  EXPECT_NE(failed.error().message.find(path()), std::string::npos);
  std::filesystem::remove(path());
  EXPECT_TRUE(file.append("written\n"));
  EXPECT_EQ(contents(path()), "written\n");
}

TEST_F(Rotated, follows_no_link) {
  std::filesystem::create_symlink(path() + ".elsewhere", path());
  RotatedFile file(options(1000, 1));
  EXPECT_FALSE(file.append("lost\n"));
  EXPECT_FALSE(std::filesystem::exists(path() + ".elsewhere"));
}

}  // namespace
}  // namespace bobbin::disk
