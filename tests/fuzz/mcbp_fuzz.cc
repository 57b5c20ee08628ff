#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "fuzz_check.h"
#include "mcbp_frames.h"
#include "serve/test_session.h"

/// A client of Couchbase's protocol that sends every command of the tables, to a bucket in memory: as
/// session_fuzz, but made of frames, because no fuzzer would come by HELLO and right lengths so often.

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace bobbin;  // NOLINT(google-build-using-namespace): all of this file but the name
  static net::Loop roomy{net::Limits{}};
  static net::Loop narrow{net::Limits{.max_unsent_bytes = 1}};
  constexpr store::BucketOptions kBucket{.max_value_bytes = 4096, .vbuckets = 1};
  fuzz::McbpFrames frames({reinterpret_cast<const char*>(data), size});
  const std::string requests = frames.conversation();
  const serve::Outcome whole = serve::deliver(roomy, kBucket, requests, [] { return size_t{0}; });
  BOBBIN_FUZZ_CHECK(whole.counts.at("upload_bytes") == 0);
  const serve::Outcome pieces = serve::deliver(narrow, kBucket, requests, [] { return size_t{5}; });
  BOBBIN_FUZZ_CHECK(pieces.counts.at("upload_bytes") == 0);
  if (!frames.is_repeatable()) return 0;
  // Replies have uuids that each server makes for itself.
  BOBBIN_FUZZ_CHECK(pieces.closed == whole.closed);
  BOBBIN_FUZZ_CHECK(pieces.counts == whole.counts);
  BOBBIN_FUZZ_CHECK(pieces.contents == whole.contents);
  return 0;
}
