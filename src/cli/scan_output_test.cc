#include "cli/scan_output.h"

#include <gtest/gtest.h>

#include "wire/datatype.h"

namespace bobbin::cli {
namespace {

std::string line(const ScanFormat& format, const wire::ScanItem& item) {
  std::string out;
  append_scan_line(out, format, item, 7);
  return out;
}

wire::ScanItem item(std::string_view key, std::string_view value, uint8_t datatype = 0) {
  return {1, 2, 3, 4, datatype, key, value};
}

TEST(ScanOutput, LinesAreForPeopleAndPipes) {
  EXPECT_EQ(line({}, item("user:1", "v")), "user:1\n");
  EXPECT_EQ(line({}, item("a key\n", "v")), "\"a key\\u000a\"\n");
  EXPECT_EQ(line({.values = true}, item("k", "{\"a\":1}")), "k\t\"{\\\"a\\\":1}\"\n");
  EXPECT_EQ(line({.values = true}, item("k", "plain")), "k\tplain\n");
}

TEST(ScanOutput, JsonHasWhatThereIsToKnow) {
  const ScanFormat all{.values = true, .json = true};
  const std::string rest = R"(,"flags":1,"expiry":2,"cas":"4","seqno":3,"datatype":)";
  EXPECT_EQ(line({.json = true}, item("k", "")), "{\"key\":\"k\",\"vbucket\":7}\n");
  EXPECT_EQ(line(all, item("k", "{\"a\":1}", wire::kDatatypeJson)),
            "{\"key\":\"k\",\"value\":{\"a\":1}" + rest + "1,\"vbucket\":7}\n");
  // Two lines would be two objects.
  EXPECT_EQ(line(all, item("k", "[1,\n2]", wire::kDatatypeJson)),
            "{\"key\":\"k\",\"value\":\"[1,\\u000a2]\"" + rest + "1,\"vbucket\":7}\n");
  EXPECT_EQ(line(all, item("k", "text")), "{\"key\":\"k\",\"value\":\"text\"" + rest + "0,\"vbucket\":7}\n");
  EXPECT_EQ(line(all, item("\xff", "\xfe\xff")),
            "{\"key_base64\":\"/w==\",\"value_base64\":\"/v8=\"" + rest + "0,\"vbucket\":7}\n");
}

}  // namespace
}  // namespace bobbin::cli
