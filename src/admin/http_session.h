#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>

#include "admin/route.h"
#include "net/counters.h"
#include "net/receiver.h"

namespace bobbin::admin {

/// Requests that were answered, by the first digit of the status: [1] is 1xx. Written by the loop's thread.
struct HttpCounters {
  std::array<net::OwnedCounter, 6> answers;
};

/// A client of HTTP: its requests, one after the other, each answered before the next is looked at. Owned by
/// its connection; every call is on the management loop, and what would wait goes to the worker, with the
/// connection suspended meanwhile.
class HttpSession final : public net::Receiver {
 public:
  /// `admin` outlives it.
  explicit HttpSession(Admin& admin) : admin_(admin) {}

  size_t on_bytes(net::Connection& connection, std::span<const char> unread, size_t seen) override;
  void on_resumed(net::Connection& connection) override;

 private:
  /// A request at the worker's, and its answer. Shared: the connection may close meanwhile.
  struct Errand;
  enum class Phase : uint8_t { reading, away, streaming, closing };

  [[nodiscard]] bool step(net::Connection& connection, std::string_view bytes, size_t& taken);
  void begin(net::Connection& connection);
  void run(net::Connection& connection);
  void answer(net::Connection& connection, const HttpResponse& response);
  void answer_and_close(net::Connection& connection, const HttpResponse& response);
  void stream(net::Connection& connection, const HttpResponse& response);
  [[nodiscard]] bool send_head(net::Connection& connection, const HttpResponse& response);
  void live(net::Connection& connection, const HttpResponse& response);

  Admin& admin_;
  HttpReader reader_;
  Phase phase_ = Phase::reading;
  std::unique_ptr<Call> call_;    // of the request whose body is on its way
  const Route* route_ = nullptr;  // of the same
  std::shared_ptr<Errand> errand_;
  std::unique_ptr<LiveAnswer> live_;  // while streaming
};

}  // namespace bobbin::admin
