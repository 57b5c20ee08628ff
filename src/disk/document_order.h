#pragma once

// Only for .cc files of this folder: it brings in RocksDB.
#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "disk/document_versions.h"
#include "disk/give_way.h"

/// The keys of a memtable of `docs` in order, made for those who walk.
namespace bobbin::disk::versions {

using SortedKeys = std::vector<const Key*>;

/// The keys that one vbucket had at one moment: those in `most` and those in `latest`, each sorted, none in
/// both. What comes later makes another one, with the same `most` as long as `latest` is short.
struct Order {
  const Key* newest = nullptr;
  /// Shared with the orders made of this one.
  std::shared_ptr<const SortedKeys> most;
  SortedKeys latest;

  [[nodiscard]] size_t size() const noexcept { return most->size() + latest.size(); }
};

/// Sorts keys that nobody has sorted yet.
inline SortedKeys sorted(const SortedKeys& keys) {
  struct Place {
    uint64_t head;  ///< what follows after the bytes that all have in common: it tells most apart
    std::string_view bytes;
    const Key* key;
  };
  std::vector<Place> places;
  places.reserve(keys.size());
  size_t common = SIZE_MAX;
  for (const Key* const key : keys) {
    give_way_now_and_then();
    const std::string_view bytes = key->bytes();
    if (!places.empty()) {
      const std::string_view first = places.front().bytes;
      const auto differs = std::mismatch(first.begin(), first.begin() + static_cast<ptrdiff_t>(common),
                                         bytes.begin(), bytes.end());
      common = static_cast<size_t>(differs.first - first.begin());
    } else {
      common = bytes.size();
    }
    places.push_back({0, bytes, key});
  }
  for (Place& place : places) {
    const std::string_view rest = place.bytes.substr(common);
    for (size_t i = 0; i < sizeof place.head; ++i)
      place.head = place.head << 8U | (i < rest.size() ? static_cast<uint8_t>(rest[i]) : 0U);
  }
  std::sort(places.begin(), places.end(), [](const Place& a, const Place& b) {
    return a.head != b.head ? a.head < b.head : a.bytes < b.bytes;
  });
  SortedKeys in_order;
  in_order.reserve(places.size());
  for (const Place& place : places)
    in_order.push_back(place.key);
  return in_order;
}

inline bool is_before(const Key* key, std::string_view bytes) {
  return key->bytes() < bytes;
}

/// The index of the first that is not before `bytes`.
inline size_t first_from(const SortedKeys& keys, std::string_view bytes) {
  return static_cast<size_t>(std::lower_bound(keys.begin(), keys.end(), bytes, is_before) - keys.begin());
}

/// Of many and few: compares the few with some of the many.
inline SortedKeys merged(const SortedKeys& many, const SortedKeys& few) {
  SortedKeys all;
  all.reserve(many.size() + few.size());
  auto from = many.begin();
  for (const Key* const key : few) {
    const auto to = std::lower_bound(from, many.end(), key->bytes(), is_before);
    all.insert(all.end(), from, to);
    all.push_back(key);
    from = to;
  }
  all.insert(all.end(), from, many.end());
  return all;
}

/// The orders of a memtable's vbuckets, each made when somebody comes to the vbucket, and kept for whoever
/// comes after him: a key is sorted once, and an iterator has a reference. It is beside the memtable's arena,
/// and not counted: RocksDB takes no memtable that grows when nobody inserts any more. That is 8 bytes for a
/// key that somebody has walked by, a tenth of what the smallest takes in the arena. Of iterators that stay
/// while keys come each has a list of its time, a new one for each square root of all keys: 128 that were
/// opened one after the other, each 300 keys later, of 60,000 keys, had 76 MB.
///
/// Any thread.
class Orders {
 public:
  explicit Orders(const memtable::ByVBucket<const Key>& last_of_vbuckets)
      : last_of_vbuckets_(last_of_vbuckets) {}

  /// With all keys that the vbucket has now; null: it has none.
  [[nodiscard]] std::shared_ptr<const Order> of(uint32_t vbucket) {
    // In this order: who kept one had seen its newest key before, so that what is found now is that or newer,
    // and leads to it.
    std::shared_ptr<const Order> before = kept(vbucket);
    const Key* const newest = last_of_vbuckets_.find(vbucket);
    if (newest == nullptr) return nullptr;
    if (before && before->newest == newest) return before;
    // With no lock: it can take milliseconds. Two who come at once both do it, and one of them keeps his.
    return keep(vbucket, continued(before, newest));
  }

 private:
  /// How long `latest` may get: each new key copies it, and what is longer makes a new `most`.
  [[nodiscard]] static bool is_short(size_t latest, size_t most) noexcept {
    constexpr size_t kAlwaysShort = 64;
    return latest <= kAlwaysShort || latest * latest <= most;
  }
  [[nodiscard]] static std::shared_ptr<const Order> continued(const std::shared_ptr<const Order>& before,
                                                              const Key* newest) {
    const Key* const known = before ? before->newest : nullptr;
    SortedKeys added;
    for (const Key* key = newest; key != known; key = key->came_before) {
      assert(key != nullptr);
      added.push_back(key);
    }
    added = sorted(added);
    auto now = std::make_shared<Order>();
    now->newest = newest;
    if (!before) {
      now->most = std::make_shared<const SortedKeys>(std::move(added));
      return now;
    }
    SortedKeys latest =
        before->latest.size() < added.size() ? merged(added, before->latest) : merged(before->latest, added);
    if (is_short(latest.size(), before->most->size())) {
      now->most = before->most;
      now->latest = std::move(latest);
    } else {
      now->most = std::make_shared<const SortedKeys>(latest.size() < before->most->size()
                                                         ? merged(*before->most, latest)
                                                         : merged(latest, *before->most));
    }
    return now;
  }
  [[nodiscard]] std::shared_ptr<const Order> kept(uint32_t vbucket) const {
    const base::MutexLock lock(mutex_);
    const auto found = orders_.find(vbucket);
    return found == orders_.end() ? nullptr : found->second;
  }
  /// Returns the order with more keys of this one and the one that is kept, which is kept from here on: what
  /// one of a vbucket has, a larger one has as well.
  [[nodiscard]] std::shared_ptr<const Order> keep(uint32_t vbucket, std::shared_ptr<const Order> now) {
    const base::MutexLock lock(mutex_);
    std::shared_ptr<const Order>& order = orders_[vbucket];
    if (!order || order->size() < now->size()) order.swap(now);
    return order;
  }

  const memtable::ByVBucket<const Key>& last_of_vbuckets_;
  mutable base::Mutex mutex_;
  std::map<uint32_t, std::shared_ptr<const Order>> orders_ GUARDED_BY(mutex_);
};

/// A place among the keys of an order, or behind the last.
class OrderCursor {
 public:
  /// Of no order there is nothing. Goes to the first.
  void begin(std::shared_ptr<const Order> order) {
    order_ = std::move(order);
    to_first();
  }
  /// The key that came last of those in the order; null: it has none, or there is none.
  [[nodiscard]] const Key* newest() const noexcept { return order_ ? order_->newest : nullptr; }
  [[nodiscard]] bool is_at_end() const noexcept { return key_ == nullptr; }
  [[nodiscard]] const Key& key() const noexcept { return *key_; }

  void to_first() {
    in_most_ = in_latest_ = 0;
    choose();
  }
  void to_end() {
    in_most_ = most().size();
    in_latest_ = latest().size();
    choose();
  }
  /// To the first that is not before `bytes`.
  void seek(std::string_view bytes) {
    in_most_ = first_from(most(), bytes);
    in_latest_ = first_from(latest(), bytes);
    choose();
  }
  /// Is not at the end.
  void next() {
    ++(is_latest_ ? in_latest_ : in_most_);
    choose();
  }
  /// False, and goes nowhere: there is nothing before.
  [[nodiscard]] bool prev() {
    const Key* const of_most = in_most_ > 0 ? most()[in_most_ - 1] : nullptr;
    const Key* const of_latest = in_latest_ > 0 ? latest()[in_latest_ - 1] : nullptr;
    if (of_most == nullptr && of_latest == nullptr) return false;
    is_latest_ = of_most == nullptr || (of_latest != nullptr && of_most->bytes() < of_latest->bytes());
    --(is_latest_ ? in_latest_ : in_most_);
    key_ = is_latest_ ? of_latest : of_most;
    return true;
  }

 private:
  [[nodiscard]] const SortedKeys& most() const noexcept { return order_ ? *order_->most : kNone; }
  [[nodiscard]] const SortedKeys& latest() const noexcept { return order_ ? order_->latest : kNone; }
  /// The nearer of the two next ones.
  void choose() {
    const Key* const of_most = in_most_ < most().size() ? most()[in_most_] : nullptr;
    const Key* const of_latest = in_latest_ < latest().size() ? latest()[in_latest_] : nullptr;
    is_latest_ = of_most == nullptr || (of_latest != nullptr && of_latest->bytes() < of_most->bytes());
    key_ = is_latest_ ? of_latest : of_most;
  }

  static inline const SortedKeys kNone;

  std::shared_ptr<const Order> order_;
  size_t in_most_ = 0;
  size_t in_latest_ = 0;
  bool is_latest_ = false;
  const Key* key_ = nullptr;
};

}  // namespace bobbin::disk::versions
