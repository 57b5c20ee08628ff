#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/result.h"
#include "disk/persistence.h"
#include "store/bucket.h"
#include "store/manifest.h"

namespace bobbin::serve {

/// A bucket's scopes and collections: what changes them, one change after the other. A change is on disk
/// before anybody sees it, and is seen everywhere when its function returns; a document in a collection that
/// is dropped is gone by then. In front of a cache the server forgets them when it ends.
///
/// Any thread may call anything, but a change waits for the disk and for the lock of each vbucket: none is
/// for a loop. It ends before its bucket.
class Collections {
 public:
  /// The uid of the manifest that came of it.
  using Changed = base::Result<uint64_t, store::ManifestError>;

  /// `disk` is null in front of a cache.
  /// `changed` is called after each change, by the thread that makes it.
  Collections(store::Bucket& bucket, disk::Persistence* disk, const base::Clock& clock,
              std::function<void()> changed = {})
      : bucket_(bucket), disk_(disk), clock_(clock), changed_(std::move(changed)) {}
  Collections(const Collections&) = delete;
  Collections& operator=(const Collections&) = delete;

  /// The present one. It does not change: what changes is which is present.
  [[nodiscard]] std::shared_ptr<const store::Manifest> manifest() const { return bucket_.manifest(); }
  /// Rises after each change: whoever keeps a manifest compares this first, which costs a loop nothing.
  [[nodiscard]] uint64_t generation() const noexcept { return bucket_.manifest_generation(); }

  // Names and errors: store/manifest.h.
  Changed create_scope(std::string_view name);
  /// With its collections.
  Changed drop_scope(std::string_view name);
  /// `max_ttl_s`: see store::Collection.
  Changed create_collection(std::string_view scope, std::string_view name,
                            std::optional<uint32_t> max_ttl_s = std::nullopt);
  Changed drop_collection(std::string_view scope, std::string_view name);
  /// Holds for what is stored from then on.
  Changed change_max_ttl(std::string_view scope, std::string_view name, std::optional<uint32_t> max_ttl_s);
  /// All of them at once, as somebody else has made them: nothing happens when they are the present ones.
  Changed replace(const store::Manifest& other);

  /// From here on changes are refused.
  void close();

 private:
  using Change = std::function<store::Manifest::Changed(const store::Manifest&)>;

  Changed change(const Change& make);

  store::Bucket& bucket_;
  disk::Persistence* const disk_;
  const base::Clock& clock_;
  const std::function<void()> changed_;
  base::Mutex mutex_;
  bool closed_ GUARDED_BY(mutex_) = false;
};

}  // namespace bobbin::serve
