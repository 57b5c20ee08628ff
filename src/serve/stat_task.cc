#include "serve/stat_task.h"

#include "serve/engine.h"
#include "serve/served_bucket.h"

namespace bobbin::serve {

StatTask::StatTask(StatTaskSetup setup) : setup_(std::move(setup)) {}

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
  if (setup_.group.reads_disk) return make_all();
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

void StatTask::make_all() {
  const StatAnswer answer = report_group(
      setup_.group, {.engine = setup_.engine, .bucket = setup_.bucket, .argument = setup_.argument},
      [this](std::string_view name, std::string_view value) { setup_.append(piece_, name, value); });
  piece_ = answer.kind == StatAnswer::told ? piece_ + setup_.end : setup_.refusal(answer.kind);
  is_last_ = true;
}

feed::Next StatTask::finish() {
  setup_.engine.stat_times.add(setup_.group.name, std::chrono::steady_clock::now() - began_);
  setup_.keeper.reset();
  setup_.awaited->has_come.store(true, std::memory_order_release);
  setup_.spool.resume();
  return feed::Next::done();
}

}  // namespace bobbin::serve
