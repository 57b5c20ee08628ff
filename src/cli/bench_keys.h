#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cli/bench_random.h"

namespace bobbin::cli {

/// The keys of a load: numbers from 0, each written as a key of one fixed width ("key-0000000017"), so that
/// requests can be copied from a template and keys in replies be read back as numbers. Constant after
/// construction; any thread may use it.
class BenchKeys {
 public:
  /// `key_bytes` is at least digits_for(count).
  BenchKeys(uint32_t count, size_t key_bytes);

  /// Digits of the largest of `count` numbers.
  static size_t digits_for(uint32_t count);

  [[nodiscard]] uint32_t count() const noexcept { return count_; }
  [[nodiscard]] size_t key_bytes() const noexcept { return template_.size(); }
  /// The key of number 0, for templates.
  [[nodiscard]] std::string_view zero_key() const noexcept { return template_; }

  /// Writes key_bytes() bytes and returns the byte behind them.
  char* write(char* out, uint32_t number) const noexcept {
    std::memcpy(out, template_.data(), template_.size());
    out += template_.size();
    write_digits(out, number);
    return out;
  }
  /// Makes a copy of zero_key() that ends before `end` the key of `number`.
  void write_digits(char* end, uint32_t number) const noexcept {
    while (number != 0) {
      *--end = static_cast<char>('0' + number % 10);
      number /= 10;
    }
  }

  /// The number of a key, or nothing if it is none of these keys.
  [[nodiscard]] std::optional<uint32_t> number_of(std::string_view key) const noexcept;

 private:
  uint32_t count_;
  size_t digits_;
  std::string template_;
};

/// The length of each key's value: the same in every run with the same bounds, so that a reply of another
/// length is known to be wrong.
class BenchValueSizes {
 public:
  BenchValueSizes(uint32_t min_bytes, uint32_t max_bytes)
      : min_bytes_(min_bytes), choices_(max_bytes - min_bytes + 1) {}

  [[nodiscard]] uint32_t of(uint32_t key) const noexcept {
    if (choices_ == 1) return min_bytes_;
    return min_bytes_ + static_cast<uint32_t>(((mix_bits(key) >> 32) * choices_) >> 32);
  }
  [[nodiscard]] uint32_t max() const noexcept { return min_bytes_ + choices_ - 1; }

 private:
  uint32_t min_bytes_;
  uint32_t choices_;
};

/// Draws numbers below `count` by Zipf's law: number i has the weight 1 / (i + 1)^theta. Two table look-ups a
/// draw (Walker's alias method), exact for every theta ≥ 0. 8 bytes per number; constant after construction.
class BenchZipf {
 public:
  BenchZipf(uint32_t count, double theta);

  [[nodiscard]] uint32_t draw(BenchRandom& random) const noexcept {
    const uint64_t bits = random.next();
    const auto slot = static_cast<uint32_t>(((bits >> 32) * static_cast<uint64_t>(slots_.size())) >> 32);
    const Slot& chosen = slots_[slot];
    return static_cast<uint32_t>(bits) < chosen.keep_below ? slot : chosen.otherwise;
  }

 private:
  struct Slot {
    uint32_t keep_below;  ///< of 2^32: the share of this slot that is the number of the slot itself
    uint32_t otherwise;
  };
  std::vector<Slot> slots_;
};

}  // namespace bobbin::cli
