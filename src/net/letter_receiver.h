#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <future>
#include <string>
#include <thread>

#include "net/front_end.h"
#include "net/test_socket.h"

namespace bobbin::net {

class SuspendTest;

// A protocol of single bytes. Lower case letters are echoed. 'W' suspends, and 'H' does so holding replies;
// when resumed, both answer with themselves. 'O' goes on and
// answers itself, to "o", when resumed. 'V' takes a value of kValueBytes to a landing, and suspends in
// the middle of it; 'Q' quits, 'X' quits and holds; 'B' answers kBigBytes of 'B'.
class LetterReceiver final : public Receiver {
 public:
  static constexpr size_t kValueBytes = 200'000;
  static constexpr size_t kBigBytes = 6 << 20;

  explicit LetterReceiver(SuspendTest& test) : test_(test) {}
  void on_open(Connection& connection) override;
  size_t on_bytes(Connection& connection, std::span<const char> unread, size_t seen) override;
  std::span<char> landing() noexcept override;
  void on_landed(Connection& connection, size_t n) override;
  void on_resumed(Connection& connection) override;
  void on_closed(Connection& connection, CloseReason reason) override;

  // The loop's thread only.
  bool waiting = false;
  std::string answer;          // when resumed
  int suspends_again = 0;      // this many times in on_resumed
  Hold again = Hold::replies;  // as then
  int resumes = 0;             // on_resumed was called
  std::string owed;            // answered when resumed, without a suspend

 private:
  bool step(Connection& connection, char letter);
  void wait(Connection& connection, Hold hold, char letter);

  SuspendTest& test_;
  std::string value_;
  size_t filled_ = 0;
};

class SuspendTest : public testing::Test {
 public:
  struct Peer {
    Connection* connection;
    LetterReceiver* receiver;
    Spool spool;
  };

 protected:
  friend class LetterReceiver;

  void start(Limits limits = {}, const std::string& address = "127.0.0.1:0") {
    FrontEndOptions options;
    options.listen.push_back(*Address::parse(address, 0));
    options.limits = limits;
    front_ = std::move(
        *FrontEnd::start(options, [this](size_t) { return std::make_unique<LetterReceiver>(*this); }));
  }
  TestSocket connect(int receive_buffer_bytes = 0) {
    opened_ = {};
    TestSocket client(front_->addresses()[0], receive_buffer_bytes);
    peer_ = opened_.get_future().get();
    return client;
  }
  Loop& loop() { return *front_->loops()[0]; }
  const LoopCounters& counters() { return loop().counters(); }
  void on_loop(const std::function<void()>& task) {
    std::promise<void> done;
    loop().post([&] {
      task();
      done.set_value();
    });
    done.get_future().wait();
  }
  template <typename Condition>
  void wait_for(Condition condition) {
    while (!condition())
      std::this_thread::yield();
  }
  // Until as many suspends as this have been called.
  void wait_for_suspends(int n) {
    wait_for([&] { return suspends_ >= n; });
    pass();
  }
  // Lets the loop do what is due, and what follows from that.
  void pass() {
    for (int i = 0; i < 4; ++i)
      on_loop([] {});
  }
  static size_t readable(const TestSocket& client) {
    int n = 0;
    return ioctl(client.descriptor(), FIONREAD, &n) == 0 ? static_cast<size_t>(n) : 0;
  }

  std::promise<Peer> opened_;
  Peer peer_{};  // the last that connected
  std::atomic<int> suspends_{0};
  std::atomic<bool> closed_{false};
  CloseReason reason_ = CloseReason::by_peer;        // once closed_
  std::function<void(Connection&)> before_suspend_;  // the loop's thread
  std::function<void(Connection&)> on_open_ = [](Connection&) {};
  std::unique_ptr<FrontEnd> front_;  // last: its threads end before what they use
};

inline void LetterReceiver::on_open(Connection& connection) {
  test_.on_open_(connection);
  test_.opened_.set_value({&connection, this, connection.spool()});
}

inline size_t LetterReceiver::on_bytes(Connection& connection, std::span<const char> unread, size_t seen) {
  EXPECT_EQ(seen, 0U) << "nothing here is ever half a request";
  EXPECT_FALSE(waiting) << "shown while suspended";
  size_t n = 0;
  while (n < unread.size() && !connection.congested()) {
    if (!step(connection, unread[n++])) break;
  }
  return n;
}

inline bool LetterReceiver::step(Connection& connection, char letter) {
  switch (letter) {
    case 'W':
      wait(connection, Hold::nothing, letter);
      return false;
    case 'H':
      wait(connection, Hold::replies, letter);
      return false;
    case 'O':
      owed += 'o';
      connection.keep_open(true);
      ++test_.suspends_;
      return true;
    case 'V':
      value_.resize(kValueBytes);
      return false;
    case 'X':
      connection.close_when_sent();
      wait(connection, Hold::replies, letter);
      return false;
    case 'Q':
      connection.close_when_sent();
      return false;
    case 'B': {
      static const std::string big(kBigBytes, 'B');
      connection.out().append(base::PinnedBytes(big, nullptr, [](void*) noexcept {}));
      return true;
    }
    default:
      connection.out().append(std::string_view(&letter, 1));
      return true;
  }
}

inline void LetterReceiver::wait(Connection& connection, Hold hold, char letter) {
  if (test_.before_suspend_) test_.before_suspend_(connection);
  answer = letter;
  waiting = true;
  connection.suspend(hold);
  ++test_.suspends_;
}

inline std::span<char> LetterReceiver::landing() noexcept {
  EXPECT_FALSE(waiting) << "asked while suspended";
  return std::span(value_).subspan(filled_);
}

inline void LetterReceiver::on_landed(Connection& connection, size_t n) {
  EXPECT_FALSE(waiting) << "landed while suspended";
  EXPECT_FALSE(connection.congested()) << "landed without room";
  const bool first = filled_ < kValueBytes / 2;
  filled_ += n;
  if (filled_ == kValueBytes) {
    const auto sum = std::count(value_.begin(), value_.end(), 'v');
    connection.out().append("V" + std::to_string(sum));
    value_.clear();
    filled_ = 0;
  } else if (first && filled_ >= kValueBytes / 2) {
    wait(connection, Hold::nothing, 'v');
  }
}

inline void LetterReceiver::on_resumed(Connection& connection) {
  ++resumes;
  if (!owed.empty()) {
    connection.out().append(owed);
    owed.clear();
    connection.keep_open(false);
  }
  if (!waiting) return;
  if (suspends_again > 0) {
    --suspends_again;
    connection.out().append(".");
    connection.flush();  // sends nothing that may be held again
    connection.suspend(again);
    ++test_.suspends_;
    return;
  }
  waiting = false;
  connection.out().append(answer);
}

inline void LetterReceiver::on_closed(Connection& connection, CloseReason reason) {
  connection.suspend(Hold::replies);  // harmless
  test_.reason_ = reason;
  test_.closed_ = true;
}

}  // namespace bobbin::net
