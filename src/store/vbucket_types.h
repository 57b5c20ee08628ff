#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

#include "store/bucket_types.h"
#include "store/document.h"
#include "store/hash_table.h"
#include "store/removals.h"

namespace bobbin::store {

struct PersistentState;

/// A victim on its way out.
struct Evicted {
  DocumentRef doc;
  EvictionFacts facts;
};

/// What a vbucket knows of a key that has no document.
struct Gone {
  /// There was one, not too long ago.
  bool removed = false;
  /// Only the disk knows.
  bool unknown = false;
  Removal removal = {};
};

/// What became of a change from elsewhere and what is there.
enum class Resolved : uint8_t {
  wins,
  loses,
  unknown,  ///< it takes something that only the disk knows
};

/// For what is to be kept of a document that is not there: nothing becomes less by it.
enum class Room : uint8_t {
  unmade,
  wanted,  ///< the answer is no_memory, for want of it
  made,
};

/// How the clock hand chooses.
enum class Reclaim : uint8_t {
  expired_only,  ///< for a bucket that does not evict
  clock,         ///< the expired, and what has not been hit since the hand was here
  anything,      ///< whatever is not in use; when the hand found too little for too long
};

/// A bounded list of documents that are unlinked under the lock and released after it.
struct Victims {
  static constexpr size_t kCapacity = 32;
  std::array<Evicted, kCapacity> evicted;
  size_t evicted_count = 0;
  std::array<DocumentRef, kCapacity> expired;
  size_t expired_count = 0;

  /// Room for every document of a bucket of usual density.
  [[nodiscard]] bool full() const noexcept {
    return evicted_count == kCapacity || expired_count == kCapacity;
  }
};

/// A copy of a document's place in the world, taken with a reference: what a read-modify-write builds on.
struct Snapshot {
  DocumentRef doc;
  uint32_t expiry = 0;
  /// It is there, but has as many references as it can have.
  bool refused = false;
  /// Whether it is there is only known to the disk.
  bool unknown = false;
  /// As Fetched has them.
  uint64_t cas = 0;
  bool locked = false;
  bool unknown_collection = false;
};

/// What an operation leaves for after the lock: references to drop, a flusher to wake. Declared before the
/// lock is taken.
class Aftermath {
 public:
  Aftermath() = default;
  Aftermath(const Aftermath&) = delete;
  Aftermath& operator=(const Aftermath&) = delete;
  ~Aftermath() {
    if (garbage_ != nullptr) HashTable::release(garbage_);
    if (more_) [[unlikely]]
      settle();
  }

  void drop(DocumentRef document) noexcept {
    if (garbage_ == nullptr) {
      garbage_ = document.release();
    } else {
      more_ = true;
      second_ = std::move(document);
    }
  }
  void ring(PersistentState* persistent) noexcept {
    more_ = true;
    ring_ = persistent;
  }
  void tell_news(PersistentState* persistent) noexcept {
    more_ = true;
    news_ = persistent;
  }

  /// An expired document was removed.
  bool expired = false;
  /// The key was not found, and only the disk knows whether it exists.
  bool unknown = false;

 private:
  void settle() noexcept;

  Document* garbage_ = nullptr;
  // A second reference or a ring: only in persistent buckets, and then seldom.
  bool more_ = false;
  DocumentRef second_;
  PersistentState* ring_ = nullptr;
  PersistentState* news_ = nullptr;
};

/// How a rewritten document takes over from the one it was built on.
struct Takeover {
  std::optional<uint64_t> explicit_cas = std::nullopt;
  /// Replaces the expiry that the old document has at that moment.
  std::optional<uint32_t> expiry = std::nullopt;
  /// Keep fetched, stale and token marks.
  bool keep_marks = false;
  /// Mark stale and let the next fetch win.
  bool mark_stale = false;
  /// In total_items.
  bool counts_as_stored = true;
  /// Of a lock that this change may go through.
  std::optional<uint64_t> cas_compare = std::nullopt;
};

/// What a touch in a persistent bucket came to.
struct TouchedOver {
  /// False: the document was no longer the expected one.
  bool done = false;
  bool no_memory = false;
  Fetched fetched;
};

}  // namespace bobbin::store
