#include "store/change_log.h"

#include <algorithm>
#include <cassert>
#include <new>

#include "store/expiry.h"
#include "store/memory.h"

namespace bobbin::store {

namespace {

// Emptied entries are left where they are until they are so many, and more than the others.
constexpr uint64_t kCompactAbove = 64;

}  // namespace

ChangeChunks::~ChangeChunks() {
  for (Chunk* chunk : chunks_) {
    for (uint32_t i = 0; i < chunk->count; ++i) {
      if (chunk->entries[i].document != nullptr) chunk->entries[i].document->unreference();
    }
    free_chunk(chunk);
  }
}

std::optional<Change> ChangeChunks::next(Place& place) const noexcept {
  for (; place.chunk < chunks_.size(); ++place.chunk, place.entry = 0) {
    const Chunk& chunk = *chunks_[place.chunk];
    while (place.entry < chunk.count) {
      const Entry& entry = chunk.entries[place.entry++];
      if (static_cast<ChangeKind>(entry.kind) != ChangeKind::none) return show(entry);
    }
  }
  return std::nullopt;
}

DocumentRef ChangeChunks::share(const Change& change) noexcept {
  if (change.doc == nullptr) return {};
  auto* const document = const_cast<Document*>(change.doc);
  document->reference();
  return DocumentRef(document);
}

ChangeChunks::Chunk* ChangeChunks::new_chunk() const noexcept {
  void* memory = allocate_bytes(sizeof(Chunk));
  if (memory == nullptr) return nullptr;
  account_->charge(allocated_size(memory, sizeof(Chunk)));
  auto* chunk = static_cast<Chunk*>(memory);
  chunk->count = 0;
  return chunk;
}

void ChangeChunks::free_chunk(Chunk* chunk) const noexcept {
  if (chunk == nullptr) return;
  account_->credit(allocated_size(chunk, sizeof(Chunk)));
  free_bytes(chunk, sizeof(Chunk));
}

Change ChangeChunks::show(const Entry& entry) noexcept {
  Change change;
  change.kind = static_cast<ChangeKind>(entry.kind);
  change.seqno = entry.seqno;
  change.cas = entry.cas;
  change.stale = (entry.marks & ChangeLog::kStale) != 0;
  change.token_sent = (entry.marks & ChangeLog::kTokenSent) != 0;
  change.prior_unknown = (entry.marks & ChangeLog::kPriorUnknown) != 0;
  change.doc = entry.document;
  if (entry.document == nullptr) return change;
  const bool is_of_document = change.kind != ChangeKind::mutation && !entry.document->is_gone();
  // A document that went was last accessed then, and is accessed no more.
  change.expiry = is_of_document ? tombstone_end(entry.document->last_access_) : entry.document->expiry_;
  // An end is one more change of its key than the document that went; what stays of it has it counted.
  change.revision = is_of_document ? entry.document->next_revision() : entry.document->revision();
  return change;
}

bool ChangeLog::reserve() noexcept {
  if (spare_ != nullptr) return true;
  if (!log_.chunks_.empty() && log_.chunks_.back()->count < Chunk::kCapacity) return true;
  spare_ = log_.new_chunk();
  return spare_ != nullptr;
}

void ChangeLog::append(ChangeKind kind, Document* document, uint64_t seqno, uint64_t cas,
                       uint8_t marks) noexcept {
  if (log_.chunks_.empty() || log_.chunks_.back()->count == Chunk::kCapacity) {
    assert(spare_ != nullptr);
    log_.chunks_.push_back(std::exchange(spare_, nullptr));
  }
  Chunk& chunk = *log_.chunks_.back();
  Entry& entry = chunk.entries[chunk.count++];
  entry.document = document;
  entry.cas = cas;
  entry.seqno = seqno & Document::kRevisionMask;
  entry.kind = static_cast<uint8_t>(kind);
  entry.marks = marks;
  const uint64_t bytes = bytes_of(document);
  ++entries_;
  ++open_items_;
  pinned_bytes_ += bytes;
  open_bytes_ += bytes;
}

ChangeLog::Entry* ChangeLog::find(uint64_t seqno) noexcept {
  std::vector<Chunk*>& chunks = log_.chunks_;
  if (chunks.empty() || seqno < chunks.front()->entries[0].seqno) return nullptr;
  const auto after =
      std::upper_bound(chunks.begin(), chunks.end(), seqno,
                       [](uint64_t wanted, const Chunk* chunk) { return wanted < chunk->entries[0].seqno; });
  Chunk& chunk = **(after - 1);
  Entry* const end = chunk.entries.data() + chunk.count;
  Entry* const at =
      std::lower_bound(chunk.entries.data(), end, seqno,
                       [](const Entry& entry, uint64_t wanted) { return entry.seqno < wanted; });
  if (at == end || at->seqno != seqno || static_cast<ChangeKind>(at->kind) == ChangeKind::none) {
    return nullptr;
  }
  return at;
}

ChangeLog::Superseded ChangeLog::supersede(uint64_t seqno) noexcept {
  Entry* const entry = find(seqno);
  if (entry == nullptr) return {};
  Superseded gone;
  gone.bytes = bytes_of(entry->document);
  gone.unpersisted = seqno > position_;
  gone.marks = static_cast<uint8_t>(entry->marks);
  gone.doc = DocumentRef(std::exchange(entry->document, nullptr));
  entry->kind = static_cast<uint8_t>(ChangeKind::none);
  pinned_bytes_ -= gone.bytes;
  if (gone.unpersisted) {
    --open_items_;
    open_bytes_ -= gone.bytes;
  }
  if (++emptied_ > kCompactAbove && emptied_ > entries_ / 2) compact();
  return gone;
}

void ChangeLog::mark(uint64_t seqno, uint8_t marks) noexcept {
  if (Entry* const entry = find(seqno)) entry->marks = static_cast<uint8_t>(entry->marks | marks);
}

void ChangeLog::turn_into_expiration(uint64_t seqno) noexcept {
  Entry* const entry = find(seqno);
  if (entry != nullptr) entry->kind = static_cast<uint8_t>(ChangeKind::expiration);
}

void ChangeLog::compact() noexcept {
  size_t filled = 0;
  uint32_t next = 0;
  uint64_t left = 0;
  std::vector<Chunk*>& chunks = log_.chunks_;
  for (Chunk* const from : chunks) {
    const uint32_t count = from->count;
    for (uint32_t i = 0; i < count; ++i) {
      if (static_cast<ChangeKind>(from->entries[i].kind) == ChangeKind::none) continue;
      // What is written lies before what is read.
      if (next == Chunk::kCapacity) {
        chunks[filled++]->count = next;
        next = 0;
      }
      chunks[filled]->entries[next++] = from->entries[i];
      ++left;
    }
  }
  if (next != 0) chunks[filled++]->count = next;
  for (size_t i = filled; i < chunks.size(); ++i) {
    // What reserve() has promised holds: where a chunk had room, one has, or one is left over.
    if (spare_ == nullptr) {
      spare_ = chunks[i];
      spare_->count = 0;
    } else {
      log_.free_chunk(chunks[i]);
    }
  }
  chunks.resize(filled);
  entries_ = left;
  emptied_ = 0;
}

ChangeChunks ChangeLog::drop_all() noexcept {
  ChangeChunks all(log_.account_);
  std::swap(all, log_);
  log_.free_chunk(std::exchange(spare_, nullptr));
  entries_ = emptied_ = pinned_bytes_ = open_items_ = open_bytes_ = 0;
  (void)note_lag();
  return all;
}

ChangeChunks ChangeLog::start_over() noexcept {
  for (Cursor& cursor : cursors_)
    cursor.lost = true;
  position_ = 0;
  return drop_all();
}

bool ChangeLog::only_persistence() const noexcept {
  return std::all_of(cursors_.begin(), cursors_.end(), [](const Cursor& cursor) { return cursor.lost; });
}

uint64_t ChangeLog::lowest_position() const noexcept {
  uint64_t lowest = position_;
  for (const Cursor& cursor : cursors_) {
    if (!cursor.lost) lowest = std::min(lowest, cursor.position);
  }
  return lowest;
}

ChangeLogFacts ChangeLog::facts() const {
  ChangeLogFacts facts{.items = entries_ - emptied_,
                       .open_items = open_items_,
                       .bytes = bytes(),
                       .persistence_seqno = position_};
  for (const Cursor& cursor : cursors_) {
    if (!cursor.lost) facts.readers.push_back({cursor.name, cursor.position});
  }
  return facts;
}

ChangeLog::CursorId ChangeLog::open_cursor(std::string_view name, uint64_t seqno) {
  cursors_.push_back({next_cursor_, std::string(name), seqno, false});
  return next_cursor_++;
}

ChangeChunks ChangeLog::close_cursor(CursorId cursor) noexcept {
  std::erase_if(cursors_, [cursor](const Cursor& one) { return one.id == cursor; });
  ChangeChunks freed(log_.account_);
  trim(freed);
  (void)note_lag();
  return freed;
}

bool ChangeLog::copy_after(uint64_t position, TakenChanges& taken) const {
  ChangeChunks copies(log_.account_);
  for (const Chunk* chunk : log_.chunks_) {
    if (chunk->last_seqno() <= position) continue;
    for (uint32_t i = 0; i < chunk->count; ++i) {
      const Entry& entry = chunk->entries[i];
      if (entry.seqno <= position || static_cast<ChangeKind>(entry.kind) == ChangeKind::none) continue;
      if (copies.chunks_.empty() || copies.chunks_.back()->count == Chunk::kCapacity) {
        Chunk* const added = copies.new_chunk();
        if (added == nullptr) return false;
        copies.chunks_.push_back(added);
      }
      Chunk& to = *copies.chunks_.back();
      to.entries[to.count++] = entry;
      if (entry.document != nullptr) entry.document->reference();
      ++taken.items;
      taken.bytes += bytes_of(entry.document);
    }
  }
  taken.changes = std::move(copies);
  return true;
}

TakenChanges ChangeLog::nothing_for_lack_of_memory(uint64_t position) {
  TakenChanges nothing;
  nothing.from = position + 1;
  nothing.to = position;
  nothing.no_memory = true;
  return nothing;
}

void ChangeLog::trim(ChangeChunks& out) noexcept {
  const uint64_t passed = lowest_position();
  std::vector<Chunk*>& chunks = log_.chunks_;
  size_t gone = 0;
  for (; gone < chunks.size() && chunks[gone]->last_seqno() <= passed; ++gone) {
    const Chunk& chunk = *chunks[gone];
    entries_ -= chunk.count;
    for (uint32_t i = 0; i < chunk.count; ++i) {
      if (static_cast<ChangeKind>(chunk.entries[i].kind) == ChangeKind::none) {
        --emptied_;
      } else {
        pinned_bytes_ -= bytes_of(chunk.entries[i].document);
      }
    }
    out.chunks_.push_back(chunks[gone]);
  }
  chunks.erase(chunks.begin(), chunks.begin() + static_cast<std::ptrdiff_t>(gone));
  if (chunks.empty()) log_.free_chunk(std::exchange(spare_, nullptr));
}

bool CursorLag::update(uint64_t before, uint64_t now) noexcept {
  // Unsigned: a difference below zero wraps around, and back.
  const uint64_t all = bytes_.fetch_add(now - before, std::memory_order_relaxed) + (now - before);
  return now > limit_bytes_ || (now != 0 && all > account_.quota_bytes() / 8);
}

bool ChangeLog::note_lag() noexcept {
  const uint64_t before = std::exchange(lagging_bytes_, pinned_bytes_ - open_bytes_);
  return lag_.update(before, lagging_bytes_);
}

void ChangeLog::drop_laggards(ChangeChunks& out) noexcept {
  while (note_lag()) {
    Cursor* slowest = nullptr;
    for (Cursor& cursor : cursors_) {
      if (cursor.lost || cursor.position >= position_) continue;
      if (slowest == nullptr || cursor.position < slowest->position) slowest = &cursor;
    }
    if (slowest == nullptr) return;
    slowest->lost = true;
    ++lost_cursors_;
    trim(out);
  }
}

TakenChanges ChangeLog::take(CursorId cursor, uint64_t high) {
  TakenChanges taken;
  taken.to = high;
  taken.trimmed = ChangeChunks(log_.account_);
  if (cursor != kPersistence) {
    const auto at = std::find_if(cursors_.begin(), cursors_.end(),
                                 [cursor](const Cursor& one) { return one.id == cursor; });
    taken.lost = at == cursors_.end() || at->lost;
    if (taken.lost) return taken;
    taken.from = at->position + 1;
    if (!copy_after(at->position, taken)) return nothing_for_lack_of_memory(at->position);
    at->position = high;
    trim(taken.trimmed);
    (void)note_lag();
    return taken;
  }
  taken.from = position_ + 1;
  // What another cursor has left behind in the first chunk must not be taken twice.
  const bool all_new = log_.chunks_.empty() || log_.chunks_.front()->entries[0].seqno > position_;
  if (only_persistence() && all_new) {
    taken.items = open_items_;
    taken.bytes = open_bytes_;
    taken.changes = drop_all();
    position_ = high;
    return taken;
  }
  if (!copy_after(position_, taken)) return nothing_for_lack_of_memory(position_);
  position_ = high;
  open_items_ = open_bytes_ = 0;
  trim(taken.trimmed);
  drop_laggards(taken.trimmed);
  return taken;
}

uint64_t ChangeLog::bytes() const noexcept {
  const uint64_t chunks = log_.chunks_.size() + (spare_ != nullptr ? 1 : 0);
  // An entry counts its own 24 bytes, which lie in the chunks.
  return chunks * sizeof(Chunk) + pinned_bytes_ - (entries_ - emptied_) * sizeof(Entry);
}

}  // namespace bobbin::store
