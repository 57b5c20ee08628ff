#include <cstddef>
#include <cstdint>
#include <string_view>

#include "fuzz_check.h"
#include "serve/test_session.h"

/// A whole session over a real store, of the dialect that the first byte chooses: the replies, the documents
/// and the counts are the same whatever pieces the bytes arrive in and however slowly the replies are taken,
/// and all memory comes back. A client that takes replies in any order is owed none in the end, whenever what
/// it waits for comes.

namespace bobbin::fuzz {
namespace {

// Small, so that values that are announced and never sent cost little, and that some are too large.
constexpr store::BucketOptions kBucket{.max_value_bytes = 4096, .vbuckets = 1};
constexpr size_t kByteByByte = 256;

net::Loop& roomy_loop() {
  static net::Loop loop{net::Limits{}};
  return loop;
}

// Every reply congests it.
net::Loop& narrow_loop() {
  static net::Loop loop{net::Limits{.max_unsent_bytes = 1}};
  return loop;
}

// Sizes of pieces: mostly a few bytes, at times many.
class Sizes {
 public:
  explicit Sizes(uint64_t seed) : state_(seed * 2 + 1) {}
  size_t operator()() {
    state_ = state_ * 6364136223846793005U + 1442695040888963407U;
    const auto random = static_cast<size_t>(state_ >> 40);
    return random % 8 == 0 ? 1 + random / 8 % 300 : 1 + random / 8 % 9;
  }

 private:
  uint64_t state_;
};

}  // namespace
}  // namespace bobbin::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace bobbin::fuzz;  // NOLINT(google-build-using-namespace): all of this file but the name
  if (size == 0) return 0;
  const std::string_view requests(reinterpret_cast<const char*>(data), size);
  const auto rest = [] { return size_t{0}; };
  const auto one = [] { return size_t{1}; };
  const bobbin::serve::Outcome whole = bobbin::serve::deliver(roomy_loop(), kBucket, requests, rest);
  const bobbin::serve::Outcome pieces =
      bobbin::serve::deliver(narrow_loop(), kBucket, requests, Sizes(data[size - 1]));
  BOBBIN_FUZZ_CHECK(pieces == whole);
  if (size <= kByteByByte) {
    BOBBIN_FUZZ_CHECK(bobbin::serve::deliver(roomy_loop(), kBucket, requests, one) == whole);
  }
  BOBBIN_FUZZ_CHECK(
      bobbin::serve::deliver_unordered(narrow_loop(), kBucket, requests, Sizes(data[size - 1] + 1)));
  BOBBIN_FUZZ_CHECK(whole.counts.at("upload_bytes") == 0);
  return 0;
}
