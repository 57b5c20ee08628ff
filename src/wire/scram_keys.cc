#include "wire/scram_keys.h"

#include <array>
#include <utility>

namespace bobbin::wire {
namespace {

struct Mechanism {
  std::string_view name;
  Hash hash;
};

constexpr std::array kMechanisms = {Mechanism{"SCRAM-SHA512", Hash::sha512},
                                    Mechanism{"SCRAM-SHA256", Hash::sha256},
                                    Mechanism{"SCRAM-SHA1", Hash::sha1}};

Digest stored_key_of(Hash hash, const Digest& salted_password) {
  Digest client_key = hmac(hash, salted_password.view(), "Client Key");
  const Digest stored_key = digest(hash, client_key.view());
  wipe(client_key);
  return stored_key;
}

}  // namespace

ScramKeys scram_keys(Hash hash, std::string_view password, std::string salt, uint32_t iterations) {
  ScramKeys keys;
  Digest salted_password = pbkdf2(hash, password, salt, iterations);
  keys.stored_key = stored_key_of(hash, salted_password);
  keys.server_key = hmac(hash, salted_password.view(), "Server Key");
  keys.salt = std::move(salt);
  keys.iterations = iterations;
  wipe(salted_password);
  return keys;
}

bool is_password(const ScramKeys& keys, Hash hash, std::string_view password) {
  Digest salted_password = pbkdf2(hash, password, keys.salt, keys.iterations);
  const Digest stored_key = stored_key_of(hash, salted_password);
  wipe(salted_password);
  return equal_in_constant_time(stored_key.view(), keys.stored_key.view());
}

std::string_view scram_mechanism(Hash hash) noexcept {
  for (const Mechanism& mechanism : kMechanisms) {
    if (mechanism.hash == hash) return mechanism.name;
  }
  return {};
}

std::optional<Hash> scram_hash(std::string_view mechanism) noexcept {
  for (const Mechanism& known : kMechanisms) {
    if (known.name == mechanism) return known.hash;
  }
  return std::nullopt;
}

}  // namespace bobbin::wire
