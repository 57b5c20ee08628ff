#include "wire/subdoc.h"

#include <gtest/gtest.h>

#include <string>

#include "wire/subdoc_frame_test_support.h"
#include "wire/subdoc_test_support.h"

namespace bobbin::wire {
namespace {

using Opcode = SubdocOpcode;
using Status = SubdocStatus;
using path_flags::kBinaryValue;
using path_flags::kCreateParents;
using path_flags::kExpandMacros;
using path_flags::kXattr;

std::string tail(uint8_t document_flags) {
  return {static_cast<char>(document_flags)};
}

/// A request and the bytes that it points to.
struct Parsed {
  std::string extras;
  std::string value;
  Status status = Status::success;
  SubdocRequest request;
};

Parsed parse(Opcode opcode, std::string extras, std::string value, uint64_t cas = 0,
             bool xattrs_agreed = true) {
  Parsed parsed{
      .extras = std::move(extras), .value = std::move(value), .status = Status::success, .request = {}};
  const SubdocFrame frame{.opcode = static_cast<uint8_t>(opcode),
                          .extras = parsed.extras,
                          .value = parsed.value,
                          .cas = cas,
                          .xattrs_agreed = xattrs_agreed};
  parsed.status = parse_subdoc(frame, parsed.request);
  return parsed;
}

Status single(Opcode opcode, std::string_view path, std::string_view value, uint8_t flags = 0,
              std::string_view extras_tail = {}, uint64_t cas = 0) {
  return parse(opcode, single_extras(path, flags, extras_tail), std::string(path) + std::string(value), cas)
      .status;
}

Status lookups(const std::string& specs, const std::string& extras = {}) {
  return parse(Opcode::multi_lookup, extras, specs).status;
}

Status mutations(const std::string& specs, const std::string& extras = {}, uint64_t cas = 0) {
  return parse(Opcode::multi_mutation, extras, specs, cas).status;
}

TEST(SubdocFrame, TakesTheExampleOfTheDocumentationApart) {
  const std::string path = "games.revolution.rank";
  std::string extras("\0\x15\x01", 3);
  const Parsed parsed = parse(Opcode::dict_upsert, extras, path + "\"Comandante\"");
  ASSERT_EQ(parsed.status, Status::success);
  EXPECT_FALSE(parsed.request.multi);
  EXPECT_TRUE(parsed.request.mutates);
  EXPECT_FALSE(parsed.request.has_expiry);
  ASSERT_EQ(parsed.request.specs().size(), 1U);
  const SubdocSpec& spec = parsed.request.specs()[0];
  EXPECT_EQ(spec.row->opcode, Opcode::dict_upsert);
  EXPECT_EQ(spec.path, path);
  EXPECT_EQ(spec.value, "\"Comandante\"");
  EXPECT_TRUE(spec.has(kCreateParents));
}

TEST(SubdocFrame, ExtrasMayHaveAnExpiryAndDocumentFlags) {
  const auto request = [](std::string_view extras_tail) {
    return parse(Opcode::dict_add, single_extras("p", 0, extras_tail), "p1").request;
  };
  EXPECT_EQ(request(std::string("\0\0\1\2", 4)).expiry, 0x102U);
  EXPECT_TRUE(request(std::string("\0\0\0\0", 4)).has_expiry);
  EXPECT_EQ(request(tail(doc_flags::kCreate)).flags, doc_flags::kCreate);
  const SubdocRequest both = request(std::string("\0\0\1\2\2", 5));
  EXPECT_EQ(both.expiry, 0x102U);
  EXPECT_EQ(both.flags, doc_flags::kAdd);
  for (const size_t bytes : {2U, 3U, 6U, 7U, 10U, 12U, 13U})
    EXPECT_EQ(single(Opcode::dict_add, "p", "1", 0, std::string(bytes, '\0')), Status::invalid_arguments)
        << bytes;
  EXPECT_EQ(single(Opcode::get, "p", "", 0, std::string(1, '\0')), Status::success);
  EXPECT_EQ(single(Opcode::get, "p", "", 0, std::string(4, '\0')), Status::invalid_arguments);
  EXPECT_EQ(parse(Opcode::get, std::string(2, '\0'), "").status, Status::invalid_arguments);
  EXPECT_EQ(parse(Opcode::get, "", "").status, Status::invalid_arguments);
}

TEST(SubdocFrame, AMutationMaySayWhichFlagsTheDocumentIsToHave) {
  const std::string tail_of_all("\0\0\1\2\x89\xab\xcd\xef\1", 9);
  const std::string specs = mutation_spec(Opcode::dict_add, "p", "1");
  for (const size_t bytes : {8U, 9U}) {
    const std::string extras = tail_of_all.substr(0, bytes);
    for (const Parsed& parsed : {parse(Opcode::dict_add, single_extras("p", 0, extras), "p1"),
                                 parse(Opcode::multi_mutation, extras, specs)}) {
      ASSERT_EQ(parsed.status, Status::success) << bytes;
      EXPECT_EQ(parsed.request.user_flags, 0x89abcdefU);
      EXPECT_EQ(parsed.request.expiry, 0x102U);
      EXPECT_EQ(parsed.request.flags, bytes == 9 ? doc_flags::kCreate : 0);
    }
    EXPECT_EQ(single(Opcode::get, "p", "", 0, extras), Status::invalid_arguments);
    EXPECT_EQ(lookups(lookup_spec(Opcode::get, "p"), extras), Status::invalid_arguments);
  }
  EXPECT_EQ(parse(Opcode::multi_mutation, tail_of_all.substr(0, 5), specs).request.user_flags, std::nullopt);
  const std::string zero(8, '\0');
  EXPECT_EQ(parse(Opcode::multi_mutation, zero, specs).request.user_flags, 0U) << "said, and 0";
}

TEST(SubdocFrame, PathLengthHasToBeTrue) {
  EXPECT_EQ(parse(Opcode::get, std::string("\0\5\0", 3), "abcd").status, Status::invalid_arguments);
  EXPECT_EQ(parse(Opcode::get, std::string("\xff\xff\0", 3), "abcd").status, Status::invalid_arguments);
  EXPECT_EQ(parse(Opcode::get, std::string("\0\3\0", 3), "abcd").status, Status::invalid_arguments)
      << "a value";
  EXPECT_EQ(single(Opcode::get, std::string(1024, 'k'), ""), Status::success);
  EXPECT_EQ(single(Opcode::get, std::string(1025, 'k'), ""), Status::invalid_arguments);
}

TEST(SubdocFrame, NeedsPathAndValueWhereTheOperationDoes) {
  struct Case {
    Opcode opcode;
    bool empty_path;
    bool takes_value;
  };
  for (const Case& test :
       {Case{Opcode::get, false, false}, Case{Opcode::exists, false, false},
        Case{Opcode::get_count, true, false}, Case{Opcode::dict_add, false, true},
        Case{Opcode::dict_upsert, false, true}, Case{Opcode::remove, false, false},
        Case{Opcode::replace, false, true}, Case{Opcode::array_push_last, true, true},
        Case{Opcode::array_push_first, true, true}, Case{Opcode::array_insert, false, true},
        Case{Opcode::array_add_unique, true, true}, Case{Opcode::counter, false, true}}) {
    const std::string_view value = test.takes_value ? "1" : "";
    const std::string_view wrong = test.takes_value ? "" : "1";
    EXPECT_EQ(single(test.opcode, "p", value), Status::success) << static_cast<int>(test.opcode);
    EXPECT_EQ(single(test.opcode, "p", wrong), Status::invalid_arguments) << static_cast<int>(test.opcode);
    EXPECT_EQ(single(test.opcode, "", value), test.empty_path ? Status::success : Status::invalid_arguments)
        << static_cast<int>(test.opcode);
  }
  for (const uint8_t opcode : {0x00, 0x01, 0x04, 0x02, 0xd4, 0xff})
    EXPECT_EQ(single(static_cast<Opcode>(opcode), "p", ""), Status::invalid_arguments) << int{opcode};
}

TEST(SubdocFrame, RefusesFlagsThatAnOperationDoesNotHave) {
  EXPECT_EQ(single(Opcode::get, "p", "", kCreateParents), Status::invalid_arguments);
  EXPECT_EQ(single(Opcode::replace, "p", "1", kCreateParents), Status::invalid_arguments);
  EXPECT_EQ(single(Opcode::array_insert, "p[0]", "1", kCreateParents), Status::invalid_arguments);
  EXPECT_EQ(single(Opcode::counter, "p", "1", kXattr | kExpandMacros), Status::invalid_arguments);
  for (const uint8_t flag : {0x02, 0x08, 0x40, 0x80})
    EXPECT_EQ(single(Opcode::dict_add, "p", "1", flag), Status::invalid_arguments) << int{flag};
  EXPECT_EQ(single(Opcode::counter, "p", "1", kXattr | kBinaryValue), Status::invalid_arguments);
  EXPECT_EQ(single(Opcode::dict_add, "p", "1", kBinaryValue), Status::xattr_invalid_flags);
  EXPECT_EQ(single(Opcode::remove, "p", "", 0, tail(doc_flags::kCreate)), Status::invalid_arguments);
  EXPECT_EQ(single(Opcode::replace, "p", "1", 0, tail(doc_flags::kCreate)), Status::invalid_arguments);
  EXPECT_EQ(single(Opcode::get, "p", "", 0, tail(doc_flags::kCreate)), Status::invalid_arguments);
  EXPECT_EQ(single(Opcode::dict_add, "p", "1", 0, tail(doc_flags::kReplicaRead)), Status::invalid_arguments);
  EXPECT_EQ(single(Opcode::get, "p", "", 0, tail(doc_flags::kReplicaRead)), Status::success);
  for (const uint8_t flag : {0x40, 0x80})
    EXPECT_EQ(single(Opcode::dict_add, "p", "1", 0, tail(flag)), Status::invalid_arguments) << int{flag};
}

TEST(SubdocFrame, RefusesDocumentFlagsThatContradict) {
  using namespace doc_flags;  // NOLINT(google-build-using-namespace)
  const auto added = [](uint8_t flags, uint8_t path_flag = 0, uint64_t cas = 0) {
    return single(Opcode::dict_add, "p", "1", path_flag, tail(flags), cas);
  };
  EXPECT_EQ(added(kCreate), Status::success);
  EXPECT_EQ(added(kAdd), Status::success);
  EXPECT_EQ(added(kAdd | kCreate), Status::invalid_arguments);
  EXPECT_EQ(added(kAdd, 0, 7), Status::invalid_arguments);
  EXPECT_EQ(added(kCreate, 0, 7), Status::success);
  EXPECT_EQ(added(kCreateAsDeleted, kXattr), Status::invalid_arguments);
  EXPECT_EQ(added(kCreateAsDeleted | kAdd), Status::invalid_arguments) << "a body";
  EXPECT_EQ(added(kCreateAsDeleted | kAdd, kXattr), Status::success);
  EXPECT_EQ(single(Opcode::get, "p", "", 0, tail(kReplicaRead | kAccessDeleted)), Status::success);
}

TEST(SubdocFrame, MakingADocumentImpliesMakingParents) {
  const Parsed parsed = parse(Opcode::dict_add, single_extras("p", 0, tail(doc_flags::kAdd)), "p1");
  EXPECT_TRUE(parsed.request.specs()[0].has(kCreateParents));
  EXPECT_FALSE(parse(Opcode::dict_add, single_extras("p"), "p1").request.specs()[0].has(kCreateParents));
}

TEST(SubdocFrame, KnowsWhatANewDocumentBeginsAs) {
  const auto body = [](Opcode opcode, std::string_view path, uint8_t path_flag = 0) {
    return parse(opcode, single_extras(path, path_flag, tail(doc_flags::kCreate)), std::string(path) + "1")
        .request.initial_body();
  };
  EXPECT_EQ(body(Opcode::dict_add, "p"), "{}");
  EXPECT_EQ(body(Opcode::array_push_last, ""), "[]");
  EXPECT_EQ(body(Opcode::array_push_last, "a"), "{}");
  EXPECT_EQ(body(Opcode::array_push_last, "[0]"), "[]");
  EXPECT_EQ(body(Opcode::dict_add, "_x.y", kXattr), "{}");
  const auto multi = [](const std::string& specs, uint8_t flags) {
    const Parsed parsed = parse(Opcode::multi_mutation, tail(flags), specs);
    EXPECT_EQ(parsed.status, Status::success);
    return parsed.request.initial_body();
  };
  EXPECT_EQ(multi(mutation_spec(Opcode::document_set, "", "1"), doc_flags::kCreate), "");
  EXPECT_EQ(
      multi(mutation_spec(Opcode::document_set, "", "1") + mutation_spec(Opcode::array_push_last, "", "1"),
            doc_flags::kCreate),
      "[]");
  EXPECT_EQ(multi(mutation_spec(Opcode::dict_upsert, "_x", "1", kXattr),
                  doc_flags::kAdd | doc_flags::kCreateAsDeleted),
            "");
}

TEST(SubdocFrame, ChecksAttributes) {
  EXPECT_EQ(single(Opcode::dict_upsert, "_x.y", "1", kXattr), Status::success);
  EXPECT_EQ(single(Opcode::dict_upsert, "[0]", "1", kXattr), Status::xattr_invalid);
  EXPECT_EQ(single(Opcode::get, "", "", kXattr), Status::xattr_invalid);
  EXPECT_EQ(single(Opcode::get, std::string(16, 'k'), "", kXattr), Status::xattr_invalid);
  EXPECT_EQ(single(Opcode::get, "$document.CAS", "", kXattr), Status::success);
  EXPECT_EQ(single(Opcode::dict_upsert, "$document.CAS", "1", kXattr), Status::xattr_cannot_modify_virtual);
  EXPECT_EQ(single(Opcode::replace_body_with_xattr, "$document", "", kXattr),
            Status::xattr_cannot_modify_virtual);
  EXPECT_EQ(single(Opcode::replace_body_with_xattr, "x", "", 0), Status::invalid_arguments);
  EXPECT_EQ(single(Opcode::replace_body_with_xattr, "x.y", "", kXattr), Status::success);
  EXPECT_EQ(parse(Opcode::get, single_extras("x", kXattr), "x", 0, false).status, Status::not_supported);
  const Parsed parsed = parse(Opcode::get, single_extras("_sync.rev", kXattr), "_sync.rev");
  EXPECT_EQ(parsed.request.specs()[0].xattr_key_bytes, 5U);
}

TEST(SubdocFrame, ChecksMacros) {
  for (const std::string_view macro :
       {R"("${Mutation.CAS}")", R"("${Mutation.seqno}")", R"("${Mutation.value_crc32c}")",
        R"("${$document}")", R"("${$document.exptime}")"})
    EXPECT_EQ(single(Opcode::dict_upsert, "_x", macro, kXattr | kExpandMacros), Status::success) << macro;
  for (const std::string_view macro :
       {"1", "\"\"", R"("${Mutation.cas}")", R"(${Mutation.CAS})", R"("${$other}")"})
    EXPECT_EQ(single(Opcode::dict_upsert, "_x", macro, kXattr | kExpandMacros), Status::xattr_unknown_macro)
        << macro;
  EXPECT_EQ(single(Opcode::dict_upsert, "x", R"("${Mutation.CAS}")", kExpandMacros),
            Status::xattr_invalid_flags);
}

TEST(SubdocFrame, TakesTheSpecsOfAMultiLookupApart) {
  const Parsed parsed = parse(Opcode::multi_lookup, tail(doc_flags::kAccessDeleted),
                              lookup_spec(Opcode::get, "_x.y", kXattr) + lookup_spec(Opcode::exists, "from") +
                                  lookup_spec(Opcode::get_count, "") + lookup_spec(Opcode::document_get, ""));
  ASSERT_EQ(parsed.status, Status::success);
  EXPECT_TRUE(parsed.request.multi);
  EXPECT_FALSE(parsed.request.mutates);
  ASSERT_EQ(parsed.request.specs().size(), 4U);
  EXPECT_EQ(parsed.request.specs()[1].path, "from");
  EXPECT_TRUE(parsed.request.specs()[3].row->whole_document);
}

TEST(SubdocFrame, TakesTheSpecsOfAMultiMutationApart) {
  const Parsed parsed =
      parse(Opcode::multi_mutation, std::string("\0\0\0\5\0", 5),
            mutation_spec(Opcode::array_add_unique, "login_locations", "\"192.168.3.4\"", kCreateParents) +
                mutation_spec(Opcode::counter, "login_count", "1", kCreateParents) +
                mutation_spec(Opcode::remove, "queue"));
  ASSERT_EQ(parsed.status, Status::success);
  EXPECT_TRUE(parsed.request.mutates);
  EXPECT_EQ(parsed.request.expiry, 5U);
  ASSERT_EQ(parsed.request.specs().size(), 3U);
  EXPECT_EQ(parsed.request.specs()[0].value, "\"192.168.3.4\"");
  EXPECT_EQ(parsed.request.specs()[2].path, "queue");
}

TEST(SubdocFrame, LimitsAndChecksSpecs) {
  std::string specs;
  EXPECT_EQ(lookups(specs), Status::invalid_combination);
  EXPECT_EQ(mutations(specs), Status::invalid_combination);
  for (int i = 0; i < 16; ++i)
    specs += lookup_spec(Opcode::get, "p");
  EXPECT_EQ(lookups(specs), Status::success);
  EXPECT_EQ(lookups(specs + lookup_spec(Opcode::get, "p")), Status::invalid_combination);
  EXPECT_EQ(lookups(mutation_spec(Opcode::dict_add, "p", "1")), Status::invalid_combination);
  EXPECT_EQ(mutations(mutation_spec(Opcode::get, "p")), Status::invalid_combination);
  EXPECT_EQ(lookups(lookup_spec(Opcode::multi_lookup, "p")), Status::invalid_combination);
  EXPECT_EQ(lookups(lookup_spec(static_cast<Opcode>(0x02), "")), Status::invalid_combination);
  EXPECT_EQ(lookups(lookup_spec(Opcode::get, "")), Status::invalid_arguments);
  EXPECT_EQ(lookups(lookup_spec(Opcode::get, std::string(1025, 'k'))), Status::invalid_arguments);
  EXPECT_EQ(lookups(lookup_spec(Opcode::document_get, "p")), Status::invalid_arguments);
  EXPECT_EQ(lookups(lookup_spec(Opcode::document_get, "", kXattr)), Status::invalid_arguments);
  EXPECT_EQ(mutations(mutation_spec(Opcode::dict_add, "p", "")), Status::invalid_arguments);
  EXPECT_EQ(mutations(mutation_spec(Opcode::remove, "p", "1")), Status::invalid_arguments);
  EXPECT_EQ(mutations(mutation_spec(Opcode::remove, "p"), tail(doc_flags::kCreate)),
            Status::invalid_arguments);
}

TEST(SubdocFrame, RefusesSpecsThatAreCutOrLie) {
  const std::string lookup = lookup_spec(Opcode::get, "path");
  for (size_t size = 1; size < lookup.size(); ++size)
    EXPECT_EQ(lookups(lookup.substr(0, size)), Status::invalid_arguments) << size;
  const std::string mutation = mutation_spec(Opcode::dict_add, "path", "12");
  for (size_t size = 1; size < mutation.size(); ++size)
    EXPECT_EQ(mutations(mutation.substr(0, size)), Status::invalid_arguments) << size;
  std::string lying = mutation;
  lying[4] = '\xff';
  EXPECT_EQ(mutations(lying), Status::invalid_arguments);
}

TEST(SubdocFrame, ChecksTheExtrasOfMultis) {
  const std::string lookup = lookup_spec(Opcode::get, "p");
  const std::string mutation = mutation_spec(Opcode::dict_add, "p", "1");
  for (const size_t bytes : {2U, 3U, 6U, 7U, 10U, 11U, 12U, 13U}) {
    EXPECT_EQ(lookups(lookup, std::string(bytes, '\0')), Status::invalid_arguments) << bytes;
    EXPECT_EQ(mutations(mutation, std::string(bytes, '\0')), Status::invalid_arguments) << bytes;
  }
  EXPECT_EQ(lookups(lookup, std::string(4, '\0')), Status::invalid_arguments);
  EXPECT_EQ(mutations(mutation, std::string(4, '\0')), Status::success);
  EXPECT_EQ(mutations(mutation, tail(doc_flags::kRevive)), Status::invalid_arguments);
  EXPECT_EQ(mutations(mutation, tail(doc_flags::kRevive | doc_flags::kAccessDeleted)), Status::success);
  EXPECT_EQ(mutations(mutation, tail(doc_flags::kAdd), 7), Status::invalid_arguments);
  EXPECT_EQ(mutations(mutation, tail(doc_flags::kCreateAsDeleted)), Status::success);
  EXPECT_EQ(lookups(lookup, tail(doc_flags::kReplicaRead | doc_flags::kAccessDeleted)), Status::success);
}

TEST(SubdocFrame, AttributesComeBeforeTheBody) {
  const std::string xattr = mutation_spec(Opcode::dict_upsert, "x", "1", kXattr);
  const std::string body = mutation_spec(Opcode::dict_upsert, "b", "1");
  const std::string erase = mutation_spec(Opcode::document_delete, "");
  EXPECT_EQ(mutations(xattr + xattr + body), Status::success);
  EXPECT_EQ(mutations(body + xattr), Status::xattr_invalid_order);
  EXPECT_EQ(lookups(lookup_spec(Opcode::get, "b") + lookup_spec(Opcode::get, "x", kXattr)),
            Status::xattr_invalid_order);
  EXPECT_EQ(mutations(erase), Status::success);
  EXPECT_EQ(mutations(xattr + erase), Status::success);
  EXPECT_EQ(mutations(body + erase), Status::invalid_combination);
  EXPECT_EQ(mutations(erase + body), Status::invalid_combination);
  EXPECT_EQ(mutations(erase + xattr), Status::invalid_combination);
  EXPECT_EQ(mutations(xattr + mutation_spec(Opcode::document_set, "", "{}") + body), Status::success);
}

TEST(SubdocReply, LaysOutResults) {
  char out[16];
  EXPECT_EQ(std::string(out, put_lookup_result(out, Status::path_missing, 0)),
            std::string("\0\xc0\0\0\0\0", 6));
  EXPECT_EQ(std::string(out, put_lookup_result(out, Status::success, 0x102)), std::string("\0\0\0\0\1\2", 6));
  EXPECT_EQ(std::string(out, put_mutation_result(out, 3, 2)), std::string("\3\0\0\0\0\0\2", 7));
  EXPECT_EQ(std::string(out, put_mutation_failure(out, 1, Status::path_mismatch)),
            std::string("\1\0\xc1", 3));
}

}  // namespace
}  // namespace bobbin::wire
