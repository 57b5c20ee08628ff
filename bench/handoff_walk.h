#pragma once

// A range scan's walk through the documents of a vbucket, from RocksDB's tables, for the ways that have no
// scan.

#include <atomic>
#include <cstdint>
#include <thread>

#include "disk/persistence.h"
#include "handoff_ways.h"
#include "wire/range_scan.h"

namespace bobbin::handoff {

inline wire::ScanCreate everything(bool key_only) {
  wire::ScanCreate what;
  what.key_only = key_only;
  what.range.end.assign(251, '\xff');
  return what;
}

struct Walk {
  bool key_only = false;
  bool batches = false;  ///< frames of 32 KiB, as a scan's are; otherwise one for each item
};

/// Sends everything once, unless `stop` is set or the connection goes. Answers how many items it sent.
inline uint64_t walk(disk::Persistence& disk, uint16_t vbucket, Producer& producer, const Walk& how,
                     const std::atomic<bool>& stop) {
  const wire::ScanCreate what = everything(how.key_only);
  const disk::Directory& directory = disk.directory();
  const auto reader =
      directory.shard(directory.shard_number(vbucket))
          .read_range(vbucket, store::DocKey("").stored(), store::DocKey(what.range.end).stored());
  wire::ScanFrame frame(how.key_only ? wire::ScanFrame::Content::keys : wire::ScanFrame::Content::documents);
  uint64_t items = 0;
  const auto send = [&] {
    const bool sent = producer.send(frame.finish({}, wire::BinaryStatus::success, {}));
    frame.clear();
    return sent;
  };
  while (!stop) {
    const auto next = reader->next();
    if (!next || !*next) break;
    const disk::Record& record = reader->record();
    if (how.key_only) {
      frame.add_key(reader->key().name());
    } else {
      frame.add_document({record.flags, record.time_s, record.seqno, record.cas, record.datatype,
                          reader->key().name(), record.value});
    }
    ++items;
    const bool is_batch = frame.bytes() >= (32U << 10);
    if (how.batches && !is_batch) continue;
    if (!send()) return items;
    // As a scan does: see feed::Task::give_way.
    if (is_batch || items % 200 == 0) std::this_thread::yield();
  }
  if (frame.bytes() > 0) (void)send();
  return items;
}

}  // namespace bobbin::handoff
