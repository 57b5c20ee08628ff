// Who waits for a commit, and which one he is called for.

#include <atomic>
#include <future>
#include <map>
#include <string>

#include "disk/persistence.h"
#include "disk/persistence_fixture.h"

namespace bobbin::disk {
namespace {

std::string key_of(uint64_t number) {
  return "key-" + std::to_string(number);
}

class WaitForCommit : public testing::Test, protected PersistenceFixture {};

TEST_F(WaitForCommit, WhoWaitsIsCalledEvenWhenNothingIsDirty) {
  options().linger = std::chrono::hours(1);
  start();
  for (int i = 0; i < 20; ++i) {
    std::promise<void> called;
    there().after_commit(static_cast<uint16_t>(i % 16), [&] { called.set_value(); });
    called.get_future().wait();
  }
  // And makes the flusher hurry when something is.
  const auto stored = set("k", "v");
  EXPECT_TRUE(wait_until_persisted(bucket().vbucket_of("k"), stored.seqno));
  std::atomic<int> calls{0};
  EXPECT_TRUE(there().close());
  for (int i = 0; i < 3; ++i)
    there().after_commit(0, [&] { ++calls; });
  EXPECT_EQ(calls.load(), 3);
}

TEST_F(WaitForCommit, WhoWaitsForASeqnoIsCalledWhenItIsOnDiskOrNeverWillBe) {
  options().linger = std::chrono::hours(1);
  start();
  for (uint64_t i = 0; i < 300; ++i) {
    const uint16_t vbucket = bucket().vbucket_of(key_of(i));
    const auto stored = set(key_of(i), "v");
    std::promise<void> called;
    there().after_commit_of(vbucket, stored.seqno, [&] { called.set_value(); });
    called.get_future().wait();
    ASSERT_TRUE(wait_until_persisted(vbucket, stored.seqno));
    // As after a clear, which takes the vbucket's seqnos back.
    std::promise<void> lost;
    there().after_commit_of(vbucket, stored.seqno + 1, [&] { lost.set_value(); });
    lost.get_future().wait();
  }
  std::atomic<int> calls{0};
  EXPECT_TRUE(there().close());
  there().after_commit_of(0, 1'000'000, [&] { ++calls; });
  EXPECT_EQ(calls.load(), 1);
}

// Each vbucket has enough for a commit of its own.
TEST_F(WaitForCommit, WhoWaitsForASeqnoIsNotCalledForCommitsBefore) {
  options().linger = std::chrono::hours(1);
  const std::string large(600'000, 'x');
  start();
  for (uint64_t round = 0; round < 3; ++round) {
    std::map<uint16_t, uint64_t> seqnos;
    for (uint64_t i = 0; seqnos.size() < bucket().vbucket_count(); ++i)
      seqnos[bucket().vbucket_of(key_of(i))] = set(key_of(i), large).seqno;
    // Of both shards, the one that comes last.
    std::atomic<int> calls{0};
    std::atomic<int> early{0};
    std::promise<void> called;
    for (auto at = std::prev(seqnos.end(), 2); at != seqnos.end(); ++at) {
      there().after_commit_of(at->first, at->second, [&, vbucket = at->first, seqno = at->second] {
        if (bucket().persisted_seqno(vbucket) < seqno) ++early;
        if (++calls == 2) called.set_value();
      });
    }
    called.get_future().wait();
    EXPECT_EQ(early.load(), 0);
  }
}

}  // namespace
}  // namespace bobbin::disk
