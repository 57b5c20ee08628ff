#include "feed/outlet.h"

#include <algorithm>
#include <utility>

namespace bobbin::feed {

Outlet::Outlet(net::Spool spool, std::function<void()> waker, Translate translate)
    : spool_(std::move(spool)),
      waker_([asleep = asleep_, waker = std::move(waker)] {
        asleep->store(false);
        waker();
      }),
      translate_(std::move(translate)) {}

void Outlet::count(size_t bytes) noexcept {
  sent_bytes_ += bytes;
  if (window_bytes_ != 0) unacknowledged_ += bytes;
}

void Outlet::send_translated(std::string_view head, std::string_view key, std::string_view value) {
  std::string message(head);
  const size_t before = piece_.size();
  translate_(message.append(key).append(value), piece_);
  count(piece_.size() - before);
  if (piece_.size() >= kPieceBytes) put({std::exchange(piece_, {}), {}});
}

void Outlet::send(std::string_view head, std::string_view key, std::string_view value) {
  if (translate_ != nullptr) return send_translated(head, key, value);
  const size_t size = head.size() + key.size() + value.size();
  count(size);
  if (piece_.capacity() == 0) piece_.reserve(kPieceBytes + (4 << 10));
  if (!piece_.empty() && piece_.size() + size > kPieceBytes) put({std::exchange(piece_, {}), {}});
  piece_.append(head).append(key).append(value);
}

void Outlet::send(std::string_view head, std::string_view key, base::PinnedBytes pinned) {
  if (translate_ != nullptr)
    return send_translated(head, key, {pinned.bytes().data(), pinned.bytes().size()});
  count(head.size() + key.size() + pinned.size());
  if (!piece_.empty()) put({std::exchange(piece_, {}), {}});
  std::string bytes(head);
  put({bytes.append(key), std::move(pinned)});
}

void Outlet::send_uncounted(std::string_view message) {
  if (translate_ != nullptr) return send_translated(message, {}, {});
  sent_bytes_ += message.size();
  piece_.append(message);
}

bool Outlet::offer(Waiting& piece) {
  // Every `full` leaves a waker there: one is enough. It may be called before append returns.
  if (asleep_->load()) return false;
  asleep_->store(true);
  const bool pinned = !piece.pinned.empty();
  const net::Append result = pinned ? spool_.append_or_wake(piece.bytes, piece.pinned, waker_)
                                    : spool_.append_or_wake(piece.bytes, waker_);
  closed_ = closed_ || result == net::Append::closed;
  if (result == net::Append::full) return false;
  asleep_->store(false);
  return true;
}

void Outlet::put(Waiting piece) {
  if (!waiting_.empty() || !offer(piece)) {
    waiting_.push_back(std::move(piece));
    return;
  }
  // The buffer can serve again.
  if (piece.pinned.empty() && piece_.capacity() < piece.bytes.capacity() &&
      piece.bytes.capacity() <= 2 * kPieceBytes) {
    piece.bytes.clear();
    piece_ = std::move(piece.bytes);
  }
}

void Outlet::flush() {
  size_t taken = 0;
  while (taken < waiting_.size() && offer(waiting_[taken]))
    ++taken;
  waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(taken));
  if (waiting_.empty() && !piece_.empty()) put({std::exchange(piece_, {}), {}});
}

}  // namespace bobbin::feed
