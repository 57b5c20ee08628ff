#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "fuzz_check.h"
#include "wire/sasl.h"
#include "wire/scram.h"

/// The messages of a login on arbitrary bytes: the first line of the input is a client's first message, the
/// rest its last one. Nobody gets in whose proof is not right, and what is answered has the form that it
/// must.

namespace bobbin::fuzz {
namespace {

using namespace wire;  // NOLINT(google-build-using-namespace): this file is about nothing else

ScramKeys keys_of(Hash hash) {
  return scram_keys(hash, "pencil", "\x41\x25\xc2\x47\xe4\x3a\xb1\xe9\x3c\x6d\xff\x76", 4);
}

/// Few iterations: the fuzzer should be fast.
const ScramKeys kKeys[] = {keys_of(Hash::sha1), keys_of(Hash::sha256), keys_of(Hash::sha512)};

void check_exchange(const ScramFirst& first, Hash hash, std::string_view client_final) {
  const ScramKeys& keys = kKeys[static_cast<size_t>(hash)];
  ScramExchange exchange(hash, first, keys, true, "3rfcNHYJY1ZVvWVs7j");
  const std::string_view nonce = std::string_view(exchange.server_first()).substr(2);
  BOBBIN_FUZZ_CHECK(nonce.starts_with(first.nonce));
  BOBBIN_FUZZ_CHECK(exchange.user() == first.user && !first.user.empty());
  const auto answer = std::move(exchange).finish(client_final);
  if (answer)
    BOBBIN_FUZZ_CHECK(answer->starts_with("v=") && client_final.find(first.nonce) != first.nonce.npos);
  ScramExchange unknown(hash, first, keys, false, "3rfcNHYJY1ZVvWVs7j");
  BOBBIN_FUZZ_CHECK(!std::move(unknown).finish(client_final));
}

void check_plain(std::string_view message) {
  const auto plain = parse_sasl_plain(message);
  if (!plain) return;
  BOBBIN_FUZZ_CHECK(lies_in(plain->user, message) && lies_in(plain->password, message));
  BOBBIN_FUZZ_CHECK(!plain->user.empty() && !plain->password.empty());
}

}  // namespace
}  // namespace bobbin::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace bobbin;  // NOLINT(google-build-using-namespace)
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  fuzz::check_plain(input);
  const size_t line_end = input.find('\n');
  const auto first = wire::parse_scram_first(input.substr(0, line_end));
  if (!first) return 0;
  BOBBIN_FUZZ_CHECK(first->gs2_header + first->bare == input.substr(0, line_end));
  const std::string_view rest = line_end == std::string_view::npos ? "" : input.substr(line_end + 1);
  for (const wire::Hash hash : {wire::Hash::sha1, wire::Hash::sha256, wire::Hash::sha512})
    fuzz::check_exchange(*first, hash, rest);
  return 0;
}
