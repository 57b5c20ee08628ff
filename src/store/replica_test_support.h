#pragma once

#include <cstring>
#include <string_view>

#include "store/bucket.h"

namespace bobbin::store {

/// What a draft has beside its value.
struct ReplicaMetadata {
  uint32_t flags = 0;
  uint32_t expiry = 0;
  uint8_t datatype = 0;
};

[[nodiscard]] inline Draft replica_draft(Bucket& bucket, DocKey key, std::string_view value,
                                         const ReplicaMetadata& metadata, base::Now now) {
  auto made =
      bucket.replica_draft(key, metadata.flags, metadata.expiry, static_cast<uint32_t>(value.size()), now);
  if (!made) return {};
  made->set_datatype(metadata.datatype);
  if (!value.empty()) std::memcpy(made->value().data(), value.data(), value.size());
  return std::move(*made);
}

/// What a follower does with a document.
inline ReplicaStatus apply_document(Bucket& bucket, DocKey key, std::string_view value,
                                    const ReplicaChange& change, const ReplicaMetadata& metadata,
                                    base::Now now) {
  Draft draft = replica_draft(bucket, key, value, metadata, now);
  return draft ? bucket.apply(draft, change, now) : ReplicaStatus::no_memory;
}

/// And with a deletion that leaves attributes.
inline ReplicaStatus apply_attributes(Bucket& bucket, DocKey key, std::string_view block,
                                      const ReplicaChange& change, base::Now now) {
  Draft draft = replica_draft(bucket, key, block, {.datatype = Document::kAttributesBit}, now);
  return draft ? bucket.apply_removal(draft, change, now) : ReplicaStatus::no_memory;
}

}  // namespace bobbin::store
