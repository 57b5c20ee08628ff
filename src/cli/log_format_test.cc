#include "cli/log_format.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>

namespace bobbin::cli {
namespace {

class LogFormat : public testing::Test {
 protected:
  void SetUp() override {
    setenv("TZ", "UTC", 1);
    tzset();
  }
};

TEST_F(LogFormat, Reads) {
  EXPECT_EQ(
      log_line_for_people("ts=1700000000.000042 gid=5 type=item_get key=a%20b status=found clsid=1 cfd=13 "
                          "size=3"),
      "22:13:20.000042  get      \"a b\"                    found, 3 bytes");
  EXPECT_EQ(
      log_line_for_people("ts=1700000000.5 gid=5 type=item_get key=a status=not_found clsid=0 cfd=13 size=0"),
      "22:13:20.5  get      a                        not_found");
}

TEST_F(LogFormat, Stores) {
  EXPECT_EQ(
      log_line_for_people("ts=1700000000.5 gid=5 type=item_store key=a status=stored cmd=add ttl=30 clsid=1 "
                          "cfd=13 size=3"),
      "22:13:20.5  add      a                        stored, 3 bytes, ttl 30 s");
  EXPECT_EQ(
      log_line_for_people("ts=1700000000.5 gid=5 type=item_store key=a status=exists cmd=cas ttl=0 clsid=1 "
                          "cfd=13 size=3"),
      "22:13:20.5  cas      a                        exists, 3 bytes");
}

TEST_F(LogFormat, EvictionsAndDeletions) {
  EXPECT_EQ(
      log_line_for_people("ts=1700000000.5 gid=5 type=eviction key=a fetch=yes ttl=-1 la=12 clsid=1 size=3"),
      "22:13:20.5  evict    a                        fetched yes, last access 12 s ago, 3 bytes");
  EXPECT_EQ(log_line_for_people("ts=1700000000.5 gid=5 type=deleted key=a cmd=md clsid=1 size=3"),
            "22:13:20.5  delete   a                        deleted, 3 bytes");
}

TEST_F(LogFormat, Connections) {
  EXPECT_EQ(log_line_for_people(
                "ts=1700000000.5 gid=2 type=conn_new rip=127.0.0.1 rport=55784 transport=tcp cfd=13"),
            "22:13:20.5  connect  127.0.0.1:55784 (tcp)");
  EXPECT_EQ(log_line_for_people(
                "ts=1700000000.5 gid=2 type=conn_close rip=::1 rport=7 transport=tcp reason=normal"),
            "22:13:20.5  close    [::1]:7 (tcp), normal");
}

TEST_F(LogFormat, SkippedEvents) {
  const std::string expected = "... 17 events skipped: they came faster than they were read";
  EXPECT_EQ(log_line_for_people("skipped=17"), expected);
  EXPECT_EQ(log_line_for_people("[skipped: 17]"), expected);
}

TEST_F(LogFormat, WhatIsNotKnownStaysAsItIs) {
  for (const char* line :
       {"", "hello", "ts=1.5 gid=1 type=new_kind a=b", "type=item_get key=a", "skipped=", "%%%"}) {
    EXPECT_EQ(log_line_for_people(line), line);
  }
}

TEST_F(LogFormat, NothingReachesTheTerminalRaw) {
  EXPECT_EQ(log_line_for_people("\x1b[2J").find('\x1b'), std::string::npos);
  const std::string key = log_line_for_people("ts=1.5 gid=5 type=item_get key=%1b[2J%0a%zz%2 status=found");
  EXPECT_EQ(key.find_first_of("\x1b\n"), std::string::npos) << key;
  const std::string field = log_line_for_people("ts=1.5 gid=5 type=item_get key=a status=\x1b[2J");
  EXPECT_EQ(field.find('\x1b'), std::string::npos) << field;
}

}  // namespace
}  // namespace bobbin::cli
