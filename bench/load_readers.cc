#include "load_readers.h"

#include <fmt/format.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <string_view>

#include "load_server.h"
#include "wire/binary_header.h"
#include "wire/binary_opcode.h"
#include "wire/binary_status.h"
#include "wire/datatype.h"
#include "wire/dcp.h"
#include "wire/range_scan.h"

namespace bobbin::load {
namespace {

using std::chrono::steady_clock;
using wire::BinaryOpcode;
using wire::BinaryStatus;

std::string request(BinaryOpcode opcode, std::string_view extras, std::string_view key,
                    std::string_view value, uint16_t vbucket = 0, uint8_t datatype = 0) {
  std::string bytes(wire::kBinaryHeaderBytes, '\0');
  wire::encode_header(bytes.data(),
                      {.opcode = static_cast<uint8_t>(opcode),
                       .key_bytes = static_cast<uint16_t>(key.size()),
                       .extras_bytes = static_cast<uint8_t>(extras.size()),
                       .datatype = datatype,
                       .vbucket_or_status = vbucket,
                       .body_bytes = static_cast<uint32_t>(extras.size() + key.size() + value.size())});
  return bytes.append(extras).append(key).append(value);
}

// All documents are of one size.
uint64_t bytes_of_scan_item() {
  wire::ScanFrame frame(wire::ScanFrame::Content::documents);
  const std::string key = key_of(1);
  const std::string value(kValueBytes, 'v');
  frame.add_document({.key = key, .value = value});
  return frame.bytes();
}

}  // namespace

Readers::Readers(const net::Address& address, const ReadersPlan& plan)
    : plan_(plan), scan_item_bytes_(bytes_of_scan_item()), buffer_(256 << 10) {
  poll_ = epoll_create1(0);
  const auto add = [&](Kind kind, size_t count) {
    for (size_t i = 0; i < count; ++i)
      connections_.push_back(
          {kind, static_cast<uint16_t>(i % kVBuckets), net::TestSocket(address, plan.stalls ? 4096 : 0)});
  };
  connections_.reserve(plan.scans + plan.streams + plan.others);
  add(Kind::scan, plan.scans);
  add(Kind::stream, plan.streams);
  add(Kind::other, plan.others);
  for (size_t i = 0; i < connections_.size(); ++i) {
    Connection& connection = connections_[i];
    if (!connection.socket.open()) std::abort();
    epoll_event event{.events = EPOLLIN, .data = {.u64 = i}};
    epoll_ctl(poll_, EPOLL_CTL_ADD, connection.socket.descriptor(), &event);
    if (connection.kind != Kind::other) {
      connection.socket.send_all(
          request(BinaryOpcode::hello, {}, "load", std::string("\0\x0b\0\x12\0\x08", 6)) +
          request(BinaryOpcode::select_bucket, {}, "default", {}));
    }
    if (connection.kind == Kind::stream) {
      connection.socket.send_all(request(BinaryOpcode::dcp_open, std::string("\0\0\0\0\0\0\0\x01", 8),
                                         fmt::format("load {} {}", getpid(), i), {}));
    }
    ask(connection);
  }
  thread_ = std::thread([this] { run(); });
}

Readers::~Readers() {
  stop_ = true;
  thread_.join();
  close(poll_);
}

Readers::Counts Readers::counts() const {
  return {bytes_, frames_, scan_items_, stream_items_};
}

double Readers::cpu_s() const {
  clockid_t clock{};
  timespec time{};
  if (pthread_getcpuclockid(const_cast<std::thread&>(thread_).native_handle(), &clock) != 0) return 0;
  clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

// A scan, or a stream, of the connection's vbucket from its beginning.
void Readers::ask(Connection& connection) {
  switch (connection.kind) {
    case Kind::scan:
      connection.socket.send_all(request(BinaryOpcode::range_scan_create, {}, {},
                                         R"({"range":{"start":"AA==","end":"/w=="}})", connection.vbucket,
                                         wire::kDatatypeJson));
      return;
    case Kind::stream: {
      std::array<char, wire::kMaxDcpHeadBytes> head;
      char* const end = wire::write_dcp_stream_request(head.data(), {.vbucket = connection.vbucket},
                                                       {.flags = wire::dcp_stream_flags::kToLatest});
      connection.socket.send_all({head.data(), end});
      return asked(connection);
    }
    case Kind::other:
      connection.socket.send_all(fmt::format("background {} {}\n", plan_.way, connection.vbucket));
      return asked(connection);
  }
}

void Readers::asked(Connection& connection) {
  if (std::exchange(connection.has_asked, true)) return;
  ++asked_;
  if (plan_.stalls) epoll_ctl(poll_, EPOLL_CTL_DEL, connection.socket.descriptor(), nullptr);
}

void Readers::pace() {
  if (plan_.bytes_per_s == 0) return;
  static thread_local const auto began = steady_clock::now();
  const double allowed =
      std::chrono::duration<double>(steady_clock::now() - began).count() * plan_.bytes_per_s;
  const double ahead = static_cast<double>(bytes_) - allowed;
  if (ahead > 0) std::this_thread::sleep_for(std::chrono::duration<double>(ahead / plan_.bytes_per_s));
}

void Readers::run() {
  std::array<epoll_event, 64> events;
  while (!stop_) {
    const int ready = epoll_wait(poll_, events.data(), static_cast<int>(events.size()), 20);
    for (int i = 0; i < ready && !stop_; ++i) {
      Connection& connection = connections_[events[static_cast<size_t>(i)].data.u64];
      if (plan_.stalls && connection.has_asked) continue;
      const size_t most = plan_.bytes_per_s > 0 ? 32 << 10 : buffer_.size();
      const ssize_t n = recv(connection.socket.descriptor(), buffer_.data(), plan_.stalls ? 1024 : most, 0);
      if (n <= 0) std::abort();
      bytes_.fetch_add(static_cast<uint64_t>(n), std::memory_order_relaxed);
      take(connection, buffer_.data(), static_cast<size_t>(n));
      pace();
    }
  }
}

void Readers::take(Connection& connection, const char* bytes, size_t n) {
  while (n > 0) {
    if (connection.body_left > 0) {
      const size_t some = std::min(n, connection.body_left);
      if (connection.body.size() < 64) connection.body.append(bytes, std::min<size_t>(some, 64));
      bytes += some;
      n -= some;
      connection.body_left -= some;
      if (connection.body_left == 0) on_frame(connection);
      continue;
    }
    const size_t some = std::min(n, wire::kBinaryHeaderBytes - connection.head.size());
    connection.head.append(bytes, some);
    bytes += some;
    n -= some;
    if (connection.head.size() < wire::kBinaryHeaderBytes) continue;
    connection.body_left = wire::decode_header(connection.head.data()).body_bytes;
    if (connection.body_left == 0) on_frame(connection);
  }
}

void Readers::on_frame(Connection& connection) {
  const wire::BinaryHeader header = wire::decode_header(connection.head.data());
  connection.head.clear();
  const std::string body = std::exchange(connection.body, {});
  frames_.fetch_add(1, std::memory_order_relaxed);
  const auto opcode = static_cast<BinaryOpcode>(header.opcode);
  const auto status = static_cast<BinaryStatus>(header.vbucket_or_status);
  if (connection.kind == Kind::other || opcode == BinaryOpcode::range_scan_continue) {
    scan_items_.fetch_add(header.body_bytes / scan_item_bytes_, std::memory_order_relaxed);
    if (connection.kind != Kind::other && status != BinaryStatus::success) ask(connection);
  } else if (opcode == BinaryOpcode::range_scan_create) {
    if (status != BinaryStatus::success) std::abort();
    connection.socket.send_all(request(BinaryOpcode::range_scan_continue,
                                       body.substr(0, sizeof(wire::ScanId)) + std::string(12, '\0'), {}, {},
                                       connection.vbucket));
    asked(connection);
  } else if (opcode == BinaryOpcode::dcp_mutation) {
    stream_items_.fetch_add(1, std::memory_order_relaxed);
  } else if (opcode == BinaryOpcode::dcp_stream_end) {
    ask(connection);
  } else if (header.magic == wire::kBinaryReplyMagic && status != BinaryStatus::success) {
    fmt::print(stderr, "opcode {:#x} was answered with status {:#x}\n", header.opcode,
               header.vbucket_or_status);
    std::_Exit(1);
  }
}

}  // namespace bobbin::load
