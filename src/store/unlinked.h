#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace bobbin::store {

/// Of the keys that have left a vbucket's table: who may have left it with a seqno above a given one. It is
/// never wrong when it denies it. Of keys it tells apart as long as not too many leave while somebody reads
/// the disk; a kilobyte, from the first time on that this matters.
///
/// Belongs to the vbucket's lock. Keys count by a hash of 64 bits.
class Unlinked {
 public:
  void note(uint64_t hash, uint64_t seqno) noexcept {
    last_seqno_ = std::max(last_seqno_, seqno);
    if (slots_ == nullptr) return;
    for (uint64_t* const slot : slots_of(hash))
      *slot = std::max(*slot, seqno);
  }
  /// Nothing has left.
  [[nodiscard]] bool nothing() const noexcept { return last_seqno_ == 0; }
  [[nodiscard]] bool may_have_left(uint64_t hash, uint64_t above_seqno) noexcept {
    if (last_seqno_ <= above_seqno) return false;
    if (slots_ == nullptr) {
      // From here on they are told apart: who asks again, with a later seqno, is asked about these.
      slots_ = std::make_unique<Slots>();
      told_apart_above_ = last_seqno_;
    }
    if (above_seqno < told_apart_above_) return true;
    const auto slots = slots_of(hash);
    return *slots[0] > above_seqno && *slots[1] > above_seqno;
  }
  void start_over() noexcept { *this = {}; }

 private:
  static constexpr size_t kSlots = 64;
  // Two rows: a key shares both its places with another one seldom.
  using Slots = std::array<std::array<uint64_t, kSlots>, 2>;

  [[nodiscard]] std::array<uint64_t*, 2> slots_of(uint64_t hash) const noexcept {
    return {&(*slots_)[0][hash % kSlots], &(*slots_)[1][(hash >> 32) % kSlots]};
  }

  uint64_t last_seqno_ = 0;
  uint64_t told_apart_above_ = 0;
  // The highest seqno of all keys that share a place.
  std::unique_ptr<Slots> slots_;
};

}  // namespace bobbin::store
