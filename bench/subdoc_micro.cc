#include <chrono>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>

#include "wire/json_check.h"
#include "wire/json_index.h"
#include "wire/subdoc_run.h"

/// What the sub-document API costs without a server: build/release/bench/subdoc_micro
///
/// The document has 1 KiB; lookups and changes are whole requests, from the frame to the reply.

namespace {

using namespace bobbin::wire;  // NOLINT(google-build-using-namespace): this file is about nothing else

template <typename Work>
void measure(const char* what, Work work) {
  constexpr int kWarmUp = 50'000;
  constexpr int kRounds = 500'000;
  for (int i = 0; i < kWarmUp; ++i)
    work();
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < kRounds; ++i)
    work();
  const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - start;
  std::printf("%-44s %8.0f ns\n", what, took.count() / kRounds);
}

std::string document() {
  std::string text = "{";
  for (int i = 0; text.size() < 1000; ++i) {
    const std::string number = std::to_string(i);
    text += (i == 0 ? "\"field" : ",\"field") + number + R"(":{"name":"value number )" + number +
            R"(","n":)" + std::to_string(i * 37) + R"(,"list":[1,2,3,true]})";
  }
  return text + "}";
}

std::string big_endian(uint64_t number, int bytes) {
  std::string out;
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8)
    out += static_cast<char>(number >> shift);
  return out;
}

std::string spec(SubdocOpcode opcode, std::string_view path,
                 std::optional<std::string_view> value = std::nullopt) {
  const std::string head = std::string{static_cast<char>(opcode), '\0'} + big_endian(path.size(), 2);
  if (!value) return head + std::string(path);
  return head + big_endian(value->size(), 4) + std::string(path) + std::string(*value);
}

}  // namespace

int main() {
  const std::string text = document();
  JsonIndex index;
  size_t sink = 0;
  measure("index 1 KiB", [&] { sink += index.build(text) ? 1 : 0; });
  measure("check that 1 KiB is JSON", [&] { sink += check_json(text, index) == JsonVerdict::valid ? 1 : 0; });

  SubdocRun run;
  SubdocRequest request;
  std::string out(4096, '\0');
  const auto whole = [&](SubdocOpcode opcode, std::string_view value) {
    if (parse_subdoc({.opcode = static_cast<uint8_t>(opcode), .extras = {}, .value = value}, request) !=
        SubdocStatus::success)
      return;
    sink += static_cast<size_t>(run.run(request, {.xattrs = {}, .body = text}, nullptr));
    run.write_reply(out.data());
    for (const std::string_view piece : run.body_pieces())
      sink += piece.copy(out.data(), out.size());
  };
  const std::string lookups = spec(SubdocOpcode::get, "field2.name") +
                              spec(SubdocOpcode::get, "field7.list[-1]") +
                              spec(SubdocOpcode::get, "field11.n");
  measure("multi lookup of 3 paths", [&] { whole(SubdocOpcode::multi_lookup, lookups); });
  const std::string change = spec(SubdocOpcode::dict_upsert, "field7.name", "\"another\"");
  measure("multi mutation of 1 path", [&] { whole(SubdocOpcode::multi_mutation, change); });
  const std::string changes = change + spec(SubdocOpcode::counter, "field11.n", "1") +
                              spec(SubdocOpcode::array_push_last, "field2.list", "4,5");
  measure("multi mutation of 3 paths", [&] { whole(SubdocOpcode::multi_mutation, changes); });
  std::printf("%zu bytes, %zu\n", text.size(), sink);
  return 0;
}
