#pragma once

#include <cstdint>
#include <optional>
#include <set>

#include "store/collection_event.h"
#include "store/manifest.h"
#include "wire/dcp_filter.h"

namespace bobbin::feed {

enum class FilterError : uint8_t { unknown_scope, unknown_collection };

/// Which part of a bucket a stream shows. A value; who has it uses it on one thread.
class StreamFilter {
 public:
  enum class Reach : uint8_t {
    bucket,       ///< everything
    unaware,      ///< the default collection, for who knows of no others: without events
    scope,        ///< a scope's collections, whichever it has
    collections,  ///< those that were named
  };

  /// Of a client that has (not) agreed on collections, which must not ask for any otherwise.
  [[nodiscard]] static base::Result<StreamFilter, FilterError> make(bool collections,
                                                                    const wire::DcpFilter& asked,
                                                                    const store::Manifest& manifest);

  [[nodiscard]] Reach reach() const noexcept { return reach_; }
  [[nodiscard]] std::optional<store::ScopeId> scope() const noexcept {
    return reach_ == Reach::scope ? std::optional(scope_) : std::nullopt;
  }
  /// Those that it shows now, of a scope or by name.
  [[nodiscard]] const std::set<store::CollectionId>& collections() const noexcept { return collections_; }
  [[nodiscard]] bool passes(store::CollectionId collection) const noexcept {
    switch (reach_) {
      case Reach::bucket:
        return true;
      case Reach::unaware:
        return collection == store::kDefaultCollection;
      default:
        return collections_.contains(collection);
    }
  }
  /// Whether the event is shown. A scope's collections follow it.
  [[nodiscard]] bool passes(const store::CollectionEvent& event);
  /// All that it showed was dropped.
  [[nodiscard]] bool is_over() const noexcept { return over_; }

 private:
  Reach reach_ = Reach::bucket;
  bool over_ = false;
  store::ScopeId scope_ = store::kDefaultScope;
  std::set<store::CollectionId> collections_;
};

}  // namespace bobbin::feed
