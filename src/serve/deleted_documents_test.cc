// Documents that are deleted and have attributes all the same (kv_engine docs/SubDocument.md, "Document
// flags").

#include <fmt/format.h>

#include <string>
#include <vector>

#include "serve/mcbp_fixture.h"
#include "wire/subdoc.h"
#include "wire/subdoc_status.h"
#include "wire/xattr.h"

namespace bobbin::serve {
namespace {

using namespace std::string_literals;
using namespace wire::doc_flags;  // NOLINT(google-build-using-namespace)
using wire::BinaryOpcode;
using wire::BinaryStatus;
using wire::Feature;
using wire::SubdocOpcode;
using wire::SubdocStatus;

constexpr uint8_t kXattr = wire::path_flags::kXattr;
constexpr uint8_t kXattrParents = kXattr | wire::path_flags::kCreateParents;

BinaryStatus number(SubdocStatus status) {
  return static_cast<BinaryStatus>(status);
}

struct Spec {
  SubdocOpcode opcode;
  std::string path = {};
  std::string value = {};
  uint8_t flags = kXattr;
};

class DeletedDocumentsTest : public McbpTest {
 protected:
  DeletedDocumentsTest() {
    hello({Feature::xerror, Feature::xattr, Feature::json, Feature::mutation_seqno, Feature::alt_request});
  }
  static std::string bytes(uint64_t value, size_t count) {
    std::string text;
    for (size_t i = count; i-- != 0;)
      text += static_cast<char>(value >> (8 * i));
    return text;
  }
  static std::string written(const std::vector<Spec>& specs, bool mutates) {
    std::string text;
    for (const Spec& spec : specs) {
      text += {static_cast<char>(spec.opcode), static_cast<char>(spec.flags)};
      text += bytes(spec.path.size(), 2);
      if (mutates) text += bytes(spec.value.size(), 4);
      text += spec.path + (mutates ? spec.value : "");
    }
    return text;
  }
  Reply mutate(const std::vector<Spec>& specs, uint8_t flags = 0, uint64_t cas = 0) {
    return ask({.opcode = BinaryOpcode::subdoc_multi_mutation,
                .key = "k",
                .value = written(specs, true),
                .extras = std::string(1, static_cast<char>(flags)),
                .cas = cas});
  }
  Reply look(const std::vector<Spec>& specs, uint8_t flags = kAccessDeleted) {
    return ask({.opcode = BinaryOpcode::subdoc_multi_lookup,
                .key = "k",
                .value = written(specs, false),
                .extras = std::string(1, static_cast<char>(flags))});
  }
  // One path of a deleted document.
  Reply part(const std::string& path, uint8_t flags = kAccessDeleted) {
    return ask({.opcode = BinaryOpcode::subdoc_get,
                .key = "k",
                .value = path,
                .extras = bytes(path.size(), 2) + static_cast<char>(kXattr) + static_cast<char>(flags)});
  }
  Reply stage(uint8_t flags = kAdd | kAccessDeleted | kCreateAsDeleted) { return stage_with(0, flags); }
  Reply stage_with(uint64_t cas, uint8_t flags) {
    return mutate({{SubdocOpcode::dict_upsert, "txn.id", "1", kXattrParents},
                   {SubdocOpcode::dict_upsert, "txn.staged", R"({"a":5})", kXattrParents}},
                  flags, cas);
  }
  Reply remove() { return ask({.opcode = BinaryOpcode::remove, .key = "k"}); }
};

TEST_F(DeletedDocumentsTest, OneIsMadeAndSeenByWhoAsks) {
  const Reply staged = stage();
  EXPECT_EQ(staged.status, number(SubdocStatus::success_deleted));
  EXPECT_EQ(staged.extras.size(), 16U);
  EXPECT_EQ(get("k").status, BinaryStatus::key_not_found);
  EXPECT_EQ(part("txn.id", 0).status, BinaryStatus::key_not_found);
  const Reply seen = part("txn.id");
  EXPECT_EQ(seen.status, number(SubdocStatus::success_deleted));
  EXPECT_EQ(seen.value, "1");
  EXPECT_EQ(seen.cas, staged.cas);
  EXPECT_EQ(part("$document.deleted").value, "true");
  EXPECT_EQ(part("$document.exptime").value, fmt::format("{}", server_.clock().now().unix_s()));
  EXPECT_EQ(part("$document.CAS").value, fmt::format("\"0x{:016x}\"", staged.cas));
  EXPECT_EQ(part("other").status, number(SubdocStatus::path_missing));
  const Reply both = look({{SubdocOpcode::get, "txn.id"}, {SubdocOpcode::get, "other"}});
  EXPECT_EQ(both.status, number(SubdocStatus::multi_path_failure_deleted));
  EXPECT_EQ(both.value, "\0\0\0\0\0\1"s + "1" + "\0\xc0\0\0\0\0"s);
  EXPECT_EQ(look({{SubdocOpcode::get, "txn.id"}}).status, number(SubdocStatus::success_deleted));
  // There is no body.
  EXPECT_EQ(look({{SubdocOpcode::document_get, "", "", 0}}).status,
            number(SubdocStatus::multi_path_failure_deleted));
}

TEST_F(DeletedDocumentsTest, AddingFindsItInTheWay) {
  stage();
  EXPECT_EQ(stage().status, BinaryStatus::key_exists);
  set("l", "1");
  EXPECT_EQ(ask({.opcode = BinaryOpcode::subdoc_multi_mutation,
                 .key = "l",
                 .value = written({{SubdocOpcode::dict_upsert, "txn", "1"}}, true),
                 .extras = std::string(1, kAdd | kAccessDeleted | kCreateAsDeleted)})
                .status,
            BinaryStatus::key_exists);
  // Without access to what is deleted nothing is in the way.
  EXPECT_EQ(mutate({{SubdocOpcode::document_set, "", "[1]", 0}}, kAdd).status, BinaryStatus::success);
  EXPECT_EQ(get("k").value, "[1]");
  EXPECT_EQ(part("txn").status, number(SubdocStatus::path_missing));
}

TEST_F(DeletedDocumentsTest, WhatIsStagedIsReplacedWithItsCas) {
  const uint64_t cas = stage().cas;
  // As the SDKs' transactions replace what they have inserted.
  const Reply replaced = stage_with(cas, kAccessDeleted | kCreateAsDeleted);
  EXPECT_EQ(replaced.status, number(SubdocStatus::success_deleted));
  EXPECT_EQ(part("txn.staged").cas, replaced.cas);
  EXPECT_EQ(stage_with(cas, kAccessDeleted | kCreateAsDeleted).status, BinaryStatus::key_exists);
}

TEST_F(DeletedDocumentsTest, ItIsRevivedWithItsCas) {
  const uint64_t cas = stage().cas;
  const std::vector<Spec> commit = {{SubdocOpcode::replace_body_with_xattr, "txn.staged"},
                                    {SubdocOpcode::remove, "txn"}};
  EXPECT_EQ(mutate(commit, kAccessDeleted | kRevive, cas + 1).status, BinaryStatus::key_exists);
  EXPECT_EQ(mutate(commit, kAccessDeleted, cas).status, number(SubdocStatus::deleted_cannot_have_value));
  EXPECT_EQ(mutate(commit, kAccessDeleted | kRevive, cas).status, BinaryStatus::success);
  const Reply alive = get("k");
  EXPECT_EQ(alive.value, R"({"a":5})");
  EXPECT_EQ(alive.datatype, 1);
  EXPECT_EQ(mutate({{SubdocOpcode::dict_upsert, "x", "1"}}, kAccessDeleted | kRevive).status,
            number(SubdocStatus::can_only_revive_deleted));
}

TEST_F(DeletedDocumentsTest, WithoutAttributesItIsGone) {
  stage();
  EXPECT_EQ(mutate({{SubdocOpcode::remove, "txn"}}, kAccessDeleted).status,
            number(SubdocStatus::success_deleted));
  EXPECT_EQ(part("$XTOC").status, BinaryStatus::key_not_found);
  EXPECT_EQ(stage().status, number(SubdocStatus::success_deleted));
}

TEST_F(DeletedDocumentsTest, ADeletionKeepsSystemAttributes) {
  const std::vector<Spec> both = {{SubdocOpcode::dict_upsert, "user", "1"},
                                  {SubdocOpcode::dict_upsert, "_sys", "2"}};
  set("k", "[]");
  EXPECT_EQ(mutate(both).status, BinaryStatus::success);
  EXPECT_EQ(remove().status, BinaryStatus::success);
  EXPECT_EQ(part("$XTOC").value, R"(["_sys"])");
  EXPECT_EQ(part("_sys").value, "2");
  EXPECT_EQ(remove().status, BinaryStatus::key_not_found);
  set("k", "[]");
  EXPECT_EQ(part("$XTOC").value, "[]");
  EXPECT_EQ(mutate(both).status, BinaryStatus::success);
  const Reply removed = mutate({{SubdocOpcode::document_delete, "", "", 0}});
  EXPECT_EQ(removed.status, BinaryStatus::success);
  EXPECT_EQ(part("$XTOC").value, R"(["_sys"])");
  EXPECT_EQ(part("_sys").cas, removed.cas);
  // What is put into a tombstone stays until that is deleted once more.
  EXPECT_EQ(mutate({{SubdocOpcode::dict_upsert, "late", "3"}}, kAccessDeleted).status,
            number(SubdocStatus::success_deleted));
  EXPECT_EQ(part("$XTOC").value, R"(["_sys","late"])");
  EXPECT_EQ(mutate({{SubdocOpcode::document_delete, "", "", 0}}, kAccessDeleted).status,
            number(SubdocStatus::success_deleted));
  EXPECT_EQ(part("$XTOC").value, R"(["_sys"])");
}

TEST_F(DeletedDocumentsTest, MetadataSayThatItIsDeleted) {
  const Reply staged = stage();
  const Reply meta = ask({.opcode = BinaryOpcode::get_meta, .key = "k", .extras = "\2"});
  EXPECT_EQ(meta.status, BinaryStatus::success);
  EXPECT_EQ(meta.cas, staged.cas);
  EXPECT_EQ(meta.extras, "\0\0\0\1\0\0\0\0"s + bytes(server_.clock().now().unix_s(), 4) + bytes(1, 8) + "\4");
}

TEST_F(DeletedDocumentsTest, OneComesFromElsewhere) {
  const auto bring = [&](const std::string& value, uint64_t revision, uint8_t datatype = 4) {
    return ask({.opcode = BinaryOpcode::del_with_meta,
                .key = "k",
                .value = value,
                .extras = bytes(0, 4) + bytes(0, 4) + bytes(revision, 8) + bytes(900 + revision, 8),
                .datatype = datatype})
        .status;
  };
  std::string block;
  wire::set_xattr(block, "_sync", "7");
  EXPECT_EQ(bring(block + "1", 4), BinaryStatus::invalid_arguments) << "it has a body";
  EXPECT_EQ(bring("", 4), BinaryStatus::xattr_invalid);
  EXPECT_EQ(bring(block, 4, 0), BinaryStatus::invalid_arguments);
  EXPECT_EQ(bring(block.substr(0, block.size() - 1), 4), BinaryStatus::xattr_invalid);
  EXPECT_EQ(part("_sync").status, BinaryStatus::key_not_found);
  EXPECT_EQ(bring(block, 4), BinaryStatus::success);
  EXPECT_EQ(part("_sync").value, "7");
  EXPECT_EQ(part("_sync").cas, 904U);
  EXPECT_EQ(bring(block, 3), BinaryStatus::key_exists);
  EXPECT_EQ(bring("", 5, 0), BinaryStatus::success);
  EXPECT_EQ(part("_sync").status, BinaryStatus::key_not_found);
}

TEST_F(DeletedDocumentsTest, FlagsThatDoNotFitAreRefused) {
  EXPECT_EQ(stage(kCreateAsDeleted).status, BinaryStatus::key_not_found);
  EXPECT_EQ(mutate({{SubdocOpcode::dict_upsert, "a", "1"}}, kRevive).status, BinaryStatus::invalid_arguments);
  EXPECT_EQ(mutate({{SubdocOpcode::dict_upsert, "a", "1"}}, kAccessDeleted).status,
            BinaryStatus::key_not_found);
  EXPECT_EQ(mutate({{SubdocOpcode::dict_upsert, "txn", "1"}, {SubdocOpcode::dict_upsert, "a", "1", 0}},
                   kAdd | kAccessDeleted | kCreateAsDeleted)
                .status,
            number(SubdocStatus::multi_path_failure))
      << "a deleted document has no body to put anything into";
}

}  // namespace
}  // namespace bobbin::serve
