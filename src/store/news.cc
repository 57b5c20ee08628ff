#include "store/news.h"

#include <bit>

namespace bobbin::store {

std::vector<uint16_t> News::take() {
  std::vector<uint16_t> vbuckets;
  for (uint32_t word = 0; word < marked_.size(); ++word) {
    if (marked_[word].load() == 0) continue;
    for (uint64_t bits = marked_[word].exchange(0); bits != 0; bits &= bits - 1)
      vbuckets.push_back(static_cast<uint16_t>(word * 64 + static_cast<uint32_t>(std::countr_zero(bits))));
  }
  return vbuckets;
}

void News::mark(uint16_t vbucket) {
  const uint32_t word = vbucket / 64;
  if ((followed_[word].load() & bit(vbucket)) == 0) return;
  if ((marked_[word].fetch_or(bit(vbucket)) & bit(vbucket)) == 0) waker_();
}

void NewsBoard::add(std::shared_ptr<News> news) {
  const base::MutexLock lock(mutex_);
  readers_.push_back(std::move(news));
}

void NewsBoard::remove(const News& news) {
  const base::MutexLock lock(mutex_);
  std::erase_if(readers_, [&news](const auto& reader) { return reader.get() == &news; });
}

void NewsBoard::tell(uint16_t vbucket) {
  const base::MutexLock lock(mutex_);
  for (const auto& reader : readers_)
    reader->mark(vbucket);
}

}  // namespace bobbin::store
