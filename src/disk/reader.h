#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "disk/error.h"
#include "disk/record.h"

namespace bobbin::disk {

/// A record with the bytes it was decoded from. Move-only, so that no value is copied by mistake.
class StoredRecord {
 public:
  /// Takes bytes that decode_record() has accepted.
  explicit StoredRecord(std::string bytes) : bytes_(std::move(bytes)) {}
  StoredRecord(StoredRecord&&) noexcept = default;
  StoredRecord& operator=(StoredRecord&&) noexcept = default;
  StoredRecord(const StoredRecord&) = delete;
  StoredRecord& operator=(const StoredRecord&) = delete;
  ~StoredRecord() = default;

  /// Valid as long as this is, and is not moved.
  [[nodiscard]] Record record() const noexcept { return decode_record(bytes_).value_or(Record{}); }

 private:
  std::string bytes_;
};

/// Walks documents in the order of their stored keys. One thread at a time; must go before its shard closes,
/// and should go soon: it keeps the files of its moment from being deleted.
class KeyReader {
 public:
  struct Impl;

  explicit KeyReader(std::unique_ptr<Impl> impl);
  ~KeyReader();
  KeyReader(const KeyReader&) = delete;
  KeyReader& operator=(const KeyReader&) = delete;

  /// True with the next document or tombstone, false at the end, an error when something cannot be read.
  /// After an error the reader is at its end.
  [[nodiscard]] Result<bool> next();
  /// Of the last next() that was true, until the following one.
  [[nodiscard]] uint16_t vbucket() const noexcept;
  [[nodiscard]] store::DocKey key() const noexcept;
  /// The same as it is kept.
  [[nodiscard]] std::string_view stored_key() const noexcept;
  [[nodiscard]] const Record& record() const noexcept;

  enum class Resume : uint8_t { same, following };
  /// Frees the value that it holds, which may be large: there is no key and no record until next(), which
  /// goes on with the same document, read again, or with the one behind it. Of read_range() only, after a
  /// next() that was true.
  void let_go(Resume at);

 private:
  std::unique_ptr<Impl> impl_;
};

/// The documents of a vbucket, with the seqno of the last change that it had at that moment (0: none).
struct KeysUntil {
  std::unique_ptr<KeyReader> reader;
  uint64_t last_seqno = 0;
};

/// What happened to one key; or a flush or an event (`stored_key` is empty, record() has nothing).
struct SeqnoItem {
  RecordKind kind = RecordKind::document;
  uint64_t seqno = 0;
  std::string stored_key;
  StoredRecord stored{std::string()};
  std::string event = {};  ///< a store::CollectionEvent, encoded
};

/// Walks a vbucket in seqno order, in runs: a piece of the index is read, sorted by key, looked up in the
/// documents by one walk, and sorted back. Entries whose key has a newer document are left out. As KeyReader
/// otherwise.
class SeqnoReader {
 public:
  struct Impl;

  explicit SeqnoReader(std::unique_ptr<Impl> impl);
  ~SeqnoReader();
  SeqnoReader(const SeqnoReader&) = delete;
  SeqnoReader& operator=(const SeqnoReader&) = delete;

  /// Up to `items` items and about `bytes` bytes, at least one item; empty only at the end.
  [[nodiscard]] Result<std::vector<SeqnoItem>> next_run(size_t items, size_t bytes);
  /// Of the last change that the vbucket had at the moment of the reader, wherever that ends; 0: it has none.
  [[nodiscard]] uint64_t last_seqno() const noexcept;

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace bobbin::disk
