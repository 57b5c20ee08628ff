#pragma once

#include "disk/record.h"
#include "disk/shard.h"
#include "store/change_log.h"
#include "store/persistence_types.h"

namespace bobbin::disk {

/// A change of the store's as a shard takes it. Key and value are the document's: valid as long as the batch.
[[nodiscard]] Change change_of(uint16_t vbucket, const store::Change& change, uint32_t now_s) noexcept;

[[nodiscard]] VBucketState state_of(uint16_t vbucket, const store::VBucketState& state);
/// Its flush_seqno is 0: what a flush has killed left the disk in the commit that wrote the flush.
[[nodiscard]] store::VBucketState state_of(const VBucketState& state);

/// A document as the store loads it. The value is the record's.
[[nodiscard]] store::LoadedRecord loaded_of(const Record& record, bool with_value) noexcept;

}  // namespace bobbin::disk
