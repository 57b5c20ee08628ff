#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace bobbin::store {

/// Longest value that incr and decr take for a number: what memcached keeps in one chunk.
inline constexpr size_t kMaxNumberBytes = 512 * 1024;
inline constexpr size_t kMaxNumberDigits = 20;

/// A value as memcached 1.6.18 reads numbers (observed): white space, a sign, digits that fit into 64 bits,
/// then the end or white space with anything behind it. The only negative number is -0.
[[nodiscard]] std::optional<uint64_t> parse_number(std::string_view text) noexcept;

/// Writes the number in decimal; returns how many bytes.
size_t format_number(uint64_t number, std::span<char, kMaxNumberDigits> out) noexcept;

}  // namespace bobbin::store
