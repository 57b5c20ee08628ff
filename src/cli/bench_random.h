#pragma once

#include <array>
#include <bit>
#include <cstdint>

namespace bobbin::cli {

/// Spreads the bits of a number over all 64 of the result: equal numbers give equal results (splitmix64).
constexpr uint64_t mix_bits(uint64_t number) {
  number += 0x9e3779b97f4a7c15;
  number = (number ^ (number >> 30)) * 0xbf58476d1ce4e5b9;
  number = (number ^ (number >> 27)) * 0x94d049bb133111eb;
  return number ^ (number >> 31);
}

/// Random numbers for a load generator: xoshiro256**, a few instructions each, the same for the same seed.
/// One thread at a time.
class BenchRandom {
 public:
  explicit BenchRandom(uint64_t seed) {
    for (uint64_t& word : state_)
      word = seed = mix_bits(seed);
  }

  uint64_t next() noexcept {
    const uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
    const uint64_t shifted = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= shifted;
    state_[3] = std::rotl(state_[3], 45);
    return result;
  }

  /// A number below `bound`; the error in its distribution is below bound / 2^32.
  uint32_t below(uint32_t bound) noexcept { return static_cast<uint32_t>(((next() >> 32) * bound) >> 32); }

 private:
  std::array<uint64_t, 4> state_{};
};

}  // namespace bobbin::cli
