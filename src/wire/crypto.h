#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace bobbin::wire {

/// The few functions of OpenSSL that logins need, without its headers. Any thread. They fail only when memory
/// has run out or OpenSSL is broken; then the process ends, because to go on would be to trust garbage.

/// The hash functions of the SCRAM mechanisms (RFC 5802, RFC 7677).
enum class Hash : uint8_t { sha1, sha256, sha512 };

inline constexpr size_t kMaxDigestBytes = 64;

/// 20, 32 or 64.
[[nodiscard]] constexpr size_t digest_bytes(Hash hash) noexcept {
  return hash == Hash::sha1 ? 20 : hash == Hash::sha256 ? 32 : 64;
}

/// digest_bytes(hash) bytes; what is left of the array is zero. No heap, so that a key does not linger there.
class Digest {
 public:
  Digest() = default;
  /// nullopt-like emptiness is not needed: `bytes` has at most kMaxDigestBytes, what is beyond is cut.
  explicit Digest(std::string_view bytes) noexcept;

  [[nodiscard]] std::string_view view() const noexcept { return {bytes_.data(), size_}; }
  [[nodiscard]] size_t size() const noexcept { return size_; }
  [[nodiscard]] char* data() noexcept { return bytes_.data(); }
  void resize(size_t bytes) noexcept { size_ = bytes; }

 private:
  std::array<char, kMaxDigestBytes> bytes_{};
  size_t size_ = 0;
};

[[nodiscard]] Digest digest(Hash hash, std::string_view bytes);
[[nodiscard]] Digest hmac(Hash hash, std::string_view key, std::string_view bytes);
/// RFC 8018, PBKDF2 with HMAC, one block. Takes about a microsecond for three iterations: not on a loop.
[[nodiscard]] Digest pbkdf2(Hash hash, std::string_view password, std::string_view salt, uint32_t iterations);
/// In a time that depends on the lengths alone.
[[nodiscard]] bool equal_in_constant_time(std::string_view a, std::string_view b) noexcept;
/// For keys, salts and nonces.
[[nodiscard]] std::string random_bytes(size_t count);
/// Overwrites, also where the compiler sees that nobody reads it again.
void wipe(char* bytes, size_t count) noexcept;
inline void wipe(std::string& secret) noexcept {
  wipe(secret.data(), secret.size());
}
inline void wipe(Digest& secret) noexcept {
  wipe(secret.data(), kMaxDigestBytes);
}

}  // namespace bobbin::wire
