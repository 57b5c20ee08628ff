#include "disk/conversions.h"

#include "store/expiry.h"

namespace bobbin::disk {

namespace {

constexpr uint8_t kStale = 1;
constexpr uint8_t kTokenSent = 2;

RecordKind kind_of(store::ChangeKind kind) noexcept {
  switch (kind) {
    case store::ChangeKind::deletion:
      return RecordKind::deletion;
    case store::ChangeKind::expiration:
      return RecordKind::expiration;
    case store::ChangeKind::flush:
      return RecordKind::flush;
    case store::ChangeKind::event:
      return RecordKind::event;
    case store::ChangeKind::none:
    case store::ChangeKind::mutation:
      break;
  }
  return RecordKind::document;
}

}  // namespace

Change change_of(uint16_t vbucket, const store::Change& change, uint32_t now_s) noexcept {
  Change written;
  written.vbucket = vbucket;
  Record& record = written.record;
  record.kind = kind_of(change.kind);
  record.seqno = change.seqno;
  record.cas = change.cas;
  record.revision = change.revision;
  if (change.doc == nullptr) return written;
  if (record.kind == RecordKind::event) {
    record.value = change.doc->value();
    return written;
  }
  written.key = change.doc->doc_key();
  if (record.kind != RecordKind::document) {
    record.time_s = change.expiry == 0 ? now_s : store::deletion_time(change.expiry);
    if (!change.doc->is_tombstone()) return written;
    record.datatype = change.doc->datatype();
    record.flags = change.doc->flags();
    record.value = change.doc->value();
    return written;
  }
  record.marks = static_cast<uint8_t>((change.stale ? kStale : 0U) | (change.token_sent ? kTokenSent : 0U));
  record.datatype = change.doc->datatype();
  record.flags = change.doc->flags();
  record.time_s = change.expiry;
  record.value = change.doc->value();
  return written;
}

VBucketState state_of(uint16_t vbucket, store::VBucketState&& state) {
  VBucketState written;
  written.vbucket = vbucket;
  written.high_seqno = state.high_seqno;
  written.max_cas = state.max_cas;
  written.reserved_seqno = state.reserved_seqno;
  written.reserved_cas = state.reserved_cas;
  written.items = state.items;
  written.flush_at_s = state.flush_at_s;
  written.may_have_attributes = state.may_have_attributes;
  written.as_of_ns = state.as_of_ns;
  written.follows = state.follows;
  written.snapshot = state.snapshot;
  written.role = state.role;
  written.removals = state.removals;
  written.revisions = state.revisions;
  written.failover = std::move(state.failover);
  written.scopes = std::move(state.scopes);
  written.collections = std::move(state.collections);
  return written;
}

store::VBucketState state_of(const VBucketState& state) {
  store::VBucketState restored;
  restored.high_seqno = state.high_seqno;
  restored.max_cas = state.max_cas;
  restored.reserved_seqno = state.reserved_seqno;
  restored.reserved_cas = state.reserved_cas;
  restored.items = state.items;
  restored.flush_seqno = state.flush_seqno;
  restored.flush_at_s = state.flush_at_s;
  restored.may_have_attributes = state.may_have_attributes;
  restored.follows = state.follows;
  restored.snapshot = state.snapshot;
  restored.role = state.role;
  restored.removals = state.removals;
  restored.revisions = state.revisions;
  restored.failover = state.failover;
  restored.scopes = state.scopes;
  restored.collections = state.collections;
  return restored;
}

bool is_loadable(const Record& record) noexcept {
  return !is_tombstone(record.kind) || !record.value.empty();
}

store::LoadedRecord loaded_of(const Record& record, bool with_value) noexcept {
  store::LoadedRecord loaded;
  loaded.seqno = record.seqno;
  loaded.cas = record.cas;
  loaded.revision = record.revision;
  loaded.flags = record.flags;
  loaded.expiry = record.time_s;
  loaded.datatype = record.datatype;
  loaded.stale = (record.marks & kStale) != 0;
  loaded.token_sent = (record.marks & kTokenSent) != 0;
  loaded.deleted = is_tombstone(record.kind);
  loaded.value_size = static_cast<uint32_t>(record.value.size());
  if (with_value) loaded.value = record.value;
  return loaded;
}

}  // namespace bobbin::disk
