#pragma once

#include <cstddef>
#include <string_view>

namespace bobbin::store {

// What stays of a block of attributes (Document::attributes) when its document goes: those of the system,
// whose names begin with an underscore (kv_engine docs/ExtendedAttributes.md). Of a damaged block what comes
// before the damage.

/// The length of the block that stays; 0 when nothing does.
[[nodiscard]] size_t surviving_attribute_bytes(std::string_view block) noexcept;
/// Writes that block, if it is not empty.
void copy_surviving_attributes(std::string_view block, char* out) noexcept;

}  // namespace bobbin::store
