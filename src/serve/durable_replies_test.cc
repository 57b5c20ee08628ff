// Replies that promise the disk, over sockets, against a server whose disk is held: a refusal rests on what
// is there, or is not, and tells as much of it as a change does.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "serve/unordered_fixture.h"

namespace bobbin::serve {
namespace {

using wire::BinaryOpcode;
using wire::BinaryStatus;

class DurableRepliesTest : public UnorderedTest {
 protected:
  // From here on nothing comes to disk before heal(): a document that is new, and one that has gone.
  void change_without_disk() {
    put_in_memory("gone", "v");
    hold_commits();
    auto draft = server_->bucket().draft("new", 0, 0, 1, clock_.now());
    ASSERT_TRUE(draft);
    draft->value()[0] = 'v';
    ASSERT_TRUE(server_->bucket().store(*draft, store::StoreMode::set, {}, clock_.now()).ok());
    ASSERT_EQ(server_->bucket().remove("gone", {}, clock_.now()).status, store::RemoveStatus::removed);
    wait_until_held();
  }
};

TEST_F(DurableRepliesTest, RefusedStoresOfTheTextProtocolWait) {
  start(true);
  change_without_disk();
  struct Refused {
    std::string request;
    std::string reply;
  };
  const std::string large(100'000, 'l');  // comes in parts
  const std::vector<Refused> all = {
      {"add new 0 0 1\r\nx\r\n", "NOT_STORED\r\n"},
      {"add new 0 0 100000\r\n" + large + "\r\n", "NOT_STORED\r\n"},
      {"replace gone 0 0 1\r\nx\r\n", "NOT_STORED\r\n"},
      {"append gone 0 0 1\r\nx\r\n", "NOT_STORED\r\n"},
      {"prepend gone 0 0 1\r\nx\r\n", "NOT_STORED\r\n"},
      {"cas new 0 0 1 1\r\nx\r\n", "EXISTS\r\n"},
      {"cas gone 0 0 1 1\r\nx\r\n", "NOT_FOUND\r\n"},
  };
  std::vector<net::TestSocket> clients;
  for (const Refused& refused : all) {
    clients.emplace_back(server_->addresses()[0]);
    EXPECT_TRUE(clients.back().send_all(refused.request));
  }
  // Of a key that nobody has changed, the answer rests on nothing.
  net::TestSocket neighbour(server_->addresses()[0]);
  EXPECT_TRUE(neighbour.send_all("get other\r\n"));
  EXPECT_EQ(neighbour.receive(5), "END\r\n");
  for (size_t i = 0; i < all.size(); ++i)
    EXPECT_TRUE(is_silent(clients[i])) << all[i].request.substr(0, 20);
  heal();
  for (size_t i = 0; i < all.size(); ++i)
    EXPECT_EQ(clients[i].receive(all[i].reply.size()), all[i].reply);
}

TEST_F(DurableRepliesTest, RefusedStoresOfTheBinaryProtocolWait) {
  start(true);
  change_without_disk();
  const auto store = [&](BinaryOpcode opcode, const std::string& key, uint64_t cas = 0) {
    Frame frame = set(key, "x");
    frame.opcode = opcode;
    frame.cas = cas;
    if (opcode == BinaryOpcode::append) frame.extras.clear();
    return frame;
  };
  struct Refused {
    Frame frame;
    BinaryStatus status;
  };
  const std::vector<Refused> all = {
      {store(BinaryOpcode::add, "new"), BinaryStatus::key_exists},
      {store(BinaryOpcode::replace, "gone"), BinaryStatus::key_not_found},
      {store(BinaryOpcode::append, "gone"), BinaryStatus::not_stored},
      {store(BinaryOpcode::set, "new", 1), BinaryStatus::key_exists},
      {store(BinaryOpcode::set, "gone", 1), BinaryStatus::key_not_found},
  };
  std::vector<std::unique_ptr<NumberedClient>> clients;
  for (const Refused& refused : all) {
    clients.push_back(connect(kOrdered));
    clients.back()->send(1, refused.frame);
  }
  for (const auto& client : clients)
    EXPECT_TRUE(is_silent(*client));
  heal();
  for (size_t i = 0; i < all.size(); ++i)
    EXPECT_EQ(clients[i]->next().status, all[i].status) << i;
}

TEST_F(DurableRepliesTest, WhoIsPromisedNothingIsAnsweredAtOnce) {
  start();
  change_without_disk();
  net::TestSocket client(server_->addresses()[0]);
  EXPECT_TRUE(client.send_all("add new 0 0 1\r\nx\r\n"));
  EXPECT_EQ(client.receive(12), "NOT_STORED\r\n");
}

}  // namespace
}  // namespace bobbin::serve
