#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "store/collection_event.h"
#include "store/manifest.h"
#include "store/persistence_types.h"

namespace bobbin::store {

class MemoryAccount;

/// How the manifest of a bucket that is a copy follows the events of its vbuckets. Each vbucket tells all
/// that happened to the collections, in its own time: the manifest is what the one says that is furthest. One
/// thread at a time.
class FollowedManifest {
 public:
  /// The event as logs hold it: vbuckets that tell the same share it. Empty when there is no memory.
  [[nodiscard]] DocumentRef document_of(MemoryAccount& account, const CollectionEvent& event);

  /// Whether the manifest becomes another by an event. (Most vbuckets tell what another has told.) Remembers
  /// its name.
  [[nodiscard]] bool is_news(const Manifest& present, const CollectionEvent& event);
  /// What it becomes of an event that is news, of a vbucket that knew `known` before it. An error: no
  /// manifest can be so.
  [[nodiscard]] Manifest::Changed after(const Manifest& present, const VBucketState& known,
                                        const CollectionEvent& event) const;
  /// What a vbucket knows, with this uid. Names that nobody has told are looked up in `present`.
  [[nodiscard]] Manifest::Changed made_of(uint64_t uid, const VBucketState& known,
                                          const Manifest& present) const;

  /// The uid that the vbucket has told last; 0: it has told nothing.
  void set_told(uint16_t vbucket, uint64_t uid);
  /// The vbucket that has told the highest, with that; nothing where none has told any.
  [[nodiscard]] std::optional<std::pair<uint16_t, uint64_t>> furthest() const;

  /// The table of the present manifest, where it was followed.
  std::shared_ptr<const CollectionTable> table;
  /// Which vbuckets have told of the manifest that was there at the start is known.
  bool is_begun = false;

 private:
  std::map<std::string, DocumentRef, std::less<>> documents_;
  std::map<ScopeId, std::string> scope_names_;
  std::map<CollectionId, std::string> collection_names_;
  std::vector<uint64_t> told_;
};

}  // namespace bobbin::store
