#pragma once

#include <cstdint>
#include <memory>

namespace rocksdb {
class MemTableRepFactory;
}

namespace bobbin::disk {

/// Memtables for the column family `docs` (record.h): a hash table of keys, each with its versions, newest
/// first. An insert or a read of a key searches nothing but a slot; what has to come in order is sorted for
/// whoever walks, a vbucket at a time, and for the flush.
///
/// Keys have to be compared bytewise, and one thread at a time inserts (allow_concurrent_memtable_write is
/// off); any number read meanwhile, with no lock. An iterator sees the keys that a vbucket had when it came
/// to it: what is newer than its sequence number need not be among them.
///
/// `slots` is how many keys a memtable is made for, a power of two and 256 at least; with more of them a slot
/// has several.
[[nodiscard]] std::shared_ptr<rocksdb::MemTableRepFactory> document_memtables(uint32_t slots);

}  // namespace bobbin::disk
