#pragma once

// A process of bench/stream_load that only uses processor time, as much of it as it is told.

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <thread>
#include <vector>

namespace bobbin::load {

class Burner {
 public:
  /// Forks: the caller has no threads yet.
  Burner() {
    std::array<int, 2> pair{};
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair.data()) != 0) std::abort();
    process_ = fork();
    if (process_ == 0) {
      close(pair[0]);
      obey(pair[1]);
    }
    close(pair[1]);
    control_ = pair[0];
  }
  ~Burner() {
    close(control_);
    waitpid(process_, nullptr, 0);
  }
  Burner(const Burner&) = delete;
  Burner& operator=(const Burner&) = delete;

  /// From now on it uses so many processors, as far as it gets them; 0: it rests. Answers how many seconds of
  /// processor time it has used since it began.
  double burn(double cores) const {
    double used = 0;
    if (write(control_, &cores, sizeof cores) != sizeof cores ||
        read(control_, &used, sizeof used) != sizeof used)
      std::abort();
    return used;
  }

 private:
  // As many as work for readers: two feed threads, and the reader.
  static constexpr size_t kThreads = 3;

  static double seconds_of(clockid_t clock) {
    timespec time{};
    clock_gettime(clock, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
  }

  // In pieces of 0.1 ms at most, and giving way between them, as feed threads do (feed::Task::give_way).
  static void spin(const std::atomic<double>& share, const std::atomic<bool>& stop) {
    const double began = seconds_of(CLOCK_MONOTONIC);
    for (double used = 0; !stop;) {
      const double due = (seconds_of(CLOCK_MONOTONIC) - began) * share;
      const double before = seconds_of(CLOCK_THREAD_CPUTIME_ID);
      if (due <= used) {
        std::this_thread::sleep_for(std::chrono::microseconds(200));
        continue;
      }
      while (seconds_of(CLOCK_THREAD_CPUTIME_ID) - before < 0.0001 && !stop) {
      }
      used += seconds_of(CLOCK_THREAD_CPUTIME_ID) - before;
      std::this_thread::yield();
    }
  }

  [[noreturn]] static void obey(int control) {
    std::atomic<double> share{0};
    std::atomic<bool> stop{false};
    std::vector<std::thread> threads;
    for (double cores = 0; read(control, &cores, sizeof cores) == sizeof cores;) {
      stop = true;
      for (std::thread& thread : threads)
        thread.join();
      threads.clear();
      stop = false;
      share = cores / kThreads;
      for (size_t i = 0; i < kThreads && cores > 0; ++i)
        threads.emplace_back([&share, &stop] { spin(share, stop); });
      const double used = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
      (void)write(control, &used, sizeof used);
    }
    std::_Exit(0);
  }

  pid_t process_ = -1;
  int control_ = -1;
};

}  // namespace bobbin::load
