#pragma once

// The clients of bench/stream_load: connections that read range scans and change streams, again and again.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "net/test_socket.h"

namespace bobbin::load {

struct ReadersPlan {
  size_t scans = 0;
  size_t streams = 0;
  size_t others = 0;  ///< in the way `way`, from the listener of those; see LoadServer::port
  std::string way = {};
  double bytes_per_s = 0;  ///< of all together; 0: as fast as they come
  bool stalls = false;     ///< nothing is read any more once all has been asked for
};

/// All of them on one thread, which reads and looks at heads only.
class Readers {
 public:
  Readers(const net::Address& address, const ReadersPlan& plan);
  ~Readers();
  Readers(const Readers&) = delete;
  Readers& operator=(const Readers&) = delete;

  struct Counts {
    uint64_t bytes = 0;
    uint64_t frames = 0;
    uint64_t scan_items = 0;  ///< also those of other ways
    uint64_t stream_items = 0;
  };
  [[nodiscard]] Counts counts() const;
  /// Processor time of the thread.
  [[nodiscard]] double cpu_s() const;
  /// Every connection has asked for what it shall get.
  [[nodiscard]] bool is_under_way() const { return asked_ >= connections_.size(); }

 private:
  enum class Kind : uint8_t { scan, stream, other };
  struct Connection {
    Kind kind;
    uint16_t vbucket;
    net::TestSocket socket;
    std::string head = {};
    std::string body = {};  // of what is looked at
    size_t body_left = 0;
    bool has_asked = false;
  };

  void run();
  void pace();
  void take(Connection& connection, const char* bytes, size_t n);
  void on_frame(Connection& connection);
  void ask(Connection& connection);
  void asked(Connection& connection);

  const ReadersPlan plan_;
  const uint64_t scan_item_bytes_;
  std::vector<Connection> connections_;
  std::vector<char> buffer_;
  std::atomic<uint64_t> bytes_{0};
  std::atomic<uint64_t> frames_{0};
  std::atomic<uint64_t> scan_items_{0};
  std::atomic<uint64_t> stream_items_{0};
  std::atomic<size_t> asked_{0};
  std::atomic<bool> stop_{false};
  int poll_ = -1;
  std::thread thread_;
};

}  // namespace bobbin::load
