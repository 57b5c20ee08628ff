#include "wire/crypto.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace bobbin::wire {
namespace {

const EVP_MD* method_of(Hash hash) {
  switch (hash) {
    case Hash::sha1:
      return EVP_sha1();
    case Hash::sha256:
      return EVP_sha256();
    case Hash::sha512:
      return EVP_sha512();
  }
  return nullptr;
}

void demand(bool succeeded, const char* what) {
  if (succeeded) return;
  std::fprintf(stderr, "OpenSSL: %s failed\n", what);
  std::abort();
}

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

unsigned char* bytes_of(Digest& digest) {
  return reinterpret_cast<unsigned char*>(digest.data());
}

}  // namespace

Digest::Digest(std::string_view bytes) noexcept : size_(std::min(bytes.size(), kMaxDigestBytes)) {
  std::copy_n(bytes.data(), size_, bytes_.data());
}

Digest digest(Hash hash, std::string_view bytes) {
  Digest result;
  unsigned int size = 0;
  demand(EVP_Digest(bytes.data(), bytes.size(), bytes_of(result), &size, method_of(hash), nullptr) == 1,
         "a digest");
  result.resize(size);
  return result;
}

Digest hmac(Hash hash, std::string_view key, std::string_view bytes) {
  Digest result;
  unsigned int size = 0;
  // A key without bytes must still have an address: OpenSSL takes a null pointer for "the key of before".
  const char* const key_at = key.empty() ? "" : key.data();
  demand(HMAC(method_of(hash), key_at, static_cast<int>(key.size()), bytes_of(bytes), bytes.size(),
              bytes_of(result), &size) != nullptr,
         "HMAC");
  result.resize(size);
  return result;
}

Digest pbkdf2(Hash hash, std::string_view password, std::string_view salt, uint32_t iterations) {
  Digest result;
  result.resize(digest_bytes(hash));
  const char* const password_at = password.empty() ? "" : password.data();
  demand(PKCS5_PBKDF2_HMAC(password_at, static_cast<int>(password.size()), bytes_of(salt),
                           static_cast<int>(salt.size()), static_cast<int>(iterations), method_of(hash),
                           static_cast<int>(result.size()), bytes_of(result)) == 1,
         "PBKDF2");
  return result;
}

bool equal_in_constant_time(std::string_view a, std::string_view b) noexcept {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string random_bytes(size_t count) {
  std::string bytes(count, '\0');
  demand(RAND_bytes(reinterpret_cast<unsigned char*>(bytes.data()), static_cast<int>(count)) == 1,
         "the source of random numbers");
  return bytes;
}

void wipe(char* bytes, size_t count) noexcept {
  OPENSSL_cleanse(bytes, count);
}

}  // namespace bobbin::wire
