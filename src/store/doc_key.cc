#include "store/doc_key.h"

#include <algorithm>

namespace bobbin::store {

std::optional<DocKey> DocKey::parse(std::string_view stored) noexcept {
  constexpr size_t kLongestPrefix = 5;
  if (stored.size() > kMaxStoredKeyBytes) return std::nullopt;
  if (stored.size() > 1 && stored.front() == '\0') [[likely]]
    return DocKey(kDefaultCollection, stored.substr(1));
  size_t prefix = 0;
  while (prefix < std::min(stored.size(), kLongestPrefix) &&
         (static_cast<uint8_t>(stored[prefix]) & 0x80) != 0)
    ++prefix;
  // The last byte of the prefix, and at least one of the name.
  if (prefix == kLongestPrefix || stored.size() < prefix + 2) return std::nullopt;
  const CollectionId id = CollectionPrefix::id_in(stored.data());
  // There is one way to write an id: this also finds what is longer, or what does not fit into 32 bits.
  if (CollectionPrefix(id).bytes() != stored.substr(0, prefix + 1)) return std::nullopt;
  return DocKey(id, stored.substr(prefix + 1));
}

}  // namespace bobbin::store
