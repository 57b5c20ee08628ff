#pragma once

#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "store/bucket.h"

namespace bobbin::store {

/// "key7", say.
[[nodiscard]] inline std::string numbered(std::string_view prefix, int64_t number) {
  std::string name(prefix);
  name += std::to_string(number);
  return name;
}

/// With collections of these ids beside the default one.
[[nodiscard]] inline std::shared_ptr<const Manifest> manifest_with(std::span<const CollectionId> ids) {
  std::string collections = R"({"name":"_default","uid":"0"})";
  for (const CollectionId id : ids) {
    if (id == kDefaultCollection) continue;
    const std::string number = manifest_number(id);
    collections.append(R"(,{"name":"c)" + number + R"(","uid":")" + number + R"("})");
  }
  return std::make_shared<const Manifest>(
      Manifest::parse(R"({"uid":"1","scopes":[{"name":"_default","uid":"0","collections":[)" + collections +
                      "]}]}")
          .value());
}

/// A bucket with a clock, and the calls that make its tests short. For tests only.
class BucketFixture {
 public:
  explicit BucketFixture(BucketOptions options = small_options())
      : bucket_(std::make_unique<Bucket>(options)) {}

  [[nodiscard]] static BucketOptions small_options() {
    BucketOptions options;
    options.vbuckets = 16;
    options.hash_seed = 42;
    return options;
  }

  [[nodiscard]] Bucket& bucket() { return *bucket_; }
  [[nodiscard]] base::ManualClock& clock() { return clock_; }
  [[nodiscard]] base::Now now() const { return clock_.now(); }
  [[nodiscard]] uint32_t in(uint32_t seconds) const { return now().unix_s() + seconds; }

  [[nodiscard]] Draft draft(DocKey key, std::string_view value, uint32_t expiry = 0, uint32_t flags = 0) {
    auto made = bucket_->draft(key, flags, expiry, static_cast<uint32_t>(value.size()), now());
    if (!made) return {};
    if (!value.empty()) std::memcpy(made->value().data(), value.data(), value.size());
    return std::move(*made);
  }
  StoreResult put(StoreMode mode, DocKey key, std::string_view value, const StoreOptions& options = {},
                  uint32_t expiry = 0, uint32_t flags = 0) {
    Draft made = draft(key, value, expiry, flags);
    if (!made) return {StoreStatus::no_memory};
    return bucket_->store(std::move(made), mode, options, now());
  }
  StoreResult set(DocKey key, std::string_view value, uint32_t expiry = 0, uint32_t flags = 0) {
    return put(StoreMode::set, key, value, {}, expiry, flags);
  }
  /// The value, or "<miss>".
  [[nodiscard]] std::string get(DocKey key) {
    const Fetched found = bucket_->fetch(key, now());
    return found ? std::string(found.doc->value()) : "<miss>";
  }

 private:
  base::ManualClock clock_;
  std::unique_ptr<Bucket> bucket_;
};

}  // namespace bobbin::store
