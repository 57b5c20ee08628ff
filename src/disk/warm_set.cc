#include "disk/warm_set.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "disk/bytes.h"
#include "disk/system_file.h"
#include "store/dirty_set.h"
#include "store/key_hash.h"

namespace bobbin::disk {

namespace {

// Then: the number of vbuckets; for each its number of hashes and these; the crc32 of all before it. Numbers
// have 4 bytes, the least significant first.
constexpr std::string_view kTitle = "bobbin warm 1\n";
constexpr size_t kNumberBytes = 4;

uint32_t hash_of(store::DocKey key) noexcept {
  return store::crc32(key.stored());
}

std::string path_in(const std::string& directory) {
  return directory + "/warm";
}

}  // namespace

WarmSet WarmSet::of(store::Bucket& bucket, base::Now now) {
  WarmSet set;
  std::vector<std::vector<uint32_t>> found(bucket.vbucket_count());
  const auto add = [&](const store::Peeked& seen) {
    // Who was used since the hand of the eviction came by. Values that came once and were never asked for
    // again are what the room is filled with afterwards.
    if (seen.doc->resident() && seen.frequency > 0)
      found[bucket.vbucket_of(seen.doc->doc_key())].push_back(hash_of(seen.doc->doc_key()));
    return true;
  };
  const store::Statistics numbers = bucket.statistics();
  if (numbers.non_resident_items == 0 && numbers.items_on_disk_only == 0) return set;
  bucket.for_each(add, now);
  for (std::vector<uint32_t>& hashes : found)
    std::sort(hashes.begin(), hashes.end());
  set.vbuckets_ = std::move(found);
  if (set.size() == 0) set.vbuckets_.clear();
  return set;
}

bool WarmSet::contains(uint16_t vbucket, store::DocKey key) const noexcept {
  if (vbucket >= vbuckets_.size()) return false;
  const std::vector<uint32_t>& hashes = vbuckets_[vbucket];
  return std::binary_search(hashes.begin(), hashes.end(), hash_of(key));
}

uint64_t WarmSet::size() const noexcept {
  uint64_t size = 0;
  for (const std::vector<uint32_t>& hashes : vbuckets_)
    size += hashes.size();
  return size;
}

std::string WarmSet::encode() const {
  std::string text(kTitle);
  text.reserve(kTitle.size() + kNumberBytes * (2 + vbuckets_.size() + size()));
  put_number(text, vbuckets_.size(), kNumberBytes);
  for (const std::vector<uint32_t>& hashes : vbuckets_) {
    put_number(text, hashes.size(), kNumberBytes);
    for (const uint32_t hash : hashes)
      put_number(text, hash, kNumberBytes);
  }
  put_number(text, store::crc32(text), kNumberBytes);
  return text;
}

std::optional<WarmSet> WarmSet::decode(std::string_view text) {
  if (!text.starts_with(kTitle) || text.size() < kTitle.size() + 2 * kNumberBytes) return std::nullopt;
  ByteReader checksum(text.substr(text.size() - kNumberBytes));
  text.remove_suffix(kNumberBytes);
  if (checksum.number(kNumberBytes) != store::crc32(text)) return std::nullopt;
  ByteReader reader(text.substr(kTitle.size()));
  const uint64_t vbuckets = reader.number(kNumberBytes);
  if (vbuckets > store::DirtySet::kMaxVBuckets) return std::nullopt;
  WarmSet set;
  set.vbuckets_.resize(vbuckets);
  for (std::vector<uint32_t>& hashes : set.vbuckets_) {
    const uint64_t count = reader.number(kNumberBytes);
    if (count > reader.rest().size() / kNumberBytes) return std::nullopt;
    hashes.reserve(count);
    for (uint64_t i = 0; i < count; ++i)
      hashes.push_back(static_cast<uint32_t>(reader.number(kNumberBytes)));
    if (!std::is_sorted(hashes.begin(), hashes.end())) return std::nullopt;
  }
  if (!reader.ok() || !reader.rest().empty()) return std::nullopt;
  return set;
}

WarmSet read_warm_set(const std::string& directory) {
  const auto text = read_file(path_in(directory));
  if (text && !*text) return {};
  std::optional<WarmSet> set = text ? WarmSet::decode(**text) : std::nullopt;
  if (set) return std::move(*set);
  base::log(base::LogLevel::warning, "disk: " + path_in(directory) +
                                         ": cannot be read; what comes into memory first is not what was "
                                         "used most");
  return {};
}

Result<void> write_warm_set(const std::string& directory, const WarmSet& set) {
  if (set.empty()) return remove_file(path_in(directory));
  return replace_file(path_in(directory), set.encode());
}

WarmSetWriter::WarmSetWriter(store::Bucket& bucket, std::string directory, const base::Clock& clock,
                             std::chrono::milliseconds period)
    : bucket_(bucket), directory_(std::move(directory)), clock_(clock), period_(period) {}

WarmSetWriter::~WarmSetWriter() {
  stop();
}

void WarmSetWriter::start() {
  thread_ = std::thread([this] { run(); });
}

void WarmSetWriter::stop() {
  {
    const base::MutexLock lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void WarmSetWriter::finish() {
  const bool was_started = thread_.joinable();
  stop();
  if (was_started) write();
}

void WarmSetWriter::run() {
  while (true) {
    {
      const base::MutexLock lock(mutex_);
      const auto until = std::chrono::steady_clock::now() + period_;
      while (!stopping_ && std::chrono::steady_clock::now() < until)
        changed_.wait_until(mutex_, until);
      if (stopping_) return;
    }
    write();
  }
}

void WarmSetWriter::write() {
  // As long as not all is back that was in use, the file that tells of it is the better one.
  if (bucket_.statistics().warming_vbuckets != 0) return;
  const auto written = write_warm_set(directory_, WarmSet::of(bucket_, clock_.now()));
  // Only a restart would be a little slower for it.
  if (!written) base::log(base::LogLevel::warning, "disk: " + written.error().message);
}

}  // namespace bobbin::disk
