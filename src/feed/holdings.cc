#include "feed/holdings.h"

#include <algorithm>
#include <utility>

namespace bobbin::feed {

std::unique_ptr<Holdings::Hold> Holdings::take(uint64_t amount, std::shared_ptr<const Progress> progress,
                                               std::function<void()> waker) {
  const uint64_t limit = limit_();
  const Progress::Time now = std::chrono::steady_clock::now();
  std::function<void()> asked;
  {
    const base::MutexLock lock(mutex_);
    if (held_ < limit) {
      Entry& entry = entries_.emplace_back();
      entry.amount = amount;
      entry.taken = now;
      entry.progress = std::move(progress);
      entry.waker = std::move(waker);
      held_ += amount;
      return std::make_unique<Hold>(*this, std::prev(entries_.end()));
    }
    // Of those that stand still, the one that has done so for longest.
    Entry* slowest = nullptr;
    Progress::Time since = now - patience_;
    for (Entry& entry : entries_) {
      const Progress::Time moved = std::max(entry.taken, entry.progress->at());
      if (entry.asked.load() || !entry.progress->is_stuck() || moved > since) continue;
      since = moved;
      slowest = &entry;
    }
    if (slowest == nullptr) return nullptr;
    slowest->asked.store(true);
    asked = slowest->waker;
  }
  // Without the lock: it may be what lets go of the last of a producer.
  asked();
  return nullptr;
}

uint64_t Holdings::held() const {
  const base::MutexLock lock(mutex_);
  return held_;
}

void Holdings::set(Entry& entry, uint64_t amount) {
  const base::MutexLock lock(mutex_);
  held_ += amount - std::exchange(entry.amount, amount);
}

void Holdings::give_back(Entries::iterator entry) {
  Entries gone;
  const base::MutexLock lock(mutex_);
  held_ -= entry->amount;
  gone.splice(gone.end(), entries_, entry);
}

}  // namespace bobbin::feed
