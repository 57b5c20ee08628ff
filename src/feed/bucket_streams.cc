#include "feed/bucket_streams.h"

#include "feed/producer.h"

namespace bobbin::feed {

void BucketStreams::enter(const std::shared_ptr<Producer>& producer) {
  std::shared_ptr<Producer> before;
  {
    const base::MutexLock lock(mutex_);
    for (const auto& other : producers_) {
      const auto there = other.lock();
      if (there != nullptr && there->name() == producer->name()) before = there;
    }
    producers_.push_back(producer);
  }
  if (before != nullptr) before->ask_to_close();
}

void BucketStreams::leave(const Producer& producer) {
  const base::MutexLock lock(mutex_);
  std::erase_if(producers_, [&producer](const auto& other) {
    const auto there = other.lock();
    return there == nullptr || there.get() == &producer;
  });
}

void BucketStreams::visit(const std::function<void(const Producer&)>& visit) const {
  std::vector<std::weak_ptr<Producer>> all;
  {
    const base::MutexLock lock(mutex_);
    all = producers_;
  }
  for (const auto& one : all)
    if (const auto there = one.lock()) visit(*there);
}

size_t BucketStreams::producers() const {
  const base::MutexLock lock(mutex_);
  return producers_.size();
}

}  // namespace bobbin::feed
