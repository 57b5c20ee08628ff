#include "serve/buckets.h"

#include <algorithm>
#include <condition_variable>
#include <filesystem>
#include <random>
#include <utility>

#include "base/log.h"
#include "disk/layout_file.h"
#include "disk/system_file.h"
#include "serve/server_backup.h"

namespace bobbin::serve {
namespace {

using Kind = BucketError::Kind;

Buckets::Done refuse(Kind kind, std::string field, std::string message) {
  return base::fail(BucketError{kind, std::move(field), std::move(message)});
}

Buckets::Done refuse(const disk::Error& error) {
  return refuse(Kind::disk, "_", error.message);
}

/// A folder that nothing names is in nobody's way: the next bucket has another.
void remove_folder(const std::string& path) {
  std::error_code error;
  std::filesystem::remove_all(path, error);
  if (error)
    base::log(base::LogLevel::warning,
              path + ": of a bucket that is no more, and cannot be removed: " + error.message());
}

/// Told when an object that others share has been destroyed.
struct Gone {
  std::mutex mutex;
  std::condition_variable changed;
  bool is_gone = false;

  void tell() {
    const std::lock_guard lock(mutex);
    is_gone = true;
    changed.notify_all();
  }
  void wait() {
    std::unique_lock lock(mutex);
    changed.wait(lock, [this] { return is_gone; });
  }
};

}  // namespace

Buckets::Buckets(std::shared_ptr<ServedBucket> first, BucketsOptions options, const base::Clock& clock)
    : first_(std::move(first)),
      options_(std::move(options)),
      clock_(clock),
      memory_bytes_(first_->bucket().quota_bytes()),
      buckets_{first_} {}

std::string Buckets::folder_of(const BucketSettings& settings) const {
  return bucket_path(options_.folder, settings.uuid);
}

base::Result<std::shared_ptr<ServedBucket>, disk::Error> Buckets::make(const BucketSettings& settings) {
  ServedBucketOptions options;
  options.name = settings.name;
  options.uuid = settings.uuid;
  options.settings = settings;
  options.observer = first_->observer();
  options.max_backfills = options_.max_backfills;
  options.durable_replies = settings.persists_replies();
  options.cache = options_.cache;
  options.cache.quota_bytes = settings.quota_bytes;
  options.cache.evict = settings.evicts();
  options.cache.conflicts = conflicts_of(settings);
  if (settings.vbuckets != 0) options.cache.vbuckets = settings.vbuckets;
  // The names of its vbuckets' histories come from it: of two buckets of one name they have to differ.
  std::random_device random;
  options.cache.hash_seed = (uint64_t{random()} << 32) | random();
  if (settings.on_disk()) {
    auto disk = options_.open_disk(folder_of(settings), settings);
    if (!disk) return base::fail(std::move(disk.error()));
    options.disk = std::move(*disk);
  }
  return std::make_shared<ServedBucket>(std::move(options), clock_);
}

disk::Result<void> Buckets::open() {
  if (options_.folder.empty()) return {};
  const std::string path = buckets_file(options_.folder);
  const auto text = disk::read_file(path);
  if (!text) return base::fail(text.error());
  if (!*text) return {};
  const auto settings = decode_buckets(**text, path);
  if (!settings) return base::fail(settings.error());
  List buckets = {first_};
  for (const BucketSettings& one : *settings) {
    if (one.name == first_->name()) {
      // The rest is what the server was started with.
      BucketSettings first = first_->settings();
      first.flush_enabled = one.flush_enabled;
      first.compression = one.compression;
      first.replicas = one.replicas;
      first.max_ttl_s = one.max_ttl_s;
      first_->set_settings(std::move(first));
      continue;
    }
    // One that was made has a layout: an empty one in its place would pass for it.
    std::error_code error;
    if (const std::string place = folder_of(one);
        one.on_disk() && !std::filesystem::exists(place + "/layout", error)) {
      return base::fail(
          disk::Error{disk::ErrorKind::corrupt, place,
                      place + ": bucket " + one.name + " is missing: restore it from a backup"});
    }
    auto made = make(one);
    if (!made) return base::fail(std::move(made.error()));
    buckets.push_back(std::move(*made));
  }
  replace(std::move(buckets));
  share_memory();
  return {};
}

void Buckets::start() {
  for (const auto& bucket : all())
    bucket->start();
}

disk::Result<void> Buckets::close() {
  disk::Result<void> result;
  for (const auto& bucket : all()) {
    auto closed = bucket->close();
    if (!closed && result) result = std::move(closed);
  }
  return result;
}

void Buckets::end() {
  for (const auto& bucket : all())
    bucket->end();
}

std::shared_ptr<ServedBucket> Buckets::find(std::string_view name) const {
  const base::MutexLock lock(mutex_);
  const auto found = std::find_if(buckets_.begin(), buckets_.end(),
                                  [&](const auto& bucket) { return bucket->name() == name; });
  return found == buckets_.end() ? nullptr : *found;
}

Buckets::Entered Buckets::enter(std::string_view name, const net::Spool& spool) {
  // remove() takes a bucket off the list under this lock, and looks for guests after that.
  const base::MutexLock lock(mutex_);
  for (const auto& bucket : buckets_) {
    if (bucket->name() != name) continue;
    if (bucket == first_) return {bucket};
    const uint64_t guest = bucket->guests()->enter(spool);
    return guest != 0 ? Entered{bucket, guest} : Entered();
  }
  return {};
}

void Buckets::visit(const std::function<void(const ServedBucket&)>& visit) const {
  const base::MutexLock lock(mutex_);
  for (const auto& bucket : buckets_)
    visit(*bucket);
}

std::vector<std::shared_ptr<ServedBucket>> Buckets::all() const {
  const base::MutexLock lock(mutex_);
  return buckets_;
}

void Buckets::replace(List buckets) {
  std::sort(buckets.begin() + 1, buckets.end(),
            [](const auto& one, const auto& other) { return one->name() < other->name(); });
  const base::MutexLock lock(mutex_);
  buckets_.swap(buckets);
}

disk::Result<void> Buckets::write(const List& buckets) const {
  if (options_.folder.empty()) return {};
  std::vector<BucketSettings> settings;
  for (const auto& bucket : buckets)
    settings.push_back(bucket->settings());
  return disk::replace_file(buckets_file(options_.folder), encode_buckets(settings));
}

Buckets::Done Buckets::check_memory(const BucketSettings& settings) const {
  uint64_t others = settings.quota_bytes;
  for (const auto& bucket : all())
    if (bucket != first_ && bucket->name() != settings.name) others += bucket->settings().quota_bytes;
  if (others <= memory_bytes_ / 4 * 3) return {};
  return refuse(
      Kind::invalid, "ramQuota",
      "RAM quota specified is too large to be provisioned into this cluster: all buckets share --memory, "
      "and the default one keeps a quarter");
}

void Buckets::share_memory() {
  uint64_t others = 0;
  for (const auto& bucket : all())
    if (bucket != first_) others += bucket->settings().quota_bytes;
  // A server that was started with less memory than before still has to serve.
  first_->bucket().set_quota_bytes(
      std::max(memory_bytes_ - std::min(others, memory_bytes_), memory_bytes_ / 4));
}

Buckets::Done Buckets::create(BucketSettings settings,
                              const std::function<void(store::Bucket&)>& before_start) {
  const std::lock_guard lock(changing_);
  if (BucketTrouble trouble = check_bucket(settings); !trouble.field.empty())
    return refuse(Kind::invalid, std::move(trouble.field), std::move(trouble.why));
  List buckets = all();
  const auto is_same = [&](const auto& bucket) { return bucket->name() == settings.name; };
  if (std::any_of(buckets.begin(), buckets.end(), is_same))
    return refuse(Kind::exists, "name", "Bucket with given name already exists");
  if (buckets.size() >= kMost) return refuse(Kind::invalid, "_", "Cannot create more than 30 buckets");
  if (!store::Bucket::has_room_for_another())
    return refuse(Kind::invalid, "_", "Documents of too many removed buckets are still being sent");
  if (settings.on_disk() && !options_.open_disk)
    return refuse(Kind::invalid, "bucketType", "This server is a cache and keeps nothing on disk");
  if (auto fits = check_memory(settings); !fits) return fits;
  settings.uuid = disk::new_uuid();
  auto made = make(settings);
  if (!made) {
    // It may have been made before what went wrong.
    if (settings.on_disk()) remove_folder(folder_of(settings));
    return refuse(made.error());
  }
  if (before_start) before_start((*made)->bucket());
  (*made)->start();
  buckets.push_back(*made);
  if (const auto written = write(buckets); !written) {
    buckets.clear();
    made->reset();
    if (settings.on_disk()) remove_folder(folder_of(settings));
    return refuse(written.error());
  }
  replace(std::move(buckets));
  share_memory();
  return {};
}

Buckets::Done Buckets::change(const BucketSettings& settings) {
  const std::lock_guard lock(changing_);
  const auto bucket = find(settings.name);
  if (bucket == nullptr) return refuse(Kind::missing, "name", "Requested resource not found.");
  const BucketSettings before = bucket->settings();
  if (bucket != first_) {
    if (BucketTrouble trouble = check_bucket(settings); !trouble.field.empty())
      return refuse(Kind::invalid, std::move(trouble.field), std::move(trouble.why));
    if (auto fits = check_memory(settings); !fits) return fits;
  } else if (settings.quota_bytes >> 20 != bucket->bucket().quota_bytes() >> 20) {
    return refuse(Kind::invalid, "ramQuota",
                  "The default bucket has the memory that others leave it (--memory)");
  } else if (settings.persists_replies() != before.persists_replies()) {
    return refuse(Kind::invalid, "durability_min_level", "Of the default bucket this is --durability");
  }
  if (settings.type != before.type)
    return refuse(Kind::invalid, "bucketType", "The type of a bucket cannot change");
  if (settings.conflicts != before.conflicts)
    return refuse(Kind::invalid, "conflictResolutionType",
                  "The conflict resolution of a bucket cannot change");
  if (settings.vbuckets != 0 && settings.vbuckets != bucket->bucket().vbucket_count())
    return refuse(Kind::invalid, "numVBuckets", "The number of vbuckets of a bucket cannot change");
  if (settings.eviction != before.eviction)
    return refuse(Kind::invalid, "evictionPolicy", "The eviction policy of a bucket cannot change");
  bucket->set_settings(settings);
  if (const auto written = write(all()); !written) {
    bucket->set_settings(before);
    return refuse(written.error());
  }
  if (bucket != first_) bucket->bucket().set_quota_bytes(settings.quota_bytes);
  share_memory();
  return {};
}

Buckets::Done Buckets::remove(std::string_view name) {
  const std::lock_guard lock(changing_);
  std::shared_ptr<ServedBucket> bucket = find(name);
  if (bucket == nullptr) return refuse(Kind::missing, "name", "Requested resource not found.");
  if (bucket == first_)
    return refuse(Kind::invalid, "_",
                  "The default bucket stays: it is that of memcached's clients. Flush it instead");
  List buckets = all();
  std::erase(buckets, bucket);
  if (const auto written = write(buckets); !written) return refuse(written.error());
  replace(std::move(buckets));
  share_memory();
  const BucketSettings settings = bucket->settings();
  bucket->guests()->evict();
  const auto gone = std::make_shared<Gone>();
  bucket->when_destroyed([gone] { gone->tell(); });
  bucket.reset();
  gone->wait();
  if (settings.on_disk()) remove_folder(folder_of(settings));
  return {};
}

Buckets::Done Buckets::flush(std::string_view name) {
  const std::lock_guard lock(changing_);
  const auto bucket = find(name);
  if (bucket == nullptr) return refuse(Kind::missing, "name", "Requested resource not found.");
  if (!bucket->settings().flush_enabled)
    return refuse(Kind::no_flush, "_", "Flush is disabled for the bucket");
  bucket->bucket().flush(clock_.now());
  if (bucket->disk() == nullptr) return {};
  if (const auto written = bucket->disk()->bring_to_disk(); !written) return refuse(written.error());
  return {};
}

}  // namespace bobbin::serve
