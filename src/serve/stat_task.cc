#include "serve/stat_task.h"

#include "serve/served_bucket.h"

namespace bobbin::serve {

feed::Next StatTask::step() {
  if (piece_.empty()) make_piece();
  switch (setup_.spool.append_or_wake(piece_, feed::waker_of(shared_from_this()))) {
    case net::Append::full:
      return feed::Next::wait();
    case net::Append::closed:
      return finish();
    case net::Append::accepted:
      break;
  }
  piece_.clear();
  return is_last_ ? finish() : feed::Next::again();
}

void StatTask::make_piece() {
  const StatSink sink = [this](std::string_view name, std::string_view value) {
    setup_.append(piece_, name, value);
  };
  const uint32_t vbuckets = setup_.bucket.bucket().vbucket_count();
  while (next_vbucket_ < vbuckets && piece_.size() < kPieceBytes)
    setup_.group.of_vbucket(setup_.bucket, static_cast<uint16_t>(next_vbucket_++), sink);
  if (next_vbucket_ < vbuckets) return;
  piece_ += setup_.end;
  is_last_ = true;
}

feed::Next StatTask::finish() {
  setup_.keeper.reset();
  setup_.awaited->has_come.store(true, std::memory_order_release);
  setup_.spool.resume();
  return feed::Next::done();
}

}  // namespace bobbin::serve
