#pragma once

#include <cstdint>
#include <memory>

namespace rocksdb {
class MemTableRepFactory;
}

namespace bobbin::disk {

/// How many entries of one vbucket are kept as a run. A memtable of 16 MiB has room for fewer.
inline constexpr uint32_t kFullRun = 1U << 20U;

/// Memtables for the column family `seqnos` (record.h), whose keys come in growing order within a vbucket.
///
/// What comes in order is appended to its vbucket's run, which needs no search. Anything else, be it a key of
/// another form or the same key once more, goes to a skip list beside the runs, and iterators merge the two:
/// it may come, and costs more. Keys have to be compared bytewise, and one thread at a time inserts
/// (allow_concurrent_memtable_write is off); any number read meanwhile, with no lock. `full_run`, kFullRun at
/// most, is for tests.
[[nodiscard]] std::shared_ptr<rocksdb::MemTableRepFactory> seqno_memtables(uint32_t full_run = kFullRun);

}  // namespace bobbin::disk
