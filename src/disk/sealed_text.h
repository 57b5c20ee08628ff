#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace bobbin::disk {

/// Small files that people may read: a title, lines of a name and a value, and a checksum over all of it.

void add_line(std::string& text, std::string_view name, uint64_t value);
/// The last line.
void seal(std::string& text);

/// name -> value of the lines between title and checksum, those of one name in their order; empty when the
/// checksum is wrong or missing.
[[nodiscard]] std::optional<std::multimap<std::string, std::string>> sealed_lines(std::string_view text,
                                                                                  std::string_view title);

/// Digits and nothing else.
[[nodiscard]] std::optional<uint64_t> number_in(std::string_view digits);

}  // namespace bobbin::disk
