#include "cluster/unmade.h"

#include <gtest/gtest.h>

namespace bobbin::cluster {
namespace {

using std::chrono::milliseconds;

constexpr Unmade::Time kStart{};

TEST(Unmade, IsTriedAgainAfterThePause) {
  Unmade unmade;
  EXPECT_TRUE(unmade.is_due("b", kStart));
  EXPECT_TRUE(unmade.failed("b", "disk", kStart));
  EXPECT_FALSE(unmade.is_due("b", kStart));
  EXPECT_TRUE(unmade.is_due("other", kStart));
  EXPECT_FALSE(unmade.is_due("b", kStart + std::chrono::seconds(30) - milliseconds(1)));
  EXPECT_TRUE(unmade.is_due("b", kStart + std::chrono::seconds(30)));
  EXPECT_FALSE(unmade.failed("b", "disk", kStart + Unmade::kPause));
  EXPECT_FALSE(unmade.is_due("b", kStart + 2 * Unmade::kPause - milliseconds(1)));
}

TEST(Unmade, TellsAnotherTrouble) {
  Unmade unmade;
  EXPECT_TRUE(unmade.failed("b", "disk", kStart));
  EXPECT_FALSE(unmade.failed("b", "disk", kStart));
  EXPECT_TRUE(unmade.failed("b", "memory", kStart));
  EXPECT_TRUE(unmade.failed("c", "memory", kStart));
}

TEST(Unmade, OneThatWasMadeOrIsNotListedBeginsAnew) {
  Unmade unmade;
  for (const char* name : {"made", "gone", "kept"})
    unmade.failed(name, "disk", kStart);
  unmade.made("made");
  unmade.keep_only({"made", "kept"});
  EXPECT_TRUE(unmade.is_due("made", kStart));
  EXPECT_TRUE(unmade.is_due("gone", kStart));
  EXPECT_FALSE(unmade.is_due("kept", kStart));
  EXPECT_TRUE(unmade.failed("gone", "disk", kStart));
}

}  // namespace
}  // namespace bobbin::cluster
