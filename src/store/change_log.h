#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "store/document.h"

namespace bobbin::store {

class MemoryAccount;

enum class ChangeKind : uint8_t {
  none,        ///< superseded before anybody took it
  mutation,    ///< the document
  deletion,    ///< the document that a client removed, or the tombstone with attributes that it left
  expiration,  ///< the document that expired, or the same
  flush,       ///< no document: everything before this seqno is gone
  event,       ///< of a scope or collection: the document's value is a CollectionEvent
};

/// One change as it is shown to its reader.
struct Change {
  ChangeKind kind = ChangeKind::none;
  /// Of this change; for a mutation the document's own.
  uint64_t seqno = 0;
  uint64_t cas = 0;
  /// Of the document, or of the tombstone.
  uint64_t revision = 0;
  /// A mutation's; absolute, 0 is never. Of an end, when it may be forgotten (tombstone_end).
  uint32_t expiry = 0;
  /// Marks of the meta commands, which a restart keeps.
  bool stale = false;
  bool token_sent = false;
  /// Nobody knew whether the key was on disk before: who finds out tells Bucket::persisted.
  bool prior_unknown = false;
  /// Null for a flush. Of an end only the key counts, unless it is a tombstone: then its value are the
  /// attributes that stay. Valid as long as its ChangeChunks.
  const Document* doc = nullptr;
};

/// Changes in the order of their seqnos, with a reference to each one's document: pieces of 1 KiB, charged to
/// the bucket's account. One thread at a time, any thread. May outlive the bucket.
class ChangeChunks {
 public:
  ChangeChunks() = default;
  explicit ChangeChunks(MemoryAccount* account) noexcept : account_(account) {}
  ChangeChunks(ChangeChunks&& other) noexcept { swap(other); }
  ChangeChunks& operator=(ChangeChunks&& other) noexcept {
    ChangeChunks taken(std::move(other));
    swap(taken);
    return *this;
  }
  ChangeChunks(const ChangeChunks&) = delete;
  ChangeChunks& operator=(const ChangeChunks&) = delete;
  ~ChangeChunks();

  /// Calls `visit(const Change&)` for each, oldest first.
  template <typename Visit>
  void for_each(Visit&& visit) const;

  /// Where a walk in pieces is.
  struct Place {
    size_t chunk = 0;
    uint32_t entry = 0;
  };
  /// The next change from `place` on; nothing at the end.
  [[nodiscard]] std::optional<Change> next(Place& place) const noexcept;
  /// One more reference to the document of a change that these chunks have shown.
  [[nodiscard]] static DocumentRef share(const Change& change) noexcept;

 private:
  friend class ChangeLog;

  struct Entry {
    Document* document;
    uint64_t cas;
    uint64_t seqno : 48;
    uint64_t kind : 8;
    uint64_t marks : 8;
  };
  static_assert(sizeof(Entry) == 24);

  struct Chunk {
    static constexpr uint32_t kCapacity = 42;
    uint32_t count = 0;
    std::array<Entry, kCapacity> entries;
    [[nodiscard]] uint64_t last_seqno() const noexcept { return entries[count - 1].seqno; }
  };
  static_assert(sizeof(Chunk) <= 1024);

  [[nodiscard]] static Change show(const Entry& entry) noexcept;
  void swap(ChangeChunks& other) noexcept {
    std::swap(account_, other.account_);
    std::swap(chunks_, other.chunks_);
  }
  [[nodiscard]] Chunk* new_chunk() const noexcept;
  void free_chunk(Chunk* chunk) const noexcept;

  MemoryAccount* account_ = nullptr;
  std::vector<Chunk*> chunks_;
};

template <typename Visit>
void ChangeChunks::for_each(Visit&& visit) const {
  for (const Chunk* chunk : chunks_) {
    for (uint32_t i = 0; i < chunk->count; ++i) {
      const Entry& entry = chunk->entries[i];
      if (static_cast<ChangeKind>(entry.kind) != ChangeKind::none) visit(show(entry));
    }
  }
}

/// What a cursor is given.
struct TakenChanges {
  /// Every seqno from `from` to `to` is in here, or superseded by one that is.
  uint64_t from = 0;
  uint64_t to = 0;
  ChangeChunks changes;
  uint64_t items = 0;
  uint64_t bytes = 0;
  /// The cursor is gone: it lagged too far, or was closed.
  bool lost = false;
  /// Nothing was taken; to be tried again.
  bool no_memory = false;
  /// What the log gave up on this occasion; here so that it is freed without the vbucket's lock.
  ChangeChunks trimmed;
};

/// What readers of changes that lag behind their flushers may pin, of one vbucket and of all. Any thread.
class CursorLag {
 public:
  /// `limit_bytes` is one vbucket's; all together may pin an eighth of the quota.
  CursorLag(const MemoryAccount& account, uint64_t limit_bytes) noexcept
      : account_(account), limit_bytes_(limit_bytes) {}

  /// What a vbucket's readers pin has changed. True: it is too much.
  bool update(uint64_t before, uint64_t now) noexcept;
  [[nodiscard]] uint64_t bytes() const noexcept { return bytes_.load(std::memory_order_relaxed); }

 private:
  const MemoryAccount& account_;
  const uint64_t limit_bytes_;
  std::atomic<uint64_t> bytes_{0};
};

/// A change log as statistics describe it.
struct ChangeLogFacts {
  struct Reader {
    std::string name;
    uint64_t seqno = 0;  ///< it was given all up to here
  };
  uint64_t items = 0;       ///< changes that are kept
  uint64_t open_items = 0;  ///< of these, what is not on its way to the disk
  uint64_t bytes = 0;       ///< with all documents that are pinned
  uint64_t persistence_seqno = 0;
  std::vector<Reader> readers = {};  ///< besides the disk's
};

/// The changes of one vbucket that somebody still has to read, in the order of their seqnos.
///
/// A cursor is a reader's position. The persistence cursor is there from the beginning and is never dropped.
/// Other cursors pin what they have not read up to a limit, and are lost beyond it. A cursor is given all
/// there is in one go, so what it has been given up to a seqno is complete; that is also why a change that a
/// later one of the same key supersedes can be emptied, whoever has read it.
///
/// Belongs to the vbucket's lock. Costs 24 bytes a change; nothing while it is empty.
class ChangeLog {
 public:
  using CursorId = uint32_t;
  static constexpr CursorId kPersistence = 0;

  // Marks of an entry.
  static constexpr uint8_t kStale = 1;
  static constexpr uint8_t kTokenSent = 2;
  static constexpr uint8_t kPriorUnknown = 4;

  ChangeLog(MemoryAccount& account, CursorLag& lag) noexcept : lag_(lag), log_(&account) {}
  ChangeLog(const ChangeLog&) = delete;
  ChangeLog& operator=(const ChangeLog&) = delete;
  ~ChangeLog() {
    (void)lag_.update(lagging_bytes_, 0);
    log_.free_chunk(spare_);
  }

  /// Makes the next append possible; false when there is no memory.
  [[nodiscard]] bool reserve() noexcept;
  /// After reserve(). Takes over one reference to `document`. Seqnos rise.
  void append(ChangeKind kind, Document* document, uint64_t seqno, uint64_t cas, uint8_t marks) noexcept;

  struct Superseded {
    DocumentRef doc;
    uint64_t bytes = 0;
    /// The persistence cursor will not see it.
    bool unpersisted = false;
    uint8_t marks = 0;
  };
  /// Empties the change with this seqno, if it is still here.
  Superseded supersede(uint64_t seqno) noexcept;
  /// Adds marks to the change with this seqno, if it is still here.
  void mark(uint64_t seqno, uint8_t marks) noexcept;
  /// Makes an expiration of the deletion with this seqno.
  void turn_into_expiration(uint64_t seqno) noexcept;
  /// Takes everything out: a flush supersedes it all.
  [[nodiscard]] ChangeChunks drop_all() noexcept;
  /// The same where seqnos begin anew. All readers have lost their place.
  [[nodiscard]] ChangeChunks start_over() noexcept;

  /// Every change with a higher seqno is in the log, or superseded by one that is.
  [[nodiscard]] uint64_t complete_after() const noexcept { return lowest_position(); }
  /// A reader that wants what comes after `seqno`, which must not lie before what the log still has for sure:
  /// use the vbucket's high seqno, or complete_after().
  [[nodiscard]] CursorId open_cursor(std::string_view name, uint64_t seqno);
  /// Returns what only this cursor has pinned.
  [[nodiscard]] ChangeChunks close_cursor(CursorId cursor) noexcept;
  /// Where the seqnos of a restored vbucket begin.
  void start_at(uint64_t seqno) noexcept { position_ = seqno; }
  /// Everything that the cursor has not been given, up to `high`, the vbucket's high seqno.
  [[nodiscard]] TakenChanges take(CursorId cursor, uint64_t high);

  [[nodiscard]] uint64_t persistence_position() const noexcept { return position_; }
  /// What the persistence cursor has not been given.
  [[nodiscard]] uint64_t open_items() const noexcept { return open_items_; }
  [[nodiscard]] uint64_t open_bytes() const noexcept { return open_bytes_; }
  /// Chunks, and all documents that are pinned.
  [[nodiscard]] uint64_t bytes() const noexcept;
  [[nodiscard]] uint64_t lost_cursors() const noexcept { return lost_cursors_; }
  [[nodiscard]] ChangeLogFacts facts() const;
  /// What an entry counts for.
  [[nodiscard]] static uint64_t bytes_of(const Document* document) noexcept {
    return sizeof(Entry) + (document != nullptr ? document->size() : 0);
  }

 private:
  using Chunk = ChangeChunks::Chunk;
  using Entry = ChangeChunks::Entry;

  struct Cursor {
    CursorId id = 0;
    std::string name;
    uint64_t position = 0;
    bool lost = false;
  };

  [[nodiscard]] Entry* find(uint64_t seqno) noexcept;
  /// Removes the emptied entries.
  void compact() noexcept;
  [[nodiscard]] bool copy_after(uint64_t position, TakenChanges& taken) const;
  [[nodiscard]] static TakenChanges nothing_for_lack_of_memory(uint64_t position);
  /// Moves the chunks that every cursor has passed to `out`.
  void trim(ChangeChunks& out) noexcept;
  /// Drops the slowest cursors until what only they pin is within the limits.
  void drop_laggards(ChangeChunks& out) noexcept;
  [[nodiscard]] uint64_t lowest_position() const noexcept;
  [[nodiscard]] bool only_persistence() const noexcept;

  /// Tells the limits what only cursors pin; true when it is too much.
  bool note_lag() noexcept;

  CursorLag& lag_;
  uint64_t lagging_bytes_ = 0;
  ChangeChunks log_;
  Chunk* spare_ = nullptr;
  std::vector<Cursor> cursors_;
  CursorId next_cursor_ = 1;
  uint64_t position_ = 0;
  uint64_t entries_ = 0;
  uint64_t emptied_ = 0;
  uint64_t pinned_bytes_ = 0;
  uint64_t open_items_ = 0;
  uint64_t open_bytes_ = 0;
  uint64_t lost_cursors_ = 0;
};

}  // namespace bobbin::store
