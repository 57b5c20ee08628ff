// What a scan sends: frames and replies, through the spool of who asks.

#include <algorithm>
#include <chrono>
#include <functional>
#include <utility>
#include <vector>

#include "feed/scan.h"
#include "wire/frame_info.h"

namespace bobbin::feed {
namespace {

using std::chrono::steady_clock;
using wire::BinaryStatus;

// Whether who asks is still there is looked at so often by a scan that waits for others.
constexpr std::chrono::seconds kLookForAsker{1};
// What a frame has around a document.
constexpr size_t kAroundBytes = 256;

/// A frame and the room that was made for it.
struct Large {
  std::unique_ptr<FrameMemory::Claim> room;  // goes behind the memory
  std::vector<char> memory;
};

base::PinnedBytes pinned(std::vector<char> memory, size_t begin, size_t size,
                         std::unique_ptr<FrameMemory::Claim> room) {
  auto owner = std::make_unique<Large>(Large{std::move(room), std::move(memory)});
  const std::span<const char> bytes(owner->memory.data() + begin, size);
  return {bytes, owner.release(),
          [](void* held) noexcept { std::unique_ptr<Large>(static_cast<Large*>(held)).reset(); }};
}

}  // namespace

std::optional<Next> Scan::await_room() {
  // What is only told by its key costs no more than that.
  if (options_.what.key_only || !is_large()) return std::nullopt;
  if (frame_.bytes() > 0) {
    put_frame(BinaryStatus::success);
    if (const auto next = send()) return next;
  }
  if (room_ == nullptr) {
    const size_t size = value_bytes() + reader_->key().name().size() + kAroundBytes;
    room_ = scans_.memory_->claim(asker_->memory, options_.user, size, waker_of(shared_from_this()));
    room_since_ = steady_clock::now();
  }
  return room_->is_granted() ? std::nullopt : std::optional(await_grant());
}

// Nobody waits for ever: a scan has a moment of the disk, and keeps it from being cleared up.
Next Scan::await_grant() {
  const Time end = room_since_ + scans_.limits().room_timeout;
  const bool is_late = steady_clock::now() >= end;
  if (is_late || asker_->spool.closed()) {
    if (!is_late) asker_.reset();
    return fail(BinaryStatus::range_scan_cancelled);
  }
  return Next::wait_until(std::min<Time>(end, steady_clock::now() + kLookForAsker));
}

std::string_view Scan::framing(bool is_whole) {
  size_t size = 0;
  if (asker_->received_ns != 0) {
    const uint64_t now = clock_.now().unix_ns;
    const auto trace = wire::trace_of((now - std::min(now, asker_->received_ns)) / 1000);
    std::copy(trace.begin(), trace.end(), framing_.begin());
    size = trace.size();
  }
  if (asker_->is_told_units && is_whole)
    size += wire::write_units(framing_.data() + size, {.read = read_bytes_}, false);
  return {framing_.data(), size};
}

void Scan::put_frame(BinaryStatus status) {
  const std::string_view bytes =
      frame_.finish(asker_->request, status, framing(status != BinaryStatus::success));
  concludes_ = status == BinaryStatus::range_scan_complete;
  if (concludes_) scans_.hide(id_);
  if (status != BinaryStatus::success) answered();
  const uint64_t item_bytes = frame_.bytes();
  bytes_.fetch_add(item_bytes, std::memory_order_relaxed);
  scans_.bytes_.fetch_add(item_bytes, std::memory_order_relaxed);
  items_.fetch_add(frame_items_, std::memory_order_relaxed);
  scans_.items_.fetch_add(std::exchange(frame_items_, 0), std::memory_order_relaxed);
  if (room_ == nullptr || item_bytes == 0) {
    ready_ = bytes;
    outbox_ = Outbox::frame;
    return;
  }
  const size_t size = bytes.size();
  const size_t begin = frame_.begin();
  large_ = pinned(frame_.take(), begin, size, std::move(room_));
  outbox_ = Outbox::large;
}

void Scan::put_reply(BinaryStatus status, std::string_view value) {
  const wire::BinaryReply head{.status = status,
                               .framing = framing(status == BinaryStatus::success),
                               .value_bytes = static_cast<uint32_t>(value.size())};
  reply_.resize(wire::kBinaryHeaderBytes + wire::kMaxReplyFramingBytes);
  reply_.resize(wire::write_binary_head(reply_.data(), asker_->request, head));
  reply_.append(value);
  answered();
  outbox_ = Outbox::reply;
}

// Before it is sent: a lock that loops take is not held while the spool's is. What is asked for meanwhile
// waits for its end.
void Scan::answered() {
  is_last_ = true;
  const base::MutexLock lock(mutex_);
  state_ = concludes_ ? State::over : State::idle;
}

void Scan::drop_frame() noexcept {
  outbox_ = Outbox::empty;
  frame_.clear();
  large_ = {};
}

std::optional<Next> Scan::send() {
  switch (flush()) {
    case net::Append::accepted:
      break;
    case net::Append::full:
      return Next::wait();
    case net::Append::closed:
      asker_.reset();
      return fail(BinaryStatus::range_scan_cancelled);
  }
  return std::nullopt;
}

net::Append Scan::flush() {
  if (outbox_ == Outbox::empty) return net::Append::accepted;
  const std::function<void()> waker = waker_of(shared_from_this());
  const std::string_view bytes = outbox_ == Outbox::frame ? ready_ : std::string_view(reply_);
  const net::Append result = outbox_ == Outbox::large ? asker_->spool.append_or_wake({}, large_, waker)
                                                      : asker_->spool.append_or_wake(bytes, waker);
  if (result != net::Append::accepted) return result;
  if (outbox_ == Outbox::frame) frame_.clear();
  outbox_ = Outbox::empty;
  if (!is_last_) return result;
  is_last_ = false;
  idle_since_ = steady_clock::now();
  if (asker_->awaited != nullptr) {
    asker_->awaited->has_come.store(true, std::memory_order_release);
    asker_->spool.resume();
  }
  asker_.reset();
  return result;
}

}  // namespace bobbin::feed
