#pragma once

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "net/test_socket.h"
#include "serve/mcbp_fixture.h"
#include "stress.h"
#include "wire/datatype.h"
#include "wire/dcp.h"

namespace bobbin::stress {

/// A connection of Couchbase's protocol that may end at any moment: nothing it is told, or not told any more,
/// is an error, but what it is told has to be whole frames.
class Peer {
 public:
  struct Reply {
    wire::BinaryStatus status{};
    std::string value;
  };

  Peer(const net::Address& address, int receive_buffer_bytes, const std::vector<wire::Feature>& features)
      : socket_(address, receive_buffer_bytes) {
    std::string asked;
    for (const wire::Feature feature : features)
      asked += {'\0', static_cast<char>(feature)};
    (void)ask({.opcode = wire::BinaryOpcode::hello, .key = "stress", .value = asked});
    (void)ask({.opcode = wire::BinaryOpcode::sasl_auth, .key = "PLAIN", .value = std::string("\0u\0p", 4)});
  }

  [[nodiscard]] bool is_open() const { return is_open_; }
  void send_bytes(const std::string& bytes) { is_open_ = is_open_ && socket_.send_all(bytes); }
  void send(const serve::Frame& frame) { send_bytes(serve::encoded(frame)); }
  /// The next frame, of whichever kind; nothing at the end.
  std::optional<wire::BinaryHeader> next(std::string& body) {
    if (!is_open_) return std::nullopt;
    const std::string head = socket_.receive(wire::kBinaryHeaderBytes);
    is_open_ = head.size() == wire::kBinaryHeaderBytes;
    if (!is_open_) return std::nullopt;
    const wire::BinaryHeader header = wire::decode_header(head.data());
    const auto magic = static_cast<uint8_t>(head[0]);
    const bool is_known = magic == wire::kBinaryRequestMagic || magic == wire::kFlexibleRequestMagic ||
                          magic == wire::kBinaryReplyMagic || magic == wire::kFlexibleReplyMagic;
    EXPECT_TRUE(is_known) << "no frame begins here: " << int{magic};
    is_open_ = is_known;
    body = socket_.receive(is_known ? header.body_bytes : 0);
    is_open_ = is_open_ && body.size() == header.body_bytes;
    bytes_ += head.size() + body.size();
    return is_open_ ? std::optional(header) : std::nullopt;
  }
  /// The reply, passing over what streams send meanwhile.
  std::optional<Reply> ask(const serve::Frame& frame) {
    send(frame);
    return reply();
  }
  std::optional<Reply> reply() {
    std::string body;
    for (;;) {
      const auto header = next(body);
      if (!header) return std::nullopt;
      if (header->magic == wire::kBinaryReplyMagic || header->magic == wire::kFlexibleReplyMagic)
        return Reply{static_cast<wire::BinaryStatus>(header->vbucket_or_status),
                     body.substr(header->before_value())};
    }
  }
  bool select(const std::string& bucket) {
    const auto reply = ask({.opcode = wire::BinaryOpcode::select_bucket, .key = bucket});
    return reply && reply->status == wire::BinaryStatus::success;
  }
  /// Bytes that came since the last call.
  uint32_t take_bytes() { return static_cast<uint32_t>(std::exchange(bytes_, 0)); }
  net::TestSocket& socket() { return socket_; }

  /// Goes, in one of some ways.
  void leave(Random& random) {
    switch (random.below(4)) {
      case 0:
        return socket_.reset();
      case 1:
        return send({.opcode = wire::BinaryOpcode::quit});
      case 2:
        return send_bytes("\x80");  // in the middle of a request
      default:
        return;
    }
  }
  /// Reads nothing for a moment.
  static void stall(Random& random) {
    std::this_thread::sleep_for(std::chrono::milliseconds(random.below(20)));
  }

 private:
  net::TestSocket socket_;
  bool is_open_ = true;
  uint64_t bytes_ = 0;
};

inline const std::array<std::string, 3> kBuckets = {"default", "b", "nothing"};
constexpr uint16_t kVBuckets = 4;

/// Streams of a bucket, from anywhere in it, read fast, slowly or not at all, closed or left.
class StreamPeer {
 public:
  StreamPeer(net::Address address, uint64_t seed) : address_(std::move(address)), random_(seed) {}

  void run(const std::atomic<bool>& ended) {
    while (!ended && !testing::Test::HasFailure()) {
      using enum wire::Feature;
      Peer peer(address_, random_.once_in(2) ? 4096 : 0,
                {xattr, xerror, select_bucket, json, snappy, alt_request, collections});
      if (!peer.select(kBuckets.at(random_.below(3))) || !open(peer)) continue;
      stream(peer, ended);
      // Its session's bucket is another one from now on, and its streams are no more.
      if (random_.once_in(4) && peer.select(kBuckets.at(random_.below(2))))
        read(peer, random_.below(20), ended);
      peer.leave(random_);
    }
  }
  [[nodiscard]] uint64_t messages() const { return messages_; }
  [[nodiscard]] uint64_t rollbacks() const { return rollbacks_; }

 private:
  bool open(Peer& peer) {
    std::string extras(8, '\0');
    wire::store_big_endian(extras.data() + 4, wire::dcp_open_flags::kProducer);
    // There are names that another connection has.
    const std::string name = "stress " + std::to_string(random_.below(4));
    const auto opened = peer.ask({.opcode = wire::BinaryOpcode::dcp_open, .key = name, .extras = extras});
    if (!opened || opened->status != wire::BinaryStatus::success) return false;
    const auto control = [&](const std::string& key, const std::string& value) {
      (void)peer.ask({.opcode = wire::BinaryOpcode::dcp_control, .key = key, .value = value});
    };
    has_window_ = random_.once_in(2);
    if (has_window_) control("connection_buffer_size", std::to_string(1 + random_.below(100'000)));
    if (random_.once_in(2)) control("send_stream_end_on_client_close_stream", "true");
    if (random_.once_in(3)) control("enable_out_of_order_snapshots", "true");
    if (random_.once_in(3)) control("force_value_compression", "true");
    return true;
  }
  void ask_for_stream(Peer& peer, uint16_t vbucket) {
    wire::DcpStreamRequest request;
    request.end_seqno = random_.once_in(4) ? random_.below(2000) : UINT64_MAX;
    if (!random_.once_in(3)) {
      // Somewhere in the history that it was told of, or in one that never was.
      request.start_seqno = std::min(random_.below(3000), request.end_seqno);
      request.snapshot_start = random_.below(request.start_seqno + 1);
      request.snapshot_end = request.start_seqno + random_.below(100);
      request.uuid = random_.once_in(3) ? random_.below(UINT64_MAX) : uuids_.at(vbucket);
    }
    if (random_.once_in(4)) request.flags = wire::dcp_stream_flags::kDiskOnly;
    std::array<char, wire::kMaxDcpHeadBytes> head;
    peer.send_bytes(std::string(head.data(),
                                wire::write_dcp_stream_request(head.data(), {vbucket, vbucket, 0}, request)));
    const auto reply = peer.reply();
    if (!reply) return;
    if (reply->status == wire::BinaryStatus::rollback) ++rollbacks_;
    if (reply->status == wire::BinaryStatus::success && reply->value.size() >= wire::kDcpFailoverEntryBytes)
      uuids_.at(vbucket) = wire::read_dcp_failover_entry(reply->value, 0).uuid;
  }
  void stream(Peer& peer, const std::atomic<bool>& ended) {
    for (uint64_t turns = 1 + random_.below(6); turns > 0 && peer.is_open() && !ended; --turns) {
      for (uint16_t vbucket = 0; vbucket < kVBuckets; ++vbucket)
        if (random_.once_in(2)) ask_for_stream(peer, vbucket);
      read(peer, random_.below(400), ended);
      if (random_.once_in(3)) Peer::stall(random_);
      if (random_.once_in(2))
        (void)peer.ask({.opcode = wire::BinaryOpcode::dcp_close_stream,
                        .vbucket = static_cast<uint16_t>(random_.below(kVBuckets))});
    }
  }
  // Up to `count` messages: those that are there before the answer to something else.
  void read(Peer& peer, uint64_t count, const std::atomic<bool>& ended) {
    std::string body;
    while (count > 0 && peer.is_open() && !ended) {
      peer.send({.opcode = wire::BinaryOpcode::noop});
      for (;;) {
        const auto header = peer.next(body);
        if (!header) return;
        if (header->opcode == static_cast<uint8_t>(wire::BinaryOpcode::noop)) break;
        ++messages_;
        count -= count > 0 ? 1 : 0;
      }
      if (has_window_ && !random_.once_in(4)) {
        std::array<char, wire::kMaxDcpHeadBytes> head;
        peer.send_bytes(
            std::string(head.data(), wire::write_dcp_buffer_ack(head.data(), 0, peer.take_bytes())));
      }
      count -= count > 0 ? 1 : 0;
    }
  }

  const net::Address address_;
  Random random_;
  bool has_window_ = false;
  std::array<uint64_t, kVBuckets> uuids_{};
  uint64_t messages_ = 0;
  uint64_t rollbacks_ = 0;
};

/// Scans that are made, continued, cancelled and left.
class ScanPeer {
 public:
  ScanPeer(net::Address address, uint64_t seed) : address_(std::move(address)), random_(seed) {}

  void run(const std::atomic<bool>& ended) {
    while (!ended && !testing::Test::HasFailure()) {
      using enum wire::Feature;
      std::vector<wire::Feature> features = {xattr, select_bucket, json, collections};
      const bool ordered = random_.once_in(2);
      if (!ordered) features.push_back(unordered_execution);
      Peer peer(address_, random_.once_in(2) ? 4096 : 0, features);
      if (!peer.select(kBuckets.at(random_.below(2)))) continue;
      for (uint64_t scans = 1 + random_.below(5); scans > 0 && peer.is_open() && !ended; --scans)
        scan(peer, ended);
      if (random_.once_in(4)) (void)peer.select(kBuckets.at(random_.below(2)));
      peer.leave(random_);
    }
  }
  [[nodiscard]] uint64_t frames() const { return frames_; }

 private:
  void scan(Peer& peer, const std::atomic<bool>& ended) {
    const auto vbucket = static_cast<uint16_t>(random_.below(kVBuckets));
    const std::string json = random_.once_in(2)
                                 ? R"({"range":{"start":"AA==","end":"/w=="}})"
                                 : R"({"key_only":true,"range":{"start":"AA==","end":"/w=="}})";
    const auto made = peer.ask({.opcode = wire::BinaryOpcode::range_scan_create,
                                .value = json,
                                .vbucket = vbucket,
                                .datatype = wire::kDatatypeJson});
    if (!made || made->status != wire::BinaryStatus::success) return;
    for (uint64_t times = random_.below(4); times > 0 && peer.is_open() && !ended; --times) {
      std::string limits(12, '\0');
      if (!random_.once_in(3))
        wire::store_big_endian(limits.data(), static_cast<uint32_t>(1 + random_.below(200)));
      peer.send({.opcode = wire::BinaryOpcode::range_scan_continue,
                 .extras = made->value + limits,
                 .vbucket = vbucket});
      if (random_.once_in(4)) Peer::stall(random_);
      if (random_.once_in(6)) return;  // without its answer
      std::string body;
      wire::BinaryStatus status{};
      do {
        const auto header = peer.next(body);
        if (!header) return;
        ++frames_;
        status = static_cast<wire::BinaryStatus>(header->vbucket_or_status);
      } while (status == wire::BinaryStatus::success);
      if (status != wire::BinaryStatus::range_scan_more) return;
    }
    if (random_.once_in(2))
      (void)peer.ask(
          {.opcode = wire::BinaryOpcode::range_scan_cancel, .extras = made->value, .vbucket = vbucket});
  }

  const net::Address address_;
  Random random_;
  uint64_t frames_ = 0;
};

}  // namespace bobbin::stress
