#include "feed/scans.h"

#include "feed/scan.h"

namespace bobbin::feed {

std::shared_ptr<Scan> Scans::find(const wire::ScanId& id) const {
  const base::MutexLock lock(mutex_);
  const auto found = shown_.find(id);
  return found == shown_.end() ? nullptr : found->second.lock();
}

std::vector<std::shared_ptr<Scan>> Scans::all() const {
  std::vector<std::shared_ptr<Scan>> scans;
  const base::MutexLock lock(mutex_);
  scans.reserve(shown_.size());
  for (const auto& [id, shown] : shown_)
    if (auto scan = shown.lock()) scans.push_back(std::move(scan));
  return scans;
}

ScanStatistics Scans::statistics() const {
  const auto read = [](const std::atomic<uint64_t>& counter) {
    return counter.load(std::memory_order_relaxed);
  };
  return {read(open_),    read(created_), read(completed_), read(cancelled_),  read(expired_),
          read(refused_), read(items_),   read(bytes_),     memory_->numbers()};
}

bool Scans::enter() noexcept {
  if (open_.fetch_add(1, std::memory_order_relaxed) < limits_.scans) return true;
  leave();
  return false;
}

void Scans::show(const std::shared_ptr<Scan>& scan) {
  created_.fetch_add(1, std::memory_order_relaxed);
  const base::MutexLock lock(mutex_);
  shown_.emplace(scan->id(), scan);
}

void Scans::hide(const wire::ScanId& id) {
  const base::MutexLock lock(mutex_);
  shown_.erase(id);
}

ConnectionScans::~ConnectionScans() {
  for (const auto& scan : scans_of_mine_)
    scan->end();
}

bool ConnectionScans::enter() {
  std::erase_if(scans_of_mine_, [](const auto& scan) { return scan->is_over(); });
  if (scans_of_mine_.size() < scans_.limits().scans_per_connection && scans_.enter()) return true;
  scans_.refused_.fetch_add(1, std::memory_order_relaxed);
  return false;
}

}  // namespace bobbin::feed
