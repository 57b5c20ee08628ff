#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "disk/content_check.h"
#include "disk/error.h"
#include "disk/files.h"
#include "disk/history_file.h"
#include "disk/reader.h"
#include "disk/record.h"
#include "disk/resources.h"
#include "store/expiry.h"

namespace bobbin::disk {

/// What the store knows of an index entry's key, asked by RocksDB's threads while they compact.
enum class Freshness : uint8_t {
  current,     ///< no persisted seqno of the key is higher
  superseded,  ///< one is: the entry can go
  unknown,     ///< the key is not in memory; the shard looks into its documents
};
using AskFreshness = std::function<Freshness(uint16_t vbucket, store::DocKey key, uint64_t seqno)>;

struct ShardOptions {
  std::string path;
  uint32_t vbuckets = 1024;
  bool create = false;
  /// Nothing on disk is changed, and nothing can be committed.
  bool read_only = false;
  /// With read_only: what every commit is answered with. Where none is given, that it was opened so.
  std::optional<Error> read_only_because;
  std::shared_ptr<Resources> resources;
  /// Null: the system's.
  std::shared_ptr<Files> files;
  /// Null: every entry is `unknown`. Must be callable until close() has returned; must not block.
  AskFreshness freshness;
  /// Null: tombstones stay.
  const base::Clock* clock = nullptr;
  /// Tombstones whose attributes lie in blob files stay longer: until their key has another document, or
  /// their vbucket or collection goes.
  uint32_t tombstone_age_s = store::kTombstoneAgeS;
  /// More than a tombstone without attributes has.
  uint64_t blob_from_bytes = 4096;
  uint32_t background_jobs = 2;
  /// How much to keep of the commits that are in tables already; half of what the file system has free at
  /// most. What an earlier run has kept beyond that goes when it is opened.
  uint64_t history_bytes = 0;
};

/// One version of a document, a tombstone (then `key` and record.seqno say whose and which), or a flush:
/// everything that the vbucket has up to record.seqno goes, what follows it in the same commit stays. Of an
/// event, record.value is a store::CollectionEvent; the end of a collection takes its documents as a flush
/// does.
struct Change {
  uint16_t vbucket = 0;
  store::DocKey key;
  Record record;
};

enum class Sync : uint8_t {
  /// In the kernel's hands: survives the process, not the machine. For tests and benches: a compaction may
  /// rely
  /// on what a power cut then takes.
  no,
  yes,  ///< on disk, before anybody sees it
};

struct ShardStatistics {
  uint64_t data_bytes = 0;     ///< live documents and index entries, as compressed: an estimate
  uint64_t file_bytes = 0;     ///< what the files in the shard's folder really take
  uint64_t history_bytes = 0;  ///< of these, commits that are kept although they are in tables
  uint64_t keys = 0;           ///< documents and tombstones: an estimate
  uint64_t memtable_bytes = 0;
  uint64_t table_reader_bytes = 0;
  uint64_t pending_compaction_bytes = 0;
  uint64_t running_compactions = 0;
  uint64_t running_flushes = 0;
  uint64_t delayed_write_bytes_per_s = 0;  ///< 0: writes are not slowed
  bool stopped = false;                    ///< writes wait until RocksDB has caught up
  bool sealed = false;
  uint64_t commits = 0;
  uint64_t changes = 0;
  uint64_t superseded = 0;  ///< changes that a later one of the same commit made needless
  uint64_t committed_bytes = 0;
  uint64_t index_entries_dropped = 0;
  uint64_t tombstones_purged = 0;
};

/// A file that a copy of a shard needs.
struct ShardFile {
  std::string name;
  uint64_t bytes = 0;  ///< it may be longer: what follows belongs to later commits
  /// Of what never changes again, the checksum that was recorded when it was written (file_copy.h); empty for
  /// others.
  std::string checksum;
  /// What to write instead of what the file has, if not empty.
  std::string contents;
};

/// One RocksDB with the documents, the by-seqno index and the states of the vbuckets that live in it.
///
/// One thread at a time commits and closes; everything else is for any thread, also meanwhile. All calls may
/// wait for the disk. What is passed in is not looked at after the call.
///
/// A write or a sync that fails seals the shard for good: the error is kept, every later commit answers it,
/// reads go on. It is never tried again, because a kernel that failed to sync may have dropped what it had.
class Shard {
 public:
  struct Impl;

  [[nodiscard]] static Result<std::unique_ptr<Shard>> open(const ShardOptions& options);
  /// As after a crash, without close().
  ~Shard();
  Shard(const Shard&) = delete;
  Shard& operator=(const Shard&) = delete;

  /// All of it or nothing, in one write. Changes of a vbucket come in seqno order; of several changes of one
  /// key only the last is written, to the index as well.
  [[nodiscard]] Result<void> commit(std::span<const Change> changes, std::span<const VBucketState> states,
                                    Sync sync);
  /// Empty as long as the shard can be written.
  [[nodiscard]] std::optional<Error> sealed() const;

  /// The document or tombstone.
  [[nodiscard]] Result<std::optional<StoredRecord>> get(uint16_t vbucket, store::DocKey key) const;
  /// One answer for each name, in their order.
  [[nodiscard]] std::vector<Result<std::optional<StoredRecord>>> get_many(
      std::span<const DocumentKey> names) const;

  /// The same, of which only this is wanted: true for a document, false for a tombstone or nothing. Reads no
  /// value from a blob file where the rest is in memory, unless tombstones may have attributes: then what
  /// lies in a blob file may be a tombstone's.
  [[nodiscard]] std::vector<Result<bool>> are_documents(std::span<const DocumentKey> names,
                                                        bool may_have_attributes = false) const;

  /// Documents and tombstones in the order of their stored keys: of one vbucket, or of all in their order.
  /// `after` is the last key that is not wanted. The view is that of this moment.
  [[nodiscard]] std::unique_ptr<KeyReader> read_keys(std::optional<uint16_t> vbucket,
                                                     std::optional<store::DocKey> after = std::nullopt) const;
  /// The same for this vbucket and all behind it.
  [[nodiscard]] std::unique_ptr<KeyReader> read_keys_from(uint16_t first_vbucket) const;
  /// The documents and tombstones of a vbucket with what its index ends with, both of this moment.
  [[nodiscard]] Result<KeysUntil> read_keys_until(uint16_t vbucket) const;
  /// The same for stored keys from `from`, included, to `to`, excluded. For scans, of which many may be open
  /// and short: it reads ahead only when it is read on.
  [[nodiscard]] std::unique_ptr<KeyReader> read_range(uint16_t vbucket, std::string_view from,
                                                      std::string_view to) const;
  /// What the vbucket's index has from `from` to `to`, both included, as it is at this moment.
  [[nodiscard]] std::unique_ptr<SeqnoReader> read_seqnos(uint16_t vbucket, uint64_t from, uint64_t to) const;

  /// Of every vbucket that has one, as they were committed: who changes a vbucket commits its new state with
  /// the changes. (To look into the index instead takes half a second when a server starts: it is asked for
  /// nothing but the flush of a vbucket that may have had one.)
  [[nodiscard]] Result<std::vector<VBucketState>> states() const;
  /// Tombstones up to this seqno may be gone: who has seen less has to start from nothing.
  [[nodiscard]] uint64_t purge_seqno(uint16_t vbucket) const noexcept;

  /// Counts RocksDB's writes: it never falls, unless something was lost.
  [[nodiscard]] uint64_t sequence() const noexcept;
  [[nodiscard]] ShardStatistics statistics() const;
  [[nodiscard]] const std::string& path() const noexcept;

  /// Rewrites everything: drops superseded index entries and old tombstones.
  [[nodiscard]] Result<void> compact();
  /// The same for any thread while others commit: of tombstones that are old enough now, the next run rids
  /// it. Ends early, with no error, when `canceled` becomes true.
  [[nodiscard]] Result<void> compact_meanwhile(std::atomic<bool>& canceled) const;
  /// Reads every table and blob file and checks its checksums; the error names the first damaged file.
  /// `progress` is called with the bytes read and the bytes there are. With `damaged`, goes on after damage
  /// and adds an error for each file.
  [[nodiscard]] Result<void> verify(const std::function<void(uint64_t, uint64_t)>& progress = {},
                                    std::vector<Error>* damaged = nullptr) const;
  /// Reads everything and compares documents, index and states with each other. `progress` is called with
  /// the documents read and an estimate of how many there are.
  [[nodiscard]] ContentCheck check_content(
      const ContentRules& rules, const std::function<void(uint64_t, uint64_t)>& progress = {}) const;

  /// Calls `visit` with every commit behind `sequence`, in their order. False: the history does not go back
  /// so far, and what was visited has gaps. What there is of it is not given up while with_files() runs.
  [[nodiscard]] Result<bool> read_history(uint64_t sequence, const VisitCommit& visit) const;
  /// Does the commit that follows the last one of this shard again, unsynced. For the committing thread.
  [[nodiscard]] Result<void> replay(const HistoryCommit& commit);

  /// Brings memtables to disk, unless the shard was opened to be read only; then calls `use` with the files
  /// that make up the shard at one moment between two commits. None of them is deleted meanwhile.
  [[nodiscard]] Result<void> with_files(
      const std::function<Result<void>(std::span<const ShardFile>)>& use) const;

  /// Memtables to disk, so that nothing is left to replay. Readers must be gone. Nothing works afterwards.
  [[nodiscard]] Result<void> close();

 private:
  explicit Shard(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace bobbin::disk
