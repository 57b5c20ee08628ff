#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "serve/binary_commands.h"
#include "serve/mcbp_fixture.h"
#include "subdoc_vectors.h"
#include "vector_text.h"

namespace bobbin::serve {

// What the tests of malformed requests share. For tests only.

/// What a client gets to know.
struct Answer {
  std::vector<wire::BinaryStatus> statuses;  ///< of the replies before that to the noop
  std::string bytes;                         ///< of those
  bool goes_on = false;                      ///< the noop was answered, as the last
  bool closes = false;
};

/// Requests that are wrong, and a NOOP behind each, which only a connection that goes on answers.
class MalformedTest : public testing::Test {
 protected:
  /// The CAS of document k.
  static constexpr uint64_t kDocumentCas = 0x17979fb8b4193001;

  /// On a server of its own, with document k, to a client that has agreed on everything.
  static Answer answer(const std::string& request) {
    net::Loop loop{net::Limits{}};
    TestEngine server(loop);
    const auto client = server.connect();
    using enum wire::Feature;
    std::string features;
    for (const wire::Feature feature : {mutation_seqno, xattr, xerror, json, snappy, tracing, alt_request,
                                        sync_replication, collections, preserve_ttl})
      features += {'\0', static_cast<char>(feature)};
    client->feed(encoded({.opcode = wire::BinaryOpcode::hello, .value = features}));
    client->feed(encoded(
        {.opcode = wire::BinaryOpcode::set, .key = document_key(), .value = "{}", .extras = kSetExtras}));
    const size_t begin = client->replies().size();
    client->feed(request + noop());
    return read(std::string_view(client->replies()).substr(begin), client->closing());
  }

  /// Byte for byte: the request is refused with this, and the connection goes on with the next.
  static void expect_refused(const Frame& frame, std::string_view what,
                             wire::BinaryStatus status = wire::BinaryStatus::invalid_arguments,
                             uint64_t cas = 0) {
    const Answer got = answer(encoded(frame));
    EXPECT_TRUE(got.goes_on && !got.closes) << what;
    expect_bytes(got, refusal(frame.opcode, status, cas), what);
  }
  /// Byte for byte: nothing is to be found behind the request, which is refused.
  static void expect_lost(const std::string& request, std::string_view what) {
    const Answer got = answer(request);
    EXPECT_TRUE(got.closes && !got.goes_on) << what;
    expect_bytes(got,
                 refusal(static_cast<wire::BinaryOpcode>(request[1]), wire::BinaryStatus::invalid_arguments),
                 what);
  }
  static void expect_bytes(const Answer& got, std::string_view expected, std::string_view what) {
    EXPECT_EQ(vector_text(got.bytes), vector_text(expected)) << what;
  }

  /// The status, and how long the request took, which is nothing. Of what is unknown also the manifest that
  /// does not have it.
  static std::string refusal(wire::BinaryOpcode opcode, wire::BinaryStatus status, uint64_t cas = 0) {
    const bool names_manifest =
        status == wire::BinaryStatus::unknown_collection || status == wire::BinaryStatus::unknown_scope;
    const std::string context = names_manifest ? R"({"manifest_uid":"0"})" : "";
    return vector_bytes(fmt::format("18{:02x} 0300 00 {:02x} {:04x} {:08x} 00000007 {:016x} 020000",
                                    static_cast<unsigned>(opcode), names_manifest ? 1 : 0,
                                    static_cast<unsigned>(status), 3 + context.size(), cas)) +
           context;
  }

  /// The change after that of document k was made.
  static std::string stored(wire::BinaryOpcode opcode, uint64_t cas) {
    return vector_bytes(fmt::format(
        "18{:02x} 0300 10 00 0000 00000013 00000007 {:016x} 020000 0000000000000001 0000000000000004",
        static_cast<unsigned>(opcode), cas));
  }

  /// A request of this command as its first vector has it, or else of its shape.
  static Frame frame_of(const BinaryCommand& row) {
    for (const auto vectors : kMemoryVectors) {
      for (const WireVector& vector : vectors) {
        const std::string bytes = vector_bytes(vector.request);
        const wire::BinaryHeader header = wire::decode_header(bytes.data());
        if (header.opcode != static_cast<uint8_t>(row.opcode) || header.magic != wire::kBinaryRequestMagic ||
            bytes.size() != wire::kBinaryHeaderBytes + header.body_bytes)
          continue;
        const std::string_view body = std::string_view(bytes).substr(wire::kBinaryHeaderBytes);
        return {.opcode = row.opcode,
                .key = std::string(body.substr(header.extras_bytes, header.key_bytes)),
                .value = std::string(body.substr(header.extras_bytes + header.key_bytes)),
                .extras = std::string(body.substr(0, header.extras_bytes)),
                .datatype = header.datatype,
                .cas = header.cas};
      }
    }
    Frame frame{.opcode = row.opcode};
    uint8_t extras = 0;
    while (!row.shape.extras.has(extras))
      ++extras;
    frame.extras.assign(extras, '\0');
    if (row.shape.key == wire::Presence::required)
      frame.key = row.key == KeyKind::document ? document_key() : "k";
    if (row.shape.value == wire::Presence::required) frame.value = "v";
    return frame;
  }

  /// All but those of memcached's clients, and those that end the connection.
  static void for_each_row(const std::function<void(const BinaryCommand&)>& visit) {
    for_each_binary_command([&](const BinaryCommand& row) {
      const bool ends = row.opcode == wire::BinaryOpcode::quit || row.opcode == wire::BinaryOpcode::quitq;
      if (row.audience == Audience::memcached || ends) return;
      SCOPED_TRACE(row.name);
      visit(row);
    });
  }
  static bool takes_value(const BinaryCommand& row) { return row.shape.value != wire::Presence::forbidden; }

  /// k, in the default collection.
  static std::string document_key() { return {"\0k", 2}; }

 private:
  static constexpr uint32_t kNoopOpaque = 0x0a0a0a0a;

  static std::string noop() {
    std::string frame = encoded({.opcode = wire::BinaryOpcode::noop});
    wire::store_big_endian(frame.data() + 12, kNoopOpaque);
    return frame;
  }
  static Answer read(std::string_view replies, bool closes) {
    Answer answer;
    answer.closes = closes;
    while (!replies.empty()) {
      EXPECT_GE(replies.size(), wire::kBinaryHeaderBytes);
      const wire::BinaryHeader header = wire::decode_header(replies.data());
      const size_t size = wire::kBinaryHeaderBytes + header.body_bytes;
      EXPECT_LE(size, replies.size());
      if (size > replies.size()) break;
      answer.goes_on = replies.size() == size && header.opaque == kNoopOpaque;
      if (!answer.goes_on) {
        answer.bytes += replies.substr(0, size);
        answer.statuses.push_back(static_cast<wire::BinaryStatus>(header.vbucket_or_status));
      }
      replies.remove_prefix(size);
    }
    return answer;
  }
};

}  // namespace bobbin::serve
