#include "store/key_hash.h"

#include <gtest/gtest.h>

#include <string>

namespace bobbin::store {
namespace {

uint32_t crc32_bit_by_bit(std::string_view bytes) {
  uint32_t crc = 0xffffffffU;
  for (const char c : bytes) {
    crc ^= static_cast<uint8_t>(c);
    for (int bit = 0; bit < 8; ++bit)
      crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xedb88320U : 0U);
  }
  return ~crc;
}

TEST(KeyHash, Crc32HasTheStandardCheckValue) {
  EXPECT_EQ(crc32("123456789"), 0xcbf43926U);
}

TEST(KeyHash, Crc32OfEveryLengthEqualsTheDefinition) {
  std::string key;
  for (int length = 1; length <= 250; ++length) {
    key.push_back(static_cast<char>(length * 37));
    ASSERT_EQ(crc32(key), crc32_bit_by_bit(key)) << "length " << length;
  }
}

TEST(KeyHash, TheVBucketIsTheUpperHalfOfTheCrc) {
  // crc32("123456789") = cbf43926: its upper half without the first bit is 4bf4.
  EXPECT_EQ(vbucket_of_key("123456789", 1024), 0x4bf4U & 1023U);
  EXPECT_EQ(vbucket_of_key("123456789", 64), 0x4bf4U & 63U);
  EXPECT_EQ(vbucket_of_key("123456789", 1), 0U);
}

}  // namespace
}  // namespace bobbin::store
