#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

/// Snappy, in which clients send values whose datatype has bit 0x02 (google/snappy format_description.txt).
/// The only header that knows of the library.

namespace bobbin::wire {

/// How long `compressed` says that it becomes: up to 2^32 - 1, to be looked at before anything is allocated.
/// Nothing where not even that reads.
[[nodiscard]] std::optional<size_t> inflated_bytes(std::string_view compressed);

/// Writes inflated_bytes() to `out`. False where it is damaged; what is in `out` then means nothing.
[[nodiscard]] bool inflate(std::string_view compressed, char* out);

/// inflate(), into a string whose contents are replaced. Nothing is allocated for what says that it becomes
/// longer than `most` bytes, which is false, too.
[[nodiscard]] bool inflate(std::string_view compressed, size_t most, std::string& out);

/// Whether inflate() would find it undamaged. Writes nothing down, so it takes no memory.
[[nodiscard]] bool is_sound(std::string_view compressed);

/// Compresses `bytes` into `out`, whose contents are replaced.
void deflate(std::string_view bytes, std::string& out);

}  // namespace bobbin::wire
