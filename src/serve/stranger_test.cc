// What those cost who have to log in and have not.

#include <gtest/gtest.h>

#include <string>

#include "serve/config_watchers.h"
#include "serve/mcbp_fixture.h"

namespace bobbin::serve {
namespace {

using namespace std::string_literals;
using wire::BinaryOpcode;
using wire::BinaryStatus;
using wire::Feature;

class StrangerTest : public McbpTest {
 protected:
  void add_user() {
    UserChange change;
    change.name = "app";
    change.password = "secret";
    change.roles = parse_roles("admin").value();
    ASSERT_TRUE(server_.users().add(change));
  }
  BinaryStatus log_in(const std::string& password = "secret") {
    return status({.opcode = BinaryOpcode::sasl_auth, .key = "PLAIN", .value = "\0app\0"s + password});
  }
  // Of replies that wait at once for a client that asks a hundred times before it takes any.
  size_t most_unsent(const Frame& frame) {
    std::string requests;
    for (int i = 0; i < 100; ++i)
      requests += encoded(frame);
    client_->feed(requests);
    return client_->most_unsent_bytes();
  }
  size_t watchers() { return server_.engine().bucket->config_watchers().size(); }

  const Frame error_map_{.opcode = BinaryOpcode::get_error_map, .value = "\0\2"s};
};

constexpr size_t kLittle = 32 << 10;  // a mark of 16 KiB, and the reply that passes it

TEST_F(StrangerTest, IsSentLittleAtOnce) {
  add_user();
  hello({});
  EXPECT_LE(most_unsent(error_map_), kLittle);
  EXPECT_GE(client_->replies().size(), 100U * 5000) << "but is answered in the end";
}

TEST_F(StrangerTest, IsSentLittleThatNobodyKnows) {
  add_user();
  connect_again();
  Frame unknown{.opcode = static_cast<BinaryOpcode>(0x7f)};
  std::string requests;
  for (int i = 0; i < 2000; ++i)
    requests += encoded(unknown);
  client_->feed(requests);
  EXPECT_LE(client_->most_unsent_bytes(), kLittle);
}

TEST_F(StrangerTest, IsSentMoreOnceItIsNone) {
  add_user();
  hello({});
  EXPECT_EQ(log_in(), BinaryStatus::success);
  EXPECT_GE(most_unsent(error_map_), 100U * 5000);
}

TEST_F(StrangerTest, IsNobodyWhereNobodyHasToLogIn) {
  hello({});
  EXPECT_GE(most_unsent(error_map_), 100U * 5000);
}

TEST_F(StrangerTest, HoldsLittle) {
  add_user();
  const auto values = [&](size_t bytes) {
    const std::string value(bytes, 'x');
    return std::vector{status({.opcode = BinaryOpcode::sasl_auth, .key = "PLAIN", .value = value}),
                       status({.opcode = BinaryOpcode::sasl_step, .key = "SCRAM-SHA1", .value = value})};
  };
  for (const BinaryStatus each : values(4097))
    EXPECT_EQ(each, BinaryStatus::too_large);
  for (const BinaryStatus each : values(4096))
    EXPECT_NE(each, BinaryStatus::too_large);
  hello({});
  EXPECT_EQ(status({.opcode = BinaryOpcode::hello, .value = std::string(4098, '\0')}),
            BinaryStatus::too_large);
  for (const BinaryStatus each : values(4097))
    EXPECT_EQ(each, BinaryStatus::too_large);
  EXPECT_EQ(log_in(), BinaryStatus::success);
  EXPECT_EQ(status({.opcode = BinaryOpcode::hello, .value = std::string(4098, '\0')}), BinaryStatus::success);
}

TEST_F(StrangerTest, IsToldOfNoConfigurations) {
  add_user();
  // Of a client that selects no bucket it is the default one's.
  hello({Feature::duplex, Feature::clustermap_change_notification});
  EXPECT_EQ(watchers(), 0U);
  EXPECT_EQ(log_in(), BinaryStatus::success);
  EXPECT_EQ(watchers(), 1U);
  EXPECT_EQ(log_in("wrong"), BinaryStatus::auth_error);
  EXPECT_EQ(watchers(), 0U) << "it is a stranger again";
}

}  // namespace
}  // namespace bobbin::serve
