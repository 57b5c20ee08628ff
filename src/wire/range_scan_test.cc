#include "wire/range_scan.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace bobbin::wire {
namespace {

std::string_view why_not(std::string_view json) {
  const auto parsed = parse_scan_create(json);
  return parsed ? std::string_view("fine") : parsed.error();
}

// kv_engine docs/range_scans/range_scan_create.md, "Examples".
TEST(RangeScan, ReadsTheExamplesOfTheDocumentation) {
  const auto prefix = parse_scan_create(
      R"({"collection": "f2", "key_only": true, "range": {"end": "dXNlcv8=", "start": "dXNlcg=="},
          "snapshot_requirements": {"vb_uuid": "16627788222", "seqno": 1000, "timeout_ms": 2000}})");
  ASSERT_TRUE(prefix) << prefix.error();
  EXPECT_EQ(prefix->collection, 0xf2U);
  EXPECT_TRUE(prefix->key_only);
  EXPECT_EQ(prefix->range.start, "user");
  EXPECT_EQ(prefix->range.end, "user\xff");
  EXPECT_FALSE(prefix->range.excludes_start);
  EXPECT_FALSE(prefix->range.excludes_end);
  EXPECT_FALSE(prefix->sampling);
  ASSERT_TRUE(prefix->snapshot);
  EXPECT_EQ(prefix->snapshot->vbucket_uuid, 16627788222U);
  EXPECT_EQ(prefix->snapshot->seqno, 1000U);
  EXPECT_EQ(prefix->snapshot->timeout_ms, 2000U);
  EXPECT_FALSE(prefix->snapshot->seqno_exists);

  const auto sampling = parse_scan_create(R"({"sampling":{"seed":18111,"samples":512},"else":[{}]})");
  ASSERT_TRUE(sampling) << sampling.error();
  EXPECT_EQ(sampling->collection, 0U);
  EXPECT_FALSE(sampling->key_only);
  ASSERT_TRUE(sampling->sampling);
  EXPECT_EQ(sampling->sampling->seed, 18111U);
  EXPECT_EQ(sampling->sampling->samples, 512U);
  EXPECT_TRUE(sampling->range.start.empty());
  EXPECT_GT(sampling->range.end, std::string(250, '\xff'));
}

TEST(RangeScan, ReadsWhatElseThereIs) {
  const auto parsed = parse_scan_create(
      R"({"range":{"excl_start":"","excl_end":"YQ=="},"name":"mine","include_xattrs":true,"collection":"0x8",
          "snapshot_requirements":{"vb_uuid":"18446744073709551615","seqno":0,"seqno_exists":true}})");
  ASSERT_TRUE(parsed) << parsed.error();
  EXPECT_EQ(parsed->range.start, "");
  EXPECT_TRUE(parsed->range.excludes_start);
  EXPECT_EQ(parsed->range.end, "a");
  EXPECT_TRUE(parsed->range.excludes_end);
  EXPECT_EQ(parsed->name, "mine");
  EXPECT_TRUE(parsed->include_xattrs);
  EXPECT_EQ(parsed->collection, 8U);
  EXPECT_EQ(parsed->snapshot->vbucket_uuid, UINT64_MAX);
  EXPECT_TRUE(parsed->snapshot->seqno_exists);
  EXPECT_EQ(parsed->snapshot->timeout_ms, 0U);
}

TEST(RangeScan, SaysWhatIsWrong) {
  const std::string all = R"("range":{"start":"YQ==","end":"YQ=="})";
  for (const std::string_view text : {"", "[]", "7", "{", "{\"a\":1,\"a\":1}", "null"})
    EXPECT_EQ(why_not(text), "the body is not a JSON object") << text;
  EXPECT_EQ(why_not("{}"), "it needs either range or sampling");
  EXPECT_EQ(why_not("{" + all + R"(,"sampling":{"samples":1}})"), "it needs either range or sampling");
  EXPECT_EQ(why_not(R"({"range":[]})"), "range is not an object");
  EXPECT_EQ(why_not(R"({"range":{"start":"YQ=="}})"), "the range needs a start and an end");
  EXPECT_EQ(why_not(R"({"range":{"start":"YQ==","excl_start":"YQ==","end":"YQ=="}})"),
            "the range has an end twice");
  const std::string long_key = "\"" + std::string(336, 'Y') + "\"";  // 252 bytes
  for (const std::string& key : {std::string("7"), std::string("\"Y\""), std::string("\"YQ=\""),
                                 std::string("\"****\""), std::string("null"), long_key})
    EXPECT_EQ(why_not(R"({"range":{"start":"YQ==","end":)" + key + "}}"),
              "a key of the range is not base64 of at most 250 bytes")
        << key;
  for (const char* const collection : {"7", "\"\"", "\"x\"", "\"-1\"", "\"100000000\"", "\"8 \""})
    EXPECT_EQ(why_not("{" + all + R"(,"collection":)" + collection + "}"),
              "collection is not a hexadecimal number of 32 bits")
        << collection;
  EXPECT_EQ(why_not("{" + all + R"(,"key_only":1})"), "key_only is not true or false");
  EXPECT_EQ(why_not("{" + all + R"(,"name":")" + std::string(51, 'n') + "\"}"),
            "name has more than 50 bytes");
  EXPECT_EQ(why_not(R"({"sampling":{}})"), "sampling needs samples, at least 1");
  EXPECT_EQ(why_not(R"({"sampling":{"samples":0}})"), "sampling needs samples, at least 1");
  EXPECT_EQ(why_not(R"({"sampling":{"samples":-1}})"), "samples is not a number");
  EXPECT_EQ(why_not(R"({"sampling":{"samples":1,"seed":1.5}})"), "seed is not a number");
  const auto snapshot = [&](const std::string& members) {
    return why_not("{" + all + R"(,"snapshot_requirements":{)" + members + "}}");
  };
  EXPECT_EQ(snapshot(R"("seqno":1)"), "snapshot_requirements needs vb_uuid");
  EXPECT_EQ(snapshot(R"("vb_uuid":1,"seqno":1)"), "vb_uuid is not a string");
  EXPECT_EQ(snapshot(R"("vb_uuid":"1x","seqno":1)"), "vb_uuid is not a decimal number");
  EXPECT_EQ(snapshot(R"("vb_uuid":"18446744073709551616","seqno":1)"), "vb_uuid is not a decimal number");
  EXPECT_EQ(snapshot(R"("vb_uuid":"1")"), "snapshot_requirements needs seqno");
  EXPECT_EQ(snapshot(R"("vb_uuid":"1","seqno":"1")"), "seqno is not a number");
  EXPECT_EQ(snapshot(R"("vb_uuid":"1","seqno":1,"timeout_ms":true)"), "timeout_ms is not a number");
}

TEST(RangeScan, ReadsTheLimitsOfAContinue) {
  std::string extras = "0123456789abcdef";
  for (const uint32_t number : {1U, 2U, 0xfffffffeU}) {
    char bytes[4];
    store_big_endian(bytes, number);
    extras.append(bytes, 4);
  }
  const ScanContinue read = read_scan_continue(extras);
  EXPECT_EQ(std::string_view(read.id.data(), 16), "0123456789abcdef");
  EXPECT_EQ(read.items, 1U);
  EXPECT_EQ(read.time_ms, 2U);
  EXPECT_EQ(read.bytes, 0xfffffffeU);
}

const BinaryHeader kRequest{.opcode = 0xdb, .opaque = 0x01020304};

// docs/range_scans/range_scan_continue.md, "Response Value Encoding".
TEST(RangeScan, WritesKeysAsDocumented) {
  ScanFrame frame(ScanFrame::Content::keys);
  const std::string long_key(128, '2');
  frame.add_key("key0");
  frame.add_key("key11");
  frame.add_key(long_key);
  EXPECT_EQ(frame.bytes(), 141U);
  const std::string_view bytes = frame.finish(kRequest, BinaryStatus::range_scan_more, {});
  const std::string head("\x81\xdb\0\0\4\0\0\xa6\0\0\0\x91\1\2\3\4\0\0\0\0\0\0\0\0\0\0\0\0", 28);
  EXPECT_EQ(bytes, head + "\4key0\5key11\x80\1" + long_key);
}

TEST(RangeScan, WritesDocumentsAsDocumentedWithTheTimeInFront) {
  ScanFrame frame(ScanFrame::Content::documents);
  frame.add_document({1, 2, 3, 4, 5, "key0", "value0"});
  EXPECT_EQ(frame.bytes(), 37U);
  const std::string_view bytes = frame.finish(kRequest, BinaryStatus::success, std::string_view("\2\0\7", 3));
  const std::string head("\x18\xdb\3\0\4\0\0\0\0\0\0\x2c\1\2\3\4\0\0\0\0\0\0\0\0\2\0\7\0\0\0\1", 31);
  const std::string item("\0\0\0\1\0\0\0\2\0\0\0\0\0\0\0\3\0\0\0\0\0\0\0\4\5\4key0\6value0", 37);
  EXPECT_EQ(bytes, head + item);
}

TEST(RangeScan, ItemsReadBack) {
  ScanFrame frame(ScanFrame::Content::documents);
  const std::string large(100'000, 'v');
  const std::vector<ScanItem> items{{1, 2, 3, 4, 0, "a", ""},
                                    {5, 6, 7, 8, 4, std::string_view("\0", 1), large},
                                    {0, 0, 9, 9, 1, "c", "{}"}};
  for (int round = 0; round < 2; ++round) {
    for (const ScanItem& item : items)
      frame.add_document(item);
    std::string_view rest = frame.finish(kRequest, BinaryStatus::success, {}).substr(28);
    for (const ScanItem& item : items) {
      const auto read = take_scan_item(rest, ScanFrame::Content::documents);
      ASSERT_TRUE(read);
      EXPECT_EQ(read->key, item.key);
      EXPECT_EQ(read->value, item.value);
      EXPECT_EQ(read->seqno, item.seqno);
      EXPECT_EQ(read->cas, item.cas);
      EXPECT_EQ(read->flags, item.flags);
      EXPECT_EQ(read->expiry, item.expiry);
      EXPECT_EQ(read->datatype, item.datatype);
    }
    EXPECT_FALSE(take_scan_item(rest, ScanFrame::Content::documents));
    EXPECT_TRUE(rest.empty());
    EXPECT_FALSE(frame.take().empty());
    EXPECT_EQ(frame.bytes(), 0U);
  }
}

TEST(RangeScan, DamagedItemsAreNone) {
  for (const std::string_view bytes :
       {std::string_view("\5ab", 3), std::string_view("\x80", 1), std::string_view()}) {
    std::string_view rest = bytes;
    EXPECT_FALSE(take_scan_item(rest, ScanFrame::Content::keys));
    EXPECT_EQ(rest, bytes);
  }
  std::string_view cut("\0\0\0\1\0\0\0\2\0\0\0\0\0\0\0\3\0\0\0\0\0\0\0\4\5\4key0\6value", 36);
  EXPECT_FALSE(take_scan_item(cut, ScanFrame::Content::documents));
}

}  // namespace
}  // namespace bobbin::wire
