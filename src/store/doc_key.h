#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace bobbin::store {

/// Which collection a document belongs to. 0 is the default collection; 1 to 7 belong to nobody.
using CollectionId = uint32_t;
inline constexpr CollectionId kDefaultCollection = 0;

/// A key with its collection in front, as it is kept. Couchbase's limit for a key on the wire, which has the
/// same form (couchbase/kv_engine, docs/Collections.md).
inline constexpr size_t kMaxStoredKeyBytes = 251;

/// A collection's id as it stands in front of a stored key: unsigned LEB128, 1 to 5 bytes. None of these is
/// the beginning of another, so the keys of a collection are neighbours where stored keys are sorted.
class CollectionPrefix {
 public:
  explicit constexpr CollectionPrefix(CollectionId id) noexcept {
    for (; id >= kMore; id >>= 7U)
      bytes_[size_++] = static_cast<char>((id & (kMore - 1)) | kMore);
    bytes_[size_++] = static_cast<char>(id);
  }
  /// Valid as long as this.
  [[nodiscard]] constexpr std::string_view bytes() const noexcept { return {bytes_.data(), size_}; }
  [[nodiscard]] constexpr size_t size() const noexcept { return size_; }

  /// Of the prefix that a stored key begins with.
  [[nodiscard]] static size_t size_in(const char* stored_key) noexcept {
    size_t size = 1;
    while ((static_cast<uint8_t>(stored_key[size - 1]) & kMore) != 0)
      ++size;
    return size;
  }
  [[nodiscard]] static CollectionId id_in(const char* stored_key) noexcept {
    CollectionId id = 0;
    for (uint32_t i = 0;; ++i) {
      const auto byte = static_cast<uint8_t>(stored_key[i]);
      id |= static_cast<CollectionId>(byte & (kMore - 1)) << (7 * i);
      if ((byte & kMore) == 0) return id;
    }
  }

 private:
  // The bit of a byte that says that another follows.
  static constexpr uint32_t kMore = 0x80;

  std::array<char, 5> bytes_{};
  uint8_t size_ = 0;
};

/// What names a document: its collection, and its name there. A view, which is passed in two registers: the
/// name is somebody else's.
class DocKey {
 public:
  constexpr DocKey() noexcept = default;
  /// The default collection's. Implicit, because that is what a key without a collection means everywhere.
  template <typename Name>
  requires std::convertible_to<const Name&, std::string_view>
  constexpr DocKey(const Name& name) noexcept  // NOLINT(google-explicit-constructor)
      : DocKey(kDefaultCollection, name) {}
  constexpr DocKey(CollectionId collection, std::string_view name) noexcept
      : name_(name.data()), name_size_(static_cast<uint32_t>(name.size())), collection_(collection) {}

  /// The key whose stored form this is; nothing when it is none: a prefix that is cut off, longer than it
  /// need be or above 32 bits, no name, or too many bytes. The name points into `stored`.
  [[nodiscard]] static std::optional<DocKey> parse(std::string_view stored) noexcept;

  [[nodiscard]] constexpr CollectionId collection() const noexcept { return collection_; }
  [[nodiscard]] constexpr std::string_view name() const noexcept { return {name_, name_size_}; }
  [[nodiscard]] constexpr size_t stored_size() const noexcept {
    return name_size_ + (collection_ == kDefaultCollection ? 1 : CollectionPrefix(collection_).size());
  }
  /// Names have 1 to 250 bytes; fewer where the collection takes more than one.
  [[nodiscard]] constexpr bool is_valid() const noexcept {
    return name_size_ != 0 && stored_size() <= kMaxStoredKeyBytes;
  }
  void append_stored(std::string& out) const {
    out.append(CollectionPrefix(collection_).bytes()).append(name());
  }
  [[nodiscard]] std::string stored() const {
    std::string key;
    append_stored(key);
    return key;
  }

  friend constexpr bool operator==(const DocKey& a, const DocKey& b) noexcept {
    return a.collection_ == b.collection_ && a.name() == b.name();
  }

 private:
  const char* name_ = nullptr;
  uint32_t name_size_ = 0;
  CollectionId collection_ = kDefaultCollection;
};

static_assert(sizeof(DocKey) == 16);

}  // namespace bobbin::store
