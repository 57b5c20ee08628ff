#pragma once

#include <cstdint>
#include <memory>

namespace rocksdb {
class MemTableRepFactory;
}

namespace bobbin::disk {

/// Memtables for the column family `docs` (record.h): a hash table of keys, each with its versions, newest
/// first. An insert or a read of a key searches nothing but a slot, and of the key the versions that are too
/// new for it.
///
/// Who walks comes to a vbucket after the other, and sees the keys that it had when he came to it or last
/// sought in it. They are sorted then, unless somebody has been there before: each key once, with what came
/// before merged in (document_order.h). In a bucket of one vbucket, where a memtable has a hundred thousand
/// keys, the first who comes waits some ten milliseconds for it.
///
/// Keys have to be compared bytewise, whatever the comparator says, and one thread at a time inserts, which
/// answers false where key, sequence and type are there (allow_concurrent_memtable_write is off, or RocksDB
/// refuses to open); any number read meanwhile. Estimates of how many entries are between two keys are 0.
///
/// `slots` is how many keys a memtable is made for; with more of them a slot has several. It is rounded up to
/// a power of two, 256 at least. Memtables may be made by several threads at a time.
[[nodiscard]] std::shared_ptr<rocksdb::MemTableRepFactory> document_memtables(uint32_t slots);

}  // namespace bobbin::disk
