#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace bobbin::cli {

/// A plain decimal number, digits only. None for anything else and for what does not fit.
std::optional<uint64_t> parse_count(std::string_view text);

/// Bytes: a number and, optionally, B, K, M, G or T, also written KB or KiB; always powers of 1024, in either
/// case. None for anything else and for what does not fit into 64 bits.
std::optional<uint64_t> parse_size(std::string_view text);

/// Milliseconds: a number and, optionally, ms, s, m, h or d; a bare number is seconds.
std::optional<uint64_t> parse_duration_ms(std::string_view text);

/// Unix nanoseconds: a moment in UTC, "2026-11-24T15:00:00Z", or "2026-11-24 15:00:00.250"; or seconds since
/// 1970, also with a fraction.
std::optional<uint64_t> parse_moment_ns(std::string_view text);

/// A file mode: one to four octal digits ("0700", "660").
std::optional<uint64_t> parse_mode(std::string_view text);

/// As parse_size reads it, with the largest unit that divides it: "64M", "1000".
std::string format_size(uint64_t bytes);

/// As parse_duration_ms reads it: "30s", "1500ms", "0".
std::string format_duration(uint64_t milliseconds);

std::string format_mode(uint64_t mode);

/// For a person: "64.0 MiB", "1.5 GiB", "17 B".
std::string human_bytes(uint64_t bytes);

/// For a person: "3d 4h", "12m 5s", "8s".
std::string human_seconds(uint64_t seconds);

}  // namespace bobbin::cli
