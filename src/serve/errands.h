#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <thread>
#include <utility>

#include "base/mutex.h"
#include "wire/binary_status.h"

namespace bobbin::serve {

/// What an errand says to the client that asked.
struct AsideAnswer {
  // NOLINTNEXTLINE(google-explicit-constructor): most have nothing else to say
  AsideAnswer(wire::BinaryStatus what, std::string text = {}) : status(what), json(std::move(text)) {}

  wire::BinaryStatus status;
  std::string json;  ///< the reply's value, or the context of its error; may be empty
};

/// What commands of clients have done that waits for the disk or takes long: one thread, one after the other.
/// The session that asks waits without its loop (Session::run_aside). Any thread; started by the first
/// errand.
class Errands {
 public:
  /// Of all clients together.
  static constexpr size_t kMaxWaiting = 64;

  enum class Where : uint8_t {
    thread,
    caller,  ///< within post(): for tests
  };

  explicit Errands(Where where = Where::thread) : where_(where) {}
  ~Errands() { end(); }
  Errands(const Errands&) = delete;
  Errands& operator=(const Errands&) = delete;

  /// False: so many wait, or it has ended. `errand` is called once, or dropped at the end; what it holds may
  /// go on this thread.
  [[nodiscard]] bool post(std::function<void()> errand) EXCLUDES(mutex_);
  /// Drops those that wait, tells the one that is under way that it is to end, and waits for it. Before what
  /// errands work on ends.
  void end() EXCLUDES(mutex_);
  /// True from end() on: a long errand looks at it.
  [[nodiscard]] std::atomic<bool>& ending() noexcept { return ending_; }

 private:
  void run() EXCLUDES(mutex_);

  const Where where_;
  std::atomic<bool> ending_{false};
  base::Mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<std::function<void()>> waiting_ GUARDED_BY(mutex_);
  std::thread thread_ GUARDED_BY(mutex_);
};

}  // namespace bobbin::serve
