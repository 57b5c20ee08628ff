#include "store/doc_key.h"

#include <gtest/gtest.h>

#include <random>
#include <utility>
#include <vector>

namespace bobbin::store {
namespace {

TEST(DocKey, OfAPlainTextIsTheDefaultCollections) {
  const DocKey key = "name";
  EXPECT_EQ(key.collection(), kDefaultCollection);
  EXPECT_EQ(key.name(), "name");
  EXPECT_EQ(key.stored(), std::string("\0name", 5));
  EXPECT_NE(key, DocKey(8, "name"));
}

// The table of docs/Collections.md of couchbase/kv_engine.
TEST(DocKey, CollectionsAreWrittenAsCouchbaseDoes) {
  const std::vector<std::pair<CollectionId, std::string>> known = {{0x00, std::string(1, '\0')},
                                                                   {0x01, "\x01"},
                                                                   {0x7f, "\x7f"},
                                                                   {0x80, "\x80\x01"},
                                                                   {0x555, "\xd5\x0a"},
                                                                   {0x7fff, "\xff\xff\x01"},
                                                                   {0xbfff, "\xff\xff\x02"},
                                                                   {0xffff, "\xff\xff\x03"},
                                                                   {0x8000, "\x80\x80\x02"},
                                                                   {0x5555, "\xd5\xaa\x01"},
                                                                   {0xcafef00, "\x80\xde\xbf\x65"},
                                                                   {0xcafef00d, "\x8d\xe0\xfb\xd7\x0c"},
                                                                   {0xffffffff, "\xff\xff\xff\xff\x0f"}};
  for (const auto& [id, bytes] : known) {
    EXPECT_EQ(CollectionPrefix(id).bytes(), bytes) << id;
    EXPECT_EQ(DocKey(id, "k").stored(), bytes + "k") << id;
    EXPECT_EQ(DocKey(id, "k").stored_size(), bytes.size() + 1) << id;
    const std::string stored = bytes + "k";
    const auto parsed = DocKey::parse(stored);
    ASSERT_TRUE(parsed) << id;
    EXPECT_EQ(*parsed, DocKey(id, "k"));
  }
}

TEST(DocKey, WhatIsNoStoredKeyIsRefused) {
  using namespace std::string_literals;
  const std::vector<std::pair<std::string, const char*>> wrong = {
      {"", "nothing"},
      {"\0"s, "no name"},
      {"\x88"s, "a prefix that is cut off"},
      {"\x88\x01"s, "a longer one without a name"},
      {"\x81\x00k"s, "1 in two bytes"},
      {"\x81\x80\x80\x80\x00k"s, "1 in five bytes"},
      {"\x80\x80\x80\x80\x80\x00k"s, "0 in six bytes"},
      {"\xff\xff\xff\xff\x1fk"s, "33 bits"},
      {"\xff\xff\xff\xff\xff"s, "no end of the prefix"},
      {std::string(kMaxStoredKeyBytes + 1, '\0'), "too long"}};
  for (const auto& [bytes, why] : wrong)
    EXPECT_FALSE(DocKey::parse(bytes)) << why;
  EXPECT_TRUE(DocKey::parse(std::string(kMaxStoredKeyBytes, '\0')));
}

TEST(DocKey, WhatIsAcceptedIsWhatWouldBeWritten) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes(random() % 9, '\0');
    for (char& byte : bytes)
      byte = static_cast<char>(random() % 2 == 0 ? random() : 0x80 | random() % 3);
    if (const auto key = DocKey::parse(bytes)) {
      EXPECT_EQ(key->stored(), bytes);
      EXPECT_TRUE(key->is_valid());
    }
  }
}

TEST(DocKey, NamesAreShorterWhereTheCollectionTakesMore) {
  for (const auto& [id, longest] :
       std::vector<std::pair<CollectionId, size_t>>{{0, 250}, {8, 250}, {128, 249}, {0xffffffff, 246}}) {
    EXPECT_FALSE(DocKey(id, "").is_valid());
    EXPECT_TRUE(DocKey(id, std::string(longest, 'n')).is_valid()) << id;
    EXPECT_FALSE(DocKey(id, std::string(longest + 1, 'n')).is_valid()) << id;
  }
}

}  // namespace
}  // namespace bobbin::store
