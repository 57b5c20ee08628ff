#include "wire/subdoc_run.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "wire/subdoc_frame_test_support.h"
#include "wire/subdoc_test_support.h"
#include "wire/xattr.h"

namespace bobbin::wire {
namespace {

using Opcode = SubdocOpcode;
using Status = SubdocStatus;
using path_flags::kCreateParents;
using path_flags::kExpandMacros;
using path_flags::kXattr;

std::optional<std::string> virtual_attribute(std::string_view key) {
  if (key == "$document") return R"({"CAS":"0x0001","exptime":0,"flags":7})";
  if (key == "$XTOC") return R"(["a"])";
  return std::nullopt;
}

/// A document that requests are run on, one after the other.
class SubdocRunTest : public testing::Test {
 protected:
  Status single(Opcode opcode, std::string_view path, std::string_view value = {}, uint8_t flags = 0,
                std::string_view tail = {}) {
    return run(opcode, single_extras(path, flags, tail), std::string(path) + std::string(value));
  }
  Status lookups(std::string specs, std::string extras = {}) {
    return run(Opcode::multi_lookup, std::move(extras), std::move(specs));
  }
  Status mutations(std::string specs, std::string extras = {}) {
    return run(Opcode::multi_mutation, std::move(extras), std::move(specs));
  }

  Status run(Opcode opcode, std::string extras, std::string value) {
    extras_ = std::move(extras);
    value_ = std::move(value);
    const SubdocFrame frame{.opcode = static_cast<uint8_t>(opcode),
                            .extras = extras_,
                            .value = value_,
                            .cas = 0,
                            .xattrs_agreed = true};
    EXPECT_EQ(parse_subdoc(frame, request_), Status::success);
    const std::string body = body_;
    const std::string xattrs = xattrs_;
    const SubdocSource source{.xattrs = xattrs, .body = body, .body_is_json = json_, .deleted = deleted_};
    const Status status = run_.run(request_, source, virtual_attribute, 0x1234);
    reply_.assign(run_.reply_bytes(), '\0');
    run_.write_reply(reply_.data());
    if (request_.mutates && SubdocRun::is_success(status)) {
      body_.clear();
      for (const std::string_view piece : run_.body_pieces())
        body_ += piece;
      EXPECT_EQ(body_.size(), run_.body_bytes());
      xattrs_ = run_.xattrs();
      json_ = run_.body_is_json();
    }
    return status;
  }

  void set_xattrs(const std::vector<std::pair<std::string, std::string>>& pairs) {
    xattrs_.clear();
    for (const auto& [key, value] : pairs)
      set_xattr(xattrs_, key, value);
  }
  std::string xattr(std::string_view key) const {
    return std::string(find_xattr(xattrs_, key).value_or("none"));
  }

  std::string body_ = "{}";
  std::string xattrs_;
  bool json_ = true;
  bool deleted_ = false;
  SubdocRun run_;
  SubdocRequest request_;
  std::string extras_;
  std::string value_;
  std::string reply_;
};

std::string looked_up(Status status, std::string_view value = {}) {
  return big_endian_text(static_cast<uint64_t>(status), 2) + big_endian_text(value.size(), 4) +
         std::string(value);
}

std::string changed(uint8_t index, std::string_view value) {
  return static_cast<char>(index) + big_endian_text(0, 2) + big_endian_text(value.size(), 4) +
         std::string(value);
}

std::string failed(uint8_t index, Status status) {
  return static_cast<char>(index) + big_endian_text(static_cast<uint64_t>(status), 2);
}

TEST_F(SubdocRunTest, AnswersSingleLookups) {
  body_ = R"({"a":[1,2]})";
  EXPECT_EQ(single(Opcode::get, "a"), Status::success);
  EXPECT_EQ(reply_, "[1,2]");
  EXPECT_TRUE(run_.reply_is_json());
  EXPECT_EQ(single(Opcode::exists, "a"), Status::success);
  EXPECT_EQ(reply_, "");
  EXPECT_FALSE(run_.reply_is_json());
  EXPECT_EQ(single(Opcode::get_count, "a"), Status::success);
  EXPECT_EQ(reply_, "2");
  EXPECT_EQ(single(Opcode::get, "b"), Status::path_missing);
  EXPECT_EQ(reply_, "");
  json_ = false;
  EXPECT_EQ(single(Opcode::get, "a"), Status::document_not_json);
}

TEST_F(SubdocRunTest, AnswersTheMultiLookupOfTheDocumentation) {
  body_ = R"({"date":"22/16/2015","from":"mnunberg","to":"couchbase","subject":"Subdoc Commands"})";
  EXPECT_EQ(lookups(lookup_spec(Opcode::get, "from") + lookup_spec(Opcode::get, "to") +
                    lookup_spec(Opcode::exists, "bcc") + lookup_spec(Opcode::get, "subject") +
                    lookup_spec(Opcode::exists, "date")),
            Status::multi_path_failure);
  EXPECT_EQ(reply_, looked_up(Status::success, "\"mnunberg\"") + looked_up(Status::success, "\"couchbase\"") +
                        looked_up(Status::path_missing) + looked_up(Status::success, "\"Subdoc Commands\"") +
                        looked_up(Status::success));
  EXPECT_EQ(lookups(lookup_spec(Opcode::get, "from")), Status::success);
  deleted_ = true;
  EXPECT_EQ(lookups(lookup_spec(Opcode::get, "from")), Status::success_deleted);
  EXPECT_EQ(lookups(lookup_spec(Opcode::get, "x")), Status::multi_path_failure_deleted);
}

TEST_F(SubdocRunTest, LooksIntoAttributesAndTheWholeBody) {
  body_ = "not json";
  json_ = false;
  set_xattrs({{"a", R"({"b":[1,{"c":2}]})"}, {"s", "5"}});
  EXPECT_EQ(lookups(lookup_spec(Opcode::get, "a.b[1].c", kXattr) + lookup_spec(Opcode::get, "a", kXattr) +
                    lookup_spec(Opcode::get_count, "a.b", kXattr) + lookup_spec(Opcode::get, "s", kXattr) +
                    lookup_spec(Opcode::get, "s.x", kXattr) + lookup_spec(Opcode::get_count, "s", kXattr) +
                    lookup_spec(Opcode::exists, "s", kXattr) + lookup_spec(Opcode::get, "none", kXattr) +
                    lookup_spec(Opcode::get, "a.", kXattr) + lookup_spec(Opcode::get, "a.x..", kXattr) +
                    lookup_spec(Opcode::document_get, "") + lookup_spec(Opcode::get, "a")),
            Status::multi_path_failure);
  EXPECT_EQ(reply_, looked_up(Status::success, "2") + looked_up(Status::success, R"({"b":[1,{"c":2}]})") +
                        looked_up(Status::success, "2") + looked_up(Status::success, "5") +
                        looked_up(Status::path_mismatch) + looked_up(Status::path_mismatch) +
                        looked_up(Status::success) + looked_up(Status::path_missing) +
                        looked_up(Status::success, R"({"b":[1,{"c":2}]})") + looked_up(Status::path_invalid) +
                        looked_up(Status::success, "not json") + looked_up(Status::document_not_json));
  body_ = "";
  EXPECT_EQ(lookups(lookup_spec(Opcode::document_get, "")), Status::multi_path_failure);
  EXPECT_EQ(reply_, looked_up(Status::path_missing));
}

TEST_F(SubdocRunTest, AsksForVirtualAttributes) {
  EXPECT_EQ(single(Opcode::get, "$document.flags", {}, kXattr), Status::success);
  EXPECT_EQ(reply_, "7");
  EXPECT_EQ(single(Opcode::get, "$XTOC[0]", {}, kXattr), Status::success);
  EXPECT_EQ(reply_, "\"a\"");
  EXPECT_EQ(single(Opcode::get, "$document.none", {}, kXattr), Status::path_missing);
  EXPECT_EQ(single(Opcode::get, "$other", {}, kXattr), Status::xattr_unknown_virtual);
  EXPECT_EQ(lookups(lookup_spec(Opcode::get, "$document.CAS", kXattr) +
                    lookup_spec(Opcode::get, "$document", kXattr)),
            Status::success);
  EXPECT_EQ(reply_, looked_up(Status::success, "\"0x0001\"") +
                        looked_up(Status::success, R"({"CAS":"0x0001","exptime":0,"flags":7})"));
}

TEST_F(SubdocRunTest, MakesOneChange) {
  body_ = R"({ "a" : 1 })";
  EXPECT_EQ(single(Opcode::dict_upsert, "b", "2"), Status::success);
  EXPECT_EQ(body_, R"({ "a" : 1 ,"b":2})");
  EXPECT_EQ(reply_, "");
  EXPECT_EQ(single(Opcode::counter, "a", "41"), Status::success);
  EXPECT_EQ(body_, R"({ "a" : 42 ,"b":2})");
  EXPECT_EQ(reply_, "42");
  EXPECT_EQ(single(Opcode::dict_add, "a", "2"), Status::path_exists);
  EXPECT_EQ(reply_, "");
}

TEST_F(SubdocRunTest, MakesChangesOneAfterTheOther) {
  body_ = R"({"count":41,"queue":"deleteme"})";
  EXPECT_EQ(
      mutations(mutation_spec(Opcode::array_add_unique, "locations", "\"192.168.3.4\"", kCreateParents) +
                mutation_spec(Opcode::counter, "count", "1") +
                mutation_spec(Opcode::dict_upsert, "state", "\"in\"") +
                mutation_spec(Opcode::remove, "queue") +
                mutation_spec(Opcode::array_push_first, "locations", "1,2") +
                mutation_spec(Opcode::counter, "locations[0]", "-3")),
      Status::success);
  EXPECT_EQ(body_, R"({"count":42,"locations":[-2,2,"192.168.3.4"],"state":"in"})");
  EXPECT_EQ(reply_, changed(1, "42") + changed(5, "-2"));
}

TEST_F(SubdocRunTest, MakesAllChangesOrNone) {
  body_ = R"({"a":1})";
  set_xattrs({{"x", "1"}});
  EXPECT_EQ(mutations(mutation_spec(Opcode::dict_upsert, "x", "2", kXattr) +
                      mutation_spec(Opcode::counter, "a", "1") + mutation_spec(Opcode::replace, "b", "1") +
                      mutation_spec(Opcode::remove, "a")),
            Status::multi_path_failure);
  EXPECT_EQ(reply_, failed(2, Status::path_missing));
  EXPECT_EQ(body_, R"({"a":1})");
  EXPECT_EQ(xattr("x"), "1");
}

TEST_F(SubdocRunTest, ChangesAttributes) {
  EXPECT_EQ(single(Opcode::dict_upsert, "_sync", R"( {"rev":1} )", kXattr), Status::success);
  EXPECT_EQ(xattr("_sync"), R"({"rev":1})");
  EXPECT_EQ(single(Opcode::dict_add, "_sync", "1", kXattr), Status::path_exists);
  EXPECT_EQ(single(Opcode::dict_add, "_sync.a.b", "1", kXattr), Status::path_missing);
  EXPECT_EQ(single(Opcode::dict_add, "_sync.a.b", "1", kXattr | kCreateParents), Status::success);
  EXPECT_EQ(xattr("_sync"), R"({"rev":1,"a":{"b":1}})");
  EXPECT_EQ(single(Opcode::counter, "_sync.rev", "4", kXattr), Status::success);
  EXPECT_EQ(reply_, "5");
  EXPECT_EQ(single(Opcode::remove, "_sync.a", {}, kXattr), Status::success);
  EXPECT_EQ(xattr("_sync"), R"({"rev":5})");
  EXPECT_EQ(single(Opcode::array_push_last, "list", "1", kXattr), Status::path_missing);
  EXPECT_EQ(single(Opcode::array_push_last, "list", "1", kXattr | kCreateParents), Status::success);
  EXPECT_EQ(single(Opcode::array_insert, "list[0]", "0", kXattr), Status::success);
  EXPECT_EQ(xattr("list"), "[0,1]");
  EXPECT_EQ(single(Opcode::counter, "count", "3", kXattr), Status::success);
  EXPECT_EQ(xattr("count"), "3");
  EXPECT_EQ(single(Opcode::dict_add, "other.key", "1", kXattr), Status::path_missing);
  EXPECT_EQ(single(Opcode::dict_add, "none", "1,\"x\":2", kXattr), Status::value_cannot_insert);
  EXPECT_EQ(single(Opcode::remove, "list", {}, kXattr), Status::success);
  EXPECT_EQ(xattr("list"), "none");
  EXPECT_EQ(single(Opcode::remove, "_sync", {}, kXattr), Status::success);
  EXPECT_EQ(single(Opcode::remove, "count", {}, kXattr), Status::success);
  EXPECT_EQ(xattrs_, "");
  EXPECT_EQ(body_, "{}");
}

TEST_F(SubdocRunTest, ChangesSeveralAttributesAndTheBodyAtOnce) {
  EXPECT_EQ(mutations(mutation_spec(Opcode::dict_upsert, "a", "1", kXattr) +
                      mutation_spec(Opcode::dict_upsert, "_b.c", "2", kXattr | kCreateParents) +
                      mutation_spec(Opcode::counter, "a", "1", kXattr) +
                      mutation_spec(Opcode::dict_upsert, "d", "3")),
            Status::success);
  EXPECT_EQ(xattr("a"), "2");
  EXPECT_EQ(xattr("_b"), R"({"c":2})");
  EXPECT_EQ(body_, R"({"d":3})");
  EXPECT_EQ(reply_, changed(2, "2"));
}

TEST_F(SubdocRunTest, MakesADocument) {
  body_ = "[]";
  EXPECT_EQ(single(Opcode::array_push_last, "", "1", 0, std::string(1, doc_flags::kCreate)), Status::success);
  EXPECT_EQ(body_, "[1]");
  body_ = "{}";
  EXPECT_EQ(single(Opcode::dict_upsert, "a.b", "1", 0, std::string(1, doc_flags::kAdd)), Status::success);
  EXPECT_EQ(body_, R"({"a":{"b":1}})");
}

TEST_F(SubdocRunTest, SetsAndDeletesTheWholeBody) {
  set_xattrs({{"a", "1"}, {"_b", "2"}});
  EXPECT_EQ(mutations(mutation_spec(Opcode::document_set, "", "[1]") +
                      mutation_spec(Opcode::array_push_last, "", "2")),
            Status::success);
  EXPECT_EQ(body_, "[1,2]");
  EXPECT_TRUE(json_);
  EXPECT_EQ(mutations(mutation_spec(Opcode::document_set, "", "plain text")), Status::success);
  EXPECT_EQ(body_, "plain text");
  EXPECT_FALSE(json_);
  EXPECT_EQ(mutations(mutation_spec(Opcode::array_push_last, "", "2")), Status::multi_path_failure);
  EXPECT_EQ(reply_, failed(0, Status::document_not_json));
  EXPECT_EQ(mutations(mutation_spec(Opcode::dict_upsert, "_c", "3", kXattr) +
                      mutation_spec(Opcode::document_delete, "")),
            Status::success);
  EXPECT_TRUE(run_.deletes());
  EXPECT_EQ(body_, "");
  EXPECT_FALSE(json_);
  EXPECT_EQ(xattr("a"), "none");
  EXPECT_EQ(xattr("_b"), "2");
  EXPECT_EQ(xattr("_c"), "3");
}

TEST_F(SubdocRunTest, ReplacesTheBodyWithAnAttribute) {
  body_ = "plain";
  json_ = false;
  set_xattrs({{"txn", R"({"staged":{"a":[1]}})"}});
  EXPECT_EQ(
      mutations(mutation_spec(Opcode::replace_body_with_xattr, "txn.staged", {}, kXattr) +
                mutation_spec(Opcode::remove, "txn", {}, kXattr) +
                mutation_spec(Opcode::array_push_last, "a", "2") + mutation_spec(Opcode::counter, "n", "1")),
      Status::success);
  EXPECT_EQ(body_, R"({"a":[1,2],"n":1})");
  EXPECT_TRUE(json_);
  EXPECT_EQ(xattrs_, "");
  EXPECT_EQ(single(Opcode::replace_body_with_xattr, "txn", {}, kXattr), Status::path_missing);
  set_xattrs({{"n", "5"}});
  EXPECT_EQ(single(Opcode::replace_body_with_xattr, "n.x", {}, kXattr), Status::path_mismatch);
  EXPECT_EQ(single(Opcode::replace_body_with_xattr, "n", {}, kXattr), Status::success);
  EXPECT_EQ(body_, "5");
}

TEST_F(SubdocRunTest, ADeletedDocumentHasNoBody) {
  body_ = "";
  json_ = false;
  deleted_ = true;
  const std::string deleted(1, doc_flags::kAccessDeleted);
  EXPECT_EQ(mutations(mutation_spec(Opcode::dict_upsert, "x", "{}", kXattr), deleted),
            Status::success_deleted);
  EXPECT_EQ(mutations(mutation_spec(Opcode::replace_body_with_xattr, "x", {}, kXattr), deleted),
            Status::deleted_cannot_have_value);
  EXPECT_EQ(body_, "");
  const std::string revived(1, static_cast<char>(doc_flags::kAccessDeleted | doc_flags::kRevive));
  EXPECT_EQ(mutations(mutation_spec(Opcode::replace_body_with_xattr, "x", {}, kXattr), revived),
            Status::success);
  EXPECT_EQ(body_, "{}");
}

TEST_F(SubdocRunTest, SaysWhereMacrosStand) {
  constexpr std::string_view kCas = R"("${Mutation.CAS}")";
  set_xattrs({{"x", R"("0x4321000000000000")"}});  // what the nonce would be written as
  EXPECT_EQ(
      mutations(mutation_spec(Opcode::dict_upsert, "_a.cas", kCas, kXattr | kExpandMacros | kCreateParents) +
                mutation_spec(Opcode::dict_upsert, "_a.crc", R"("${Mutation.value_crc32c}")",
                              kXattr | kExpandMacros) +
                mutation_spec(Opcode::dict_upsert, "_b", kCas, kXattr | kExpandMacros) +
                mutation_spec(Opcode::dict_upsert, "_c", kCas, kXattr)),
      Status::success);
  ASSERT_EQ(run_.macros().size(), 3U);
  std::string expanded = xattrs_;
  for (const SubdocRun::MacroSpot& spot : run_.macros()) {
    EXPECT_EQ(expanded[spot.offset - 1], '"');
    const std::string_view value = spot.macro == XattrMacro::cas ? "0xaaaaaaaaaaaaaaaa" : "0xbbbbbbbb";
    expanded.replace(spot.offset, value.size(), value);
  }
  xattrs_ = expanded;
  EXPECT_EQ(xattr("_a"), R"({"cas":"0xaaaaaaaaaaaaaaaa","crc":"0xbbbbbbbb"})");
  EXPECT_EQ(xattr("_b"), R"("0xaaaaaaaaaaaaaaaa")");
  EXPECT_EQ(xattr("_c"), kCas);
  EXPECT_EQ(xattr("x"), R"("0x4321000000000000")");
}

TEST_F(SubdocRunTest, ExpandsMacrosOfVirtualAttributes) {
  const uint8_t flags = kXattr | kExpandMacros;
  EXPECT_EQ(single(Opcode::dict_upsert, "_a", R"("${$document.CAS}")", flags), Status::success);
  EXPECT_EQ(xattr("_a"), "\"0x0001\"");
  EXPECT_EQ(single(Opcode::dict_upsert, "_a", R"("${$document}")", flags), Status::success);
  EXPECT_EQ(xattr("_a"), R"({"CAS":"0x0001","exptime":0,"flags":7})");
  EXPECT_EQ(single(Opcode::dict_upsert, "_a", R"("${$document.none}")", flags),
            Status::xattr_unknown_virtual_macro);
  EXPECT_EQ(single(Opcode::dict_upsert, "_a", R"("${$documents.CAS}")", flags),
            Status::xattr_unknown_virtual_macro);
  EXPECT_EQ(single(Opcode::dict_upsert, "_a", R"("${$document[x}")", flags),
            Status::xattr_unknown_virtual_macro);
  EXPECT_EQ(single(Opcode::dict_upsert, "_a", R"("${$document"}")", flags),
            Status::xattr_unknown_virtual_macro);
}

TEST_F(SubdocRunTest, DoesNotCopyWhatItFinds) {
  body_ = R"({"a":"value"})";
  set_xattrs({{"x", R"({"y":"z"})"}});
  extras_.clear();
  value_ = lookup_spec(Opcode::get, "x.y", kXattr) + lookup_spec(Opcode::get, "a");
  ASSERT_EQ(parse_subdoc({.opcode = 0xd0, .extras = {}, .value = value_, .cas = 0, .xattrs_agreed = true},
                         request_),
            Status::success);
  ASSERT_EQ(run_.run(request_, {.xattrs = xattrs_, .body = body_}, virtual_attribute), Status::success);
  const auto lies_in = [](std::string_view view, std::string_view outer) {
    return view.data() >= outer.data() && view.data() + view.size() <= outer.data() + outer.size();
  };
  EXPECT_TRUE(lies_in(run_.results()[0].value, xattrs_));
  EXPECT_TRUE(lies_in(run_.results()[1].value, body_));
}

}  // namespace
}  // namespace bobbin::wire
