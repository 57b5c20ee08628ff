#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "wire/crypto.h"

namespace bobbin::wire {

/// What a server keeps of a password for one SCRAM mechanism (RFC 5802, section 3). Enough to check a login
/// and to prove to the client that it knows them; not enough to log in anywhere.
struct ScramKeys {
  std::string salt;
  uint32_t iterations = 0;
  Digest stored_key;
  Digest server_key;
};

/// Passwords are taken as the bytes that they are: nothing is normalised (SASLprep), as Couchbase does not
/// either. `iterations` of PBKDF2 are run here: see pbkdf2().
[[nodiscard]] ScramKeys scram_keys(Hash hash, std::string_view password, std::string salt,
                                   uint32_t iterations);

/// That `password` is the one of these keys, in a time that depends on the password's length alone. Costs
/// what scram_keys() costs.
[[nodiscard]] bool is_password(const ScramKeys& keys, Hash hash, std::string_view password);

/// "SCRAM-SHA512": as MCBP writes them, without the hyphen that the RFCs have in the hash's name.
[[nodiscard]] std::string_view scram_mechanism(Hash hash) noexcept;
[[nodiscard]] std::optional<Hash> scram_hash(std::string_view mechanism) noexcept;

}  // namespace bobbin::wire
