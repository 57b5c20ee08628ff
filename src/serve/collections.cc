#include "serve/collections.h"

#include "base/log.h"

namespace bobbin::serve {

using store::Manifest;
using store::ManifestError;

Collections::Changed Collections::change(const Change& make) {
  const base::MutexLock lock(mutex_);
  if (closed_) return base::fail(ManifestError::shutting_down);
  const std::shared_ptr<const Manifest> before = bucket_.manifest();
  Manifest::Changed changed = make(*before);
  if (!changed) return base::fail(changed.error());
  if (*changed == *before) return before->uid();
  if (disk_ != nullptr) {
    if (auto saved = disk_->save_manifest(*changed); !saved) {
      base::log(base::LogLevel::error, "collections: " + saved.error().message);
      return base::fail(ManifestError::not_on_disk);
    }
  }
  const auto after = std::make_shared<const Manifest>(std::move(*changed));
  bucket_.set_manifest(after, clock_.now());
  if (changed_) changed_();
  return after->uid();
}

Collections::Changed Collections::create_scope(std::string_view name) {
  return change([=](const Manifest& manifest) { return manifest.with_scope(name); });
}

Collections::Changed Collections::drop_scope(std::string_view name) {
  return change([=](const Manifest& manifest) { return manifest.without_scope(name); });
}

Collections::Changed Collections::create_collection(std::string_view scope, std::string_view name,
                                                    std::optional<uint32_t> max_ttl_s) {
  return change([=](const Manifest& manifest) { return manifest.with_collection(scope, name, max_ttl_s); });
}

Collections::Changed Collections::drop_collection(std::string_view scope, std::string_view name) {
  return change([=](const Manifest& manifest) { return manifest.without_collection(scope, name); });
}

Collections::Changed Collections::change_max_ttl(std::string_view scope, std::string_view name,
                                                 std::optional<uint32_t> max_ttl_s) {
  return change([=](const Manifest& manifest) { return manifest.with_max_ttl(scope, name, max_ttl_s); });
}

Collections::Changed Collections::replace(const Manifest& other) {
  return change([&](const Manifest& manifest) { return manifest.replaced_by(other); });
}

void Collections::close() {
  const base::MutexLock lock(mutex_);
  closed_ = true;
}

}  // namespace bobbin::serve
