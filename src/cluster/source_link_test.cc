#include "cluster/source_link.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace bobbin::cluster {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// Says nothing.
class Silence final : public Talk {
 public:
  explicit Silence(int& alive) : alive_(alive) { ++alive_; }
  ~Silence() override { --alive_; }
  Silence(const Silence&) = delete;
  Silence& operator=(const Silence&) = delete;

  void begin(SteadyTime, net::Output&) override {}
  TalkOutcome take(std::string_view, base::Now, SteadyTime, net::Output&) override {
    return TalkOutcome::taken;
  }
  [[nodiscard]] const std::string& trouble() const override { return trouble_; }
  [[nodiscard]] bool is_let_in() const override { return false; }
  void tick(SteadyTime, net::Output&) override {}

 private:
  int& alive_;
  const std::string trouble_;
};

// Nobody listens at the source's address, and what becomes of an attempt is heard only between two steps of
// a test: as if a name server were silent.
class SourceLinkTest : public testing::Test, private SourceLink::Owner {
 protected:
  void run(std::function<void()> first) {
    loop_.post(std::move(first));
    loop_.run();
  }
  /// Until the link dials once more, which it does as soon as it may.
  void until_dialled(SteadyTime now) {
    const int before = dials_;
    link_.tick(now);
    if (dials_ > before) return loop_.stop();
    loop_.post_after(milliseconds(1), [this, now] { until_dialled(now); });
  }
  void until_over() {
    if (link_.is_over()) return loop_.stop();
    loop_.post_after(milliseconds(1), [this] { until_over(); });
  }

  const SteadyTime start_ = std::chrono::steady_clock::now();
  int dials_ = 0;
  int alive_ = 0;
  std::vector<std::string> failures_;
  const base::SystemClock clock_{};
  const SourceOptions source_{.address = *net::Address::parse("127.0.0.1:1", 0), .name = "test"};
  net::Loop loop_{SourceLink::limits()};
  SourceLink link_{loop_, clock_, source_, *this};

 private:
  [[nodiscard]] std::unique_ptr<Talk> new_talk() override { return std::make_unique<Silence>(alive_); }
  void connecting() override { ++dials_; }
  void failed(std::string why) override { failures_.push_back(std::move(why)); }
};

TEST_F(SourceLinkTest, DialsNoThirdTimeWhileTwoAttemptsHang) {
  run([this] {
    link_.tick(start_);
    EXPECT_EQ(dials_, 1);
    link_.tick(start_ + seconds(10));
    EXPECT_TRUE(failures_.empty());
    link_.tick(start_ + seconds(11));
    EXPECT_EQ(failures_, std::vector<std::string>{"127.0.0.1:1: no connection"});
    EXPECT_TRUE(link_.is_idle());
    link_.tick(start_ + seconds(12));
    EXPECT_EQ(dials_, 2);
    link_.tick(start_ + seconds(23));
    EXPECT_EQ(failures_.size(), 2U);
    for (int i = 24; i < 100; ++i)
      link_.tick(start_ + seconds(i));
    EXPECT_EQ(dials_, 2);
    EXPECT_EQ(failures_.size(), 2U);
    // Both are heard of, and count no more.
    until_dialled(start_ + seconds(100));
  });
  EXPECT_EQ(dials_, 3);
  EXPECT_EQ(failures_.size(), 2U);
}

TEST_F(SourceLinkTest, OneThatEndsIsOverWhenItsAttemptIsHeardOf) {
  run([this] {
    link_.tick(start_);
    EXPECT_EQ(alive_, 1);
    link_.end();
    EXPECT_TRUE(link_.is_idle());
    EXPECT_FALSE(link_.is_over());
    until_over();
  });
  EXPECT_EQ(alive_, 0);
  EXPECT_EQ(dials_, 1);
  EXPECT_TRUE(failures_.empty()) << "nobody wants to know";
}

}  // namespace
}  // namespace bobbin::cluster
