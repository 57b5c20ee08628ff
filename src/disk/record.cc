#include "disk/record.h"

#include "disk/bytes.h"
#include "store/collection_event.h"

namespace bobbin::disk {

namespace {

// The first byte of every record and state. A later layout takes the next number and still reads this one.
constexpr uint8_t kFormat = 1;
// Of states: with a flush to come, when it was so, and four bytes of marks.
constexpr uint8_t kStateFormat = 2;
// Of those that are not just active: with what else they are, and of a copy the snapshot.
constexpr uint8_t kRoleFormat = 3;
// All that, and the highest removal, where there was one.
constexpr uint8_t kRemovalFormat = 4;
// All that, and the highest revision, where there was one.
constexpr uint8_t kRevisionFormat = 5;
constexpr uint32_t kAttributesMark = 1;
constexpr uint32_t kFollowsMark = 2;
constexpr uint32_t kFromDiskMark = 4;
// Who wrote it has known all removals; others kept none of these.
constexpr uint32_t kRemovalsMark = 8;
// The same of all revisions.
constexpr uint32_t kRevisionsMark = 16;
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
  if (has_document(entry.kind)) entry.key.append_stored(out);
  out.append(entry.event);
}

void append_state(std::string& out, const VBucketState& state) {
  const bool has_role = state.follows || state.role != store::VBucketRole::active;
  const bool has_revisions = !state.revisions.nothing();
  const bool has_removals = has_revisions || !state.removals.nothing();
  out.push_back(static_cast<char>(has_revisions  ? kRevisionFormat
                                  : has_removals ? kRemovalFormat
                                  : has_role     ? kRoleFormat
                                                 : kStateFormat));
  put_number(out, state.high_seqno, 8);
  put_number(out, state.max_cas, 8);
  put_number(out, state.reserved_seqno, 8);
  put_number(out, state.reserved_cas, 8);
  put_number(out, state.items, 8);
  put_number(out, state.flush_at_s, 4);
  put_number(out, state.as_of_ns, 8);
  const store::ReplicaSnapshot snapshot = state.follows ? state.snapshot : store::ReplicaSnapshot();
  put_number(out,
             (state.may_have_attributes ? kAttributesMark : 0) | (state.follows ? kFollowsMark : 0) |
                 (snapshot.from_disk ? kFromDiskMark : 0) | (state.removals.complete ? kRemovalsMark : 0) |
                 (state.revisions.complete ? kRevisionsMark : 0),
             4);
  if (has_role || has_removals) {
    put_number(out, static_cast<uint8_t>(state.role), 1);
    put_number(out, snapshot.start, 8);
    put_number(out, snapshot.end, 8);
  }
  if (has_removals) {
    put_number(out, state.removals.revision, kSeqnoBytes);
    put_number(out, state.removals.cas, kCasBytes);
  }
  if (has_revisions) put_number(out, state.revisions.revision, kSeqnoBytes);
  for (const FailoverEntry& entry : state.failover) {
    put_number(out, entry.uuid, 8);
    put_number(out, entry.seqno, 8);
  }
}

void append_scope(std::string& out, const store::ScopeState& state) {
  out.push_back(static_cast<char>(kFormat));
  put_number(out, state.created_seqno, kSeqnoBytes);
  out.append(state.name);
}

void append_collection(std::string& out, const store::CollectionState& state) {
  out.push_back(static_cast<char>(kFormat));
  put_number(out, state.scope, 4);
  put_number(out, state.max_ttl_s ? 1 : 0, 1);
  put_number(out, state.max_ttl_s.value_or(0), 4);
  put_number(out, state.created_seqno, kSeqnoBytes);
  put_number(out, state.high_seqno, kSeqnoBytes);
  put_number(out, state.items, 8);
  out.append(state.name);
}

std::optional<store::ScopeState> decode_scope(store::ScopeId id, std::string_view bytes) {
  ByteReader reader(bytes);
  const uint64_t format = reader.number(1);
  const uint64_t seqno = reader.number(kSeqnoBytes);
  if (format != kFormat || !reader.ok() || reader.rest().size() > store::kMaxManifestNameBytes)
    return std::nullopt;
  return store::ScopeState{id, seqno, std::string(reader.rest())};
}

std::optional<store::CollectionState> decode_collection(store::CollectionId id, std::string_view bytes) {
  ByteReader reader(bytes);
  const uint64_t format = reader.number(1);
  store::CollectionState state;
  state.id = id;
  state.scope = static_cast<store::ScopeId>(reader.number(4));
  const uint64_t has_ttl = reader.number(1);
  const auto ttl_s = static_cast<uint32_t>(reader.number(4));
  state.created_seqno = reader.number(kSeqnoBytes);
  state.high_seqno = reader.number(kSeqnoBytes);
  state.items = reader.number(8);
  if (format != kFormat || has_ttl > 1 || !reader.ok()) return std::nullopt;
  if (reader.rest().size() > store::kMaxManifestNameBytes) return std::nullopt;
  state.name = reader.rest();
  if (has_ttl != 0) state.max_ttl_s = ttl_s;
  return state;
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
  if (kind > static_cast<uint64_t>(RecordKind::event)) return std::nullopt;
  IndexEntry entry;
  entry.kind = static_cast<RecordKind>(kind);
  entry.value_bytes = static_cast<uint32_t>(reader.number(kValueBytesBytes));
  if (!reader.ok()) return std::nullopt;
  if (entry.kind == RecordKind::flush) return reader.rest().empty() ? std::optional(entry) : std::nullopt;
  if (entry.kind == RecordKind::event) {
    entry.event = reader.rest();
    return store::decode_event(entry.event) ? std::optional(entry) : std::nullopt;
  }
  const auto key = store::DocKey::parse(reader.rest());
  if (!key) return std::nullopt;
  entry.key = *key;
  return entry;
}

std::optional<VBucketState> decode_state(uint16_t vbucket, std::string_view bytes) {
  ByteReader reader(bytes);
  const uint64_t format = reader.number(1);
  if (format < kFormat || format > kRevisionFormat) return std::nullopt;
  VBucketState state;
  state.vbucket = vbucket;
  state.high_seqno = reader.number(8);
  state.max_cas = reader.number(8);
  state.reserved_seqno = reader.number(8);
  state.reserved_cas = reader.number(8);
  state.items = reader.number(8);
  state.removals.complete = false;
  state.revisions.complete = false;
  if (format != kFormat) {
    state.flush_at_s = static_cast<uint32_t>(reader.number(4));
    state.as_of_ns = reader.number(8);
    const uint64_t marks = reader.number(4);
    state.may_have_attributes = (marks & kAttributesMark) != 0;
    state.follows = format >= kRoleFormat && (marks & kFollowsMark) != 0;
    state.snapshot.from_disk = state.follows && (marks & kFromDiskMark) != 0;
    state.removals.complete = (marks & kRemovalsMark) != 0;
    state.revisions.complete = (marks & kRevisionsMark) != 0;
  }
  if (format >= kRoleFormat) {
    const uint64_t role = reader.number(1);
    if (role > static_cast<uint64_t>(store::VBucketRole::dead)) return std::nullopt;
    state.role = static_cast<store::VBucketRole>(role);
    const uint64_t start = reader.number(8);
    const uint64_t end = reader.number(8);
    if (state.follows) {
      state.snapshot.start = start;
      state.snapshot.end = end;
    }
  }
  if (format >= kRemovalFormat) {
    state.removals.revision = reader.number(kSeqnoBytes);
    state.removals.cas = reader.number(kCasBytes);
  }
  if (format == kRevisionFormat) state.revisions.revision = reader.number(kSeqnoBytes);
  while (reader.ok() && !reader.rest().empty()) {
    if (state.failover.size() == kMaxFailoverEntries) return std::nullopt;
    const uint64_t uuid = reader.number(8);
    state.failover.push_back({uuid, reader.number(8)});
  }
  if (!reader.ok()) return std::nullopt;
  return state;
}

}  // namespace bobbin::disk
