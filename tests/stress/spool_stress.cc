// Producers on many connections of several loops; readers that are fast, slow or stalled; connections that
// close in every order while producers are at work.

#include <array>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <vector>

#include "frames.h"
#include "net/front_end.h"
#include "net/test_socket.h"
#include "stress.h"

namespace bobbin::stress {
namespace {

using net::Append;

constexpr size_t kSpoolBytes = 64 << 10;
constexpr size_t kMaxFrameBytes = sizeof(FrameHeader) + kMaxPayload;

enum class Reading : uint8_t { fast, slow, stalled };
enum class Ending : uint8_t { with_the_round, reset, peer_end, close_when_sent, close_now, kCount };
enum class RoundEnd : uint8_t { quiet, drain, stop, kCount };

/// One connection, as its producers, its reader and the test see it.
struct Channel {
  std::unique_ptr<net::TestSocket> client;
  Reading reading = Reading::fast;
  Ending ending = Ending::with_the_round;
  uint64_t ends_after_bytes = 0;
  net::Spool spool;
  std::atomic<bool> registered{false};
  std::array<std::atomic<uint32_t>, kProducers> accepted{};
  FrameChecker frames;  // the reader's
};

struct Round {
  std::vector<std::unique_ptr<Channel>> channels;
  Payloads payloads;
  std::atomic<bool> producers_end{false};
  std::atomic<bool> readers_end{false};
};

/// The peer names its channel in four bytes; then each byte is a request: 'e' is answered, 'q' and 'k' end.
class StressReceiver final : public net::Receiver {
 public:
  explicit StressReceiver(Round& round) : round_(round) {}

  size_t on_bytes(net::Connection& connection, std::span<const char> unread, size_t) override {
    size_t consumed = 0;
    if (channel_ == nullptr) {
      uint32_t index = 0;
      if (unread.size() < sizeof index) return 0;
      std::memcpy(&index, unread.data(), sizeof index);
      consumed = sizeof index;
      channel_ = round_.channels.at(index).get();
      channel_->spool = connection.spool();
      channel_->registered.store(true);
    }
    for (; consumed < unread.size() && !connection.congested(); ++consumed) {
      if (unread[consumed] == 'q') connection.close_when_sent();
      if (unread[consumed] == 'k') connection.close_now(net::CloseReason::by_receiver);
      if (unread[consumed] != 'e') return unread.size();
      const FrameHeader header{kReply, replies_++, 40};
      connection.out().append(header.bytes());
      connection.out().append(std::string(header.size, header.letter()));
    }
    return consumed;
  }

 private:
  Round& round_;
  Channel* channel_ = nullptr;
  uint32_t replies_ = 0;
};

/// Appends to all channels, and sleeps only when all that are open are full.
class Producer {
 public:
  Producer(Round& round, uint32_t id, uint64_t seed)
      : round_(round), id_(id), random_(seed), sleeper_(std::make_shared<Sleeper>(round.channels.size())) {}

  void run() {
    while (!round_.producers_end) {
      bool any_open = false;
      bool any_awake = false;
      for (size_t i = 0; i < round_.channels.size(); ++i) {
        if (closed_[i]) continue;
        any_open = true;
        if (sleeper_->asleep[i]) continue;
        any_awake = true;
        for (uint64_t n = random_.below(20); n > 0 && send(i); --n) {
        }
      }
      if (!any_open) return;
      if (!any_awake) sleep();
    }
  }

 private:
  // Shared with the wakers, which may be called when the producer has ended.
  struct Sleeper {
    explicit Sleeper(size_t channels) : asleep(channels) {}
    std::vector<std::atomic<bool>> asleep;
    std::mutex mutex;
    std::condition_variable woken;
    uint64_t wakes = 0;
  };

  // True if it may go on with this channel.
  bool send(size_t i) {
    Channel& channel = *round_.channels[i];
    FrameHeader header{id_, channel.accepted[id_], 0};
    if (!random_.once_in(3)) header.size = static_cast<uint32_t>(random_.below(200));
    if (random_.once_in(10)) header.size = static_cast<uint32_t>(random_.below(kMaxPayload));
    base::PinnedBytes payload = round_.payloads.make(header);
    const bool sleeps = random_.once_in(2);
    Append result = Append::full;
    if (sleeps) {
      sleeper_->asleep[i] = true;  // before it is asked for: the waker may be faster
      result = channel.spool.append_or_wake(header.bytes(), payload, [sleeper = sleeper_, i] {
        sleeper->asleep[i] = false;
        const std::lock_guard lock(sleeper->mutex);
        ++sleeper->wakes;
        sleeper->woken.notify_one();
      });
      if (result != Append::full) sleeper_->asleep[i] = false;
    } else {
      result = channel.spool.append(header.bytes(), payload);
    }
    EXPECT_LE(channel.spool.unwritten_bytes(), kSpoolBytes + kMaxFrameBytes);
    if (result == Append::closed) {
      closed_[i] = true;
    } else if (result == Append::accepted) {
      ++channel.accepted[id_];
    } else {
      EXPECT_EQ(payload.size(), header.size) << "a refused payload stays with its producer";
    }
    return result == Append::accepted;
  }

  // Every wake is needed: one that was lost is found here, when the round's end does not come.
  void sleep() {
    std::unique_lock lock(sleeper_->mutex);
    const uint64_t before = sleeper_->wakes;
    const auto anyone_awake = [&] {
      for (size_t i = 0; i < round_.channels.size(); ++i) {
        if (!closed_[i] && !sleeper_->asleep[i]) return true;
      }
      return sleeper_->wakes != before || round_.producers_end;
    };
    while (!anyone_awake())
      sleeper_->woken.wait_for(lock, std::chrono::milliseconds(5));
  }

  Round& round_;
  const uint32_t id_;
  Random random_;
  std::shared_ptr<Sleeper> sleeper_;
  std::vector<bool> closed_ = std::vector<bool>(round_.channels.size());
};

void read_channel(Channel& channel, const Round& round, uint64_t seed) {
  Random random(seed);
  uint64_t received = 0;
  bool ended = false;
  while (true) {
    if (channel.reading == Reading::stalled) {
      must_become_true("a stalled connection's end",
                       [&] { return channel.spool.closed() || round.readers_end; });
      channel.client->reset();
      return;
    }
    const bool slow = channel.reading == Reading::slow && !round.readers_end;
    if (slow) std::this_thread::sleep_for(std::chrono::microseconds(random.below(1'000)));
    const std::string some = channel.client->receive_some(slow ? 1 + random.below(3'000) : 65'536);
    if (some.empty()) return;
    channel.frames.feed(some);
    received += some.size();
    if (ended) continue;
    if (!round.readers_end && random.once_in(16)) channel.client->send_all("e");
    if (channel.ending == Ending::with_the_round || received < channel.ends_after_bytes) continue;
    ended = true;
    switch (channel.ending) {
      case Ending::reset:
        channel.client->reset();
        return;
      case Ending::peer_end:
        channel.client->end();
        break;
      case Ending::close_when_sent:
        channel.client->send_all("q");
        break;
      default:
        channel.client->send_all("k");
    }
  }
}

class SpoolStress {
 public:
  explicit SpoolStress(uint64_t seed) : random_(seed) {}

  void run_round() {
    stalls_ = random_.once_in(3);
    const auto how = static_cast<RoundEnd>(random_.below(static_cast<uint64_t>(RoundEnd::kCount)));
    open(how);
    std::vector<std::thread> producers;
    std::vector<std::thread> readers;
    for (uint32_t id = 0; id < kProducers; ++id) {
      producers.emplace_back(
          [this, id, seed = random_.below(UINT64_MAX)] { Producer(*round_, id, seed).run(); });
    }
    for (const auto& channel : round_->channels) {
      readers.emplace_back([this, &channel = *channel, seed = random_.below(UINT64_MAX)] {
        read_channel(channel, *round_, seed);
      });
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20 + random_.below(200)));
    if (how == RoundEnd::drain) front_->drain();
    if (how == RoundEnd::stop) front_->stop();
    round_->producers_end = true;
    for (std::thread& producer : producers)
      producer.join();
    round_->readers_end = true;
    if (how == RoundEnd::quiet) finish_quietly();
    for (std::thread& reader : readers)
      reader.join();
    check(how);
  }

 private:
  void open(RoundEnd how) {
    round_ = std::make_unique<Round>();
    net::FrontEndOptions options;
    options.listen.push_back(*net::Address::parse("127.0.0.1:0", 0));
    options.threads = 2 + random_.below(2);
    options.limits.spool_bytes = kSpoolBytes;
    options.limits.max_unsent_bytes = 64 << 10;
    options.limits.stall_timeout = std::chrono::milliseconds(stalls_ ? 20 : 0);
    options.limits.drain_timeout =
        std::chrono::milliseconds(how == RoundEnd::quiet ? 60'000 : random_.below(200));
    const size_t count = 3 + random_.below(8);
    for (size_t i = 0; i < count; ++i) {
      auto channel = std::make_unique<Channel>();
      channel->reading = static_cast<Reading>(random_.below(3));
      channel->ending = static_cast<Ending>(random_.below(static_cast<uint64_t>(Ending::kCount)));
      channel->ends_after_bytes = random_.below(300'000);
      round_->channels.push_back(std::move(channel));
    }
    auto started = net::FrontEnd::start(
        options, [round = round_.get()](size_t) { return std::make_unique<StressReceiver>(*round); });
    ASSERT_TRUE(started) << started.error().message;
    front_ = std::move(*started);
    for (uint32_t i = 0; i < count; ++i) {
      Channel& channel = *round_->channels[i];
      const bool small = channel.reading != Reading::fast || random_.once_in(2);
      channel.client = std::make_unique<net::TestSocket>(front_->addresses()[0], small ? 4'096 : 0);
      channel.client->send_all({reinterpret_cast<const char*>(&i), sizeof i});
      must_become_true("a connection", [&] { return channel.registered.load(); });
    }
  }

  // No producer is left: what was accepted arrives, although nothing more wakes anybody.
  void finish_quietly() {
    for (const auto& channel : round_->channels) {
      must_become_true("everything to be written", [&] { return channel->spool.unwritten_bytes() == 0; });
    }
    for (const auto& loop : front_->loops())
      must_become_true("nothing to be counted", [&] { return loop->counters().spool_bytes_now.get() == 0; });
    front_->drain();
  }

  void check(RoundEnd how) {
    for (const auto& channel : round_->channels) {
      const bool complete = how == RoundEnd::quiet && !stalls_ && channel->ending == Ending::with_the_round &&
                            channel->reading != Reading::stalled;
      for (size_t id = 0; id < kProducers; ++id) {
        EXPECT_LE(channel->frames.seen(id), channel->accepted.at(id));
        if (complete) {
          EXPECT_EQ(channel->frames.seen(id), channel->accepted.at(id));
        }
      }
      if (complete) {
        EXPECT_TRUE(channel->frames.between_frames());
      }
      channel->client.reset();
    }
    must_become_true("every connection to close", [&] { return front_->connection_count() == 0; });
    for (const auto& loop : front_->loops()) {
      EXPECT_EQ(loop->counters().spool_bytes_now.get(), 0U);
      EXPECT_EQ(loop->counters().unsent_bytes.get(), 0U);
      EXPECT_EQ(loop->counters().unread_bytes.get(), 0U);
      EXPECT_EQ(loop->counters().connections_opened.get(), loop->counters().connections_closed.get());
    }
    for (const auto& channel : round_->channels) {
      EXPECT_EQ(channel->spool.append("after the end"), Append::closed);
      EXPECT_EQ(channel->spool.unwritten_bytes(), 0U);
    }
    front_.reset();
    EXPECT_EQ(round_->payloads.released(), round_->payloads.made());
  }

  Random random_;
  bool stalls_ = false;
  std::unique_ptr<Round> round_;
  std::unique_ptr<net::FrontEnd> front_;
};

TEST(SpoolStress, ProducersReadersAndEveryWayToEnd) {
  const uint64_t chosen = seed();
  SCOPED_TRACE("BOBBIN_STRESS_SEED=" + std::to_string(chosen));
  SpoolStress stress(chosen);
  const auto end = Clock::now() + duration();
  int rounds = 0;
  while (Clock::now() < end && !testing::Test::HasFailure()) {
    stress.run_round();
    ++rounds;
  }
  std::printf("%d rounds\n", rounds);
}

}  // namespace
}  // namespace bobbin::stress
