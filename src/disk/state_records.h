#pragma once

// Only for .cc files of this folder: it brings in RocksDB.
#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "disk/record.h"

namespace bobbin::disk {

/// How the states of a shard's vbuckets are written.
///
/// A commit that is synced for a few clients has about as many vbuckets as documents. A row for the state of
/// each would be a third of all rows that it inserts. So it writes one *record* with all of them, into the
/// next of kStateSlots rows. When these are used up, or have kStateRecordBytes, the commit writes the newest
/// state of each vbucket into the vbucket's own row instead, and says up to which record that was: the next
/// one goes into the first slot again.
///
/// A state in a record that is not in rows yet is newer than the vbucket's row, and one in a later record
/// newer than in an earlier.
inline constexpr uint32_t kStateSlots = 1024;
inline constexpr size_t kStateRecordBytes = size_t{1} << 20;

/// Names a record: slot (2 bytes, sorts).
inline constexpr char kStateRecordPrefix = 'r';
/// Names the row with the number of the last record whose states are in rows (8 bytes); there is one at most.
inline constexpr char kStatesInRowsPrefix = 'n';

/// Called with a vbucket and its encoded state (append_state()).
using VisitState = std::function<void(uint16_t vbucket, std::string_view state)>;
/// Reads what a commit has put into the default family: calls `visit` for each state in it, which is none,
/// one or several; their bytes are not looked at. False: it is the key of a state, or a record, that cannot
/// be understood; what is before the damage has been visited.
[[nodiscard]] bool visit_states(std::string_view key, std::string_view value, const VisitState& visit);

struct StatesOnDisk {
  /// The newest of each vbucket that has one, encoded.
  std::map<uint16_t, std::string> newest;
  /// Those whose newest state lies in a record, each once.
  std::vector<uint16_t> recorded;
  uint64_t in_rows = 0;     ///< number of the last record whose states are in rows
  uint32_t records = 0;     ///< behind it
  size_t record_bytes = 0;  ///< of these
  uint32_t undecodable =
      0;  ///< rows and records that cannot be understood, or of a vbucket that the shard cannot have
};
/// Reads them from the default family, of the iterator's moment. Not OK: what there is so far is in `states`.
[[nodiscard]] rocksdb::Status read_states(rocksdb::Iterator& rows, uint32_t vbuckets, StatesOnDisk& states);

/// What the committing thread knows of the records on disk. After a commit that failed it is worth nothing.
class StateRecords {
 public:
  StateRecords(StatesOnDisk&& on_disk, uint32_t vbuckets);

  /// Adds to the commit what makes these the newest states.
  [[nodiscard]] rocksdb::Status add(std::span<const VBucketState> states, rocksdb::WriteBatch& batch,
                                    rocksdb::ColumnFamilyHandle* family);

 private:
  [[nodiscard]] rocksdb::Status write_rows(rocksdb::WriteBatch& batch, rocksdb::ColumnFamilyHandle* family);

  /// By vbucket; empty: the row has it. At most as long as all states encoded.
  std::vector<std::string> newest_;
  std::vector<uint16_t> recorded_;
  uint64_t in_rows_;
  uint32_t records_;
  size_t record_bytes_;
  std::string record_;
};

}  // namespace bobbin::disk
