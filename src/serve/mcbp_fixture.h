#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "serve/test_session.h"
#include "wire/binary_header.h"
#include "wire/binary_opcode.h"
#include "wire/binary_reply.h"
#include "wire/binary_status.h"
#include "wire/feature.h"

namespace bobbin::serve {

/// A request as a test writes it down.
struct Frame {
  wire::BinaryOpcode opcode;
  std::string key = {};
  std::string value = {};
  std::string extras = {};
  std::string framing = {};
  uint16_t vbucket = 0;
  uint8_t datatype = 0;
  uint64_t cas = 0;
};

inline std::string encoded(const Frame& frame) {
  std::string bytes(wire::kBinaryHeaderBytes, '\0');
  const size_t body = frame.framing.size() + frame.extras.size() + frame.key.size() + frame.value.size();
  wire::encode_header(
      bytes.data(), {.magic = frame.framing.empty() ? wire::kBinaryRequestMagic : wire::kFlexibleRequestMagic,
                     .opcode = static_cast<uint8_t>(frame.opcode),
                     .key_bytes = static_cast<uint16_t>(frame.key.size()),
                     .extras_bytes = static_cast<uint8_t>(frame.extras.size()),
                     .datatype = frame.datatype,
                     .vbucket_or_status = frame.vbucket,
                     .body_bytes = static_cast<uint32_t>(body),
                     .opaque = 7,
                     .cas = frame.cas,
                     .framing_bytes = static_cast<uint8_t>(frame.framing.size())});
  return bytes + frame.framing + frame.extras + frame.key + frame.value;
}

/// A reply, taken apart.
struct Reply {
  wire::BinaryStatus status{};
  std::string extras;
  std::string value;
  uint8_t datatype = 0;
  uint64_t cas = 0;
  std::string key = {};
};

/// A client of Couchbase's protocol on a server of its own.
class McbpTest : public testing::Test {
 protected:
  // The reply to one frame; the connection has to send exactly that.
  Reply ask(const Frame& frame) {
    const size_t before = client_->replies().size();
    client_->feed(encoded(frame));
    const std::string bytes = client_->replies().substr(before);
    EXPECT_GE(bytes.size(), wire::kBinaryHeaderBytes);
    if (bytes.size() < wire::kBinaryHeaderBytes) return {};
    const wire::BinaryHeader header = wire::decode_header(bytes.data());
    EXPECT_EQ(bytes.size(), wire::kBinaryHeaderBytes + header.body_bytes);
    EXPECT_EQ(header.opcode, static_cast<uint8_t>(frame.opcode));
    EXPECT_EQ(header.opaque, 7U);
    const size_t extras = wire::kBinaryHeaderBytes + header.framing_bytes;
    return {static_cast<wire::BinaryStatus>(header.vbucket_or_status),
            bytes.substr(extras, header.extras_bytes),
            bytes.substr(extras + header.extras_bytes + header.key_bytes),
            header.datatype,
            header.cas,
            bytes.substr(extras + header.extras_bytes, header.key_bytes)};
  }
  wire::BinaryStatus status(const Frame& frame) { return ask(frame).status; }

  std::string hello(const std::vector<wire::Feature>& features) {
    std::string asked;
    for (const wire::Feature feature : features)
      asked += {'\0', static_cast<char>(feature)};
    return ask({.opcode = wire::BinaryOpcode::hello, .key = "test", .value = asked}).value;
  }
  void select() {
    EXPECT_EQ(status({.opcode = wire::BinaryOpcode::select_bucket, .key = "default"}),
              wire::BinaryStatus::success);
  }
  void connect_again() { client_ = server_.connect(); }
  Reply set(const std::string& key, const std::string& value) {
    return ask(
        {.opcode = wire::BinaryOpcode::set, .key = key, .value = value, .extras = std::string(8, '\0')});
  }
  Reply get(const std::string& key) { return ask({.opcode = wire::BinaryOpcode::get, .key = key}); }
  /// What a client of the text protocol is answered.
  std::string text(const std::string& request) {
    const auto connection = server_.connect();
    connection->feed(request);
    return connection->replies();
  }

  net::Loop loop_{net::Limits{}};
  TestEngine server_{loop_};
  std::unique_ptr<TestConnection> client_ = server_.connect();
};

inline const std::string kSetExtras(8, '\0');

}  // namespace bobbin::serve
