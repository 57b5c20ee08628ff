#pragma once

// The server of bench/stream_load, a process of its own, so that its processor time, memory and system calls
// are nobody else's: the product, and beside it a listener whose connections get scans in the other ways to
// hand off.

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <string>

namespace bobbin::load {

constexpr uint32_t kVBuckets = 8;
constexpr size_t kValueBytes = 100;

/// The documents' keys: all of 16 bytes.
std::string key_of(size_t number);

inline std::string local_address_of(const std::string& folder, bool other) {
  return "unix:" + folder + (other ? ".other" : ".product");
}

struct ServerSetup {
  std::string folder;  ///< filled if it is not there
  size_t documents = 400'000;
  size_t spool_bytes = 1 << 20;
};

/// What it has done since it began, and what it holds now.
struct Figures {
  double cpu_s = 0;
  uint64_t resident_bytes = 0;
  uint64_t allocated_bytes = 0;  ///< by jemalloc's count; 0 without it
  uint64_t threads = 0;
  uint64_t connections = 0;
  // Of its loop, or of the other listener's:
  uint64_t wakes = 0;
  uint64_t drains = 0;
  uint64_t writes = 0;
  uint64_t spool_bytes_in = 0;
  uint64_t bytes_written = 0;
  uint64_t unsent_bytes = 0;  ///< now: what readers have not taken
  // Of both, where the kernel tells; otherwise 0:
  uint64_t system_calls = 0;
  uint64_t ticks = 0;  ///< waits for events
};

class LoadServer {
 public:
  /// Forks: the caller has no threads yet. Returns when it listens.
  explicit LoadServer(const ServerSetup& setup);
  ~LoadServer();
  LoadServer(const LoadServer&) = delete;
  LoadServer& operator=(const LoadServer&) = delete;

  /// Where the product listens; with `other`, the listener of the other ways: a line "background WAY VBUCKET"
  /// (WAY: hop, post, mutex or spool, with "batch:" before it for frames of 32 KiB) makes a connection one
  /// that is sent that vbucket's documents, again and again.
  [[nodiscard]] uint16_t port(bool other) const noexcept { return other ? other_port_ : port_; }
  /// The same, where the kernel holds some 200 KiB for a reader and not megabytes.
  [[nodiscard]] std::string local_address(bool other) const { return local_address_of(folder_, other); }
  [[nodiscard]] Figures figures(bool other) const;

 private:
  const std::string folder_;
  pid_t process_ = -1;
  int control_ = -1;
  int system_calls_ = -1;
  int ticks_ = -1;
  uint16_t port_ = 0;
  uint16_t other_port_ = 0;
};

}  // namespace bobbin::load
