// Requests of Couchbase's clients, byte for byte, and what they are answered, byte for byte: one row of
// wire_vectors.h each. With BOBBIN_WRITE_VECTORS in the environment the answers are printed as JSON.

#include "serve/wire_vectors.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "serve/mcbp_fixture.h"

namespace bobbin::serve {
namespace {

using namespace std::string_literals;

// "8000 00 ; 8001": two frames.
std::string bytes_of(std::string_view text) {
  std::string bytes;
  int high = -1;
  for (const char c : text) {
    if (c == ' ' || c == ';') continue;
    const int digit = c <= '9' ? c - '0' : c - 'a' + 10;
    if (high < 0) {
      high = digit;
      continue;
    }
    bytes += static_cast<char>(high << 4 | digit);
    high = -1;
  }
  EXPECT_EQ(high, -1) << text;
  return bytes;
}

// In the groups of the header: magic and opcode, lengths, datatype, vbucket or status, body, opaque, CAS.
std::string text_of(std::string_view bytes) {
  std::string text;
  while (!bytes.empty()) {
    const bool whole = bytes.size() >= wire::kBinaryHeaderBytes;
    const size_t body = whole ? wire::decode_header(bytes.data()).body_bytes : 0;
    const std::string_view frame = bytes.substr(0, wire::kBinaryHeaderBytes + body);
    bytes.remove_prefix(frame.size());
    if (!text.empty()) text += " ; ";
    for (size_t i = 0; i < frame.size(); ++i) {
      const bool begins = i == 2 || i == 4 || i == 5 || i == 6 || i == 8 || i == 12 || i == 16 || i == 24;
      text += fmt::format("{}{:02x}", begins ? " " : "", static_cast<unsigned char>(frame[i]));
    }
  }
  return text;
}

// One client that has agreed on everything, on a server whose clock stands still, where there is document k.
std::string reply_to(const WireVector& vector) {
  using enum wire::Feature;
  net::Loop loop{net::Limits{}};
  TestEngine server(loop);
  const auto client = server.connect();
  std::string features;
  for (const wire::Feature feature : {mutation_seqno, xattr, xerror, json, snappy, tracing, alt_request,
                                      sync_replication, collections, preserve_ttl})
    features += {'\0', static_cast<char>(feature)};
  client->feed(encoded({.opcode = wire::BinaryOpcode::hello, .value = features}));
  client->feed(encoded({.opcode = wire::BinaryOpcode::set,
                        .key = "\0k"s,
                        .value = R"({"a":1,"l":[1]})",
                        .extras = std::string(8, '\0')}));
  client->feed(bytes_of(vector.before));
  const size_t begin = client->replies().size();
  client->feed(bytes_of(vector.request));
  return text_of(std::string_view(client->replies()).substr(begin));
}

TEST(WireVectorsTest, EveryAnswerIsExact) {
  const bool writes = std::getenv("BOBBIN_WRITE_VECTORS") != nullptr;
  const char* comma = "{";
  for (const WireVector& vector : kWireVectors) {
    const std::string reply = reply_to(vector);
    if (writes) {
      fmt::print("{}\"{}\": \"{}\"\n", std::exchange(comma, ","), vector.name, reply);
    } else {
      EXPECT_EQ(reply, vector.reply) << vector.name;
    }
  }
  if (writes) fmt::print("}}\n");
}

// What is cut off, or says that it is longer than it is, waits for the rest and is answered with nothing.
TEST(WireVectorsTest, NothingIsAnsweredBeforeItIsThere) {
  for (const WireVector& vector : kWireVectors) {
    const std::string request = bytes_of(vector.request);
    if (request.size() > 200) continue;
    net::Loop loop{net::Limits{}};
    TestEngine server(loop);
    const auto client = server.connect();
    client->feed(encoded({.opcode = wire::BinaryOpcode::hello}));
    const size_t begin = client->replies().size();
    client->feed(std::string_view(request).substr(0, wire::kBinaryHeaderBytes - 1));
    EXPECT_EQ(client->replies().size(), begin) << vector.name;
  }
}

}  // namespace
}  // namespace bobbin::serve
