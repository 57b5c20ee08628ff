#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "store/doc_key.h"
#include "store/persistence_types.h"

namespace bobbin::disk {

/// How keys and values of the three column families are laid out.
///
///   docs     vbucket (2 bytes, sorts) stored key         -> record
///   seqnos   vbucket (2 bytes, sorts) seqno (8, sorts)   -> index entry
///   default  'v' vbucket (2, sorts)                      -> vbucket state
///            'r' slot (2, sorts)                         -> states of several vbuckets (state_records.h)
///            'n'                                         -> the last of these that is in rows
///            'p' vbucket (2, sorts)                      -> purge seqno
///            'c' vbucket (2, sorts) 0 scope (4, sorts)   -> what the vbucket knows of a scope
///            'c' vbucket (2, sorts) 1 collection (4, sorts)  -> ... of a collection that is there
///
/// A stored key is the collection and the name (store/doc_key.h): the documents of a collection are
/// neighbours.
///
/// None of these has a checksum of its own. RocksDB puts one on every record of the write-ahead log and of
/// the manifest, on every block of a table and on every value in a blob file, checks it at each read, and
/// keeps the length of every key and value inside what the checksum covers; a second one would cost 4 bytes
/// and a pass over each value, and could only find what goes wrong in memory between RocksDB and here.
/// Decoding is strict all the same: whatever the bytes are, it answers a record or nothing.

enum class RecordKind : uint8_t {
  document = 0,
  deletion = 1,    ///< a tombstone: a client removed the document
  expiration = 2,  ///< a tombstone: the document's time had come
  flush = 3,       ///< everything the vbucket had up to this seqno is gone; only in the index
  event = 4,       ///< a scope or collection was made, changed or dropped; only in the index
};

/// Of those that are about a document.
[[nodiscard]] constexpr bool has_document(RecordKind kind) noexcept {
  return kind <= RecordKind::expiration;
}

[[nodiscard]] constexpr bool is_tombstone(RecordKind kind) noexcept {
  return kind == RecordKind::deletion || kind == RecordKind::expiration;
}

/// One version of one document, or its tombstone. The value belongs to whoever holds the bytes.
struct Record {
  RecordKind kind = RecordKind::document;
  /// The meta commands' marks, as the store numbers them; 4 bits.
  uint8_t marks = 0;
  uint8_t datatype = 0;
  uint64_t seqno = 0;  ///< 48 bits
  uint64_t cas = 0;
  uint64_t revision = 0;  ///< 48 bits
  uint32_t flags = 0;
  /// Unix seconds: of a document its expiry (0: never), of a tombstone when it was written.
  uint32_t time_s = 0;
  std::string_view value;

  friend bool operator==(const Record&, const Record&) = default;
};

/// What the index says of one seqno.
struct IndexEntry {
  RecordKind kind = RecordKind::document;
  uint32_t value_bytes = 0;     ///< so that a reader can bound what it will read
  store::DocKey key;            ///< only of what has a document
  std::string_view event = {};  ///< of an event: store::CollectionEvent, encoded

  friend bool operator==(const IndexEntry&, const IndexEntry&) = default;
};

using store::FailoverEntry;

/// What is kept of a vbucket beside its documents.
struct VBucketState {
  uint16_t vbucket = 0;
  uint64_t high_seqno = 0;
  uint64_t max_cas = 0;
  /// Nothing above these has ever been given out: where a vbucket continues after an unclean end.
  uint64_t reserved_seqno = 0;
  uint64_t reserved_cas = 0;
  uint64_t items = 0;
  /// A flush that somebody has asked for, in Unix seconds; 0: none.
  uint32_t flush_at_s = 0;
  /// Some document has, or had, attributes in front of its value.
  bool may_have_attributes = false;
  /// No change up to `high_seqno` was made later than this, in Unix nanoseconds. 0: nobody knows.
  uint64_t as_of_ns = 0;
  /// It is a copy of another server's vbucket (store/replica.h), and in the middle of `snapshot` where its
  /// high seqno is.
  bool follows = false;
  store::ReplicaSnapshot snapshot;
  store::VBucketRole role = store::VBucketRole::active;
  store::HighestRemoval removals;
  store::HighestRevision revisions;
  /// To be written: everything that the vbucket has goes first. Not kept.
  bool clears = false;
  /// The last flush: where states are read, as the index has it; it is not written with them.
  uint64_t flush_seqno = 0;
  std::vector<FailoverEntry> failover;  ///< newest first; at most 256
  // Rows of their own: those to be written; where states are read, all.
  std::vector<store::ScopeState> scopes;
  std::vector<store::CollectionState> collections;

  friend bool operator==(const VBucketState&, const VBucketState&) = default;
};

inline constexpr size_t kRecordHeaderBytes = 31;
inline constexpr uint64_t kMaxSeqno = (uint64_t{1} << 48) - 1;
inline constexpr size_t kMaxFailoverEntries = 256;

/// Each appends to `out`. Keys are valid.
void append_document_key(std::string& out, uint16_t vbucket, store::DocKey key);
void append_seqno_key(std::string& out, uint16_t vbucket, uint64_t seqno);
void append_record(std::string& out, const Record& record);
void append_index_entry(std::string& out, const IndexEntry& entry);
void append_state(std::string& out, const VBucketState& state);
void append_scope(std::string& out, const store::ScopeState& state);
void append_collection(std::string& out, const store::CollectionState& state);

struct DocumentKey {
  uint16_t vbucket = 0;
  store::DocKey key;
};
struct SeqnoKey {
  uint16_t vbucket = 0;
  uint64_t seqno = 0;
};

/// Empty when the bytes are not exactly what the functions above write. Views point into the bytes.
[[nodiscard]] std::optional<DocumentKey> decode_document_key(std::string_view bytes) noexcept;
[[nodiscard]] std::optional<SeqnoKey> decode_seqno_key(std::string_view bytes) noexcept;
[[nodiscard]] std::optional<Record> decode_record(std::string_view bytes) noexcept;
[[nodiscard]] std::optional<IndexEntry> decode_index_entry(std::string_view bytes) noexcept;
// Ids are part of the key, not of the bytes.
[[nodiscard]] std::optional<store::ScopeState> decode_scope(store::ScopeId id, std::string_view bytes);
[[nodiscard]] std::optional<store::CollectionState> decode_collection(store::CollectionId id,
                                                                      std::string_view bytes);
/// The vbucket's number is part of the key, not of the bytes.
[[nodiscard]] std::optional<VBucketState> decode_state(uint16_t vbucket, std::string_view bytes);

}  // namespace bobbin::disk
