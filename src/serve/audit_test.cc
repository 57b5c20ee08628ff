#include "serve/audit.h"

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <map>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "disk/disk_test_support.h"
#include "wire/json_value.h"

namespace bobbin::serve {
namespace {

class Audit : public testing::Test {
 protected:
  [[nodiscard]] std::string path() const { return folder_.path() + "/audit.log"; }
  [[nodiscard]] AuditOptions options() const { return {{path(), 1 << 20, 2}, &clock_, 1 << 20}; }
  /// Each line, as what it says.
  [[nodiscard]] std::vector<wire::JsonValue> lines() const {
    std::istringstream text(disk::contents(path()));
    std::vector<wire::JsonValue> values;
    for (std::string line; std::getline(text, line);) {
      const auto value = wire::JsonValue::parse(line);
      EXPECT_TRUE(value) << line;
      values.push_back(value.value_or(wire::JsonValue()));
    }
    return values;
  }
  static std::string text_of(const wire::JsonValue& line, std::string_view name) {
    const wire::JsonValue* const member = line.member(name);
    return member == nullptr || member->string() == nullptr ? "missing" : *member->string();
  }

  base::ManualClock clock_{1'790'000'000};
  disk::TemporaryFolder folder_;
};

TEST_F(Audit, has_a_line_for_each_event) {
  {
    AuditLog log(options());
    log.login({"app", "tcp:192.0.2.7:4711", "SCRAM-SHA512", true});
    log.login({"a\"\n\xff", "unix", "PLAIN", false, "wrong"});
    log.admin({"admin", "unix", "create bucket", "b", true, "persistent"});
  }
  const std::string text = disk::contents(path());
  EXPECT_EQ(text.substr(0, text.find('\n') + 1),
            "{\"time\":\"2026-09-21T14:13:20.000Z\",\"event\":\"login\",\"ok\":true,\"user\":\"app\","
            "\"peer\":\"tcp:192.0.2.7:4711\",\"mechanism\":\"SCRAM-SHA512\"}\n");
  const auto all = lines();
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[1].member("ok")->boolean(), false);
  EXPECT_EQ(text_of(all[1], "user"), "a\"\n\xef\xbf\xbd");
  EXPECT_EQ(text_of(all[1], "reason"), "wrong");
  EXPECT_EQ(text_of(all[2], "event"), "admin");
  EXPECT_EQ(text_of(all[2], "action"), "create bucket");
  EXPECT_EQ(text_of(all[2], "object"), "b");
  EXPECT_EQ(text_of(all[2], "detail"), "persistent");
}

TEST_F(Audit, bounds_what_an_event_can_say) {
  {
    AuditLog log(options());
    log.login({std::string(1 << 20, 'u'), "unix", "PLAIN", true});
  }
  EXPECT_LT(disk::contents(path()).size(), 2000U);
}

TEST_F(Audit, keeps_the_lines_of_each_thread_in_order) {
  constexpr int kThreads = 4;
  constexpr int kLines = 500;
  {
    AuditLog log(options());
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&log, t] {
        for (int i = 0; i < kLines; ++i)
          log.login({std::to_string(t), std::to_string(i), "PLAIN", true});
      });
    }
    for (std::thread& thread : threads)
      thread.join();
    EXPECT_EQ(log.dropped(), 0U);
  }
  std::vector<int> next(kThreads, 0);
  for (const wire::JsonValue& line : lines()) {
    int& expected = next.at(static_cast<size_t>(std::stoi(text_of(line, "user"))));
    EXPECT_EQ(text_of(line, "peer"), std::to_string(expected));
    ++expected;
  }
  EXPECT_EQ(next, std::vector<int>(kThreads, kLines));
}

TEST_F(Audit, counts_what_the_queue_has_no_room_for_and_says_so) {
  AuditOptions small = options();
  small.max_queued_bytes = 150;  // one line at a time
  uint64_t dropped = 0;
  uint64_t written = 0;
  {
    AuditLog log(small);
    const std::string large(1000, 'x');
    log.login({large, "unix", "PLAIN", true});
    EXPECT_EQ(log.dropped(), 1U);
    log.login({"app", "unix", "PLAIN", true});
    while (log.written() == 0)
      std::this_thread::yield();
    dropped = log.dropped();
    written = log.written();
  }
  EXPECT_EQ(dropped, 1U);
  EXPECT_EQ(written, 1U);
  const auto all = lines();
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(text_of(all[0], "event"), "dropped");
  EXPECT_EQ(all[0].member("count")->number(), 1U);
  EXPECT_EQ(text_of(all[1], "user"), "app");
}

TEST_F(Audit, counts_what_cannot_be_written_and_goes_on_when_it_can) {
  std::filesystem::create_directory(path());
  AuditLog log(options());
  log.login({"lost", "unix", "PLAIN", true});
  while (log.dropped() == 0)
    std::this_thread::yield();
  std::filesystem::remove(path());
  log.login({"kept", "unix", "PLAIN", true});
  while (log.written() == 0)
    std::this_thread::yield();
  const auto all = lines();
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].member("count")->number(), 1U);
  EXPECT_EQ(text_of(all[1], "user"), "kept");
}

// What somebody who may not asks for.
AdminEvent refusal(std::string_view user, std::string_view object) {
  return {user, "unix", "flush", object, false, "not allowed", AdminEvent::Pace::user};
}

TEST_F(Audit, refusals_of_a_user_have_a_pace) {
  constexpr uint64_t kAsked = 100'000;
  {
    AuditLog log(options());
    for (uint64_t i = 0; i < kAsked; ++i)
      log.admin(refusal("app", std::to_string(i)));
    EXPECT_EQ(log.dropped(), kAsked - AuditLog::kPacedLines);
    log.admin(refusal("other", "x"));
    for (int i = 0; i < 100; ++i)
      log.admin({"app", "unix", "create bucket", "b", true});
    EXPECT_EQ(log.dropped(), kAsked - AuditLog::kPacedLines) << "nobody else has to wait, nor other events";
    clock_.advance_s(1);
    for (int i = 0; i < 10; ++i)
      log.admin(refusal("app", "later"));
    EXPECT_EQ(log.dropped(), kAsked - AuditLog::kPacedLines + 8);
    clock_.advance_s(1000);
    for (int i = 0; i < 100; ++i)
      log.admin(refusal("app", "much later"));
    EXPECT_EQ(log.dropped(), kAsked - AuditLog::kPacedLines + 8 + 100 - AuditLog::kPacedLines);
  }
  std::map<std::string, size_t> counts;
  for (const wire::JsonValue& line : lines())
    ++counts[text_of(line, "event") == "dropped" ? "dropped" : text_of(line, "object")];
  EXPECT_EQ(counts["x"], 1U);
  EXPECT_EQ(counts["b"], 100U);
  EXPECT_EQ(counts["later"], 2U);
  EXPECT_EQ(counts["much later"], AuditLog::kPacedLines);
  EXPECT_GE(counts["dropped"], 1U);
}

TEST_F(Audit, what_is_done_over_and_over_has_a_pace_of_its_object) {
  AuditLog log(options());
  const auto flush = [&](std::string_view user, std::string_view bucket) {
    log.admin({user, "unix", "flush bucket", bucket, true, {}, AdminEvent::Pace::object});
  };
  for (int i = 0; i < 1000; ++i)
    flush("app", "a");
  const uint64_t dropped = 1000 - AuditLog::kPacedLines;
  EXPECT_EQ(log.dropped(), dropped);
  flush("app", "b");
  flush("other", "a");
  log.admin(refusal("app", "a"));
  EXPECT_EQ(log.dropped(), dropped);
  flush("app", "a");
  EXPECT_EQ(log.dropped(), dropped + 1);
}

TEST_F(Audit, a_clock_that_is_set_back_silences_nobody_for_long) {
  base::ManualClock ahead(1'800'000'000);
  struct Switched final : base::Clock {
    explicit Switched(const base::Clock& first) : clock(&first) {}
    [[nodiscard]] base::Now now() const noexcept override { return clock.load()->now(); }
    std::atomic<const base::Clock*> clock;
  } clock(ahead);
  AuditOptions own = options();
  own.clock = &clock;
  AuditLog log(own);
  for (uint64_t i = 0; i < AuditLog::kPacedLines; ++i)
    log.admin(refusal("app", "x"));
  clock.clock = &clock_;
  log.admin(refusal("app", "x"));
  EXPECT_EQ(log.dropped(), 1U);
  clock_.advance_s(1);
  log.admin(refusal("app", "x"));
  EXPECT_EQ(log.dropped(), 1U);
}

TEST_F(Audit, as_many_have_a_pace_as_may_and_make_room_in_time) {
  AuditLog log(options());
  for (size_t i = 0; i < AuditLog::kMaxPaces; ++i)
    log.admin(refusal(std::to_string(i), "x"));
  EXPECT_EQ(log.dropped(), 0U);
  log.admin(refusal("one more", "x"));
  EXPECT_EQ(log.dropped(), 1U);
  clock_.advance_s(1);
  log.admin(refusal("one more", "x"));
  EXPECT_EQ(log.dropped(), 1U);
}

TEST_F(Audit, refusals_leave_half_of_the_queue_to_others) {
  AuditOptions small = options();
  small.max_queued_bytes = 300;
  std::string object(60, 'x');
  {
    AuditLog log(small);
    log.admin(refusal("app", object));
    EXPECT_EQ(log.dropped(), 1U) << "longer than a half";
    log.admin({"app", "unix", "flush", object, false, "not allowed"});
    EXPECT_EQ(log.dropped(), 1U);
  }
  const auto all = lines();
  ASSERT_FALSE(all.empty());
  EXPECT_EQ(text_of(all.back(), "object"), object);
}

TEST_F(Audit, without_a_path_keeps_nothing) {
  AuditOptions none = options();
  none.file.path.clear();
  AuditLog log(none);
  log.login({"app", "unix", "PLAIN", true});
  log.admin({"app", "unix", "x", "y", true});
  EXPECT_EQ(log.written() + log.dropped(), 0U);
}

}  // namespace
}  // namespace bobbin::serve
