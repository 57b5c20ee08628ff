// Get and lock, unlock, and what they mean for everybody else.

#include <string>

#include "serve/mcbp_fixture.h"
#include "store/bucket.h"

namespace bobbin::serve {
namespace {

using namespace std::string_literals;
using wire::BinaryOpcode;
using wire::BinaryStatus;
using wire::Feature;

constexpr uint64_t kHidden = UINT64_MAX;

class LockTest : public McbpTest {
 protected:
  LockTest() {
    hello({Feature::xerror, Feature::alt_request});
    stored_ = set("k", "5").cas;
  }
  Reply lock(const std::string& extras = {}) {
    return ask({.opcode = BinaryOpcode::get_locked, .key = "k", .extras = extras});
  }
  BinaryStatus unlock(uint64_t cas) {
    return status({.opcode = BinaryOpcode::unlock_key, .key = "k", .cas = cas});
  }
  BinaryStatus change(BinaryOpcode opcode, uint64_t cas) {
    Frame frame{.opcode = opcode, .key = "k", .cas = cas};
    if (opcode != BinaryOpcode::remove) frame.value = "7";
    if (opcode == BinaryOpcode::set || opcode == BinaryOpcode::replace) frame.extras.assign(8, '\0');
    if (opcode == BinaryOpcode::increment) {
      frame.value.clear();
      frame.extras.assign(20, '\0');
    }
    if (opcode == BinaryOpcode::subdoc_dict_upsert) {
      frame.extras = "\0\x01\0"s;
      frame.value = "a1";
    }
    return status(frame);
  }

  uint64_t stored_ = 0;
};

TEST_F(LockTest, ReadersSeeTheDocumentAndNoCas) {
  const Reply locked = lock();
  EXPECT_EQ(locked.status, BinaryStatus::success);
  EXPECT_EQ(locked.value, "5");
  EXPECT_EQ(locked.extras, "\0\0\0\0"s);
  EXPECT_NE(locked.cas, stored_);
  EXPECT_EQ(get("k").cas, kHidden);
  EXPECT_EQ(get("k").value, "5");
  EXPECT_EQ(ask({.opcode = BinaryOpcode::get_meta, .key = "k"}).cas, kHidden);
  EXPECT_EQ(ask({.opcode = BinaryOpcode::subdoc_exists, .key = "k", .value = "a", .extras = "\0\x01\0"s}).cas,
            kHidden);
  EXPECT_EQ(unlock(locked.cas), BinaryStatus::success);
  EXPECT_EQ(get("k").cas, locked.cas);
}

TEST_F(LockTest, OnlyTheLocksCasChangesIt) {
  for (const BinaryOpcode opcode : {BinaryOpcode::set, BinaryOpcode::replace, BinaryOpcode::append,
                                    BinaryOpcode::prepend, BinaryOpcode::remove}) {
    set("k", "5");
    const uint64_t cas = lock().cas;
    for (const uint64_t other : {uint64_t{0}, stored_, cas + 1, kHidden})
      EXPECT_EQ(change(opcode, other), BinaryStatus::locked) << int(opcode) << " " << other;
    EXPECT_EQ(change(opcode, cas), BinaryStatus::success) << int(opcode);
    EXPECT_EQ(unlock(cas),
              opcode == BinaryOpcode::remove ? BinaryStatus::key_not_found : BinaryStatus::not_locked);
  }
}

TEST_F(LockTest, CountersTakeNoCasAndWait) {
  set("k", "5");
  const uint64_t cas = lock().cas;
  EXPECT_EQ(change(BinaryOpcode::increment, 0), BinaryStatus::locked);
  EXPECT_EQ(change(BinaryOpcode::increment, cas), BinaryStatus::invalid_arguments);
  EXPECT_EQ(unlock(cas), BinaryStatus::success);
  EXPECT_EQ(change(BinaryOpcode::increment, 0), BinaryStatus::success);
}

TEST_F(LockTest, SubDocumentChangesAreChangesToo) {
  set("k", "{}");
  const uint64_t cas = lock().cas;
  EXPECT_EQ(change(BinaryOpcode::subdoc_dict_upsert, 0), BinaryStatus::locked);
  EXPECT_EQ(change(BinaryOpcode::subdoc_dict_upsert, cas + 1), BinaryStatus::locked);
  EXPECT_EQ(change(BinaryOpcode::subdoc_dict_upsert, cas), BinaryStatus::success);
  EXPECT_EQ(get("k").value, R"({"a":1})");
}

TEST_F(LockTest, ItIsNotTouchedAndAddFindsIt) {
  lock();
  EXPECT_EQ(status({.opcode = BinaryOpcode::touch, .key = "k", .extras = "\0\0\0\1"s}), BinaryStatus::locked);
  EXPECT_EQ(status({.opcode = BinaryOpcode::gat, .key = "k", .extras = "\0\0\0\1"s}), BinaryStatus::locked);
  EXPECT_EQ(status({.opcode = BinaryOpcode::add, .key = "k", .extras = std::string(8, '\0')}),
            BinaryStatus::key_exists);
}

TEST_F(LockTest, NobodyLocksItTwice) {
  const uint64_t cas = lock().cas;
  EXPECT_EQ(lock().status, BinaryStatus::locked);
  EXPECT_EQ(unlock(cas + 1), BinaryStatus::locked);
  EXPECT_EQ(unlock(stored_), BinaryStatus::locked);
  EXPECT_EQ(unlock(cas), BinaryStatus::success);
  EXPECT_EQ(unlock(cas), BinaryStatus::not_locked);
  EXPECT_EQ(lock().status, BinaryStatus::success);
}

TEST_F(LockTest, ALockIsOverAfterItsTime) {
  struct Case {
    std::string extras;
    uint32_t seconds;
  };
  const std::vector<Case> cases{{"", 15},
                                {"\0\0\0\0"s, 15},
                                {"\0\0\0\1"s, 1},
                                {"\0\0\0\x1e"s, 30},
                                {"\0\0\0\x1f"s, 15},
                                {"\xff\xff\xff\xff", 15}};
  for (const Case& one : cases) {
    const uint64_t cas = lock(one.extras).cas;
    server_.clock().advance_s(one.seconds - 1);
    EXPECT_EQ(change(BinaryOpcode::set, 0), BinaryStatus::locked) << one.seconds;
    server_.clock().advance_s(1);
    EXPECT_EQ(unlock(cas), BinaryStatus::not_locked);
    EXPECT_EQ(change(BinaryOpcode::set, stored_), BinaryStatus::key_exists);
    // Nobody has changed it since: who locked it may.
    EXPECT_EQ(change(BinaryOpcode::set, cas), BinaryStatus::success);
  }
}

TEST_F(LockTest, MalformedRequestsAreRefused) {
  EXPECT_EQ(lock("\0\0\0"s).status, BinaryStatus::invalid_arguments);
  EXPECT_EQ(lock("\0\0\0\1\0"s).status, BinaryStatus::invalid_arguments);
  EXPECT_EQ(status({.opcode = BinaryOpcode::get_locked, .key = "k", .value = "v"}),
            BinaryStatus::invalid_arguments);
  EXPECT_EQ(status({.opcode = BinaryOpcode::get_locked}), BinaryStatus::invalid_arguments);
  EXPECT_EQ(status({.opcode = BinaryOpcode::get_locked, .key = "k", .cas = 1}),
            BinaryStatus::invalid_arguments);
  EXPECT_EQ(unlock(0), BinaryStatus::invalid_arguments);
  EXPECT_EQ(status({.opcode = BinaryOpcode::unlock_key, .key = "k", .extras = "\0\0\0\1"s, .cas = 1}),
            BinaryStatus::invalid_arguments);
  EXPECT_EQ(status({.opcode = BinaryOpcode::get_locked, .key = "other"}), BinaryStatus::key_not_found);
  EXPECT_EQ(status({.opcode = BinaryOpcode::unlock_key, .key = "other", .cas = 1}),
            BinaryStatus::key_not_found);
  EXPECT_EQ(get("k").cas, stored_);
}

TEST_F(LockTest, WhoKnowsNoNewStatusesIsToldOlderOnes) {
  const uint64_t cas = lock().cas;
  hello({});
  EXPECT_EQ(change(BinaryOpcode::set, 0), BinaryStatus::key_exists);
  EXPECT_EQ(lock().status, BinaryStatus::temporary_failure);
  EXPECT_EQ(unlock(cas), BinaryStatus::success);
  EXPECT_EQ(unlock(cas), BinaryStatus::temporary_failure);
}

TEST_F(LockTest, MemcachedsClientsAreRefusedAsWell) {
  const uint64_t cas = lock().cas;
  const std::string locked = "SERVER_ERROR document is locked\r\n";
  EXPECT_EQ(text("gets k\r\n"), "VALUE k 0 1 18446744073709551615\r\n5\r\nEND\r\n");
  for (const char* request : {"set k 0 0 1\r\n6\r\n", "replace k 0 0 1\r\n6\r\n", "append k 0 0 1\r\n6\r\n",
                              "delete k\r\n", "incr k 1\r\n", "touch k 100\r\n", "gat 100 k\r\n",
                              "ms k 1\r\n6\r\n", "md k\r\n", "md k I\r\n", "ma k\r\n", "mg k T100\r\n"})
    EXPECT_EQ(text(request), locked) << request;
  EXPECT_EQ(text("add k 0 0 1\r\n6\r\n"), "NOT_STORED\r\n");
  EXPECT_EQ(text("cas k 0 0 1 5\r\n6\r\n"), "EXISTS\r\n");
  EXPECT_EQ(text("ms k 1 C5\r\n6\r\n"), "EX\r\n");
  EXPECT_EQ(text("md k C5\r\n"), "EX\r\n");
  EXPECT_EQ(text("ma k C5\r\n"), "EX\r\n");
  EXPECT_EQ(text("mg k v c\r\n"), "VA 1 c18446744073709551615\r\n5\r\n");
  EXPECT_EQ(text("cas k 0 0 1 " + std::to_string(cas) + "\r\n6\r\n"), "STORED\r\n");
}

TEST_F(LockTest, ItIsNotEvictedAndAFlushForgetsIt) {
  lock();
  server_.bucket().set_quota_bytes(1);
  EXPECT_NE(set("other", "v").status, BinaryStatus::success);
  server_.bucket().set_quota_bytes(store::kDefaultQuotaBytes);
  EXPECT_EQ(get("k").cas, kHidden);
  EXPECT_EQ(status({.opcode = BinaryOpcode::flush}), BinaryStatus::success);
  EXPECT_EQ(set("k", "v").status, BinaryStatus::success);
}

TEST_F(LockTest, WhatIsToKeepItsExpiryKeepsIt) {
  const auto store = [&](BinaryOpcode opcode, const std::string& extras, const std::string& framing) {
    return status({.opcode = opcode, .key = "k", .value = "6", .extras = extras, .framing = framing});
  };
  const std::string in_100_s = "\0\0\0\0\0\0\0\x64"s;
  const std::string never(8, '\0');
  const auto ttl = [&] { return text("mg k t\r\n"); };
  EXPECT_EQ(store(BinaryOpcode::set, in_100_s, ""), BinaryStatus::success);
  for (const BinaryOpcode opcode : {BinaryOpcode::set, BinaryOpcode::replace}) {
    EXPECT_EQ(store(opcode, never, "\x50"), BinaryStatus::success);
    EXPECT_EQ(ttl(), "HD t100\r\n");
  }
  EXPECT_EQ(status({.opcode = BinaryOpcode::increment,
                    .key = "k",
                    .extras = std::string(20, '\0'),
                    .framing = "\x50"}),
            BinaryStatus::success);
  EXPECT_EQ(store(BinaryOpcode::append, "", "\x50"), BinaryStatus::success);
  EXPECT_EQ(ttl(), "HD t100\r\n");
  EXPECT_EQ(status({.opcode = BinaryOpcode::touch, .key = "k", .extras = "\0\0\0\1"s, .framing = "\x50"}),
            BinaryStatus::not_supported);
  EXPECT_EQ(store(BinaryOpcode::set, never, ""), BinaryStatus::success);
  EXPECT_EQ(ttl(), "HD t-1\r\n");
  EXPECT_EQ(status({.opcode = BinaryOpcode::remove, .key = "k"}), BinaryStatus::success);
  EXPECT_EQ(store(BinaryOpcode::set, in_100_s, "\x50"), BinaryStatus::success);
  EXPECT_EQ(ttl(), "HD t100\r\n");
}

}  // namespace
}  // namespace bobbin::serve
