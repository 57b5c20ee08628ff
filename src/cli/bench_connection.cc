#include "cli/bench_connection.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace bobbin::cli {
namespace {

/// A value of which more than this is still to come is read past the connection's own buffers.
constexpr size_t kLandFromBytes = 16 << 10;

void keep(void* /*owner*/) noexcept {}

}  // namespace

BenchConnection::BenchConnection(BenchWorker& worker)
    : worker_(worker),
      reader_(make_bench_reader(worker.plan().options.protocol, worker.plan().keys, worker.plan().sizes,
                                worker.plan().options.paths)),
      mask_(std::bit_ceil(BenchWorker::largest_window(worker.plan().options)) - 1),
      keys_each_(worker.plan().options.multi_get),
      requests_(size_t{mask_} + 1),
      keys_((size_t{mask_} + 1) * keys_each_) {}

void BenchConnection::on_open(net::Connection& connection) {
  connection_ = &connection;
  connection.never_idle();
  worker_.opened(*this);
}

size_t BenchConnection::on_bytes(net::Connection& /*connection*/, std::span<const char> unread,
                                 size_t /*seen*/) {
  return take({unread.data(), unread.size()});
}

std::span<char> BenchConnection::landing() noexcept {
  const size_t left = reader_->value_left();
  if (left < kLandFromBytes) return {};
  return worker_.sink().first(std::min(left, worker_.sink().size()));
}

void BenchConnection::on_landed(net::Connection& /*connection*/, size_t n) {
  reader_->skip(n);
  requests_[done_ & mask_].bytes_in += n;
  if (reader_->value_left() == 0) take({});
}

// All answers of a batch are taken to have come at one time, which is when the requests after them are sent.
size_t BenchConnection::take(std::string_view bytes) {
  const size_t size = bytes.size();
  const uint32_t first = done_;
  auto state = BenchReader::State::done;
  while (done_ != sent_ && state == BenchReader::State::done) {
    BenchRequest& request = requests_[done_ & mask_];
    const std::span<const uint32_t> keys = keys_at(done_).first(request.is_set ? 1 : keys_each_);
    const auto progress =
        reader_->read(bytes, {.is_set = request.is_set, .keys = keys}, worker_.replies_for(request));
    state = progress.state;
    bytes.remove_prefix(progress.consumed);
    request.bytes_in += progress.consumed;
    if (state == BenchReader::State::done) ++done_;
  }
  const bool unasked = done_ == sent_ && !bytes.empty();
  const bool broken = unasked || state == BenchReader::State::broken;
  if (done_ != first) {
    const uint64_t now_ns = bench_now_ns();
    for (uint32_t i = first; i != done_; ++i)
      worker_.answered(requests_[i & mask_], now_ns);
    if (!broken) send_window(now_ns);
    worker_.look(now_ns);
  }
  if (!broken) return size - bytes.size();
  give_up(BenchError::malformed);
  return size;
}

void BenchConnection::go(uint64_t now_ns) {
  if (connection_ == nullptr) return;
  send_window(now_ns);
  connection_->flush();
}

void BenchConnection::send_window(uint64_t now_ns) {
  while (in_flight() < worker_.window()) {
    BenchRequest& request = requests_[sent_ & mask_];
    const std::span<uint32_t> keys = keys_at(sent_);
    if (!worker_.next(now_ns, request, keys)) return;
    ++sent_;
    write(request, keys);
  }
}

void BenchConnection::write(const BenchRequest& request, std::span<const uint32_t> keys) {
  const BenchWriter& writer = *worker_.plan().writer;
  net::Output& out = connection_->out();
  // With the first request, so that what is answered to it comes while one is in flight.
  if (!std::exchange(greeted_, true)) out.append(writer.greeting());
  if (!request.is_set) {
    char* const begin = out.reserve(writer.max_get_bytes(keys.size()));
    out.commit(static_cast<size_t>(writer.write_get(begin, keys) - begin));
    return;
  }
  const uint32_t value_bytes = worker_.plan().sizes.of(keys.front());
  char* const begin = out.reserve(writer.max_set_head_bytes());
  out.commit(static_cast<size_t>(writer.write_set_head(begin, keys.front(), value_bytes) - begin));
  // The plan outlives the connection, so its value needs nobody to keep it.
  out.append(base::PinnedBytes({worker_.plan().value.data(), value_bytes}, nullptr, &keep));
  out.append(writer.set_tail());
}

void BenchConnection::give_up(BenchError why) {
  why_closed_ = why;
  if (connection_ != nullptr) connection_->close_now(net::CloseReason::by_receiver);
}

void BenchConnection::on_closed(net::Connection& /*connection*/, net::CloseReason reason) {
  connection_ = nullptr;
  const uint64_t lost = in_flight();
  done_ = sent_;
  if (reason == net::CloseReason::shutdown) return;
  worker_.closed(*this, lost, why_closed_);
}

}  // namespace bobbin::cli
