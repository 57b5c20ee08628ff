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
      uploads_(bucket_.quota_bytes() / 2),
      collections_(bucket_, disk_.get(), clock),
      sweeper_(std::make_unique<store::Sweeper>(bucket_, clock)) {
  bucket_.set_eviction_observer(options.observer);
}

ServedBucket::~ServedBucket() {
  end();
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
