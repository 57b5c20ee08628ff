// Requests of Couchbase's clients, byte for byte, and what they are answered, byte for byte: one row of
// wire_vectors.h or subdoc_vectors.h each. With BOBBIN_WRITE_VECTORS in the environment the answers are
// printed as JSON.

#include "serve/wire_vectors.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <set>
#include <string>

#include "serve/binary_commands.h"
#include "serve/disk_vectors.h"
#include "serve/mcbp_fixture.h"
#include "serve/subdoc_vectors.h"
#include "serve/vector_text.h"

namespace bobbin::serve {
namespace {

using namespace std::string_literals;

void for_each_vector(const std::function<void(const WireVector&)>& visit) {
  for (const auto vectors : kMemoryVectors)
    std::for_each(vectors.begin(), vectors.end(), visit);
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
  client->feed(vector_bytes(vector.before));
  const size_t begin = client->replies().size();
  client->feed(vector_bytes(vector.request));
  return vector_text(std::string_view(client->replies()).substr(begin));
}

TEST(WireVectorsTest, EveryAnswerIsExact) {
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

// Whoever adds a row to a table adds its vector here, or to those that need a disk.
TEST(WireVectorsTest, EveryCommandHasOne) {
  std::set<uint8_t> covered;
  const auto cover = [&](const WireVector& vector) {
    const std::string bytes = vector_bytes(without_names(vector.request));
    for (std::string_view rest = bytes; rest.size() >= wire::kBinaryHeaderBytes;) {
      const wire::BinaryHeader header = wire::decode_header(rest.data());
      covered.insert(header.opcode);
      rest.remove_prefix(std::min(rest.size(), wire::kBinaryHeaderBytes + size_t{header.body_bytes}));
    }
  };
  for_each_vector(cover);
  std::for_each(std::begin(kDiskVectors), std::end(kDiskVectors), cover);
  for_each_binary_command([&](const BinaryCommand& row) {
    if (row.audience == Audience::memcached) return;
    EXPECT_TRUE(covered.contains(static_cast<uint8_t>(row.opcode))) << row.name;
  });
}

// What is cut off, or says that it is longer than it is, waits for the rest and is answered with nothing.
TEST(WireVectorsTest, NothingIsAnsweredBeforeItIsThere) {
  for_each_vector([](const WireVector& vector) {
    const std::string request = vector_bytes(vector.request);
    if (request.size() > 200) return;
    net::Loop loop{net::Limits{}};
    TestEngine server(loop);
    const auto client = server.connect();
    client->feed(encoded({.opcode = wire::BinaryOpcode::hello}));
    const size_t begin = client->replies().size();
    client->feed(std::string_view(request).substr(0, wire::kBinaryHeaderBytes - 1));
    EXPECT_EQ(client->replies().size(), begin) << vector.name;
  });
}

}  // namespace
}  // namespace bobbin::serve
