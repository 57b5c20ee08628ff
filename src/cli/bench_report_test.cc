#include "cli/bench_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bobbin::cli {
namespace {

using testing::HasSubstr;

BenchOutcome outcome() {
  BenchOutcome outcome;
  outcome.seconds = 2;
  for (int i = 0; i < 3; ++i)
    outcome.result.gets.record(100'000);
  outcome.result.sets.record(250'000);
  outcome.result.get_keys = 6;
  outcome.result.bytes_in = 1000;
  outcome.result.replies.hits = 4;
  outcome.result.replies.misses = 2;
  return outcome;
}

BenchOptions options() {
  BenchOptions options;
  options.sets = 1;
  options.gets = 3;
  options.multi_get = 2;
  options.seed = 9;
  return options;
}

TEST(BenchReport, JsonHasEveryField) {
  EXPECT_EQ(
      bench_as_json(options(), outcome()),
      "{\"protocol\":\"text\",\"tls\":false,\"connections\":50,\"in_flight\":1,\"threads\":1,\"value_bytes\":"
      "100,"
      "\"min_value_bytes\":100,\"max_value_bytes\":100,\"keys\":10000,\"key_bytes\":16,\"multi_get\":2,"
      "\"paths\":0,"
      "\"distribution\":\"uniform\",\"seed\":9,\"fill_seconds\":0.000,\"seconds\":2.000,"
      "\"requests\":4,\"gets\":3,\"sets\":1,\"requests_per_s\":2.0,\"keys_per_s\":3.5,"
      "\"bytes_in\":1000,\"bytes_in_per_s\":500.0,\"hits\":4,\"misses\":2,\"errors\":0,"
      "\"errors_by_kind\":{\"refused\":0,\"wrong_size\":0,\"malformed\":0,\"disconnected\":0,\"timed_out\":0}"
      ","
      "\"latency_us\":{\"p50\":100.095,\"p90\":250.000,\"p99\":250.000,\"p999\":250.000,\"max\":250.000},"
      "\"get_latency_us\":{\"p50\":100.000,\"p90\":100.000,\"p99\":100.000,\"p999\":100.000,\"max\":100.000},"
      "\"set_latency_us\":{\"p50\":250.000,\"p90\":250.000,\"p99\":250.000,\"p999\":250.000,"
      "\"max\":250.000}}\n");
}

TEST(BenchReport, TheTableHasARowForWhatWasSent) {
  const std::string both = bench_for_people(options(), outcome());
  for (const char* row : {"\ngets ", "\nsets ", "\nall "})
    EXPECT_THAT(both, HasSubstr(row));
  EXPECT_THAT(both, HasSubstr("hits 4, misses 2 (66.7 % hits), errors 0\n"));
  BenchOptions only_gets = options();
  only_gets.sets = 0;
  const std::string gets = bench_for_people(only_gets, outcome());
  EXPECT_THAT(gets, HasSubstr("\ngets "));
  EXPECT_THAT(gets, testing::Not(HasSubstr("\nall ")));
}

TEST(BenchReport, ErrorsAreToldByKind) {
  BenchOutcome bad = outcome();
  bad.result.replies.refuse("SERVER_ERROR out of \x1b memory");
  bad.result.replies.fail(BenchError::wrong_size, 1234);
  EXPECT_THAT(bench_for_people(options(), bad),
              HasSubstr("errors 1,235\n  refused: 1\n  wrong size: 1,234\n"
                        "  the server said: \"SERVER_ERROR out of \\u001b memory\"\n"));
}

TEST(BenchReport, NothingMeasuredIsNoDivisionByZero) {
  const std::string json = bench_as_json(BenchOptions{}, BenchOutcome{});
  EXPECT_THAT(json, HasSubstr("\"requests_per_s\":0.0"));
  EXPECT_THAT(bench_for_people(BenchOptions{}, BenchOutcome{}), HasSubstr("errors 0"));
}

}  // namespace
}  // namespace bobbin::cli
