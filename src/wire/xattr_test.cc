#include "wire/xattr.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>
#include <vector>

namespace bobbin::wire {
namespace {

std::string length(uint32_t bytes) {
  std::string out;
  for (int shift = 24; shift >= 0; shift -= 8)
    out += static_cast<char>(bytes >> shift);
  return out;
}

std::string pair(std::string_view key, std::string_view value) {
  std::string rest = std::string(key) + '\0' + std::string(value) + '\0';
  return length(static_cast<uint32_t>(rest.size())) + rest;
}

std::string block(const std::vector<std::pair<std::string, std::string>>& pairs) {
  std::string rest;
  for (const auto& [key, value] : pairs)
    rest += pair(key, value);
  return length(static_cast<uint32_t>(rest.size())) + rest;
}

/// In memory of its own, so that a sanitizer sees a read beyond the end.
bool good(std::string_view text) {
  const std::vector<char> bytes(text.begin(), text.end());
  JsonIndex scratch;
  return check_xattrs({bytes.data(), bytes.size()}, scratch);
}

TEST(Xattr, ReadsTheExampleOfTheDocumentation) {
  const std::string_view sync = R"({"cas":"deadbeefcafefeed"})";
  const std::string_view meta = R"({"author":"Trond Norbye","content-type":"application/octet-stream"})";
  std::string value("\0\0\0\x72\0\0\0\x21", 8);
  value += "_sync" + std::string(1, '\0') + std::string(sync) + std::string("\0\0\0\0\x49", 5);
  value += "meta" + std::string(1, '\0') + std::string(meta) + std::string(1, '\0');
  value += "the body";
  const std::optional<XattrValue> parts = split_xattr_value(value);
  ASSERT_TRUE(parts);
  EXPECT_EQ(parts->body, "the body");
  EXPECT_EQ(find_xattr(parts->block, "_sync"), sync);
  EXPECT_EQ(find_xattr(parts->block, "meta"), meta);
  EXPECT_EQ(find_xattr(parts->block, "met"), std::nullopt);
  EXPECT_EQ(parts->block, block({{"_sync", std::string(sync)}, {"meta", std::string(meta)}}));
  EXPECT_TRUE(good(parts->block));
}

TEST(Xattr, SplitsOnlyWhatIsThere) {
  EXPECT_FALSE(split_xattr_value(""));
  EXPECT_FALSE(split_xattr_value(std::string_view("\0\0\0", 3)));
  EXPECT_FALSE(split_xattr_value(std::string_view("\0\0\0\1", 4)));
  EXPECT_FALSE(split_xattr_value("\xff\xff\xff\xff 1234"));
  const std::optional<XattrValue> empty = split_xattr_value(std::string_view("\0\0\0\0body", 8));
  ASSERT_TRUE(empty);
  EXPECT_EQ(empty->body, "body");
  EXPECT_TRUE(good(empty->block));
}

TEST(Xattr, RefusesLengthsThatLie) {
  const std::string sound = block({{"_sync", R"({ "foo" : "bar" })"}, {"b", "1"}});
  EXPECT_TRUE(good(sound));
  for (const size_t at : {size_t{0}, size_t{4}, sound.size() - 8}) {
    for (const int change : {-128, -2, -1, 1, 2, 64}) {
      std::string lying = sound;
      lying[at + 3] = static_cast<char>(lying[at + 3] + change);
      EXPECT_FALSE(good(lying)) << at << " " << change;
      lying = sound;
      lying[at] = '\xff';
      EXPECT_FALSE(good(lying)) << at;
    }
  }
  for (size_t size = 1; size < sound.size(); ++size)
    EXPECT_FALSE(good(sound.substr(0, size))) << size;
}

TEST(Xattr, NeedsBothZeros) {
  const std::string sound = block({{"_sync", R"({ "foo" : "bar" })"}});
  std::string broken = sound;
  broken[13] = 'a';
  EXPECT_FALSE(good(broken)) << "behind the key";
  broken = sound;
  broken.back() = 'a';
  EXPECT_FALSE(good(broken)) << "behind the value";
  EXPECT_FALSE(good(length(6) + length(2) + std::string(2, '\0'))) << "no key";
  EXPECT_FALSE(good(block({{"a", std::string("1\0001", 3)}}))) << "in the value";
}

TEST(Xattr, NeedsJsonAndDifferentKeys) {
  EXPECT_FALSE(good(block({{"a", ""}})));
  EXPECT_FALSE(good(block({{"a", "nonsense"}})));
  EXPECT_FALSE(good(block({{"a", "1,2"}})));
  EXPECT_FALSE(good(block({{"a", "1"}, {"b", "2"}, {"a", "3"}})));
  EXPECT_FALSE(good(block({{"a.b", "1"}})));
  EXPECT_FALSE(good(block({{"", "1"}})));
  std::vector<std::pair<std::string, std::string>> many;
  for (int i = 0; i < 100000; ++i)
    many.emplace_back("k" + std::to_string(i), "1");
  EXPECT_TRUE(good(block(many)));
}

TEST(Xattr, ReaderStopsForGoodWhereTheBlockIsDamaged) {
  const std::string damaged = length(15) + pair("a", "1") + length(200) + "abc";
  XattrReader reader(damaged);
  ASSERT_TRUE(reader.next());
  EXPECT_FALSE(reader.damaged());
  EXPECT_FALSE(reader.next());
  EXPECT_TRUE(reader.damaged());
  EXPECT_FALSE(reader.next());
}

TEST(Xattr, SetsReplacesAndRemovesOneKey) {
  std::string text;
  set_xattr(text, "a", "1");
  EXPECT_EQ(text, block({{"a", "1"}}));
  set_xattr(text, "_b", "[2]");
  set_xattr(text, "c", "3");
  EXPECT_EQ(text, block({{"a", "1"}, {"_b", "[2]"}, {"c", "3"}}));
  set_xattr(text, "_b", "{\"longer\":true}");
  EXPECT_EQ(text, block({{"a", "1"}, {"_b", "{\"longer\":true}"}, {"c", "3"}}));
  set_xattr(text, "a", "0");
  remove_xattr(text, "missing");
  remove_xattr(text, "_b");
  EXPECT_EQ(text, block({{"a", "0"}, {"c", "3"}}));
  remove_xattr(text, "c");
  remove_xattr(text, "a");
  EXPECT_EQ(text, "");
  remove_xattr(text, "a");
  EXPECT_EQ(text, "");
  // A block may say that it is empty.
  text = length(0);
  set_xattr(text, "a", "1");
  EXPECT_EQ(text, block({{"a", "1"}}));
}

TEST(Xattr, ADeletedDocumentKeepsItsSystemAttributes) {
  std::string text = block({{"a", "1"}, {"_b", "2"}, {"c", "3"}, {"_d", "4"}});
  remove_user_xattrs(text);
  EXPECT_EQ(text, block({{"_b", "2"}, {"_d", "4"}}));
  EXPECT_EQ(system_xattr_bytes(text), text.size());
  text = block({{"a", "1"}});
  EXPECT_EQ(system_xattr_bytes(text), 4U);
  remove_user_xattrs(text);
  EXPECT_EQ(text, "");
  EXPECT_EQ(system_xattr_bytes(text), 0U);
}

TEST(Xattr, KeysEndAtADotOrABracket) {
  EXPECT_EQ(xattr_key_bytes("mydata"), 6U);
  EXPECT_EQ(xattr_key_bytes("mydata.foobar"), 6U);
  EXPECT_EQ(xattr_key_bytes("mydata[0]"), 6U);
  EXPECT_EQ(xattr_key_bytes("_sync.a"), 5U);
  EXPECT_EQ(xattr_key_bytes("$document.exptime"), 9U);
  EXPECT_EQ(xattr_key_bytes("$XTOC"), 5U);
  EXPECT_EQ(xattr_key_bytes("123456789012345"), 15U);
  EXPECT_EQ(xattr_key_bytes("123456789012345.x"), 15U);
  EXPECT_EQ(xattr_key_bytes("\xc3\xa9t\xc3\xa9"), 5U);
}

TEST(Xattr, KnowsWhatNoKeyIs) {
  for (const std::string_view path : {"", ".", ".a", "[0]", "_", "$", "_.a", "1234567890123456",
                                      "1234567890123456.x", "\xdf", "\xef\xbf", "\xff", "a\xff", "a.\xff"})
    EXPECT_EQ(xattr_key_bytes(path), 0U) << path;
  EXPECT_EQ(xattr_key_bytes(std::string_view("a\0", 2)), 0U);
  for (int first = 0; first < 0x80; ++first) {
    const std::string key = {static_cast<char>(first), 'b'};
    const bool reserved =
        (std::ispunct(first) != 0 && first != '_' && first != '$') || std::iscntrl(first) != 0;
    EXPECT_EQ(xattr_key_bytes(key), reserved ? 0U : 2U) << first;
  }
}

TEST(Xattr, AgreesWithAMapAfterRandomChanges) {
  std::mt19937 random(20261124);
  std::map<std::string, std::string> model;
  std::string text;
  for (int round = 0; round < 5000; ++round) {
    const std::string key = (random() % 2 != 0 ? "_k" : "k") + std::to_string(random() % 6);
    if (random() % 3 == 0) {
      model.erase(key);
      remove_xattr(text, key);
    } else {
      const std::string value = "\"" + std::string(random() % 40, 'x') + "\"";
      model[key] = value;
      set_xattr(text, key, value);
    }
    if (random() % 50 == 0) {
      remove_user_xattrs(text);
      std::erase_if(model, [](const auto& pair) { return pair.first[0] != '_'; });
    }
    std::map<std::string, std::string> read;
    XattrReader reader(text);
    while (const std::optional<XattrPair> there = reader.next())
      ASSERT_TRUE(read.emplace(there->key, there->value).second);
    ASSERT_FALSE(reader.damaged());
    ASSERT_EQ(read, model);
    ASSERT_EQ(text.empty(), model.empty());
  }
}

}  // namespace
}  // namespace bobbin::wire
