#include "net/output.h"

#include <algorithm>
#include <cassert>
#include <utility>

namespace bobbin::net {
namespace {

void free_chunk(void* chunk) noexcept {
  std::unique_ptr<char[]>(static_cast<char*>(chunk));
}

}  // namespace

void Output::close_open_run() {
  if (tail_ == open_) return;
  segments_.push_back({{open_, static_cast<size_t>(tail_ - open_)}, {}});
  open_ = tail_;
}

// The chunk lives as long as the last run in it. When no run is left it can go at once.
void Output::retire_chunk() {
  if (chunk_ == nullptr) return;
  close_open_run();
  const char* begin = chunk_.get();
  const char* end = begin + chunk_bytes_;
  for (size_t i = segments_.size(); i > first_; --i) {
    Segment& segment = segments_[i - 1];
    if (segment.bytes.data() >= begin && segment.bytes.data() < end && segment.keeper.empty()) {
      segment.keeper = base::PinnedBytes({begin, chunk_bytes_}, chunk_.release(), &free_chunk);
      break;
    }
  }
  chunk_.reset();
  chunk_bytes_ = 0;
  open_ = tail_ = limit_ = nullptr;
}

void Output::add_chunk(size_t at_least) {
  const size_t grown = std::clamp(growth_bytes_ * 2, kMinChunkBytes, kMaxChunkBytes);
  retire_chunk();
  chunk_bytes_ = std::max(grown, at_least);
  chunk_ = std::make_unique_for_overwrite<char[]>(chunk_bytes_);
  growth_bytes_ = chunk_bytes_;
  open_ = tail_ = chunk_.get();
  limit_ = open_ + chunk_bytes_;
}

void Output::append(std::string_view bytes) {
  while (!bytes.empty()) {
    if (tail_ == limit_) add_chunk(1);
    const size_t n = std::min(bytes.size(), static_cast<size_t>(limit_ - tail_));
    std::memcpy(tail_, bytes.data(), n);
    commit(n);
    bytes.remove_prefix(n);
  }
}

void Output::append(base::PinnedBytes bytes) {
  if (bytes.size() < kCopyBelowBytes) {
    append(std::string_view(bytes.bytes().data(), bytes.size()));
    return;
  }
  close_open_run();
  size_ += bytes.size();
  const std::span<const char> run = bytes.bytes();
  segments_.push_back({run, std::move(bytes)});
}

void Output::splice(Output& other) {
  assert(&other != this);
  if (other.empty()) return;
  if (other.size_ < kCopyBelowBytes && other.first_ == other.segments_.size()) {
    append(std::string_view(other.open_, other.size_));
    other.clear();
    return;
  }
  other.retire_chunk();
  other.growth_bytes_ = std::min(other.growth_bytes_, other.size_);
  close_open_run();
  segments_.insert(segments_.end(), std::make_move_iterator(other.segments_.begin() + other.first_),
                   std::make_move_iterator(other.segments_.end()));
  size_ += other.size_;
  other.segments_.clear();
  other.first_ = 0;
  other.size_ = 0;
}

size_t Output::gather(std::span<std::span<const char>> runs, size_t max_bytes) const {
  size_t count = 0;
  const auto add = [&](std::span<const char> run) {
    run = run.first(std::min(run.size(), max_bytes));
    if (run.empty()) return;
    runs[count++] = run;
    max_bytes -= run.size();
  };
  for (size_t i = first_; i < segments_.size() && count < runs.size(); ++i)
    add(segments_[i].bytes);
  if (count < runs.size() && tail_ != open_) add({open_, static_cast<size_t>(tail_ - open_)});
  return count;
}

void Output::consume(size_t n) {
  assert(n <= size_);
  size_ -= n;
  while (n > 0 && first_ < segments_.size()) {
    Segment& front = segments_[first_];
    if (n < front.bytes.size()) {
      front.bytes = front.bytes.subspan(n);
      return forget_consumed();
    }
    n -= front.bytes.size();
    front = Segment{};
    ++first_;
  }
  forget_consumed();
  open_ += n;
  if (size_ == 0 && chunk_ != nullptr) open_ = tail_ = chunk_.get();
}

// In batches, so that it costs little; but also while the queue never empties: a peer that always leaves
// something must not make the list of what it took grow.
void Output::forget_consumed() {
  if (first_ < kForgetTogether && first_ < segments_.size()) return;
  if (first_ * 2 < segments_.size()) return;
  segments_.erase(segments_.begin(), segments_.begin() + static_cast<ptrdiff_t>(first_));
  first_ = 0;
}

std::unique_ptr<Output> Output::take_and_shrink(Output& other) {
  auto taken = std::make_unique<Output>();
  const bool one_run = other.first_ == other.segments_.size();
  if (one_run && other.size_ * 2 < other.chunk_bytes_) {
    taken->add_chunk(std::max<size_t>(other.size_, 1));
    taken->append(std::string_view(other.open_, other.size_));
    other.clear();
  } else {
    std::swap(*taken, other);
  }
  return taken;
}

}  // namespace bobbin::net
