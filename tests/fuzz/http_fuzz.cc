#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "admin/admin_test_support.h"
#include "fuzz_check.h"

/// A client of HTTP on arbitrary bytes: what it is answered is the same whatever pieces they come in and
/// however slowly the answers are taken, each answer begins as one does, and nobody who has not logged in is
/// let in.

namespace bobbin::fuzz {
namespace {

struct Outcome {
  std::string replies;
  bool closed = false;
  bool operator==(const Outcome&) const = default;
};

// Every answer congests it.
net::Loop& narrow_loop() {
  static net::Loop loop{net::Limits{.max_unsent_bytes = 1}};
  return loop;
}

net::Loop& roomy_loop() {
  static net::Loop loop{net::Limits{}};
  return loop;
}

Outcome deliver(net::Loop& loop, std::string_view bytes, size_t piece) {
  admin::TestHttp http(loop);
  const auto connection = http.connect();
  for (size_t at = 0; at < bytes.size(); at += piece) {
    connection->feed(bytes.substr(at, piece));
    while (connection->suspended())
      connection->resume();
  }
  return {connection->replies(), connection->closing()};
}

/// What tells of the machine and the moment differs from run to run.
bool is_steady(std::string_view replies) {
  for (const std::string_view word : {"bobbin_process_", "\"memoryFree\"", "uuid"})
    if (replies.find(word) != std::string_view::npos) return false;
  return true;
}

}  // namespace
}  // namespace bobbin::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace bobbin::fuzz;  // NOLINT(google-build-using-namespace): all of this file but the name
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const Outcome whole = deliver(roomy_loop(), bytes, size);
  const Outcome pieces = deliver(narrow_loop(), bytes, 1 + data[size - 1] % 7);
  // What is no request is noticed sooner where more of it is shown at once: nothing else may differ.
  if (is_steady(whole.replies))
    BOBBIN_FUZZ_CHECK(whole.replies.starts_with(pieces.replies) || pieces.replies.starts_with(whole.replies));
  if (is_steady(whole.replies) && !whole.closed) BOBBIN_FUZZ_CHECK(whole == pieces);
  BOBBIN_FUZZ_CHECK(whole.replies.empty() || whole.replies.starts_with("HTTP/1.1 "));
  return 0;
}
