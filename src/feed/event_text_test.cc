#include "feed/event_text.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

namespace bobbin::feed {
namespace {

using wire::DcpRoute;

template <typename Write>
std::string message_of(Write write, std::string_view key = {}, std::string_view value = {}) {
  std::array<char, wire::kMaxDcpHeadBytes> head;
  return std::string(head.data(), write(head.data())).append(key).append(value);
}

std::string marker(uint16_t vbucket, uint64_t end) {
  return message_of([&](char* out) {
    return wire::write_dcp_snapshot_marker(out, {.vbucket = vbucket}, {.start_seqno = 1, .end_seqno = end});
  });
}

std::string mutation(uint16_t vbucket, uint64_t seqno, std::string_view name) {
  const std::string key = std::string(1, '\0').append(name);
  return message_of(
      [&](char* out) {
        return wire::write_dcp_mutation(out, {.vbucket = vbucket},
                                        {.seqno = seqno, .key = {.wire = key}, .value = "value"});
      },
      key, "value");
}

std::string noop() {
  return message_of([](char* out) { return wire::write_dcp_noop(out, 1); });
}

class EventTextTest : public testing::Test {
 protected:
  std::string written(EventText& text, const std::string& message) {
    std::string out;
    text.write(message, out);
    return out;
  }
  EventText::Options options_{.is_chunked = false, .id_interval = std::chrono::hours(1)};
};

TEST(EventMarks, AreReadAsTheyWereWritten) {
  const std::vector<EventMark> marks{{}, {.seqno = 1, .branch = 0xfeed}, {.seqno = UINT64_MAX, .branch = 1}};
  EXPECT_EQ(decode_marks(encode_marks(marks), 3), marks);
  EXPECT_FALSE(decode_marks(encode_marks(marks), 2));
  EXPECT_FALSE(decode_marks(encode_marks(marks), 4));
  for (const char* id : {"", "x", "AAAA", "AQ==", "AQEB", "Af////////////8BAAAA"})
    EXPECT_FALSE(decode_marks(id, 1)) << id;
}

TEST_F(EventTextTest, ChangesAreData) {
  EventText text({}, options_, {{}, {}});
  EXPECT_NE(written(text, mutation(1, 1, "key")).find("id: "), std::string::npos);
  EXPECT_EQ(written(text, mutation(1, 1, "key")).find("id: "), std::string::npos)
      << "only the first message has an id within an interval";
  const std::string event = written(text, mutation(1, 2, "key"));
  EXPECT_TRUE(event.starts_with(R"(data: {"event":"set",)")) << event;
  EXPECT_NE(event.find(R"("key":"key","vbucket":1,"seqno":2,)"), event.npos) << event;
  EXPECT_TRUE(event.ends_with("\"value\":\"value\"}\n\n")) << event;
}

TEST_F(EventTextTest, KeysThatBeginOtherwiseAreNotShown) {
  options_.prefix = "user:";
  EventText text({}, options_, {{}});
  written(text, noop());
  EXPECT_EQ(written(text, mutation(0, 1, "key")), "");
  EXPECT_NE(written(text, mutation(0, 2, "user:1")), "");
}

TEST_F(EventTextTest, AnIdCoversWholeSnapshots) {
  EventText text({}, options_, {{.newest_branch = 7}, {}});
  EXPECT_TRUE(written(text, noop()).starts_with("id: "));
  EXPECT_EQ(written(text, noop()), ":\n\n");
  written(text, marker(0, 5));
  written(text, mutation(0, 3, "key"));
  EXPECT_EQ(written(text, noop()), ":\n\n");
  written(text, mutation(0, 5, "key"));
  EXPECT_EQ(written(text, noop()), "id: " + encode_marks({{5, 7}, {}}) + "\n\n");
}

TEST_F(EventTextTest, AnIdNamesTheBranchThatItCountsIn) {
  EventText text({}, options_, {{.mark = {2, 1}, .newest_start = 10, .newest_branch = 2}});
  written(text, noop());
  written(text, mutation(0, 9, "key"));
  EXPECT_EQ(written(text, noop()), "id: " + encode_marks({{9, 1}}) + "\n\n");
  written(text, mutation(0, 10, "key"));
  EXPECT_EQ(written(text, noop()), "id: " + encode_marks({{10, 2}}) + "\n\n");
  std::string out;
  text.roll_back(0, 4, out);
  EXPECT_EQ(out, "event: rollback\ndata: {\"event\":\"rollback\",\"vbucket\":0,\"seqno\":4}\n\n");
}

TEST_F(EventTextTest, AnEndIsToldOnce) {
  EventText text({}, options_, {{}, {}});
  written(text, noop());
  const auto end = [&](uint16_t vbucket) {
    return written(text, message_of([&](char* out) {
                     return wire::write_dcp_stream_end(out, {.vbucket = vbucket}, wire::DcpEnd::filter_empty);
                   }));
  };
  EXPECT_EQ(end(0), "event: end\ndata: {\"reason\":7}\n\n");
  EXPECT_EQ(end(1), "");
  EXPECT_FALSE(text.is_cut());
}

TEST_F(EventTextTest, EachEventIsAChunk) {
  options_.is_chunked = true;
  EventText text({}, options_, {});
  std::string out;
  text.write_event("x", "{}", out);
  EXPECT_EQ(out, "13\r\nevent: x\ndata: {}\n\n\r\n");
}

TEST_F(EventTextTest, WhatIsNoMessageIsPassedOver) {
  EventText text({}, options_, {{}});
  EXPECT_EQ(written(text, "no message"), "");
  EXPECT_EQ(written(text, mutation(7, 1, "key")), "");
}

}  // namespace
}  // namespace bobbin::feed
