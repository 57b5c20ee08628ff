#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/pinned_bytes.h"

namespace bobbin::net {

/// Bytes on their way to a socket: small ones copied into chunks, large ones referenced where they lie. A
/// byte queue, appended at the back and consumed at the front; memory is freed as it is consumed.
///
/// Not thread-safe: it belongs to a loop, or to whoever holds a spool's mutex.
class Output {
 public:
  static constexpr size_t kMinChunkBytes = 4 << 10;
  static constexpr size_t kMaxChunkBytes = 32 << 10;  // what jemalloc still caches per thread

  /// A pinned run shorter than this is copied instead: an own entry in a gathered write costs more.
  static constexpr size_t kCopyBelowBytes = 1024;

  Output() = default;
  Output(Output&&) noexcept = default;
  Output& operator=(Output&&) noexcept = default;
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;
  ~Output() = default;

  /// Room for `n` bytes to format into, any n; valid until the next call that is not commit.
  char* reserve(size_t n) {
    if (static_cast<size_t>(limit_ - tail_) < n) add_chunk(n);
    return tail_;
  }
  /// The first `n` of the reserved bytes are part of the output.
  void commit(size_t n) noexcept {
    tail_ += n;
    size_ += n;
  }

  void append(std::string_view bytes);
  void append(base::PinnedBytes bytes);
  /// Moves all of `other` behind what is here; `other` is empty afterwards.
  void splice(Output& other);

  [[nodiscard]] size_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  /// Memory of its own: the chunk being filled, and the list of runs.
  [[nodiscard]] size_t held_bytes() const noexcept {
    return chunk_bytes_ + segments_.capacity() * sizeof(Segment);
  }

  /// Fills `runs` with the front of the queue, at most `max_bytes` in all; returns how many were filled.
  [[nodiscard]] size_t gather(std::span<std::span<const char>> runs, size_t max_bytes) const;
  /// Drops `n` ≤ size() bytes from the front.
  void consume(size_t n);
  void clear() { consume(size_); }

  /// Takes over all of `other`, in as little memory as its bytes need: for output that has to wait.
  static std::unique_ptr<Output> take_and_shrink(Output& other);

 private:
  struct Segment {
    std::span<const char> bytes;
    base::PinnedBytes keeper;  // the last segment of a chunk keeps the chunk; the others keep nothing
  };

  void add_chunk(size_t at_least);
  void close_open_run();
  void retire_chunk();
  void forget_consumed();

  static constexpr size_t kForgetTogether = 64;  // consumed segments

  std::vector<Segment> segments_;  // closed runs; those before first_ are consumed
  size_t first_ = 0;
  size_t size_ = 0;

  std::unique_ptr<char[]> chunk_;  // the one being filled
  size_t chunk_bytes_ = 0;
  size_t growth_bytes_ = 0;  // size of the chunk before; the next is twice that, within the bounds
  char* open_ = nullptr;     // [open_, tail_) is not in segments_ yet
  char* tail_ = nullptr;
  char* limit_ = nullptr;
};

}  // namespace bobbin::net
