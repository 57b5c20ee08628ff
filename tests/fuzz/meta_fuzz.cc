#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "fuzz_check.h"
#include "readers.h"
#include "wire/meta.h"

/// The meta codec on arbitrary lines: views lie in the line or the key buffer, limits hold, a reply fits its
/// bound and echoes what was asked for, base64 round-trips.

namespace bobbin::fuzz {
namespace {

using namespace wire;  // NOLINT(google-build-using-namespace): this file is about nothing else

constexpr const MetaShape* kShapes[] = {&meta_shapes::kNoop,       &meta_shapes::kGet,
                                        &meta_shapes::kSet,        &meta_shapes::kDelete,
                                        &meta_shapes::kArithmetic, &meta_shapes::kDebug};
constexpr MetaCode kCodes[] = {MetaCode::value,      MetaCode::header, MetaCode::miss,
                               MetaCode::not_stored, MetaCode::exists, MetaCode::not_found};

void check_key(const MetaRequest& request, const MetaKeyBuffer& key_buffer, std::string_view line) {
  BOBBIN_FUZZ_CHECK(!request.key.empty() && request.key.size() <= kMaxKeyBytes);
  BOBBIN_FUZZ_CHECK(lies_in(request.sent_key, line));
  if (!request.has('b')) {
    BOBBIN_FUZZ_CHECK(request.key == request.sent_key);
    return;
  }
  BOBBIN_FUZZ_CHECK(lies_in(request.key, {key_buffer.data(), key_buffer.size()}));
  std::array<char, kMaxEncodedKeyBytes> encoded;
  BOBBIN_FUZZ_CHECK(std::string_view(encoded.data(), encode_base64(request.key, encoded.data())) ==
                    request.sent_key);
}

void check_replies(const MetaShape& shape, const MetaRequest& request, std::string_view line) {
  const MetaItem item{.client_flags = request.client_flags,
                      .value_bytes = request.value_bytes,
                      .cas = request.compare_cas,
                      .ttl_s = request.ttl,
                      .last_access_s = request.delta,
                      .hit_before = request.has('h'),
                      .won = line.size() % 2 == 0,
                      .stale = line.size() % 3 == 0,
                      .win_sent = line.size() % 5 == 0};
  std::array<char, kMaxMetaReplyBytes> out;
  for (const MetaCode code : kCodes) {
    const size_t size = write_meta_reply(out.data(), shape, code, request, item);
    BOBBIN_FUZZ_CHECK(size >= 4 && size <= out.size());
    const std::string_view reply(out.data(), size);
    BOBBIN_FUZZ_CHECK(reply.ends_with("\r\n"));
    const bool echoes_key = request.has('k') && shape.echoed_on_miss.has('k');
    BOBBIN_FUZZ_CHECK(!echoes_key || reply.find(std::string(" k").append(request.sent_key)) != reply.npos);
    const bool echoes_opaque = request.has('O') && shape.echoed_on_miss.has('O');
    BOBBIN_FUZZ_CHECK(!echoes_opaque || reply.find(std::string(" O").append(request.opaque)) != reply.npos);
  }
}

void check_line(const MetaShape& shape, std::string_view line) {
  MetaKeyBuffer key_buffer;
  MetaRequest request;
  const MetaStatus status = parse_meta(shape, line, key_buffer, request);
  BOBBIN_FUZZ_CHECK(request.value_bytes <= kMaxAnnouncedBytes);
  if (status != MetaStatus::ok) {
    BOBBIN_FUZZ_CHECK(meta_error(shape.command, status).ends_with("\r\n"));
    BOBBIN_FUZZ_CHECK(!request.swallow_value || shape.command == MetaCommand::set);
    return;
  }
  BOBBIN_FUZZ_CHECK(!request.swallow_value);
  if (shape.command == MetaCommand::noop) return;
  check_key(request, key_buffer, line);
  BOBBIN_FUZZ_CHECK(request.flag_count <= kMaxMetaFlags);
  BOBBIN_FUZZ_CHECK(request.opaque.size() <= kMaxOpaqueBytes && lies_in(request.opaque, line));
  for (size_t i = 0; i < request.flag_count; ++i)
    BOBBIN_FUZZ_CHECK(request.has(request.order[i]));
  check_replies(shape, request, line);
}

}  // namespace
}  // namespace bobbin::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace bobbin;  // NOLINT(google-build-using-namespace)
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  for (const wire::MetaShape* shape : fuzz::kShapes) {
    // Whole, and without its first word: corpus files hold "mg key ..." and fuzzing likes both.
    fuzz::check_line(*shape, input);
    fuzz::check_line(*shape, wire::split_verb(input).arguments);
  }
  wire_tests::TextReader whole;
  whole.feed(input);
  wire_tests::TextReader split;
  split.feed(input.substr(0, size / 2));
  split.feed(input.substr(size / 2));
  BOBBIN_FUZZ_CHECK(whole.events() == split.events());
  return 0;
}
