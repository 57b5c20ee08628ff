#include "wire/dcp_filter.h"

#include <gtest/gtest.h>

#include <string>

namespace bobbin::wire {
namespace {

TEST(DcpFilter, ReadsWhatIsDocumented) {
  const auto filter =
      read_dcp_filter(R"({"uid":"b4","sid":71,"collections":["a","1e"],"purge_seqno":"1000"})");
  ASSERT_TRUE(filter);
  EXPECT_EQ(filter->manifest_uid, 0xb4U);
  EXPECT_EQ(filter->stream_id, 71);
  EXPECT_EQ(filter->collections, (std::vector<uint32_t>{0xa, 0x1e}));
  EXPECT_EQ(filter->purge_seqno, 1000U);
  EXPECT_FALSE(filter->scope);
  EXPECT_EQ(read_dcp_filter(R"({"scope":"9"})")->scope, 9U);
}

TEST(DcpFilter, OfNothingShowsEverything) {
  EXPECT_EQ(read_dcp_filter({}), DcpFilter{});
  EXPECT_EQ(read_dcp_filter("{}"), DcpFilter{});
  EXPECT_EQ(read_dcp_filter(R"({"cts":{"free_memory":1},"later":[1]})"), DcpFilter{});
}

TEST(DcpFilter, RefusesOtherShapes) {
  for (const char* text : {"[]",
                           "7",
                           "{",
                           R"({"uid":7})",
                           R"({"uid":"0xb4"})",
                           R"({"uid":""})",
                           R"({"uid":"-1"})",
                           R"({"uid":"10000000000000000"})",
                           R"({"sid":"7"})",
                           R"({"sid":0})",
                           R"({"sid":65536})",
                           R"({"sid":1.5})",
                           R"({"collections":"a"})",
                           R"({"collections":[10]})",
                           R"({"collections":["a "]})",
                           R"({"collections":["100000000"]})",
                           R"({"scope":9})",
                           R"({"scope":"9","collections":["a"]})",
                           R"({"purge_seqno":7})",
                           R"({"purge_seqno":"7f"})"})
    EXPECT_FALSE(read_dcp_filter(text)) << text;
  EXPECT_FALSE(read_dcp_filter("{\"later\":\"" + std::string(kMaxDcpFilterBytes, 'x') + "\"}"));
}

TEST(DcpFilter, WritesWhatItReads) {
  EXPECT_EQ(dcp_filter_text({}), "");
  const std::string text =
      R"({"uid":"b4","sid":71,"collections":["0","ffffffff"],"purge_seqno":"18446744073709551615"})";
  EXPECT_EQ(dcp_filter_text(*read_dcp_filter(text)), text);
  EXPECT_EQ(dcp_filter_text({.scope = 0x8a}), R"({"scope":"8a"})");
  EXPECT_EQ(dcp_filter_text(*read_dcp_filter(R"({"collections":[]})")), R"({"collections":[]})");
}

}  // namespace
}  // namespace bobbin::wire
