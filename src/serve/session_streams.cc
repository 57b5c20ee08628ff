// What a session does that its client has made a producer's of change streams.

#include <algorithm>
#include <optional>
#include <utility>

#include "feed/producer.h"
#include "serve/session.h"

namespace bobbin::serve {
namespace {

Verdict judge(const Access& access, const feed::StreamFilter& filter, const store::Manifest& manifest) {
  using Reach = feed::StreamFilter::Reach;
  if (access.may(kDcpStream)) return Verdict::granted;
  switch (filter.reach()) {
    case Reach::bucket:
      return Verdict::refused;
    case Reach::unaware:
      return access.may(kDcpStream, store::kDefaultScope, store::kDefaultCollection) == Verdict::granted
                 ? Verdict::granted
                 : Verdict::refused;
    case Reach::scope:
      // Its collections come and go: a role has to be for all of them, and so for one that cannot be.
      return access.may(kDcpStream, *filter.scope(), UINT32_MAX);
    case Reach::collections:
      break;
  }
  Verdict verdict = Verdict::granted;
  for (const store::CollectionId id : filter.collections()) {
    const store::Collection* const collection = manifest.collection(id);
    // One that was dropped since is nobody's secret: its documents are gone.
    if (collection == nullptr) continue;
    verdict = std::max(verdict, access.may(kDcpStream, collection->scope, id));
  }
  return verdict;
}

}  // namespace

Verdict Session::may_stream(const feed::StreamFilter& filter) {
  renew_access();
  return judge(access_, filter, manifest());
}

void Session::produce(std::string name, const feed::StreamOptions& options) {
  auto kept = keep_bucket();
  if (engine_.feeds == nullptr || kept == nullptr) return;
  connection_->never_idle();
  const Engine& engine = engine_;
  ServedBucket& served = *served_;
  producer_ = std::make_shared<feed::Producer>(feed::ProducerSetup{
      .name = std::move(name),
      .options = options,
      .bucket = served.bucket(),
      .disk = *served.disk(),
      .streams = served.streams(),
      .keeper = std::move(kept),
      .spool = connection_->spool(),
      .access_generation = [&engine] { return engine.users.generation(); },
      .may_see =
          [&engine, &served, user = user_](const feed::StreamFilter& filter) {
            const Access access = access_of(engine, user, served);
            return judge(access, filter, *served.collections().manifest()) == Verdict::granted;
          }});
  served.streams().enter(producer_);
  engine_.feeds->spawn(producer_);
}

void Session::stop_producing() {
  if (producer_ == nullptr) return;
  producer_->end();
  producer_.reset();
}

}  // namespace bobbin::serve
