#include "cli/quantity.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <chrono>
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

/// Takes exactly so many digits off the front.
std::optional<int> take_digits(std::string_view& text, size_t count) {
  int number = 0;
  if (text.size() < count) return std::nullopt;
  const auto [rest, problem] = std::from_chars(text.data(), text.data() + count, number);
  if (problem != std::errc{} || rest != text.data() + count || text.front() == '-') return std::nullopt;
  text.remove_prefix(count);
  return number;
}

/// ".25" as nanoseconds; nothing is none.
std::optional<uint64_t> parse_fraction_ns(std::string_view text) {
  if (text.empty()) return 0;
  constexpr size_t kDigits = 9;
  if (text.front() != '.' || text.size() == 1 || text.size() > kDigits + 1) return std::nullopt;
  std::string digits(text.substr(1));
  digits.resize(kDigits, '0');
  return parse_count(digits);
}

/// Takes "2026-11-24T15:00:00" off the front.
std::optional<uint64_t> take_seconds(std::string_view& text) {
  std::array<int, 6> parts{};
  constexpr std::array kBehind = {"-", "-", "T ", ":", ":", ""};
  for (size_t i = 0; i < parts.size(); ++i) {
    const auto part = take_digits(text, i == 0 ? 4 : 2);
    if (!part) return std::nullopt;
    parts[i] = *part;
    const std::string_view behind = kBehind[i];
    if (behind.empty()) continue;
    if (text.empty() || behind.find(text.front()) == std::string_view::npos) return std::nullopt;
    text.remove_prefix(1);
  }
  const std::chrono::year_month_day day{std::chrono::year(parts[0]),
                                        std::chrono::month(static_cast<unsigned>(parts[1])),
                                        std::chrono::day(static_cast<unsigned>(parts[2]))};
  if (!day.ok() || parts[0] < 1970 || parts[3] > 23 || parts[4] > 59 || parts[5] > 59) return std::nullopt;
  const auto midnight = std::chrono::sys_days(day).time_since_epoch();
  return static_cast<uint64_t>(std::chrono::seconds(midnight).count() + parts[3] * 3600 + parts[4] * 60 +
                               parts[5]);
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

std::optional<uint64_t> parse_moment_ns(std::string_view text) {
  constexpr uint64_t kSecond = 1'000'000'000;
  std::optional<uint64_t> seconds;
  if (text.size() > 4 && text[4] == '-') {
    seconds = take_seconds(text);
    if (text.ends_with('Z')) text.remove_suffix(1);
  } else {
    seconds = parse_count(text.substr(0, text.find('.')));
    text.remove_prefix(std::min(text.find('.'), text.size()));
  }
  const auto fraction = parse_fraction_ns(text);
  if (!seconds || !fraction || *seconds > std::numeric_limits<uint64_t>::max() / kSecond - 1)
    return std::nullopt;
  return *seconds * kSecond + *fraction;
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
