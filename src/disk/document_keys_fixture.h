#pragma once

// For tests of the memtable of `docs` only.
#include <cstdint>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace bobbin::disk::memtable_test {

/// What follows the vbucket in a key.
enum class KeyKind {
  numbered,       ///< as a client may name documents
  prefixed,       ///< tells itself from others behind a long prefix only
  behind_eight,   ///< has one of two bytes in front, then eight that all have, then odd ones
  odd,            ///< bytes that are easily taken for an end, or for less than they are
  odd_of_memory,  ///< the same, but 8 bytes at least, as many as follow a key in memory
  brief           ///< nothing follows, or not even the vbucket is whole
};

inline const std::vector<KeyKind> kAllKinds = {KeyKind::numbered,      KeyKind::prefixed,
                                               KeyKind::behind_eight,  KeyKind::odd,
                                               KeyKind::odd_of_memory, KeyKind::brief};
/// At the borders of pages of 256, and of all there may be.
inline const std::vector<uint16_t> kBorders = {0, 1, 254, 255, 256, 257, 4096, 65279, 65280, 65534, 65535};

/// The keys of a test.
struct KeyShape {
  std::string name;
  std::vector<uint16_t> vbuckets;  ///< empty: all
  std::vector<KeyKind> kinds;
  uint64_t numbers = 0;  ///< how many of those that are numbered
};

inline std::string odd_bytes(std::mt19937_64& random, uint64_t least, uint64_t most) {
  static const std::string choice("\x00\x00\x01\x7f\x80\xff\xff", 7);
  std::string bytes(least + random() % (most - least + 1), '\0');
  for (char& byte : bytes)
    byte = choice[random() % choice.size()];
  return bytes;
}

inline std::string vbucket_bytes(uint16_t vbucket) {
  return {static_cast<char>(vbucket >> 8U), static_cast<char>(vbucket)};
}

inline std::string some_key(const KeyShape& shape, std::mt19937_64& random) {
  const auto vbucket = shape.vbuckets.empty() ? static_cast<uint16_t>(random())
                                              : shape.vbuckets[random() % shape.vbuckets.size()];
  const std::string front = vbucket_bytes(vbucket);
  switch (shape.kinds[random() % shape.kinds.size()]) {
    case KeyKind::numbered:
      return front + '\0' + "document-" + std::to_string(random() % shape.numbers);
    case KeyKind::prefixed:
      return front + std::string(60, 'p') + std::to_string(random() % shape.numbers);
    case KeyKind::behind_eight:
      return front + (random() % 2 == 0 ? 'a' : 'b') + "12345678" + odd_bytes(random, 0, 3);
    case KeyKind::odd:
      return front + odd_bytes(random, 0, 4);
    case KeyKind::odd_of_memory:
      return front + odd_bytes(random, 8, 11);
    case KeyKind::brief:
      break;
  }
  return front.substr(0, random() % 3);
}

}  // namespace bobbin::disk::memtable_test
