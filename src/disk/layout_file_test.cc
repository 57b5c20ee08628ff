#include "disk/layout_file.h"

#include <gtest/gtest.h>

namespace bobbin::disk {
namespace {

const Layout kLayout{kDirectoryFormat, "0123456789abcdef0123456789abcdef", 2, 1024, true};

TEST(LayoutFile, ComesBackAsItWas) {
  EXPECT_EQ(*decode_layout(encode_layout(kLayout), "layout"), kLayout);
}

TEST(LayoutFile, EveryFlippedBitIsNoticed) {
  const std::string text = encode_layout(kLayout);
  for (size_t bit = 0; bit < text.size() * 8; ++bit) {
    std::string flipped = text;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ 1 << bit % 8);
    const auto layout = decode_layout(flipped, "DIR/layout");
    ASSERT_FALSE(layout) << bit;
    EXPECT_NE(layout.error().message.find("DIR/layout"), std::string::npos);
  }
}

TEST(LayoutFile, EveryTruncationIsNoticed) {
  const std::string text = encode_layout(kLayout);
  for (size_t length = 0; length < text.size(); ++length)
    EXPECT_FALSE(decode_layout(text.substr(0, length), "layout")) << length;
}

TEST(LayoutFile, ANewerFormatIsNamedWhateverFollows) {
  const auto newer = decode_layout(
      "bobbin data directory\nformat " + std::to_string(kDirectoryFormat + 1) + "\nsomething else\n",
      "layout");
  ASSERT_FALSE(newer);
  EXPECT_EQ(newer.error().kind, ErrorKind::other_version);
}

// Its documents would be read as those of collections that nobody made.
TEST(LayoutFile, AnOlderFormatIsRefused) {
  Layout old = kLayout;
  old.format = 1;
  const auto older = decode_layout(encode_layout(old), "DIR/layout");
  ASSERT_FALSE(older);
  EXPECT_EQ(older.error().kind, ErrorKind::other_version);
  EXPECT_NE(older.error().message.find("DIR/layout: written by a Bobbin from before the first release"),
            std::string::npos)
      << older.error().message;
}

TEST(LayoutFile, ACleanEndComesBackAndDamageMakesItUnclean) {
  const std::vector<uint64_t> sequences = {5, 3, 1ULL << 60};
  const std::string text = encode_clean_end(sequences);
  EXPECT_EQ(decode_clean_end(text), sequences);
  for (size_t length = 0; length < text.size(); ++length)
    EXPECT_FALSE(decode_clean_end(text.substr(0, length))) << length;
  for (size_t i = 0; i < text.size(); ++i) {
    std::string flipped = text;
    flipped[i] = static_cast<char>(flipped[i] ^ 4);
    EXPECT_FALSE(decode_clean_end(flipped)) << i;
  }
}

}  // namespace
}  // namespace bobbin::disk
