#include "serve/served_bucket.h"

#include <utility>

#include "disk/layout_file.h"

namespace bobbin::serve {
namespace {

std::string uuid_of(const ServedBucketOptions& options) {
  if (!options.uuid.empty()) return options.uuid;
  return options.disk != nullptr ? options.disk->directory().uuid() : disk::new_uuid();
}

}  // namespace

ServedBucket::ServedBucket(ServedBucketOptions options, const base::Clock& clock)
    : clock_(clock),
      name_(std::move(options.name)),
      uuid_(uuid_of(options)),
      disk_(std::move(options.disk)),
      cache_(disk_ == nullptr ? std::make_unique<store::Bucket>(options.cache) : nullptr),
      bucket_(disk_ == nullptr ? *cache_ : disk_->bucket()),
      durable_replies_(options.durable_replies),
      always_durable_(options.durable_replies && !options.settings.persists_replies()),
      observer_(options.observer),
      uploads_(bucket_.quota_bytes() / 2),
      collections_(bucket_, disk_.get(), clock, [this] { config_watchers_.changed(); }),
      streams_(
          options.max_backfills, [this] { return bucket_.quota_bytes(); }, options.stream_patience),
      sweeper_(std::make_unique<store::Sweeper>(bucket_, clock)) {
  bucket_.set_eviction_observer(options.observer);
  for (uint32_t i = 0; disk_ != nullptr && i < bucket_.vbucket_count(); ++i) {
    const auto vbucket = static_cast<uint16_t>(i);
    const store::VBucketRole role = bucket_.role(vbucket);
    if (role != store::VBucketRole::active)
      vbuckets_.start_as(vbucket, static_cast<VBucketStates::State>(role));
  }
  BucketSettings settings = std::move(options.settings);
  settings.quota_bytes = bucket_.quota_bytes();
  if (disk_ != nullptr) {
    settings.eviction =
        bucket_.eviction_policy() == store::EvictionPolicy::full ? "fullEviction" : "valueOnly";
  } else if (settings.on_disk()) {
    settings.type = "ephemeral";
    settings.eviction = options.cache.evict ? "nruEviction" : "noEviction";
  }
  set_settings(std::move(settings));
}

ServedBucket::~ServedBucket() {
  end();
  if (tell_destroyed_) tell_destroyed_();
}

BucketSettings ServedBucket::settings() const {
  const base::MutexLock lock(mutex_);
  return settings_;
}

void ServedBucket::set_settings(BucketSettings settings) {
  settings.name = name_;
  settings.uuid = uuid_;
  durable_replies_.store(always_durable_ || settings.persists_replies(), std::memory_order_relaxed);
  keeps_compressed_.store(settings.compression != "off", std::memory_order_relaxed);
  bucket_.set_compresses(settings.compression == "active");
  const base::MutexLock lock(mutex_);
  if (settings.max_ttl_s != settings_.max_ttl_s) bucket_.set_max_ttl(settings.max_ttl_s);
  settings_ = std::move(settings);
}

void ServedBucket::start() {
  if (disk_ != nullptr) {
    disk_->start();
    // A flush that was to come while nobody served has come for the first client.
    (void)bucket_.sweep_garbage(0, clock_.now());
  }
  sweeper_->start();
}

disk::Result<void> ServedBucket::close() {
  collections_.close();
  sweeper_.reset();
  return disk_ == nullptr ? disk::Result<void>() : disk_->close();
}

void ServedBucket::end() {
  collections_.close();
  sweeper_.reset();
  disk_.reset();
}

}  // namespace bobbin::serve
