#include "wire/meta.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

namespace bobbin::wire {
namespace {

using namespace meta_shapes;  // NOLINT(google-build-using-namespace): the table's own names

class MetaTest : public testing::Test {
 protected:
  MetaStatus parse(const MetaShape& shape, std::string_view arguments) {
    line_ = arguments;
    return parse_meta(shape, line_, key_buffer_, request_);
  }

  std::string reply(const MetaShape& shape, MetaCode code, const MetaItem& item = {}) {
    std::array<char, kMaxMetaReplyBytes> out{};
    return {out.data(), write_meta_reply(out.data(), shape, code, request_, item)};
  }

  std::string line_;
  MetaKeyBuffer key_buffer_{};
  MetaRequest request_;
};

TEST_F(MetaTest, ReadsTheTokensOfAllFlags) {
  ASSERT_EQ(parse(kSet, "k 5 F7 T30 C9 E11 N12 I MA Oabc q"), MetaStatus::ok);
  EXPECT_EQ(request_.key, "k");
  EXPECT_EQ(request_.value_bytes, 5U);
  EXPECT_EQ(request_.client_flags, 7U);
  EXPECT_EQ(request_.ttl, 30);
  EXPECT_EQ(request_.compare_cas, 9U);
  EXPECT_EQ(request_.new_cas, 11U);
  EXPECT_EQ(request_.vivify_ttl, 12);
  EXPECT_EQ(request_.mode, MetaMode::append);
  EXPECT_EQ(request_.opaque, "abc");
  EXPECT_TRUE(request_.has('I'));
  EXPECT_TRUE(request_.quiet());

  ASSERT_EQ(parse(kArithmetic, "k D18446744073709551615 J5 MD"), MetaStatus::ok);
  EXPECT_EQ(request_.delta, UINT64_MAX);
  EXPECT_EQ(request_.initial, 5U);
  EXPECT_EQ(request_.mode, MetaMode::decrement);
  ASSERT_EQ(parse(kGet, "k R30"), MetaStatus::ok);
  EXPECT_EQ(request_.recache_ttl, 30);
}

TEST_F(MetaTest, DefaultsAreThoseOfTheDocument) {
  ASSERT_EQ(parse(kArithmetic, "k"), MetaStatus::ok);
  EXPECT_EQ(request_.delta, 1U);
  EXPECT_EQ(request_.initial, 0U);
  EXPECT_EQ(request_.mode, MetaMode::increment);
  ASSERT_EQ(parse(kSet, "k 1"), MetaStatus::ok);
  EXPECT_EQ(request_.mode, MetaMode::set);
}

TEST_F(MetaTest, KeepsTheOrderOfTheFlags) {
  ASSERT_EQ(parse(kGet, "key t O7 s k c f h l v"), MetaStatus::ok);
  const MetaItem item{
      .client_flags = 4, .value_bytes = 3, .cas = 9, .ttl_s = -1, .last_access_s = 6, .hit_before = true};
  EXPECT_EQ(reply(kGet, MetaCode::value, item), "VA 3 t-1 O7 s3 kkey c9 f4 h1 l6\r\n");
  EXPECT_EQ(reply(kGet, MetaCode::miss), "EN O7 kkey\r\n");
}

TEST_F(MetaTest, TellsOfRecachingInMemcachedsOrder) {
  ASSERT_EQ(parse(kGet, "k v"), MetaStatus::ok);
  EXPECT_EQ(reply(kGet, MetaCode::value, {.won = true, .stale = true}), "VA 0 X W\r\n");
  EXPECT_EQ(reply(kGet, MetaCode::value, {.stale = true, .win_sent = true}), "VA 0 Z X\r\n");
  EXPECT_EQ(reply(kGet, MetaCode::value, {.won = true}), "VA 0 W\r\n");
  EXPECT_EQ(reply(kGet, MetaCode::miss, {.won = true}), "EN\r\n");
}

TEST_F(MetaTest, DecodesABase64KeyAndEchoesItEncoded) {
  ASSERT_EQ(parse(kGet, "YSBi b k O1"), MetaStatus::ok);
  EXPECT_EQ(request_.key, "a b");
  EXPECT_EQ(reply(kGet, MetaCode::header), "HD kYSBi b O1\r\n");
}

TEST_F(MetaTest, ABase64KeyMayHave250BytesDecoded) {
  const auto encoded = [](size_t bytes) {
    std::string out(base64_chars(bytes), '\0');
    encode_base64(std::string(bytes, '\xff'), out.data());
    return out;
  };
  ASSERT_EQ(parse(kGet, encoded(250) + " b k"), MetaStatus::ok);
  EXPECT_EQ(request_.key, std::string(250, '\xff'));
  EXPECT_EQ(parse(kGet, encoded(251) + " b"), MetaStatus::bad_format);
  EXPECT_EQ(parse(kGet, encoded(252) + " b"), MetaStatus::bad_format);
  EXPECT_EQ(parse(kGet, encoded(253) + " b"), MetaStatus::bad_format);
  EXPECT_EQ(parse(kGet, encoded(250)), MetaStatus::bad_format);
}

TEST_F(MetaTest, SwallowsTheValueOfAMalformedSetUnlessKeyOrLengthAreWrong) {
  EXPECT_EQ(parse(kSet, "k 5 !"), MetaStatus::invalid_flag);
  EXPECT_TRUE(request_.swallow_value);
  EXPECT_EQ(request_.value_bytes, 5U);
  EXPECT_EQ(parse(kSet, "k 5 b"), MetaStatus::bad_key_encoding);
  EXPECT_TRUE(request_.swallow_value);
  EXPECT_EQ(parse(kSet, "k x"), MetaStatus::bad_format);
  EXPECT_FALSE(request_.swallow_value);
  EXPECT_EQ(parse(kSet, std::string(251, 'k') + " 5 !"), MetaStatus::bad_format);
  EXPECT_FALSE(request_.swallow_value);
  EXPECT_EQ(parse(kGet, "k !"), MetaStatus::invalid_flag);
  EXPECT_FALSE(request_.swallow_value);
  EXPECT_EQ(parse(kSet, "k 5"), MetaStatus::ok);
  EXPECT_FALSE(request_.swallow_value);
}

TEST_F(MetaTest, TakesSeventeenWordsBehindTheKeyAndNoMore) {
  const std::string seventeen = "k s v f c t k h l q u I O1 T5 N5 R5 C1 F1";
  EXPECT_EQ(parse(kGet, seventeen), MetaStatus::ok);
  EXPECT_EQ(request_.flag_count, kMaxMetaFlags);
  EXPECT_EQ(parse(kGet, seventeen + " D1"), MetaStatus::too_many_flags);
  EXPECT_EQ(parse(kSet, "k 1 s v f c t k h l q u I O1 T5 N5 R5 C1"), MetaStatus::ok);
  EXPECT_EQ(parse(kSet, "k 1 s v f c t k h l q u I O1 T5 N5 R5 C1 F1"), MetaStatus::too_many_flags);
  EXPECT_FALSE(request_.swallow_value);
}

TEST_F(MetaTest, EveryByteIsEitherAKnownFlagOrRefused) {
  const std::string_view known = "bcfhklqstuvxCDEFIJLMNOPRT";
  for (int byte = 0; byte < 256; ++byte) {
    const char letter = static_cast<char>(byte);
    if (letter == ' ') continue;
    const bool is_known = known.find(letter) != std::string_view::npos;
    // "1" suits every token; b needs a key that decodes.
    const MetaStatus status = parse(kGet, std::string("YSBi ") + letter + "1");
    EXPECT_EQ(status, is_known ? MetaStatus::ok : MetaStatus::invalid_flag) << byte;
  }
}

TEST_F(MetaTest, TheLongestReplyFits) {
  std::string key(kMaxEncodedKeyBytes, 'A');
  key[334] = key[335] = '=';
  ASSERT_EQ(parse(kGet, key + " b k O" + std::string(kMaxOpaqueBytes, 'o') + " c f h l s t v"),
            MetaStatus::ok);
  const MetaItem item{.client_flags = UINT32_MAX,
                      .value_bytes = UINT32_MAX,
                      .cas = UINT64_MAX,
                      .ttl_s = INT64_MIN,
                      .last_access_s = UINT64_MAX,
                      .hit_before = true,
                      .won = true,
                      .stale = true,
                      .win_sent = true};
  EXPECT_LE(reply(kGet, MetaCode::value, item).size(), kMaxMetaReplyBytes);
  std::array<char, kMaxMetaReplyBytes> out{};
  EXPECT_LE(write_meta_debug(out.data(), request_,
                             {.ttl_s = INT64_MIN,
                              .last_access_s = UINT64_MAX,
                              .cas = UINT64_MAX,
                              .fetched = true,
                              .size_class = UINT32_MAX,
                              .item_bytes = UINT64_MAX}),
            out.size());
}

TEST_F(MetaTest, DebugTellsAboutAnItem) {
  ASSERT_EQ(parse(kDebug, "YSBi b"), MetaStatus::ok);
  EXPECT_EQ(request_.key, "a b");
  std::array<char, kMaxMetaReplyBytes> out{};
  const size_t size = write_meta_debug(
      out.data(), request_,
      {.ttl_s = -1, .last_access_s = 2, .cas = 80, .fetched = false, .size_class = 1, .item_bytes = 61});
  EXPECT_EQ(std::string_view(out.data(), size), "ME YSBi exp=-1 la=2 cas=80 fetch=no cls=1 size=61\r\n");
}

TEST(QuietHides, MissesOfGetAndSuccessesOfTheOthers) {
  const MetaCode all[] = {MetaCode::value,      MetaCode::header, MetaCode::miss,
                          MetaCode::not_stored, MetaCode::exists, MetaCode::not_found};
  for (const MetaCode code : all) {
    const bool success = code == MetaCode::value || code == MetaCode::header;
    EXPECT_EQ(quiet_hides(MetaCommand::get, code), code == MetaCode::miss);
    EXPECT_EQ(quiet_hides(MetaCommand::set, code), success);
    EXPECT_EQ(quiet_hides(MetaCommand::remove, code), success);
    EXPECT_EQ(quiet_hides(MetaCommand::arithmetic, code), success);
    EXPECT_FALSE(quiet_hides(MetaCommand::debug, code));
  }
}

}  // namespace
}  // namespace bobbin::wire
