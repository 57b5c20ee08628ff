#include "serve/unordered.h"

#include <algorithm>
#include <utility>

namespace bobbin::serve {

bool Unordered::conflicts(store::DocKey key, bool writes) const {
  return std::any_of(aside.begin(), aside.end(), [&](const Aside& before) {
    return (writes || before.writes) && before.collection == key.collection() && before.name == key.name();
  });
}

void Unordered::set_aside(Aside request) {
  aside_bytes_ += request.frame.size();
  counters_.unordered_aside.add(1);
  counters_.unordered_waiting.add(1);
  counters_.unordered_bytes.add(request.frame.size());
  aside.push_back(std::move(request));
}

std::list<Unordered::Aside>::iterator Unordered::done(std::list<Aside>::iterator request) {
  aside_bytes_ -= request->frame.size();
  counters_.unordered_waiting.sub(1);
  counters_.unordered_bytes.sub(request->frame.size());
  return aside.erase(request);
}

void Unordered::close_batch() {
  if (batch.disk == nullptr || !batch.disk->has_written()) return;
  held_bytes_ += batch.replies.size();
  counters_.unordered_bytes.add(batch.replies.size());
  held.push_back(std::exchange(batch, {}));
}

bool Unordered::release_committed(net::Output& out) {
  bool is_lost = false;
  std::erase_if(held, [&](Held& waiting) {
    const DiskWait::Commit commit = waiting.disk->commit();
    is_lost = is_lost || commit == DiskWait::Commit::lost;
    if (commit != DiskWait::Commit::done) return false;
    held_bytes_ -= waiting.replies.size();
    counters_.unordered_bytes.sub(waiting.replies.size());
    out.splice(waiting.replies);
    return true;
  });
  return !is_lost;
}

void Unordered::clear() {
  counters_.unordered_waiting.sub(aside.size());
  counters_.unordered_bytes.sub(aside_bytes_ + held_bytes_);
  aside_bytes_ = 0;
  held_bytes_ = 0;
  aside.clear();
  errands.clear();
  scans.clear();
  held.clear();
  batch = {};
  lane.reset();
}

}  // namespace bobbin::serve
