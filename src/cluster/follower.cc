#include "cluster/follower.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace bobbin::cluster {
namespace {

using serve::FollowedBucket;
using serve::FollowLink;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kTick{50};
// Where the source does not say how much a bucket has, or this server has less.
constexpr uint64_t kLeastQuotaBytes = 100 << 20;
// How often the source is asked what a bucket is that is here already.
constexpr std::chrono::seconds kDescribeEvery{5};

bool is_among(std::string_view name, const std::vector<std::string>& names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// Every vbucket of the bucket is a copy, and none has only a part of a snapshot. One of which nothing was
/// copied yet is no different from one that is empty: see CopiedMark.
bool is_whole_copy(const store::Bucket& bucket) {
  for (uint32_t vbucket = 0; vbucket < bucket.vbucket_count(); ++vbucket) {
    const store::ReplicaFacts facts = bucket.replica_facts(static_cast<uint16_t>(vbucket));
    if (!facts.follows || facts.high_seqno < facts.snapshot.end) return false;
  }
  return true;
}

/// A vbucket has something, and is no copy. After a kill one that was never used is behind what it had
/// reserved.
bool has_own_documents(const store::Bucket& bucket) {
  const bool has_collections = bucket.manifest()->uid() != 0;
  for (uint32_t i = 0; i < bucket.vbucket_count(); ++i) {
    const auto vbucket = static_cast<uint16_t>(i);
    if (bucket.follows(vbucket) || bucket.high_seqno(vbucket) == 0) continue;
    if (has_collections || bucket.facts(vbucket).items != 0) return true;
  }
  return false;
}

/// What has_own_documents() has none of: its vbuckets begin as their source's do.
void begin_all(store::Bucket& bucket, base::Now now) {
  for (uint32_t i = 0; i < bucket.vbucket_count(); ++i) {
    const auto vbucket = static_cast<uint16_t>(i);
    if (bucket.follows(vbucket)) continue;
    bucket.follow(vbucket, now);
    if (bucket.high_seqno(vbucket) != 0) (void)bucket.clear(vbucket, now);  // its disk has not failed yet
  }
}

void follow_all(store::Bucket& bucket, base::Now now) {
  for (uint32_t vbucket = 0; vbucket < bucket.vbucket_count(); ++vbucket)
    bucket.follow(static_cast<uint16_t>(vbucket), now);
}

void take_over(store::Bucket& bucket, base::Now now) {
  for (uint32_t vbucket = 0; bucket.is_following() && vbucket < bucket.vbucket_count(); ++vbucket)
    bucket.stop_following(static_cast<uint16_t>(vbucket), now);
}

}  // namespace

void settle_copies(const serve::Buckets& buckets, serve::Following* following,
                   const std::vector<std::string>& names, base::Now now) {
  bool are_whole = true;
  for (const auto& served : buckets.all()) {
    if (served->disk() == nullptr) continue;
    store::Bucket& bucket = served->bucket();
    const CopiedMark mark(*served->disk());
    if (following == nullptr) {
      mark.remove();
      take_over(bucket, now);
      continue;
    }
    if (!names.empty() && !is_among(served->name(), names)) continue;
    const bool is_copy = mark.is_set() && is_whole_copy(bucket);
    if (!is_copy) mark.remove();
    are_whole = are_whole && is_copy;
    // What somebody has stored here is looked at first: feed/consumer.h.
    if (!has_own_documents(bucket)) begin_all(bucket, now);
    following->put(std::make_shared<FollowedBucket>(served->name(), bucket.vbucket_count(), is_copy));
  }
  if (following == nullptr) return;
  for (const std::string& name : names)
    if (following->find(name) == nullptr) following->put(std::make_shared<FollowedBucket>(name, 0, false));
  if (are_whole || !names.empty()) following->know_buckets();
}

Follower::Follower(serve::Buckets& buckets, serve::Following& following, const base::Clock& clock,
                   FollowerOptions options)
    : buckets_(buckets),
      following_(following),
      clock_(clock),
      options_(std::move(options)),
      scouting_(loop_, clock_, options_.source, *this),
      loop_(SourceLink::limits()) {}

Follower::~Follower() {
  stop();
}

void Follower::start() {
  for (const auto& state : following_.all())
    if (auto bucket = buckets_.find(state->name()); bucket != nullptr && bucket->disk() != nullptr)
      add(std::move(bucket), state);
  loop_.post([this] { tick(); });
  thread_ = std::thread([this] { loop_.run(); });
}

void Follower::stop() {
  if (!thread_.joinable()) return;
  loop_.stop();
  thread_.join();
  for (const auto& state : following_.all())
    state->tell_let_go(false);
  for (const auto& copy : copies_)
    copy->state().tell_let_go(false);
}

void Follower::add(std::shared_ptr<serve::ServedBucket> bucket, std::shared_ptr<FollowedBucket> state) {
  const Copy::Place place{loop_, clock_, options_.source, following_};
  copies_.push_back(std::make_unique<Copy>(place, std::move(bucket), std::move(state)));
}

void Follower::tick() {
  const SteadyTime now = steady_clock::now();
  loop_.post_after(kTick, [this] { tick(); });
  for (const auto& copy : copies_)
    if (copy->has_gone()) copy->state().tell_let_go(true);
  // Those of an earlier tick: what their connections have posted has run.
  std::erase_if(copies_, [](const auto& copy) { return copy->is_over(); });
  let_go_of_dismissed();
  for (const auto& copy : copies_)
    if (!copy->has_let_go()) copy->tick(now);
  scouting_.tick(now);
}

// Who has dismissed one is told when nothing here holds the bucket: it is removed under a lock that changes
// of buckets wait for, and this thread makes some.
void Follower::let_go_of_dismissed() {
  for (const auto& state : following_.all()) {
    if (!state->is_dismissed()) continue;
    const auto found = std::find_if(copies_.begin(), copies_.end(),
                                    [&](const auto& copy) { return &copy->state() == state.get(); });
    if (found == copies_.end())
      state->tell_let_go(true);
    else
      (*found)->let_go();
    following_.remove(state->name());
    known_.erase(state->name());
    base::log(base::LogLevel::info,
              fmt::format("bucket {} of {} is followed no more", state->name(), following_.source()));
  }
}

// ---- which buckets there are

std::unique_ptr<Talk> Follower::new_talk() {
  return std::make_unique<Scout>(GreetingOptions{.agent = options_.source.name,
                                                 .user = options_.source.user,
                                                 .password = options_.source.password,
                                                 .bucket = {}},
                                 static_cast<Scout::Owner&>(*this));
}

// The log has it from the copies' connections, but for what is said of the list alone.
void Follower::failed(std::string why) {
  following_.tell_list_trouble(std::move(why));
}

std::vector<std::string> Follower::listed(const std::vector<std::string>& names) {
  // Nothing is known then of what there is: a role may be missing.
  const bool sees_none = names.empty();
  following_.tell_list_trouble(sees_none ? "the source lets this server's user into no bucket" : "");
  if (sees_none) return {};
  const SteadyTime now = steady_clock::now();
  unmade_.keep_only(names);
  std::vector<std::string> wanted;
  for (const std::string& name : names) {
    if (!options_.buckets.empty() && !is_among(name, options_.buckets)) continue;
    const auto bucket = buckets_.find(name);
    if (bucket == nullptr) {
      if (unmade_.is_due(name, now)) wanted.push_back(name);
      if (following_.find(name) == nullptr) following_.put(std::make_shared<FollowedBucket>(name, 0, false));
    } else if (bucket->disk() == nullptr) {
      cannot(name, "the bucket of this name here is not on disk");
    } else if (const auto state = following_.find(name)) {
      state->expect(true);
      if (is_due(name, now)) wanted.push_back(name);
    }
  }
  tell_of_vanished(names);
  following_.know_buckets();
  return wanted;
}

bool Follower::is_due(const std::string& name, SteadyTime now) {
  Known& known = known_[name];
  if (now - known.asked_at < kDescribeEvery) return false;
  known.asked_at = now;
  return true;
}

// A copy is not removed because its source was: it may be all that is left.
void Follower::tell_of_vanished(const std::vector<std::string>& names) {
  for (const auto& state : following_.all()) {
    if (is_among(state->name(), names)) continue;
    if (buckets_.find(state->name()) == nullptr) {
      if (options_.buckets.empty())
        following_.remove(state->name());
      else
        cannot(state->name(), std::string(kNotListed));
    } else if (state->is_expected()) {
      state->expect(false);
      if (state->link().state != FollowLink::streaming) state->failed(std::string(kNotListed));
    }
  }
}

void Follower::described(const SourceBucket& bucket) {
  const std::string& name = bucket.name;
  if (const auto state = following_.find(name); state != nullptr && buckets_.find(name) != nullptr) {
    // Of a cache its copy says that it is none.
    if (bucket.has_history) take_settings(bucket, *state);
    return;
  }
  if (!bucket.has_history) {
    cannot(name, "the source's is a cache: it keeps no history that could be followed");
    // Nor is it waited for.
    if (const auto state = following_.find(name)) state->expect(!options_.buckets.empty());
    return;
  }
  if (!make(bucket)) return;
  auto made = buckets_.find(name);
  if (made == nullptr) return;
  auto state = std::make_shared<FollowedBucket>(name, made->bucket().vbucket_count(), false);
  following_.put(state);
  add(std::move(made), std::move(state));
  following_.configs_changed();
}

/// False: there is none, and why was told.
bool Follower::make(const SourceBucket& bucket) {
  serve::BucketSettings settings{.name = bucket.name};
  bucket.settings.put_into(settings);
  settings.quota_bytes = std::max(settings.quota_bytes, kLeastQuotaBytes);
  // Its first state on disk says that it is a copy: another reserves what would pass for somebody's changes.
  const auto mark = [this](store::Bucket& fresh) { follow_all(fresh, clock_.now()); };
  serve::Buckets::Done made = buckets_.create(settings, mark);
  if (!made && made.error().field == "ramQuota" && settings.quota_bytes > kLeastQuotaBytes) {
    settings.quota_bytes = kLeastQuotaBytes;
    made = buckets_.create(settings, mark);
  }
  if (!made) {
    cannot_make(settings.name, made.error());
    return false;
  }
  unmade_.made(settings.name);
  known_[settings.name] = {bucket.settings.quota_bytes.value_or(0), steady_clock::now()};
  base::log(base::LogLevel::info,
            fmt::format("bucket {} was made, with {} MiB, to be a copy of {}'s", settings.name,
                        settings.quota_bytes >> 20, following_.source()));
  return true;
}

void Follower::take_settings(const SourceBucket& bucket, serve::FollowedBucket& state) {
  serve::BucketSettings here;
  bool is_default = false;
  {
    // Not kept: whoever removes it waits for us, and change() for them.
    const auto served = buckets_.find(bucket.name);
    if (served == nullptr) return;
    here = served->settings();
    here.quota_bytes = served->bucket().quota_bytes();
    is_default = served == buckets_.all().front();
  }
  Known& known = known_[bucket.name];
  SettingsTaken taken =
      cluster::take_settings(bucket.settings, here, is_default,
                             std::exchange(known.quota_bytes, bucket.settings.quota_bytes.value_or(0)));
  serve::Buckets::Done done;
  if (!taken.changed.empty()) done = buckets_.change(taken.settings);
  if (!done && done.error().field == "ramQuota" && taken.settings.quota_bytes != here.quota_bytes) {
    // There is not so much: everything else all the same.
    taken = cluster::take_settings(bucket.settings, here, is_default, 0);
    done = {};
    if (!taken.changed.empty()) done = buckets_.change(taken.settings);
  }
  if (!done) {
    taken.kept = "they cannot be changed here: " + done.error().message;
  } else if (!taken.changed.empty()) {
    base::log(base::LogLevel::info,
              fmt::format("bucket {} follows its source's settings: {}", bucket.name, taken.changed));
    following_.configs_changed();
  }
  if (state.tell_kept_settings(taken.kept) != taken.kept && !taken.kept.empty())
    base::log(base::LogLevel::warning, fmt::format("settings of bucket {} are not those of {}: {}",
                                                   bucket.name, following_.source(), taken.kept));
}

void Follower::cannot_make(const std::string& name, const serve::BucketError& error) {
  // What the disk says names another path each time.
  const std::string sort = error.kind == serve::BucketError::Kind::disk ? "disk" : error.message;
  std::string why = "it cannot be made here: " + error.message;
  const bool is_news = unmade_.failed(name, sort, steady_clock::now());
  if (const auto state = following_.find(name); state != nullptr && !is_news)
    state->failed(std::move(why));
  else
    cannot(name, std::move(why));
}

/// There is nothing here that could be a copy.
void Follower::cannot(std::string_view name, std::string why) {
  auto state = following_.find(name);
  if (state == nullptr) {
    state = std::make_shared<FollowedBucket>(std::string(name), 0, false);
    following_.put(state);
  }
  // The same trouble once a second is one line.
  if (state->link().trouble == why) return;
  base::log(base::LogLevel::warning,
            fmt::format("cannot follow bucket {} of {} for now: {}", name, following_.source(), why));
  state->failed(std::move(why));
}

}  // namespace bobbin::cluster
