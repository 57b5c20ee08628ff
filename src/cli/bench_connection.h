#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "cli/bench_protocol.h"
#include "cli/bench_worker.h"
#include "net/connection.h"
#include "net/receiver.h"

namespace bobbin::cli {

/// One connection of the load generator: keeps its window of requests full and matches answers with them.
/// Asks its worker what to send, and tells it what came. Owned by its connection; the worker's loop only.
class BenchConnection final : public net::Receiver {
 public:
  /// The worker must outlive every call.
  explicit BenchConnection(BenchWorker& worker);

  void on_open(net::Connection& connection) override;
  size_t on_bytes(net::Connection& connection, std::span<const char> unread, size_t seen) override;
  std::span<char> landing() noexcept override;
  void on_landed(net::Connection& connection, size_t n) override;
  void on_closed(net::Connection& connection, net::CloseReason reason) override;

  /// Sends what may be sent, outside of the calls above. May close the connection.
  void go(uint64_t now_ns);
  [[nodiscard]] uint32_t in_flight() const noexcept { return sent_ - done_; }
  /// When the request that has waited longest was sent. Only if one is in flight.
  [[nodiscard]] uint64_t oldest_ns() const noexcept { return requests_[done_ & mask_].sent_ns; }
  /// Closes; what is in flight is lost for this reason.
  void give_up(BenchError why);

 private:
  size_t take(std::string_view bytes);
  void send_window(uint64_t now_ns);
  void write(const BenchRequest& request, std::span<const uint32_t> keys);
  std::span<uint32_t> keys_at(uint32_t position) noexcept {
    return {keys_.data() + size_t{position & mask_} * keys_each_, keys_each_};
  }

  BenchWorker& worker_;
  net::Connection* connection_ = nullptr;  // from on_open to on_closed
  const std::unique_ptr<BenchReader> reader_;
  BenchError why_closed_ = BenchError::disconnected;
  bool greeted_ = false;

  // A ring of requests and their keys. The positions only grow, and wrap around; done_ to sent_ are in
  // flight.
  const uint32_t mask_;
  const uint32_t keys_each_;
  std::vector<BenchRequest> requests_;
  std::vector<uint32_t> keys_;
  uint32_t sent_ = 0;
  uint32_t done_ = 0;
};

}  // namespace bobbin::cli
