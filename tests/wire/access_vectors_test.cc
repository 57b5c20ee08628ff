// The vectors of access_vectors.h: what is refused to whom. With BOBBIN_WRITE_VECTORS in the environment the
// answers are printed as JSON.

#include "access_vectors.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <utility>

#include "disk/disk_test_support.h"
#include "serve/mcbp_fixture.h"
#include "vector_text.h"

namespace bobbin::serve {
namespace {

using namespace std::string_literals;

constexpr std::pair<std::string_view, std::string_view> kUsers[] = {
    {"admin", "admin"},
    {"reader", "data_reader[default]"},
    {"writer", "data_writer[default]"},
    {"editor", "data_reader[default],data_writer[default]"},
    {"part", "data_reader[default:s:c]"},
    {"monitor", "data_monitoring[default]"},
    {"manager", "bucket_admin[default]"},
    {"watcher", "ro_admin"},
    {"guest", "data_reader[other]"},
};

/// Document k, and collection c (9) of scope s.
class AccessServer {
 public:
  AccessServer() {
    for (const auto& [name, roles] : kUsers) {
      UserChange change;
      change.name = name;
      change.password = "secret";
      change.roles = parse_roles(roles).value();
      EXPECT_TRUE(server_.users().add(change)) << name;
    }
    const auto admin = connect("admin");
    admin->feed(
        encoded({.opcode = wire::BinaryOpcode::set, .key = "\0k"s, .value = "{}", .extras = kSetExtras}));
    admin->feed(encoded({.opcode = wire::BinaryOpcode::collections_set_manifest,
                         .value = R"({"uid":"1","scopes":[{"name":"_default","uid":"0","collections":)"
                                  R"([{"name":"_default","uid":"0"}]},{"name":"s","uid":"8","collections":)"
                                  R"([{"name":"c","uid":"9"}]}]})"}));
  }
  /// A client that has agreed on everything. Each has waited until the audit log takes another line.
  [[nodiscard]] std::unique_ptr<TestConnection> connect(std::string_view user) {
    using enum wire::Feature;
    server_.clock().advance_s(1);
    auto client = server_.connect();
    std::string features;
    for (const wire::Feature feature :
         {mutation_seqno, xattr, xerror, json, snappy, tracing, alt_request, sync_replication, collections})
      features += {'\0', static_cast<char>(feature)};
    client->feed(encoded({.opcode = wire::BinaryOpcode::hello, .value = features}));
    if (!user.empty()) {
      client->feed(encoded({.opcode = wire::BinaryOpcode::sasl_auth,
                            .key = "PLAIN",
                            .value = "\0"s + std::string(user) + "\0secret"s}));
    }
    return client;
  }

 private:
  disk::TemporaryFolder folder_;
  net::Loop loop_{net::Limits{}};
  TestEngine server_{loop_, {.vbuckets = 1}, base::Worker::Where::caller, folder_.path() + "/audit.log"};
};

std::string reply_to(AccessServer& server, const AccessVector& vector) {
  const auto client = server.connect(vector.user);
  const size_t begin = client->replies().size();
  client->feed(vector_bytes(vector.request));
  return vector_text(std::string_view(client->replies()).substr(begin));
}

TEST(AccessVectorsTest, EveryAnswerIsExact) {
  const bool writes = std::getenv("BOBBIN_WRITE_VECTORS") != nullptr;
  AccessServer server;
  const char* comma = "{";
  for (const AccessVector& vector : kAccessVectors) {
    const std::string reply = reply_to(server, vector);
    if (writes) {
      fmt::print("{}\"{}\": \"{}\"\n", std::exchange(comma, ","), vector.name, reply);
    } else {
      EXPECT_TRUE(vector_matches(reply, vector_digits(vector.reply))) << vector.name << ": " << reply;
    }
  }
  if (writes) fmt::print("}}\n");
}

}  // namespace
}  // namespace bobbin::serve
