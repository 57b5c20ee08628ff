// Clients that take replies in another order, over sockets, against a server whose disk is held: what waits,
// what does not, and what a client may rely on (kv_engine docs/UnorderedExecution.md).

#include "serve/unordered.h"

#include <gmock/gmock.h>

#include "serve/unordered_fixture.h"

namespace bobbin::serve {
namespace {

using testing::ElementsAre;
using testing::UnorderedElementsAre;
using wire::BinaryOpcode;
using wire::BinaryStatus;

TEST_F(UnorderedTest, AReadOfTheDiskHoldsUpNobody) {
  start();
  put_on_disk({"large"});
  put_in_memory("small", "s");
  const auto client = connect();
  hold_reads();
  client->send(1, get("large"));
  client->send(2, get("small"));
  client->send(3, set("new", "n"));
  client->send(4, get("new"));
  EXPECT_EQ(client->next(), (NumberedClient::Answer{2, BinaryStatus::success, "s"}));
  EXPECT_THAT(client->next_numbers(2), ElementsAre(3, 4));
  wait_until_held();
  EXPECT_EQ(counters().unordered_waiting.get(), 1U);
  EXPECT_EQ(counters().unordered_bytes.get(), wire::kBinaryHeaderBytes + 5);
  heal();
  EXPECT_EQ(client->next(), (NumberedClient::Answer{1, BinaryStatus::success, kLarge}));
  EXPECT_EQ(counters().unordered_aside.get(), 1U);
  EXPECT_EQ(counters().unordered_waiting.get(), 0U);
  EXPECT_EQ(counters().unordered_bytes.get(), 0U);
}

TEST_F(UnorderedTest, WhoHasNotAgreedKeepsTheOrder) {
  start();
  put_on_disk({"large"});
  put_in_memory("small", "s");
  const auto client = connect(kOrdered);
  hold_reads();
  client->send(1, get("large"));
  client->send(2, get("small"));
  wait_until_held();
  EXPECT_TRUE(is_silent(*client));
  heal();
  EXPECT_THAT(client->next_numbers(2), ElementsAre(1, 2));
  EXPECT_EQ(counters().unordered_aside.get(), 0U);
}

TEST_F(UnorderedTest, TheTimeInFrontOfTheDiskIsTold) {
  start();
  put_on_disk({"cold"});
  for (const bool in_order : {true, false}) {
    std::vector<Feature> features = in_order ? kOrdered : kUnordered;
    features.push_back(Feature::tracing);
    const auto client = connect(features);
    hold_reads();
    put_in_memory("hot", "h");
    // In one write, so that what is told first could be told again.
    EXPECT_TRUE(client->socket().send_all(NumberedClient::numbered(1, get("hot")) +
                                          NumberedClient::numbered(2, get("cold"))));
    wait_until_held();
    const uint64_t held_ns = clock_.now().unix_ns;
    while (clock_.now().unix_ns < held_ns + 5'000'000)
      std::this_thread::yield();
    heal();
    std::string body;
    for (const uint32_t number : {1U, 2U}) {
      const std::string head = client->socket().receive(wire::kBinaryHeaderBytes);
      const wire::BinaryHeader header = wire::decode_header(head.data());
      ASSERT_EQ(header.opaque, number);
      ASSERT_EQ(header.framing_bytes, wire::kTraceBytes);
      body = client->socket().receive(header.body_bytes);
    }
    EXPECT_GE(wire::load_big_endian<uint16_t>(body.data() + 1),
              wire::load_big_endian<uint16_t>(wire::trace_of(5000).data() + 1))
        << (in_order ? "in order" : "out of order");
    put_on_disk({"cold"});
  }
}

TEST_F(UnorderedTest, ABarrierWaitsForThoseBeforeAndThoseBehindForIt) {
  start();
  put_on_disk({"large", "other"});
  put_in_memory("small", "s");
  const auto client = connect();
  hold_reads();
  client->send(1, get("large"));
  client->send(2, get("small"));
  client->send(3, barrier(get("small")));
  client->send(4, get("small"));
  EXPECT_EQ(client->next().number, 2U);
  wait_until_held();
  EXPECT_TRUE(is_silent(*client));
  heal();
  EXPECT_THAT(client->next_numbers(3), ElementsAre(1, 3, 4));
  // One that waits itself.
  hold_reads();
  client->send(5, barrier(get("other")));
  client->send(6, get("small"));
  wait_until_held();
  EXPECT_TRUE(is_silent(*client));
  heal();
  EXPECT_THAT(client->next_numbers(2), ElementsAre(5, 6));
}

TEST_F(UnorderedTest, WhatKeepsOrderIsLookedAtWhenNothingIsUnderWay) {
  start();
  put_on_disk({"1", "2", "3", "4", "5"});
  const auto client = connect();
  const Frame hello{.opcode = BinaryOpcode::hello, .key = "again", .value = std::string("\0\x08\0\x0e", 4)};
  const Frame unknown{.opcode = static_cast<BinaryOpcode>(0x71)};
  const std::vector<Frame> frames = {{.opcode = BinaryOpcode::noop},
                                     document(BinaryOpcode::getq, "none"),
                                     document(BinaryOpcode::get_meta, "none"),
                                     unknown,
                                     hello};
  uint32_t number = 0;
  for (const Frame& frame : frames) {
    hold_reads();
    // So that each wait is for another key.
    number += 2;
    client->send(number - 1, get(std::to_string(number / 2)));
    client->send(number, frame);
    wait_until_held();
    EXPECT_TRUE(is_silent(*client)) << number;
    heal();
    EXPECT_EQ(client->next().number, number - 1);
    if (frame.opcode != BinaryOpcode::getq) {
      EXPECT_EQ(client->next().number, number);
    }
    if (frame.opcode == BinaryOpcode::hello) break;
  }
}

TEST_F(UnorderedTest, AFrameThatIsNoneEndsTheConnectionBehindWhatIsOwed) {
  start();
  put_on_disk({"large"});
  const auto client = connect();
  hold_reads();
  client->send(1, get("large"));
  EXPECT_TRUE(client->socket().send_all(std::string(100, 'x')));
  wait_until_held();
  EXPECT_TRUE(is_silent(*client));
  heal();
  EXPECT_EQ(client->next().number, 1U);
  EXPECT_EQ(client->socket().receive_to_end(), "");
}

TEST_F(UnorderedTest, RequestsForOneDocumentAreCarriedOutInTheirOrder) {
  start();
  put_on_disk({"large", "other"});
  const auto client = connect();
  hold_reads();
  client->send(1, get("large"));
  client->send(2, get("large"));
  client->send(3, append("other", "1"));
  wait_until_aside(3);
  client->send(4, get("other"));
  client->send(5, append("other", "2"));
  client->send(6, append("large", "3"));
  client->send(7, get("other"));
  client->send(8, get("large"));
  EXPECT_TRUE(is_silent(*client));
  heal();
  std::map<uint32_t, std::string> answers;
  for (int i = 0; i < 8; ++i) {
    const auto answer = client->next();
    EXPECT_EQ(answer.status, BinaryStatus::success) << answer.number;
    answers[answer.number] = answer.value;
  }
  EXPECT_EQ(answers[1], kLarge);
  EXPECT_EQ(answers[2], kLarge);
  EXPECT_EQ(answers[4], kLarge + "1");
  EXPECT_EQ(answers[7], kLarge + "12");
  EXPECT_EQ(answers[8], kLarge + "3");
}

TEST_F(UnorderedTest, AReadIsNotHeldBehindTheCommitOfAWrite) {
  start(true);
  put_in_memory("small", "s");
  const auto client = connect();
  hold_commits();
  client->send(1, set("small", "new"));
  client->send(2, get("small"));
  EXPECT_EQ(client->next(), (NumberedClient::Answer{2, BinaryStatus::success, "new"}));
  wait_until_held();
  client->send(3, get("none"));
  EXPECT_EQ(client->next().number, 3U);
  // What rests on a change waits as long as that.
  client->send(4, document(BinaryOpcode::remove, "small"));
  // Nor may this be told before.
  client->send(5, {.opcode = BinaryOpcode::noop});
  EXPECT_TRUE(is_silent(*client));
  EXPECT_GT(counters().unordered_bytes.get(), 0U);
  heal();
  EXPECT_THAT(client->next_numbers(3), ElementsAre(1, 4, 5));
  EXPECT_EQ(counters().unordered_bytes.get(), 0U);
}

TEST_F(UnorderedTest, SoIsAWriteThatAsksForIt) {
  start();
  put_in_memory("small", "s");
  const auto client = connect();
  hold_commits();
  client->send(1, durable(set("small", "new")));
  client->send(2, get("small"));
  client->send(3, set("small", "newer"));
  EXPECT_THAT(client->next_numbers(2), ElementsAre(2, 3));
  std::string seqno(8, '\0');
  wire::store_big_endian(seqno.data(), server_->bucket().high_seqno(vbucket_of("small")));
  client->send(4,
               {.opcode = BinaryOpcode::seqno_persistence, .extras = seqno, .vbucket = vbucket_of("small")});
  client->send(5, get("small"));
  EXPECT_EQ(client->next().number, 5U);
  wait_until_held();
  EXPECT_TRUE(is_silent(*client));
  heal();
  EXPECT_THAT(client->next_numbers(2), UnorderedElementsAre(1, 4));
}

TEST_F(UnorderedTest, ABarrierIsOnDiskBeforeThoseBehindItBegin) {
  start(true);
  put_in_memory("small", "s");
  const auto client = connect();
  hold_commits();
  client->send(1, barrier(set("small", "new")));
  client->send(2, get("small"));
  wait_until_held();
  EXPECT_TRUE(is_silent(*client));
  heal();
  EXPECT_THAT(client->next_numbers(2), ElementsAre(1, 2));
  hold_commits();
  client->send(3, set("small", "newer"));
  client->send(4, barrier(get("small")));
  wait_until_held();
  EXPECT_TRUE(is_silent(*client));
  heal();
  EXPECT_THAT(client->next_numbers(2), ElementsAre(3, 4));
}

TEST_F(UnorderedTest, QuietWritesAreAcknowledgedByWhatIsBehindThem) {
  start(true);
  const auto client = connect();
  hold_commits();
  Frame quiet = set("a", "1");
  quiet.opcode = BinaryOpcode::setq;
  client->send(1, quiet);
  client->send(2, quiet);
  client->send(3, {.opcode = BinaryOpcode::noop});
  client->send(4, get("a"));
  wait_until_held();
  EXPECT_TRUE(is_silent(*client));
  heal();
  EXPECT_THAT(client->next_numbers(2), ElementsAre(3, 4));
}

TEST_F(UnorderedTest, AWriteThatWaitsForTheDiskTwice) {
  start(true);
  put_on_disk({"large"});
  put_in_memory("small", "s");
  const auto client = connect();
  hold_reads();
  client->send(1, append("large", "+"));
  client->send(2, get("small"));
  EXPECT_EQ(client->next().number, 2U);
  wait_until_held();
  files_->heal();
  hold_commits();
  wait_until_held();
  client->send(3, get("large"));
  EXPECT_EQ(client->next(), (NumberedClient::Answer{3, BinaryStatus::success, kLarge + "+"}));
  heal();
  EXPECT_EQ(client->next(), (NumberedClient::Answer{1, BinaryStatus::success, ""}));
}

TEST_F(UnorderedTest, AnErrandHoldsUpNobody) {
  start();
  put_on_disk({"large"});
  const auto client = connect();
  hold({disk::FileOperation::sync, disk::ErrorKind::io, ".sst", 0, true});
  client->send(1, {.opcode = BinaryOpcode::compact_db, .extras = std::string(24, '\0')});
  client->send(2, get("none"));
  EXPECT_EQ(client->next().number, 2U);
  wait_until_held();
  client->send(3, {.opcode = BinaryOpcode::noop});
  EXPECT_TRUE(is_silent(*client));
  heal();
  EXPECT_THAT(client->next_numbers(2), ElementsAre(1, 3));
}

TEST_F(UnorderedTest, SoManyAreAsideAndTheNextWaitsInFront) {
  start();
  std::vector<std::string> keys;
  for (size_t i = 0; i <= Unordered::kMaxAside; ++i)
    keys.push_back("large" + std::to_string(i));
  put_on_disk(keys);
  const auto client = connect();
  hold_reads();
  for (uint32_t i = 0; i < Unordered::kMaxAside; ++i)
    client->send(i + 1, get(keys[i]));
  client->send(1000, get("none"));
  EXPECT_EQ(client->next().number, 1000U);
  client->send(1001, get(keys.back()));
  client->send(1002, get("none"));
  wait_until_aside(Unordered::kMaxAside);
  EXPECT_TRUE(is_silent(*client));
  EXPECT_EQ(counters().unordered_in_order.get(), 1U);
  heal();
  std::vector<uint32_t> numbers = client->next_numbers(Unordered::kMaxAside + 2);
  // The last two keep their order.
  EXPECT_LT(std::find(numbers.begin(), numbers.end(), 1001U),
            std::find(numbers.begin(), numbers.end(), 1002U));
  std::sort(numbers.begin(), numbers.end());
  EXPECT_EQ(numbers.front(), 1U);
  EXPECT_EQ(std::unique(numbers.begin(), numbers.end()), numbers.end());
}

TEST_F(UnorderedTest, FramesThatHoldTooMuchWaitInFront) {
  start();
  put_on_disk({"large"});
  const auto client = connect();
  hold_reads();
  client->send(1, append("large", std::string(20'000, 'a')));
  wait_until_aside(1);
  // Its value comes in parts, so that it need not be copied.
  client->send(2, get("none"));
  EXPECT_EQ(client->next().number, 2U);
  heal();
  EXPECT_EQ(client->next(), (NumberedClient::Answer{1, BinaryStatus::success, ""}));
  client->send(3, get("large"));
  EXPECT_EQ(client->next().value, kLarge + std::string(20'000, 'a'));
}

TEST_F(UnorderedTest, AValueOnItsWayIsNotDisturbed) {
  start();
  put_on_disk({"large", "other"});
  const auto client = connect();
  hold_reads();
  client->send(1, get("large"));
  wait_until_held();
  // The upload's durability is that of its own request, whatever runs in the middle of it.
  const std::string whole = NumberedClient::numbered(2, durable(append("other", std::string(100'000, 'a'))));
  EXPECT_TRUE(client->socket().send_all(std::string_view(whole).substr(0, 50'000)));
  EXPECT_TRUE(is_silent(*client));
  files_->heal();
  EXPECT_EQ(client->next().number, 1U);
  hold_commits();
  EXPECT_TRUE(client->socket().send_all(std::string_view(whole).substr(50'000)));
  wait_until_held();
  client->send(3, get("none"));
  EXPECT_EQ(client->next().number, 3U);
  EXPECT_TRUE(is_silent(*client));
  heal();
  EXPECT_EQ(client->next(), (NumberedClient::Answer{2, BinaryStatus::success, ""}));
}

using Answers = std::map<uint32_t, std::pair<BinaryStatus, std::string>>;

TEST_F(UnorderedTest, AnySplitOfTheBytesGivesTheSameReplies) {
  start();
  const auto answers = [&](const std::string& name, uint64_t seed, const std::vector<Feature>& features) {
    std::vector<std::string> keys;
    for (int i = 0; i < 8; ++i)
      keys.push_back(name + std::to_string(i));
    put_on_disk({keys.begin(), keys.begin() + 6});
    std::string bytes;
    uint32_t number = 0;
    const auto add = [&](const Frame& frame) { bytes += NumberedClient::numbered(++number, frame); };
    for (int round = 0; round < 3; ++round) {
      for (size_t i = 0; i < keys.size(); ++i) {
        add(get(keys[i]));
        add(append(keys[(i + 3) % keys.size()], std::string(i * 3000, '+')));
        add(durable(set(keys[i], "new")));
        if (i == 4) add(barrier(get(keys[0])));
        if (i == 5) add({.opcode = BinaryOpcode::noop});
        if (i == 6) add(document(BinaryOpcode::remove, keys[i]));
      }
    }
    const auto client = connect(features);
    Answers all;
    std::thread sender([&] {
      std::string_view rest = bytes;
      while (!rest.empty()) {
        seed = seed * 6364136223846793005U + 1442695040888963407U;
        const size_t size = std::min<size_t>(1 + (seed >> 40) % ((seed >> 60) == 0 ? 9000 : 90), rest.size());
        EXPECT_TRUE(client->socket().send_all(rest.substr(0, size)));
        rest.remove_prefix(size);
      }
    });
    for (uint32_t i = 0; i < number; ++i) {
      auto answer = client->next();
      EXPECT_TRUE(all.emplace(answer.number, std::pair(answer.status, std::move(answer.value))).second);
    }
    sender.join();
    return all;
  };
  const Answers ordered = answers("ordered", 1, kOrdered);
  for (uint64_t seed = 0; seed < 8; ++seed)
    EXPECT_TRUE(answers("u" + std::to_string(seed) + "-", seed, kUnordered) == ordered) << seed;
  EXPECT_GT(counters().unordered_aside.get(), 0U);
}

TEST_F(UnorderedTest, ADrainSendsWhatIsOwed) {
  start();
  put_on_disk({"large"});
  const auto client = connect();
  hold_reads();
  client->send(1, get("large"));
  client->send(2, get("none"));
  EXPECT_EQ(client->next().number, 2U);
  wait_until_held();
  std::thread drain([this] { server_->drain(); });
  // It has begun when nobody can connect any more.
  while (net::TestSocket(server_->addresses()[0]).open())
    std::this_thread::yield();
  heal();
  EXPECT_EQ(client->next().number, 1U);
  EXPECT_EQ(client->socket().receive_to_end(), "");
  drain.join();
}

TEST_F(UnorderedTest, APeerThatHasEndedIsAnswered) {
  start(true);
  put_on_disk({"large"});
  const auto client = connect();
  hold_reads();
  client->send(1, get("large"));
  client->send(2, get("none"));
  client->socket().end();
  EXPECT_EQ(client->next().number, 2U);
  wait_until_held();
  heal();
  EXPECT_EQ(client->next().number, 1U);
  EXPECT_EQ(client->socket().receive_to_end(), "");
}

TEST_F(UnorderedTest, AClientThatIsGoneLeavesNothing) {
  start(true);
  put_on_disk({"large"});
  auto client = connect();
  hold_reads();
  client->send(1, get("large"));
  client->send(2, set("new", "n"));
  EXPECT_EQ(client->next().number, 2U);
  wait_until_aside(1);
  client->socket().reset();
  while (counters().unordered_waiting.get() != 0 || counters().unordered_bytes.get() != 0)
    std::this_thread::yield();
  heal();
}

TEST_F(UnorderedTest, ABucketIsRemovedInTheMiddle) {
  start();
  BucketSettings settings;
  settings.name = "b";
  settings.quota_bytes = 100 << 20;
  ASSERT_TRUE(server_->engine().buckets.create(settings));
  put_on_disk({"large"}, "b");
  const auto client = connect(kUnordered, "b");
  hold_reads();
  client->send(1, get("large"));
  client->send(2, get("none"));
  EXPECT_EQ(client->next().number, 2U);
  wait_until_held();
  std::thread removing([this] { EXPECT_TRUE(server_->engine().buckets.remove("b")); });
  EXPECT_EQ(client->socket().receive_to_end(), "");
  heal();
  removing.join();
  EXPECT_EQ(counters().unordered_waiting.get(), 0U);
}

TEST_F(UnorderedTest, WhatCannotBeReadIsToldAndWhatCannotBeWrittenIsNot) {
  start(true);
  put_on_disk({"large"});
  const auto client = connect();
  files_->inject({disk::FileOperation::read, disk::ErrorKind::io, ".blob", 0, false});
  client->send(1, get("large"));
  EXPECT_EQ(client->next(), (NumberedClient::Answer{1, BinaryStatus::temporary_failure, ""}));
  files_->heal();
  files_->inject({disk::FileOperation::sync, disk::ErrorKind::io, ".log", 0, false});
  client->send(2, set("new", "n"));
  EXPECT_EQ(client->socket().receive_to_end(), "");
  (void)server_->close();
  server_.reset();
}

}  // namespace
}  // namespace bobbin::serve
