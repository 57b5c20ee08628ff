#include "serve/live_log.h"

#include <gtest/gtest.h>

namespace bobbin::serve {
namespace {

TEST(LiveLog, KnowsMemcachedsWordsForWhatCanBeWatched) {
  EXPECT_EQ(watch_kind("fetchers"), kWatchFetchers);
  EXPECT_EQ(watch_kind("mutations"), kWatchMutations);
  EXPECT_EQ(watch_kind("evictions"), kWatchEvictions);
  EXPECT_EQ(watch_kind("connevents"), kWatchConnections);
  EXPECT_EQ(watch_kind("deletions"), kWatchDeletions);
  EXPECT_EQ(watch_kind("everything"), 0U);
}

TEST(LiveLog, WantsOnlyWhatALiveWatcherAskedFor) {
  const base::ManualClock clock;
  LiveLog log(clock);
  EXPECT_FALSE(log.wants(kWatchFetchers));
  log.subscribe(net::Spool(), kWatchFetchers);  // of no connection: closed from the start
  EXPECT_TRUE(log.wants(kWatchFetchers));
  EXPECT_FALSE(log.wants(kWatchEvictions));
  log.fetched("k", "found", 1, 10);
  EXPECT_EQ(log.watchers(), 0U) << "a watcher whose connection is gone is removed by the next event";
  EXPECT_FALSE(log.wants(kWatchFetchers));
  EXPECT_EQ(log.sent(), 0U);
}

}  // namespace
}  // namespace bobbin::serve
