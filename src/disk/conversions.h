#pragma once

#include "disk/record.h"
#include "disk/shard.h"
#include "store/change_log.h"
#include "store/persistence_types.h"

namespace bobbin::disk {

/// A change of the store's as a shard takes it. Key and value are the document's: valid as long as the batch.
[[nodiscard]] Change change_of(uint16_t vbucket, const store::Change& change, uint32_t now_s) noexcept;

/// Takes the lists of `state` along, the rest stays.
[[nodiscard]] VBucketState state_of(uint16_t vbucket, store::VBucketState&& state);
[[nodiscard]] store::VBucketState state_of(const VBucketState& state);

/// Whether the store has any use for the record: a document, or a tombstone with attributes.
[[nodiscard]] bool is_loadable(const Record& record) noexcept;
/// That as the store loads it. The value is the record's.
[[nodiscard]] store::LoadedRecord loaded_of(const Record& record, bool with_value) noexcept;

}  // namespace bobbin::disk
