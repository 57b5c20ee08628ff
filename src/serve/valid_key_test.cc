// The groups vkey and vkey-byid: what memory has of a document, and what the disk.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "net/test_socket.h"
#include "serve/dcp_fixture.h"
#include "serve/key_validity.h"
#include "serve/mcbp_fixture.h"
#include "serve/stat_groups.h"
#include "wire/binary_header.h"

namespace bobbin::serve {
namespace {

using namespace std::string_literals;
using testing::HasSubstr;
using wire::BinaryOpcode;

class ValidKeyTest : public DcpTest {
 protected:
  // Status and statistics, as a client of the text protocol gets them.
  static std::string ask(StreamServer& server, const std::string& request) {
    net::TestSocket socket(server->addresses()[0]);
    EXPECT_TRUE(socket.send_all("stats " + request + "\r\nversion\r\n"));
    std::string reply;
    while (reply.find("VERSION") == std::string::npos)
      reply += socket.receive(1);
    return reply.substr(0, reply.find("VERSION"));
  }
  std::string ask(const std::string& request) { return ask(server_, request); }
  const std::string vkey_ = "vkey " + k_[0] + " 0";
};

TEST_F(ValidKeyTest, MemoryHasWhatTheDiskHas) {
  server_.wait_for_warmup();
  server_.set(k_[0], std::string(1000, 'v'), 0, 7);
  server_.bring_to_disk();
  const std::string told = ask(vkey_);
  EXPECT_THAT(told, HasSubstr("STAT key_flags 7\r\n"));
  EXPECT_THAT(told, HasSubstr("STAT key_is_dirty false\r\n"));
  EXPECT_THAT(told, HasSubstr("STAT key_is_resident true\r\n"));
  EXPECT_THAT(told, HasSubstr("STAT key_valid valid\r\n"));
  EXPECT_TRUE(told.ends_with("END\r\n"));
  EXPECT_EQ(ask("vkey-byid " + k_[0] + " 0 0x0"), told);
  ASSERT_EQ(server_.bucket().evict(k_[0], server_.now()), store::RemoveStatus::removed);
  EXPECT_THAT(ask(vkey_), HasSubstr("STAT key_is_resident false\r\n"));
  EXPECT_THAT(ask(vkey_), HasSubstr("STAT key_valid valid\r\n"));
}

TEST_F(ValidKeyTest, WhatIsThereAndWhatIsNoArgument) {
  EXPECT_EQ(ask(vkey_), "ERROR\r\n");
  EXPECT_EQ(ask("vkey"), "ERROR\r\n");
  server_.set(k_[0], "v");
  server_.bring_to_disk();
  EXPECT_EQ(ask("vkey " + k_[0] + " 1"), "ERROR\r\n") << "it is in another vbucket";
  EXPECT_EQ(ask("vkey-byid " + k_[0] + " 0 0x8"), "ERROR\r\n") << "of another collection";
  ASSERT_EQ(server_.bucket().remove(k_[0], {}, server_.now()).status, store::RemoveStatus::removed);
  EXPECT_EQ(ask(vkey_), "ERROR\r\n");
  server_.bring_to_disk();
  EXPECT_EQ(ask(vkey_), "ERROR\r\n") << "the disk has a tombstone";
}

TEST_F(ValidKeyTest, ACacheHasNothingToCompare) {
  net::Loop loop{net::Limits{}};
  TestEngine cache(loop);
  const auto [group, argument] = find_stat_group("vkey k 0");
  const StatQuery query{cache.engine(), cache.served(), argument};
  EXPECT_EQ(report_group(*group, query, [](std::string_view, std::string_view) {}).kind, StatAnswer::unknown);
}

TEST_F(ValidKeyTest, WhatMemoryHasNothingOf) {
  StreamServer full(store::EvictionPolicy::full);
  full.wait_for_warmup();
  full.set(k_[0], "v", 0, 9);
  full.bring_to_disk();
  full.evict();
  const std::string told = ask(full, vkey_);
  EXPECT_THAT(told, HasSubstr("STAT key_flags 9\r\n"));
  EXPECT_THAT(told, HasSubstr("STAT key_is_resident false\r\n"));
  EXPECT_THAT(told, HasSubstr("STAT key_valid valid\r\n"));
}

TEST_F(ValidKeyTest, WhatIsNotTheSameIsCalledByItsName) {
  server_.set(k_[0], "value", 0, 7);
  const auto found = server_.bucket().peek(k_[0], server_.now());
  ASSERT_TRUE(found);
  const store::Document& document = *found->doc;
  disk::Record same;
  same.seqno = document.seqno();
  same.cas = document.cas();
  same.datatype = document.datatype();
  same.flags = 7;
  same.value = "value";
  const auto with = [&](auto change) {
    disk::Record record = same;
    change(record);
    return validity_of(document, false, &record);
  };
  EXPECT_EQ(with([](disk::Record&) {}), "valid");
  EXPECT_EQ(with([](disk::Record& record) { record.flags = 8; }), "flags_mismatch");
  EXPECT_EQ(with([](disk::Record& record) { record.value = "valu"; }), "length_mismatch");
  EXPECT_EQ(with([](disk::Record& record) { record.value = "valuE"; }), "data_mismatch");
  EXPECT_EQ(with([](disk::Record& record) { ++record.cas; }), "data_mismatch");
  EXPECT_EQ(with([](disk::Record& record) { ++record.seqno; }), "data_mismatch");
  EXPECT_EQ(with([](disk::Record& record) { record.kind = disk::RecordKind::deletion; }), "data_mismatch");
  EXPECT_EQ(validity_of(document, false, nullptr), "ram_but_not_disk");
  EXPECT_EQ(validity_of(document, true, nullptr), "dirty");
  --same.seqno;
  EXPECT_EQ(validity_of(document, true, &same), "dirty") << "an older version";
}

TEST_F(ValidKeyTest, RefusalsOfTheBinaryProtocolAreStatuses) {
  net::TestSocket socket(server_->addresses()[0]);
  const auto status = [&](const std::string& key) {
    EXPECT_TRUE(socket.send_all(encoded({.opcode = BinaryOpcode::stat, .key = key})));
    while (true) {
      const wire::BinaryHeader header = wire::decode_header(socket.receive(wire::kBinaryHeaderBytes).data());
      (void)socket.receive(header.body_bytes);
      if (header.key_bytes == 0) return static_cast<wire::BinaryStatus>(header.vbucket_or_status);
    }
  };
  EXPECT_EQ(status(vkey_), wire::BinaryStatus::key_not_found);
  EXPECT_EQ(status("vkey k x"), wire::BinaryStatus::invalid_arguments);
  server_.set(k_[0], "v");
  EXPECT_EQ(status(vkey_), wire::BinaryStatus::success);
}

}  // namespace
}  // namespace bobbin::serve
