#include "feed/stream_filter.h"

namespace bobbin::feed {

base::Result<StreamFilter, FilterError> StreamFilter::make(bool collections, const wire::DcpFilter& asked,
                                                           const store::Manifest& manifest) {
  StreamFilter filter;
  if (!collections) {
    filter.reach_ = Reach::unaware;
    return filter;
  }
  if (asked.scope) {
    if (manifest.scope(*asked.scope) == nullptr) return base::fail(FilterError::unknown_scope);
    filter.reach_ = Reach::scope;
    filter.scope_ = *asked.scope;
    for (const store::Collection& collection : manifest.collections())
      if (collection.scope == filter.scope_) filter.collections_.insert(collection.id);
  } else if (asked.collections) {
    filter.reach_ = Reach::collections;
    for (const store::CollectionId id : *asked.collections) {
      if (manifest.collection(id) == nullptr) return base::fail(FilterError::unknown_collection);
      filter.collections_.insert(id);
    }
  }
  return filter;
}

bool StreamFilter::passes(const store::CollectionEvent& event) {
  using store::EventKind;
  if (reach_ == Reach::bucket || reach_ == Reach::unaware) return reach_ == Reach::bucket;
  const bool of_scope = event.kind == EventKind::scope_created || event.kind == EventKind::scope_dropped;
  if (reach_ == Reach::scope) {
    if (event.scope != scope_) return false;
    if (event.kind == EventKind::scope_dropped) over_ = true;
    if (event.kind == EventKind::collection_created) collections_.insert(event.collection);
    if (event.kind == EventKind::collection_dropped) collections_.erase(event.collection);
    return true;
  }
  if (of_scope || !collections_.contains(event.collection)) return false;
  if (event.kind == EventKind::collection_dropped) {
    collections_.erase(event.collection);
    over_ = collections_.empty();
  }
  return true;
}

}  // namespace bobbin::feed
