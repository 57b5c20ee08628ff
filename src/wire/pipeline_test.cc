#include "wire/pipeline.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace bobbin::wire {
namespace {

using namespace std::string_literals;

/// "key:bytes", or nothing.
std::string told(const std::optional<Upcoming>& found) {
  return found ? std::string(found->key) + ':' + std::to_string(found->bytes) : "";
}
std::string text(std::string_view unread) {
  return told(upcoming_text(unread));
}
std::string binary(std::string_view unread) {
  return told(upcoming_binary(unread));
}
/// A frame: magic, what stands in for the key's length, extras and the body's length.
std::string frame(char magic, const std::string& key_bytes, char extras, uint32_t body,
                  const std::string& rest) {
  std::string bytes = magic + "\0"s + key_bytes + extras + "\0\0\0"s + std::string(4, '\0');
  store_big_endian(bytes.data() + 8, body);
  return bytes + std::string(12, '\0') + rest;
}

TEST(Pipeline, TextRequestsThatNameAKey) {
  EXPECT_EQ(text("get k\r\nget l\r\n"), "k:7");
  EXPECT_EQ(text("get k l m\n"), "k:10");
  EXPECT_EQ(text("gets key\r\n"), "key:10");
  EXPECT_EQ(text("set key 0 0 5\r\nhello\r\n"), "key:22");
  EXPECT_EQ(text("set key 0 0 5 noreply\r\n"), "key:30") << "the value may be still to come";
  EXPECT_EQ(text("cas key 0 0 5 77\r\n"), "key:25");
  EXPECT_EQ(text("ms key 5 T0\r\nhello\r\n"), "key:20");
  EXPECT_EQ(text("mg key v\r\n"), "key:10");
  EXPECT_EQ(text("delete key\r\n"), "key:12");
  EXPECT_EQ(text("set key 0 0 4294967295\r\n"), "key:4294967321");
}

TEST(Pipeline, NothingElseOfText) {
  for (const char* line :
       {"", "\n", "\r\n", "version\r\n", "mn\r\n", "get k", "get \r\n", " get k\r\n", "get  k\r\n",
        "stats items\r\n", "watch fetchers\r\n", "me k\r\n", "set k\r\n", "set k 0 0\r\n", "set k 0 0 -1\r\n",
        "set k 0 0 4294967296\r\n", "ms k\r\n", "ms k x\r\n"})
    EXPECT_EQ(text(line), "") << line;
  EXPECT_EQ(text("get " + std::string(250, 'k') + "\r\n"), std::string(250, 'k') + ":256");
  EXPECT_EQ(text("get " + std::string(251, 'k') + "\r\n"), "");
  EXPECT_EQ(text("get k" + std::string(1000, ' ') + "\r\n"), "");
}

TEST(Pipeline, FramesThatNameAKey) {
  EXPECT_EQ(binary(frame('\x80', "\0\3"s, '\0', 3, "key")), "key:27");
  EXPECT_EQ(binary(frame('\x80', "\0\3"s, '\4', 12, "flagskey")), "ske:36") << "four bytes of extras";
  EXPECT_EQ(binary(frame('\x80', "\0\3"s, '\4', 1000, "1234key")), "key:1024");
  EXPECT_EQ(binary(frame('\x08', "\2\3"s, '\4', 9, "ff1234key")), "key:33");
  EXPECT_EQ(binary(frame('\x80', "\0\3"s, '\0', 0xffffffff, "key")), "key:4294967319");
}

TEST(Pipeline, NothingElseOfFrames) {
  EXPECT_EQ(binary(""), "");
  EXPECT_EQ(binary(frame('\x80', "\0\0"s, '\0', 0, "")), "") << "no key";
  EXPECT_EQ(binary(frame('\x80', "\1\0"s, '\0', 256, std::string(256, 'k'))), "") << "too long";
  const std::string whole = frame('\x08', "\2\3"s, '\4', 9, "ff1234key");
  for (size_t size = 0; size < whole.size(); ++size)
    EXPECT_EQ(binary(whole.substr(0, size)), "") << size;
}

}  // namespace
}  // namespace bobbin::wire
