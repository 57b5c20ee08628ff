#include "cli/bench_keys.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>

namespace bobbin::cli {

size_t BenchKeys::digits_for(uint32_t count) {
  return std::to_string(count - 1).size();
}

BenchKeys::BenchKeys(uint32_t count, size_t key_bytes) : count_(count), digits_(digits_for(count)) {
  assert(count > 0 && key_bytes >= digits_);
  constexpr std::string_view kPrefix = "key-";
  template_.assign(key_bytes, '0');
  if (key_bytes >= kPrefix.size() + digits_) template_.replace(0, kPrefix.size(), kPrefix);
}

std::optional<uint32_t> BenchKeys::number_of(std::string_view key) const noexcept {
  const size_t fixed = template_.size() - digits_;
  if (key.size() != template_.size() || std::memcmp(key.data(), template_.data(), fixed) != 0) {
    return std::nullopt;
  }
  uint64_t number = 0;
  for (const char c : key.substr(fixed)) {
    if (c < '0' || c > '9') return std::nullopt;
    number = number * 10 + static_cast<uint64_t>(c - '0');
  }
  if (number >= count_) return std::nullopt;
  return static_cast<uint32_t>(number);
}

// Vose's way to build the table: slots that have less than an equal share are filled up from those with more.
BenchZipf::BenchZipf(uint32_t count, double theta) : slots_(count) {
  std::vector<double> share(count);
  double sum = 0;
  for (uint32_t i = 0; i < count; ++i)
    sum += share[i] = std::pow(static_cast<double>(i) + 1, -theta);
  std::vector<uint32_t> small;
  std::vector<uint32_t> large;
  for (uint32_t i = 0; i < count; ++i) {
    share[i] *= static_cast<double>(count) / sum;
    (share[i] < 1 ? small : large).push_back(i);
    slots_[i] = {std::numeric_limits<uint32_t>::max(), i};
  }
  while (!small.empty() && !large.empty()) {
    const uint32_t filled = small.back();
    const uint32_t from = large.back();
    small.pop_back();
    slots_[filled] = {static_cast<uint32_t>(std::min(share[filled] * 0x1p32, 0x1p32 - 1)), from};
    share[from] -= 1 - share[filled];
    if (share[from] >= 1) continue;
    large.pop_back();
    small.push_back(from);
  }
}

}  // namespace bobbin::cli
