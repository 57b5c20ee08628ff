#pragma once

#include <future>
#include <memory>

#include "net/loop.h"

namespace bobbin::net {

/// Keeps a loop inside a task until it is released, for tests: what arrives or is posted meanwhile waits, so
/// that the order of events is the test's choice and not the scheduler's.
class HeldLoop {
 public:
  explicit HeldLoop(Loop& loop) {
    std::promise<void> held;
    loop.post([&held, released = std::make_shared<std::future<void>>(release_.get_future())] {
      held.set_value();
      released->wait();
    });
    held.get_future().wait();
  }
  ~HeldLoop() { release(); }
  HeldLoop(const HeldLoop&) = delete;
  HeldLoop& operator=(const HeldLoop&) = delete;

  void release() {
    if (holding_) release_.set_value();
    holding_ = false;
  }

 private:
  std::promise<void> release_;
  bool holding_ = true;
};

}  // namespace bobbin::net
