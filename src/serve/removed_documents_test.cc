// Documents without attributes that were removed, as clients of Couchbase's protocol see them, over sockets
// and restarts of a server with a disk.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>

#include "serve/unordered_fixture.h"
#include "wire/subdoc.h"
#include "wire/subdoc_status.h"

namespace bobbin::serve {
namespace {

using wire::BinaryOpcode;
using wire::BinaryStatus;
using wire::SubdocOpcode;
using wire::SubdocStatus;

class RemovedDocumentsTest : public UnorderedTest {
 protected:
  static inline const std::vector<Feature> kFeatures{Feature::xerror, Feature::select_bucket, Feature::xattr,
                                                     Feature::json};
  template <typename Number>
  static std::string bytes(Number number) {
    std::string encoded(sizeof(Number), '\0');
    wire::store_big_endian(encoded.data(), number);
    return encoded;
  }
  Reply ask(Frame frame) {
    if (client_ == nullptr) client_ = connect(kFeatures);
    frame.vbucket = vbucket_of(frame.key);
    EXPECT_TRUE(client_->socket().send_all(encoded(frame)));
    const wire::BinaryHeader header =
        wire::decode_header(client_->socket().receive(wire::kBinaryHeaderBytes).data());
    const std::string body = client_->socket().receive(header.body_bytes);
    EXPECT_EQ(header.opcode, static_cast<uint8_t>(frame.opcode));
    return {static_cast<BinaryStatus>(header.vbucket_or_status), body.substr(0, header.extras_bytes),
            body.substr(header.before_value()), header.datatype, header.cas};
  }
  Reply get_meta(const std::string& key) {
    return ask({.opcode = BinaryOpcode::get_meta, .key = key, .extras = "\2"});
  }
  // What GET_META answers of a removal: deleted, flags, when, revision, datatype.
  static std::string removed_meta(uint32_t when, uint64_t revision) {
    return bytes(uint32_t{1}) + bytes(uint32_t{0}) + bytes(when) + bytes(revision) + '\0';
  }
  BinaryStatus with_meta(BinaryOpcode opcode, const std::string& key, uint64_t revision, uint64_t cas) {
    return ask({.opcode = opcode,
                .key = key,
                .value = opcode == BinaryOpcode::del_with_meta ? "" : "[1]",
                .extras = bytes(uint32_t{0}) + bytes(uint32_t{0}) + bytes(revision) + bytes(cas)})
        .status;
  }
  Reply part(const std::string& key, const std::string& path,
             uint8_t flags = wire::doc_flags::kAccessDeleted) {
    return ask({.opcode = BinaryOpcode::subdoc_get,
                .key = key,
                .value = path,
                .extras = bytes(static_cast<uint16_t>(path.size())) +
                          static_cast<char>(wire::path_flags::kXattr) + static_cast<char>(flags)});
  }
  // A staged insertion, as the SDKs' transactions make it; with a CAS it replaces what is there.
  Reply stage(const std::string& key, uint64_t cas, uint8_t flags) {
    const std::string path = "txn.id";
    const std::string spec =
        std::string{static_cast<char>(SubdocOpcode::dict_upsert),
                    static_cast<char>(wire::path_flags::kXattr | wire::path_flags::kCreateParents)} +
        bytes(static_cast<uint16_t>(path.size())) + bytes(uint32_t{1}) + path + "1";
    return ask({.opcode = BinaryOpcode::subdoc_multi_mutation,
                .key = key,
                .value = spec,
                .extras = std::string(1, static_cast<char>(flags)),
                .cas = cas});
  }
  void restart() {
    client_.reset();
    server_->drain();
    EXPECT_TRUE(server_->close());
    server_.reset();
    start();
  }

  std::unique_ptr<NumberedClient> client_;
};

TEST_F(RemovedDocumentsTest, TheirMetadataAreKept) {
  start();
  ask(set("k", "1"));
  ask(set("k", "2"));
  const uint64_t cas = ask(document(BinaryOpcode::remove, "k")).cas;
  const auto when = static_cast<uint32_t>(cas / 1'000'000'000);
  const auto check = [&] {
    const Reply meta = get_meta("k");
    EXPECT_EQ(meta.status, BinaryStatus::success);
    EXPECT_EQ(meta.cas, cas);
    EXPECT_EQ(meta.extras, removed_meta(when, 3));
    EXPECT_EQ(get_meta("none").status, BinaryStatus::key_not_found);
    EXPECT_EQ(ask(get("k")).status, BinaryStatus::key_not_found);
    const Reply document = part("k", "$document");
    EXPECT_EQ(document.status, static_cast<BinaryStatus>(SubdocStatus::success_deleted));
    EXPECT_EQ(document.cas, cas);
    EXPECT_NE(document.value.find("\"deleted\":true"), std::string::npos) << document.value;
    EXPECT_EQ(part("k", "$document.CAS").value, fmt::format("\"0x{:016x}\"", cas));
    EXPECT_EQ(part("k", "$document.revid").value, "\"3\"");
    EXPECT_EQ(part("k", "$document", 0).status, BinaryStatus::key_not_found);
    EXPECT_EQ(part("none", "$document").status, BinaryStatus::key_not_found);
  };
  hold_commits();
  check();
  heal();
  ASSERT_TRUE(server_->disk()->bring_to_disk());
  check();
  restart();
  check();
  EXPECT_EQ(ask({.opcode = BinaryOpcode::add, .key = "k", .value = "3", .extras = kSetExtras}).status,
            BinaryStatus::success);
  const Reply meta = get_meta("k");
  EXPECT_EQ(meta.extras.substr(0, 12), std::string(12, '\0'));
  EXPECT_GT(meta.extras.substr(12, 8), bytes(uint64_t{3}));
}

TEST_F(RemovedDocumentsTest, ChangesFromElsewhereAreComparedWithThem) {
  start();
  for (const char* const value : {"1", "2", "3"})
    ask(set("k", value));
  const uint64_t cas = ask(document(BinaryOpcode::remove, "k")).cas;
  for (int round = 0; round < 3; ++round) {
    SCOPED_TRACE(round);
    for (const BinaryOpcode opcode :
         {BinaryOpcode::set_with_meta, BinaryOpcode::add_with_meta, BinaryOpcode::del_with_meta}) {
      EXPECT_EQ(with_meta(opcode, "k", 3, cas + 1), BinaryStatus::key_exists);
      EXPECT_EQ(with_meta(opcode, "k", 4, cas - 1), BinaryStatus::key_exists);
    }
    EXPECT_EQ(get_meta("k").cas, cas);
    if (round == 0) {
      ASSERT_TRUE(server_->disk()->bring_to_disk());
    } else if (round == 1) {
      restart();
    }
  }
  EXPECT_EQ(with_meta(BinaryOpcode::del_with_meta, "k", 6, 600), BinaryStatus::success);
  EXPECT_EQ(get_meta("k").cas, 600U);
  EXPECT_EQ(get_meta("k").extras.substr(12), bytes(uint64_t{6}) + '\0');
  restart();
  EXPECT_EQ(with_meta(BinaryOpcode::set_with_meta, "k", 5, cas + 9), BinaryStatus::key_exists);
  EXPECT_EQ(with_meta(BinaryOpcode::set_with_meta, "k", 7, 700), BinaryStatus::success);
  EXPECT_EQ(ask(get("k")).cas, 700U);
  ask(set("k", "4"));
  EXPECT_EQ(get_meta("k").extras.substr(12, 8), bytes(uint64_t{8}));
}

TEST_F(RemovedDocumentsTest, AStagedDocumentTakesTheirPlace) {
  using namespace wire::doc_flags;  // NOLINT(google-build-using-namespace)
  start();
  ask(set("k", "1"));
  const uint64_t cas = ask(document(BinaryOpcode::remove, "k")).cas;
  restart();
  // As upstream's: what is added must not have been there.
  EXPECT_EQ(stage("k", 0, kAdd | kAccessDeleted | kCreateAsDeleted).status, BinaryStatus::key_exists);
  EXPECT_EQ(stage("k", cas + 1, kAccessDeleted).status, BinaryStatus::key_exists);
  const Reply staged = stage("k", cas, kAccessDeleted);
  EXPECT_EQ(staged.status, static_cast<BinaryStatus>(SubdocStatus::success_deleted));
  EXPECT_EQ(part("k", "txn.id").value, "1");
  EXPECT_EQ(ask(get("k")).status, BinaryStatus::key_not_found);
  EXPECT_EQ(stage("new", 0, kAdd | kAccessDeleted | kCreateAsDeleted).status,
            static_cast<BinaryStatus>(SubdocStatus::success_deleted));
}

}  // namespace
}  // namespace bobbin::serve
