#include "cli/quantity.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <limits>
#include <span>

namespace bobbin::cli {
namespace {

struct Unit {
  std::string_view name;
  uint64_t factor;
};

constexpr std::array kSizeUnits = {
    Unit{"", 1},
    Unit{"b", 1},
    Unit{"k", 1ull << 10},
    Unit{"kb", 1ull << 10},
    Unit{"kib", 1ull << 10},
    Unit{"m", 1ull << 20},
    Unit{"mb", 1ull << 20},
    Unit{"mib", 1ull << 20},
    Unit{"g", 1ull << 30},
    Unit{"gb", 1ull << 30},
    Unit{"gib", 1ull << 30},
    Unit{"t", 1ull << 40},
    Unit{"tb", 1ull << 40},
    Unit{"tib", 1ull << 40},
};

constexpr std::array kDurationUnits = {
    Unit{"ms", 1},     Unit{"s", 1000},      Unit{"", 1000},
    Unit{"m", 60'000}, Unit{"h", 3'600'000}, Unit{"d", 86'400'000},
};

std::optional<uint64_t> parse_with_unit(std::string_view text, std::span<const Unit> units) {
  uint64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, problem] = std::from_chars(text.data(), end, number);
  if (problem != std::errc{}) return std::nullopt;
  std::string name(rest, end);
  if (name.starts_with(' ')) name.erase(0, 1);
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
  for (const Unit& unit : units) {
    if (unit.name != name) continue;
    if (number > std::numeric_limits<uint64_t>::max() / unit.factor) return std::nullopt;
    return number * unit.factor;
  }
  return std::nullopt;
}

}  // namespace

std::optional<uint64_t> parse_count(std::string_view text) {
  constexpr std::array kNoUnit = {Unit{"", 1}};
  if (text.ends_with(' ')) return std::nullopt;
  return parse_with_unit(text, kNoUnit);
}

std::optional<uint64_t> parse_size(std::string_view text) {
  return parse_with_unit(text, kSizeUnits);
}

std::optional<uint64_t> parse_duration_ms(std::string_view text) {
  return parse_with_unit(text, kDurationUnits);
}

std::optional<uint64_t> parse_mode(std::string_view text) {
  uint64_t mode = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, problem] = std::from_chars(text.data(), end, mode, 8);
  if (problem != std::errc{} || rest != end || text.size() > 4) return std::nullopt;
  return mode;
}

std::string format_size(uint64_t bytes) {
  constexpr std::array kPrinted = {Unit{"T", 1ull << 40}, Unit{"G", 1ull << 30}, Unit{"M", 1ull << 20},
                                   Unit{"K", 1ull << 10}};
  for (const Unit& unit : kPrinted) {
    if (bytes >= unit.factor && bytes % unit.factor == 0) {
      return fmt::format("{}{}", bytes / unit.factor, unit.name);
    }
  }
  return fmt::format("{}", bytes);
}

std::string format_duration(uint64_t milliseconds) {
  constexpr std::array kPrinted = {Unit{"d", 86'400'000}, Unit{"h", 3'600'000}, Unit{"m", 60'000},
                                   Unit{"s", 1000}};
  if (milliseconds == 0) return "0";
  for (const Unit& unit : kPrinted) {
    if (milliseconds % unit.factor == 0) return fmt::format("{}{}", milliseconds / unit.factor, unit.name);
  }
  return fmt::format("{}ms", milliseconds);
}

std::string format_mode(uint64_t mode) {
  return fmt::format("{:04o}", mode);
}

std::string human_bytes(uint64_t bytes) {
  constexpr std::array<const char*, 5> kNames = {"B", "KiB", "MiB", "GiB", "TiB"};
  if (bytes < 1024) return fmt::format("{} B", bytes);
  auto scaled = static_cast<double>(bytes);
  size_t unit = 0;
  while (scaled >= 1024 && unit + 1 < kNames.size()) {
    scaled /= 1024;
    ++unit;
  }
  return fmt::format("{:.1f} {}", scaled, kNames[unit]);
}

std::string human_seconds(uint64_t seconds) {
  if (seconds >= 86'400) return fmt::format("{}d {}h", seconds / 86'400, seconds % 86'400 / 3600);
  if (seconds >= 3600) return fmt::format("{}h {}m", seconds / 3600, seconds % 3600 / 60);
  if (seconds >= 60) return fmt::format("{}m {}s", seconds / 60, seconds % 60);
  return fmt::format("{}s", seconds);
}

}  // namespace bobbin::cli
