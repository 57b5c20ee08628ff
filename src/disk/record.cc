#include "disk/record.h"

#include "disk/bytes.h"

namespace bobbin::disk {

namespace {

// The first byte of every record and state. A later layout takes the next number and still reads this one.
constexpr uint8_t kFormat = 1;
// Of states: with a flush to come, when it was so, and four bytes of marks.
constexpr uint8_t kStateFormat = 2;
constexpr uint32_t kAttributesMark = 1;
constexpr int kMarksShift = 4;
constexpr uint8_t kKindMask = 0x0f;
constexpr uint8_t kMaxMarks = 0x0f;

constexpr size_t kVBucketBytes = 2;
constexpr size_t kSeqnoKeyBytes = 8;
constexpr size_t kSeqnoBytes = 6;
constexpr size_t kCasBytes = 8;
constexpr size_t kValueBytesBytes = 4;

static_assert(kRecordHeaderBytes == 1 + 1 + kSeqnoBytes + kCasBytes + kSeqnoBytes + 4 + 4 + 1);

}  // namespace

void append_document_key(std::string& out, uint16_t vbucket, store::DocKey key) {
  put_sortable(out, vbucket, kVBucketBytes);
  key.append_stored(out);
}

void append_seqno_key(std::string& out, uint16_t vbucket, uint64_t seqno) {
  put_sortable(out, vbucket, kVBucketBytes);
  put_sortable(out, seqno, kSeqnoKeyBytes);
}

void append_record(std::string& out, const Record& record) {
  out.push_back(static_cast<char>(kFormat));
  out.push_back(
      static_cast<char>(static_cast<uint8_t>(record.kind) | (record.marks & kMaxMarks) << kMarksShift));
  put_number(out, record.seqno, kSeqnoBytes);
  put_number(out, record.cas, kCasBytes);
  put_number(out, record.revision, kSeqnoBytes);
  put_number(out, record.flags, 4);
  put_number(out, record.time_s, 4);
  out.push_back(static_cast<char>(record.datatype));
  out.append(record.value);
}

void append_index_entry(std::string& out, const IndexEntry& entry) {
  out.push_back(static_cast<char>(entry.kind));
  put_number(out, entry.value_bytes, kValueBytesBytes);
  if (entry.kind != RecordKind::flush) entry.key.append_stored(out);
}

void append_state(std::string& out, const VBucketState& state) {
  out.push_back(static_cast<char>(kStateFormat));
  put_number(out, state.high_seqno, 8);
  put_number(out, state.max_cas, 8);
  put_number(out, state.reserved_seqno, 8);
  put_number(out, state.reserved_cas, 8);
  put_number(out, state.items, 8);
  put_number(out, state.flush_at_s, 4);
  put_number(out, state.as_of_ns, 8);
  put_number(out, state.may_have_attributes ? kAttributesMark : 0, 4);
  for (const FailoverEntry& entry : state.failover) {
    put_number(out, entry.uuid, 8);
    put_number(out, entry.seqno, 8);
  }
}

std::optional<DocumentKey> decode_document_key(std::string_view bytes) noexcept {
  ByteReader reader(bytes);
  const auto vbucket = static_cast<uint16_t>(reader.sortable(kVBucketBytes));
  const auto key = store::DocKey::parse(reader.rest());
  if (!reader.ok() || !key) return std::nullopt;
  return DocumentKey{vbucket, *key};
}

std::optional<SeqnoKey> decode_seqno_key(std::string_view bytes) noexcept {
  ByteReader reader(bytes);
  const auto vbucket = static_cast<uint16_t>(reader.sortable(kVBucketBytes));
  const uint64_t seqno = reader.sortable(kSeqnoKeyBytes);
  if (!reader.ok() || !reader.rest().empty() || seqno > kMaxSeqno) return std::nullopt;
  return SeqnoKey{vbucket, seqno};
}

std::optional<Record> decode_record(std::string_view bytes) noexcept {
  ByteReader reader(bytes);
  if (reader.number(1) != kFormat) return std::nullopt;
  const auto kind_and_marks = static_cast<uint8_t>(reader.number(1));
  Record record;
  record.kind = static_cast<RecordKind>(kind_and_marks & kKindMask);
  if (record.kind > RecordKind::expiration) return std::nullopt;
  record.marks = kind_and_marks >> kMarksShift;
  record.seqno = reader.number(kSeqnoBytes);
  record.cas = reader.number(kCasBytes);
  record.revision = reader.number(kSeqnoBytes);
  record.flags = static_cast<uint32_t>(reader.number(4));
  record.time_s = static_cast<uint32_t>(reader.number(4));
  record.datatype = static_cast<uint8_t>(reader.number(1));
  if (!reader.ok()) return std::nullopt;
  record.value = reader.rest();
  return record;
}

std::optional<IndexEntry> decode_index_entry(std::string_view bytes) noexcept {
  ByteReader reader(bytes);
  const uint64_t kind = reader.number(1);
  if (kind > static_cast<uint64_t>(RecordKind::flush)) return std::nullopt;
  IndexEntry entry;
  entry.kind = static_cast<RecordKind>(kind);
  entry.value_bytes = static_cast<uint32_t>(reader.number(kValueBytesBytes));
  if (!reader.ok()) return std::nullopt;
  if (entry.kind == RecordKind::flush) return reader.rest().empty() ? std::optional(entry) : std::nullopt;
  const auto key = store::DocKey::parse(reader.rest());
  if (!key) return std::nullopt;
  entry.key = *key;
  return entry;
}

std::optional<VBucketState> decode_state(uint16_t vbucket, std::string_view bytes) {
  ByteReader reader(bytes);
  const uint64_t format = reader.number(1);
  if (format != kFormat && format != kStateFormat) return std::nullopt;
  VBucketState state;
  state.vbucket = vbucket;
  state.high_seqno = reader.number(8);
  state.max_cas = reader.number(8);
  state.reserved_seqno = reader.number(8);
  state.reserved_cas = reader.number(8);
  state.items = reader.number(8);
  if (format == kStateFormat) {
    state.flush_at_s = static_cast<uint32_t>(reader.number(4));
    state.as_of_ns = reader.number(8);
    state.may_have_attributes = (reader.number(4) & kAttributesMark) != 0;
  }
  while (reader.ok() && !reader.rest().empty()) {
    if (state.failover.size() == kMaxFailoverEntries) return std::nullopt;
    const uint64_t uuid = reader.number(8);
    state.failover.push_back({uuid, reader.number(8)});
  }
  if (!reader.ok()) return std::nullopt;
  return state;
}

}  // namespace bobbin::disk
