// Requests of Couchbase's clients, byte for byte, and what they are answered, byte for byte: one row of
// mcbp_vectors.h, subdoc_vectors.h or refusal_vectors.h each. With BOBBIN_WRITE_VECTORS in the environment
// the answers are printed as JSON.

#include "mcbp_vectors.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "access_vectors.h"
#include "disk_vectors.h"
#include "refusal_vectors.h"
#include "serve/binary_commands.h"
#include "serve/error_map.h"
#include "serve/mcbp_fixture.h"
#include "subdoc_vectors.h"
#include "vector_text.h"
#include "wire/json_value.h"

namespace bobbin::serve {
namespace {

void for_each_vector(const std::function<void(const WireVector&)>& visit) {
  for (const auto vectors : kMemoryVectors)
    std::for_each(vectors.begin(), vectors.end(), visit);
  std::for_each(std::begin(kRefusalVectors), std::end(kRefusalVectors), visit);
}

// A server whose clock stands still, where there is document k.
class VectorServer {
 public:
  VectorServer() {
    const auto client = connect();
    client->feed(encoded({.opcode = wire::BinaryOpcode::hello, .value = {'\0', '\x0b'}}));  // JSON
    client->feed(encoded({.opcode = wire::BinaryOpcode::set,
                          .key = "k",
                          .value = R"({"a":1,"l":[1]})",
                          .extras = kSetExtras}));
  }
  [[nodiscard]] std::unique_ptr<TestConnection> connect() { return server_.connect(); }

 private:
  net::Loop loop_{net::Limits{}};
  TestEngine server_{loop_};
};

// Agrees on everything.
void greet(TestConnection& connection) {
  using enum wire::Feature;
  std::string features;
  for (const wire::Feature feature : {mutation_seqno, xattr, xerror, json, snappy, tracing, alt_request,
                                      sync_replication, collections, preserve_ttl})
    features += {'\0', static_cast<char>(feature)};
  connection.feed(encoded({.opcode = wire::BinaryOpcode::hello, .value = features}));
}

// A client that has agreed on everything, and has asked what comes before.
class VectorClient {
 public:
  VectorClient(VectorServer& server, const WireVector& vector)
      : connection_(prepared(server, vector)), begin_(connection_->replies().size()) {}
  void feed(std::string_view bytes) { connection_->feed(bytes); }
  // What it was told since.
  [[nodiscard]] std::string replies() const {
    return vector_text(std::string_view(connection_->replies()).substr(begin_));
  }

 private:
  static std::unique_ptr<TestConnection> prepared(VectorServer& server, const WireVector& vector) {
    auto connection = server.connect();
    greet(*connection);
    connection->feed(vector_bytes(vector.before));
    return connection;
  }

  const std::unique_ptr<TestConnection> connection_;
  const size_t begin_;
};

std::string reply_to(const WireVector& vector) {
  VectorServer server;
  VectorClient client(server, vector);
  client.feed(vector_bytes(vector.request));
  return client.replies();
}

TEST(McbpVectorsTest, EveryAnswerIsExact) {
  const bool writes = std::getenv("BOBBIN_WRITE_VECTORS") != nullptr;
  const char* comma = "{";
  for_each_vector([&](const WireVector& vector) {
    const std::string reply = reply_to(vector);
    if (writes) {
      fmt::print("{}\"{}\": \"{}\"\n", std::exchange(comma, ","), vector.name, reply);
    } else {
      EXPECT_TRUE(vector_matches(reply, vector.reply)) << vector.name << ": " << reply;
    }
  });
  if (writes) fmt::print("}}\n");
}

TEST(McbpVectorsTest, WhereThereIsNoMemory) {
  net::Loop loop{net::Limits{}};
  TestEngine engine(loop, {.quota_bytes = 1 << 20, .vbuckets = 1, .evict = false});
  const auto filler = engine.connect();
  size_t told = 0;
  for (size_t bytes : {100'000, 1'000, 0}) {
    while (filler->replies().find("SERVER_ERROR", told) == std::string::npos)
      filler->feed(
          fmt::format("set {} 0 0 {}\r\n{}\r\n", filler->replies().size(), bytes, std::string(bytes, 'x')));
    told = filler->replies().size();
  }
  const auto client = engine.connect();
  greet(*client);
  const size_t begin = client->replies().size();
  client->feed(vector_bytes(kStarvedVector.request));
  EXPECT_EQ(vector_text(std::string_view(client->replies()).substr(begin)), kStarvedVector.reply);
}

// Calls visit(opcode, vbucket or status) for each frame.
template <typename Visit>
void for_each_frame(std::string_view text, Visit visit) {
  while (!text.empty()) {
    const size_t end = std::min(text.find(';'), text.size());
    std::string_view frame = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    frame.remove_prefix(std::min(frame.find_first_not_of(' '), frame.size()));
    // "8000 0001 08 00 0000": magic and opcode, lengths, datatype, vbucket or status.
    ASSERT_GE(frame.size(), 20U) << frame;
    visit(frame.substr(2, 2), frame.substr(16, 4));
  }
}

struct Coverage {
  void add(const WireVector& vector) {
    std::set<std::string, std::less<>> answered;
    for_each_frame(vector.reply, [&](std::string_view opcode, std::string_view status) {
      answered.emplace(opcode);
      // Those of range scans say whether there is more, that of a login that it goes on.
      const bool is_done = status == "0000" || status == "00a6" || status == "00a7" || status == "0021";
      (is_done ? done : refused).emplace(opcode);
      statuses.emplace(status);
      if (!is_done && status != "0004") refused_for_itself.emplace(opcode);
      if (status == "0024") forbidden.emplace(opcode);
    });
    // Who is quiet says nothing of what is done.
    for_each_frame(vector.request, [&](std::string_view opcode, std::string_view) {
      if (!answered.contains(opcode)) done.emplace(opcode);
    });
  }

  std::set<std::string, std::less<>> statuses;
  std::set<std::string, std::less<>> done;
  std::set<std::string, std::less<>> refused;
  std::set<std::string, std::less<>> refused_for_itself;  // otherwise than as malformed
  std::set<std::string, std::less<>> forbidden;           // to who may not
};

Coverage coverage_of_all() {
  Coverage covered;
  for_each_vector([&](const WireVector& vector) { covered.add(vector); });
  for (const WireVector& vector : kDiskVectors)
    covered.add(vector);
  for (const AccessVector& vector : kAccessVectors)
    covered.add({vector.name, {}, vector.request, vector.reply});
  covered.add(kManyScansVector);
  covered.add(kStarvedVector);
  return covered;
}

// Whoever adds a row to a table adds its vectors here, or to those that need a disk: one of what it is for,
// and one that it refuses; and to those of users one of who may not.
TEST(McbpVectorsTest, EveryCommandHasAnAnswerAndARefusal) {
  static constexpr std::string_view kNeverDone[] = {
      "get_replica",       // there are no replicas
      "get_ex_replica",    //
      "dcp_add_stream",    // nobody is asked to follow
      "sasl_step",         // its answer is for the password alone: serve/logins_test.cc
      "set_param",         // there are none
      "stop_persistence",  // as upstream, which has given it up
      "start_persistence",
  };
  static constexpr std::string_view kOnlyMalformed[] = {
      "quit",                        // to be refused there is nothing
      "quitq",                       //
      "noop",                        //
      "version",                     //
      "verbosity",                   //
      "sasl_list_mechs",             //
      "list_buckets",                // who may see none is told of none
      "get_cluster_config",          // who has no bucket gets the node's
      "hello",                       // what is not granted is left out; half a feature is malformed
      "dcp_noop",                    // so are these of who streams nothing
      "dcp_buffer_acknowledgement",  //
  };
  const Coverage covered = coverage_of_all();
  for_each_binary_command([&](const BinaryCommand& row) {
    if (row.audience == Audience::memcached) return;
    const std::string opcode = fmt::format("{:02x}", static_cast<uint8_t>(row.opcode));
    const bool is_done =
        std::find(std::begin(kNeverDone), std::end(kNeverDone), row.name) == std::end(kNeverDone);
    EXPECT_EQ(covered.done.contains(opcode), is_done) << row.name;
    EXPECT_TRUE(covered.refused.contains(opcode)) << row.name;
    const bool is_only_malformed =
        std::find(std::begin(kOnlyMalformed), std::end(kOnlyMalformed), row.name) != std::end(kOnlyMalformed);
    EXPECT_NE(covered.refused_for_itself.contains(opcode), is_only_malformed) << row.name;
    EXPECT_TRUE(row.needs == 0 || covered.forbidden.contains(opcode)) << row.name;
  });
}

// Each status that the error map has is shown by a vector, or it is said why none can be.
TEST(McbpVectorsTest, EveryStatusIsAnsweredToSomething) {
  static constexpr std::string_view kNeverAnswered[] = {
      "000a",  // DCP_STREAM_NOT_FOUND and
      "000b",  // OPAQUE_NO_MATCH are what a consumer says, and nobody sends changes to this server
      "001f",  // AUTH_STALE: who is removed may do nothing any more at once, and is told EACCESS
      "00a2",  // SYNC_WRITE_IN_PROGRESS and
      "00a3",  // SYNC_WRITE_AMBIGUOUS need replicas that have still to answer, and there are none
      "00a5",  // RANGE_SCAN_CANCELLED: only while it goes on, and that is a race: feed/scan_ending_test.cc
      "00cf",  // SUBDOC_XATTR_INVALID_KEY_COMBO: several attributes may be named, as in current servers
  };
  const Coverage covered = coverage_of_all();
  const auto map = wire::JsonValue::parse(error_map(2));
  ASSERT_TRUE(map);
  const wire::JsonValue* const errors = map->member("errors");
  ASSERT_TRUE(errors != nullptr && errors->object() != nullptr);
  std::vector<std::string> all = {"00a5", "00a6", "00a7", "00a8"};  // of range scans; not in the map
  for (const auto& [name, error] : *errors->object())
    all.push_back(std::string(4 - name.size(), '0') + name);
  for (const std::string& status : all) {
    const bool is_never =
        std::find(std::begin(kNeverAnswered), std::end(kNeverAnswered), status) != std::end(kNeverAnswered);
    EXPECT_NE(covered.statuses.contains(status), is_never) << status;
  }
}

// What is cut off, wherever, waits for the rest and is answered with nothing; unless its header alone, or
// with the key, says that it is refused.
TEST(McbpVectorsTest, NothingIsAnsweredBeforeItIsThere) {
  size_t silent = 0;
  size_t refused = 0;
  for_each_vector([&](const WireVector& vector) {
    const std::string request = vector_bytes(vector.request);
    VectorServer server;
    Coverage coverage;
    coverage.add(vector);
    for (size_t size = 1; size < request.size(); ++size) {
      VectorClient client(server, vector);
      client.feed(std::string_view(request).substr(0, size));
      const std::string reply = client.replies();
      EXPECT_TRUE(reply.empty() || (size >= wire::kBinaryHeaderBytes && coverage.done.empty() &&
                                    vector_matches(reply, vector.reply)))
          << vector.name << " after " << size << " bytes: " << reply;
      ++(reply.empty() ? silent : refused);
    }
  });
  EXPECT_GT(silent, 5 * refused);
}

// However a request comes, it is answered the same.
TEST(McbpVectorsTest, WhatComesByteByByteIsAnsweredTheSame) {
  for_each_vector([](const WireVector& vector) {
    VectorServer server;
    VectorClient client(server, vector);
    for (const char byte : vector_bytes(vector.request))
      client.feed({&byte, 1});
    const std::string reply = client.replies();
    EXPECT_TRUE(vector_matches(reply, vector.reply)) << vector.name << ": " << reply;
  });
}

}  // namespace
}  // namespace bobbin::serve
