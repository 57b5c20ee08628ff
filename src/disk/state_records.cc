#include "disk/state_records.h"

#include <utility>

#include "disk/bytes.h"
#include "disk/shard_impl.h"

namespace bobbin::disk {

namespace {

using rocksdb::Slice;
using rocksdb::Status;

// The first byte of a record; then its number, and of each state the vbucket, the length and the state.
constexpr uint8_t kRecordFormat = 1;
constexpr size_t kNumberBytes = 8;
// More than anybody writes.
constexpr uint64_t kMaxStateRecords = uint64_t{1} << 56;
constexpr size_t kVBucketBytes = 2;
constexpr size_t kLengthBytes = 2;
// Of a state: 128 bytes are more than all that comes before its failover entries.
static_assert(128 + kMaxFailoverEntries * 16 < size_t{1} << (8 * kLengthBytes));

std::string_view view(const Slice& slice) {
  return {slice.data(), slice.size()};
}

std::string record_key(uint32_t slot) {
  std::string key(1, kStateRecordPrefix);
  put_sortable(key, slot, 2);
  return key;
}

/// The number of a record; 0, which no record has: it cannot be understood.
uint64_t number_of(std::string_view record) {
  ByteReader reader(record);
  const uint64_t format = reader.number(1);
  const uint64_t number = reader.number(kNumberBytes);
  return reader.ok() && format == kRecordFormat ? number : 0;
}

bool visit_record(std::string_view record, const VisitState& visit) {
  if (number_of(record) == 0) return false;
  ByteReader reader(record);
  (void)reader.number(1);
  (void)reader.number(kNumberBytes);
  while (reader.ok() && !reader.rest().empty()) {
    const auto vbucket = static_cast<uint16_t>(reader.number(kVBucketBytes));
    const std::string_view state = reader.bytes(reader.number(kLengthBytes));
    if (reader.ok()) visit(vbucket, state);
  }
  return reader.ok();
}

/// Brings states, the older first, into what has been read so far.
class NewestStates {
 public:
  NewestStates(StatesOnDisk& states, uint32_t vbuckets) : states_(states), is_recorded_(vbuckets, false) {}

  void take_row(std::string_view key, std::string_view value) { take(key, value, false); }
  void take_record(uint32_t slot, std::string_view key, std::string_view value) {
    const uint64_t number = number_of(value);
    // Of before the slots were used anew.
    if (number != 0 && number <= states_.in_rows) return;
    // None is missing in between.
    if (slot >= kStateSlots || slot != states_.records || number != states_.in_rows + 1 + slot) {
      ++states_.undecodable;
      return;
    }
    ++states_.records;
    states_.record_bytes += value.size();
    take(key, value, true);
  }

 private:
  void take(std::string_view key, std::string_view value, bool is_record) {
    const auto newer = [this, is_record](uint16_t vbucket, std::string_view state) {
      if (vbucket >= is_recorded_.size() || !decode_state(vbucket, state)) {
        ++states_.undecodable;
        return;
      }
      states_.newest.insert_or_assign(vbucket, state);
      if (!is_record || is_recorded_[vbucket]) return;
      is_recorded_[vbucket] = true;
      states_.recorded.push_back(vbucket);
    };
    if (!visit_states(key, value, newer)) ++states_.undecodable;
  }

  StatesOnDisk& states_;
  std::vector<bool> is_recorded_;
};

}  // namespace

bool visit_states(std::string_view key, std::string_view value, const VisitState& visit) {
  if (key.starts_with(kStateRecordPrefix)) return visit_record(value, visit);
  if (!key.starts_with(kStatePrefix)) return true;
  ByteReader name(key.substr(1));
  const auto vbucket = static_cast<uint16_t>(name.sortable(kVBucketBytes));
  if (!name.ok() || !name.rest().empty()) return false;
  visit(vbucket, value);
  return true;
}

Status read_states(rocksdb::Iterator& rows, uint32_t vbuckets, StatesOnDisk& states) {
  NewestStates newest(states, vbuckets);
  const std::string in_rows(1, kStatesInRowsPrefix);
  rows.Seek(in_rows);
  if (rows.Valid() && rows.key() == in_rows) {
    ByteReader number(view(rows.value()));
    states.in_rows = number.number(kNumberBytes);
    if (!number.ok() || !number.rest().empty() || states.in_rows > kMaxStateRecords) ++states.undecodable;
  }
  // Each before the next seek: it forgets what it has not seen.
  if (!rows.status().ok()) return rows.status();
  const std::string of_vbuckets(1, kStatePrefix);
  for (rows.Seek(of_vbuckets); rows.Valid() && rows.key().starts_with(of_vbuckets); rows.Next())
    newest.take_row(view(rows.key()), view(rows.value()));
  if (!rows.status().ok()) return rows.status();
  const std::string records(1, kStateRecordPrefix);
  for (rows.Seek(records); rows.Valid() && rows.key().starts_with(records); rows.Next()) {
    ByteReader name(view(rows.key()).substr(1));
    const auto slot = static_cast<uint32_t>(name.sortable(2));
    if (name.ok() && name.rest().empty())
      newest.take_record(slot, view(rows.key()), view(rows.value()));
    else
      ++states.undecodable;
  }
  return rows.status();
}

StateRecords::StateRecords(StatesOnDisk&& on_disk, uint32_t vbuckets)
    : newest_(vbuckets),
      recorded_(std::move(on_disk.recorded)),
      in_rows_(on_disk.in_rows),
      records_(on_disk.records),
      record_bytes_(on_disk.record_bytes) {
  for (const uint16_t vbucket : recorded_)
    newest_[vbucket] = std::move(on_disk.newest[vbucket]);
}

Status StateRecords::add(std::span<const VBucketState> states, rocksdb::WriteBatch& batch,
                         rocksdb::ColumnFamilyHandle* family) {
  if (states.empty()) return Status::OK();
  record_.clear();
  put_number(record_, kRecordFormat, 1);
  put_number(record_, in_rows_ + records_ + 1, kNumberBytes);
  for (const VBucketState& state : states) {
    std::string& newest = newest_[state.vbucket];
    if (newest.empty()) recorded_.push_back(state.vbucket);
    newest.clear();
    append_state(newest, state);
    put_number(record_, state.vbucket, kVBucketBytes);
    put_number(record_, newest.size(), kLengthBytes);
    record_.append(newest);
  }
  if (records_ >= kStateSlots || record_bytes_ + record_.size() > kStateRecordBytes)
    return write_rows(batch, family);
  record_bytes_ += record_.size();
  return batch.Put(family, record_key(records_++), record_);
}

Status StateRecords::write_rows(rocksdb::WriteBatch& batch, rocksdb::ColumnFamilyHandle* family) {
  for (const uint16_t vbucket : recorded_) {
    std::string& newest = newest_[vbucket];
    Status status = batch.Put(family, row_key(kStatePrefix, vbucket), newest);
    if (!status.ok()) return status;
    newest.clear();
  }
  recorded_.clear();
  in_rows_ += records_;
  records_ = 0;
  record_bytes_ = 0;
  record_.clear();
  put_number(record_, in_rows_, kNumberBytes);
  return batch.Put(family, std::string(1, kStatesInRowsPrefix), record_);
}

}  // namespace bobbin::disk
