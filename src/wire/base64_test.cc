#include "wire/base64.h"

#include <gtest/gtest.h>

#include <string>

namespace bobbin::wire {
namespace {

std::optional<std::string> decoded(std::string_view text) {
  std::string out(text.size() / 4 * 3, '\0');
  const std::optional<size_t> size = decode_base64(text, out.data());
  if (!size) return std::nullopt;
  out.resize(*size);
  return out;
}

std::string encoded(std::string_view bytes) {
  std::string out(base64_chars(bytes.size()), '\0');
  EXPECT_EQ(encode_base64(bytes, out.data()), out.size());
  return out;
}

TEST(Base64, AgreesWithTheVectorsOfRfc4648) {
  const std::pair<std::string_view, std::string_view> vectors[] = {
      {"f", "Zg=="},        {"fo", "Zm8="},        {"foo", "Zm9v"},
      {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, text] : vectors) {
    EXPECT_EQ(encoded(plain), text);
    EXPECT_EQ(decoded(text), plain);
  }
}

TEST(Base64, RoundTripsEveryByteInEveryPosition) {
  for (int byte = 0; byte < 256; ++byte) {
    for (size_t size = 1; size <= 4; ++size) {
      for (size_t at = 0; at < size; ++at) {
        std::string plain(size, 'x');
        plain[at] = static_cast<char>(byte);
        EXPECT_EQ(decoded(encoded(plain)), plain);
      }
    }
  }
}

TEST(Base64, RefusesWhatIsNotPaddedBase64) {
  for (const std::string_view text : {"", "=", "==", "====", "Z", "Zg", "Zg=", "Zm9vY", "Zg==Zg==", "Z===",
                                      "Z=g=", "Zm9v====", "Zm 9", "Zm9_", "Zm9-", "Zm9!"}) {
    EXPECT_EQ(decoded(text), std::nullopt) << text;
  }
}

TEST(Base64, RefusesASecondSpellingOfTheSameBytes) {
  EXPECT_EQ(decoded("YQ=="), "a");
  EXPECT_EQ(decoded("YR=="), std::nullopt);
  EXPECT_EQ(decoded("YWI="), "ab");
  EXPECT_EQ(decoded("YWJ="), std::nullopt);
}

}  // namespace
}  // namespace bobbin::wire
