#include "feed/change_writer.h"

#include <array>
#include <utility>

#include "store/bucket_types.h"
#include "wire/compression.h"
#include "wire/datatype.h"
#include "wire/xattr.h"

namespace bobbin::feed {
namespace {

// Of a buffer that serves again.
constexpr size_t kKeptBytes = 64 << 10;

using Head = std::array<char, wire::kMaxDcpHeadBytes>;

std::string_view written(const Head& head, const char* end) {
  return {head.data(), static_cast<size_t>(end - head.data())};
}

wire::DcpEvent event_of(store::EventKind kind) {
  switch (kind) {
    case store::EventKind::collection_created:
      return wire::DcpEvent::collection_created;
    case store::EventKind::collection_dropped:
      return wire::DcpEvent::collection_dropped;
    case store::EventKind::collection_changed:
      return wire::DcpEvent::collection_changed;
    case store::EventKind::scope_created:
      return wire::DcpEvent::scope_created;
    case store::EventKind::scope_dropped:
      break;
  }
  return wire::DcpEvent::scope_dropped;
}

}  // namespace

StreamItem item_of(const store::Change& change) noexcept {
  StreamItem item;
  item.seqno = change.seqno;
  item.cas = change.cas;
  item.revision = change.revision;
  item.stored_key = change.doc->stored_key();
  if (change.kind == store::ChangeKind::mutation) {
    item.datatype = change.doc->datatype();
    item.flags = change.doc->flags();
    item.time_s = change.expiry;
    item.value = change.doc->value();
    item.source = &change;
  } else {
    item.kind = change.kind == store::ChangeKind::expiration ? disk::RecordKind::expiration
                                                             : disk::RecordKind::deletion;
    if (change.doc->is_tombstone()) {
      item.datatype = change.doc->datatype();
      item.value = change.doc->value();
    }
  }
  return item;
}

StreamItem item_of(std::string_view stored_key, const disk::Record& record) noexcept {
  return {.kind = record.kind,
          .datatype = record.datatype,
          .seqno = record.seqno,
          .cas = record.cas,
          .revision = record.revision,
          .flags = record.flags,
          .time_s = record.time_s,
          .stored_key = stored_key,
          .value = record.value};
}

void ChangeWriter::write(Outlet& out, const StreamItem& item) {
  // Who has not agreed on collections gets names of the default one, whose number takes one byte.
  const std::string_view key = options_.collections ? item.stored_key : item.stored_key.substr(1);
  if (item.kind == disk::RecordKind::document) return write_mutation(out, item, key);
  wire::DcpRemoval removal;
  if (item.kind == disk::RecordKind::expiration && options_.expirations) {
    removal.kind = wire::DcpRemovalKind::expiration;
  } else {
    removal.kind =
        options_.second_deletions() ? wire::DcpRemovalKind::deletion_v2 : wire::DcpRemovalKind::deletion_v1;
  }
  removal.seqno = item.seqno;
  removal.revision = item.revision;
  removal.cas = item.cas;
  removal.delete_time_s = item.time_s;
  removal.key.wire = key;
  if (options_.xattrs && (item.datatype & wire::kDatatypeXattr) != 0) [[unlikely]]
    keep_attributes(item.value, removal);
  Head head;
  out.send(written(head, wire::write_dcp_removal(head.data(), route_, removal)), key, removal.value);
}

// What a deleted document keeps has no body.
void ChangeWriter::keep_attributes(std::string_view value, wire::DcpRemoval& removal) {
  const auto parts = wire::split_xattr_value(value);
  if (!parts) return;
  attributes_ = parts->block;
  if (!options_.deleted_user_xattrs) wire::remove_user_xattrs(attributes_);
  if (attributes_.empty()) return;
  removal.datatype = wire::kDatatypeXattr;
  removal.value = attributes_;
}

void ChangeWriter::write_mutation(Outlet& out, const StreamItem& item, std::string_view key) {
  uint8_t datatype = item.datatype;
  std::string_view value = item.value;
  if ((datatype & wire::kDatatypeXattr) != 0) [[unlikely]] {
    const auto parts = wire::split_xattr_value(value);
    if (parts && !options_.xattrs) value = parts->body;
    if (parts && options_.xattrs && (options_.no_value || options_.no_value_but_datatype))
      value = parts->block;
    if (!options_.xattrs) datatype &= static_cast<uint8_t>(~wire::kDatatypeXattr);
  }
  if (options_.no_value || options_.no_value_but_datatype) {
    if ((datatype & wire::kDatatypeXattr) == 0) value = {};
    // What is left has no body, so it is no JSON, unless the client wants to know what it was.
    if (options_.no_value) datatype &= wire::kDatatypeXattr;
  }
  if (!options_.json) datatype &= static_cast<uint8_t>(~wire::kDatatypeJson);
  bool moved = false;
  const bool is_compressed = (datatype & wire::kDatatypeSnappy) != 0;
  if (is_compressed && !options_.snappy) [[unlikely]] {
    moved = !value.empty() && wire::inflate(value, store::kLargestMaxValueBytes, scratch_);
    if (moved) value = scratch_;
    // One that is damaged goes out as it lies: its bit says that this is not the value.
    const bool is_damaged = !moved && !value.empty();
    datatype &= static_cast<uint8_t>(is_damaged ? wire::kDatatypeSnappy : ~wire::kDatatypeSnappy);
  } else if (options_.compresses && !is_compressed && !value.empty()) {
    wire::deflate(value, scratch_);
    if (scratch_.size() < value.size()) {
      value = scratch_;
      datatype |= wire::kDatatypeSnappy;
      moved = true;
    }
  }
  wire::DcpMutation mutation;
  mutation.seqno = item.seqno;
  mutation.revision = item.revision;
  mutation.cas = item.cas;
  mutation.flags = item.flags;
  mutation.expiry_s = item.time_s;
  mutation.datatype = datatype;
  mutation.key.wire = key;
  mutation.value = value;
  Head head;
  const std::string_view bytes = written(head, wire::write_dcp_mutation(head.data(), route_, mutation));
  if (moved || item.source == nullptr || value.size() < Outlet::kPinFromBytes) [[likely]] {
    out.send(bytes, key, value);
    // Each stream would keep a buffer of its largest value.
    if (scratch_.capacity() > kKeptBytes) [[unlikely]]
      std::string().swap(scratch_);
    return;
  }
  out.send(bytes, key, store::pin(store::ChangeChunks::share(*item.source), value));
}

bool ChangeWriter::write(Outlet& out, uint64_t seqno, const store::CollectionEvent& event) const {
  if (!options_.collections) return false;
  // kv_engine sends it to those only who read FlatBuffers (system_event.md, "Modify Collection").
  if (event.kind == store::EventKind::collection_changed && !options_.collection_changes) return false;
  const wire::DcpSystemEvent message{.seqno = seqno,
                                     .event = event_of(event.kind),
                                     .manifest_uid = event.manifest_uid,
                                     .scope = event.scope,
                                     .collection = event.collection,
                                     .max_ttl_s = event.max_ttl_s,
                                     .name = event.name};
  Head head;
  std::array<char, wire::kMaxDcpEventValueBytes> value;
  const char* const end = wire::write_dcp_event_value(value.data(), message);
  out.send(written(head, wire::write_dcp_system_event(head.data(), route_, message)), event.name,
           std::string_view(value.data(), static_cast<size_t>(end - value.data())));
  return true;
}

void ChangeWriter::write(Outlet& out, wire::DcpSnapshotMarker marker) const {
  marker.version = options_.marker;
  marker.max_visible_seqno = marker.end_seqno;
  Head head;
  out.send(written(head, wire::write_dcp_snapshot_marker(head.data(), route_, marker)), {},
           std::string_view());
}

void ChangeWriter::write(Outlet& out, const wire::DcpOsoSnapshot& snapshot) const {
  Head head;
  out.send(written(head, wire::write_dcp_oso_snapshot(head.data(), route_, snapshot)), {},
           std::string_view());
}

void ChangeWriter::write(Outlet& out, const wire::DcpSeqnoAdvanced& advanced) const {
  Head head;
  out.send(written(head, wire::write_dcp_seqno_advanced(head.data(), route_, advanced)), {},
           std::string_view());
}

void ChangeWriter::write(Outlet& out, wire::DcpEnd reason) const {
  Head head;
  out.send(written(head, wire::write_dcp_stream_end(head.data(), route_, reason)), {}, std::string_view());
}

}  // namespace bobbin::feed
