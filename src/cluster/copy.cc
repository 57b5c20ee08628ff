#include "cluster/copy.h"

#include <fmt/format.h>

#include <filesystem>
#include <optional>
#include <utility>

#include "base/log.h"
#include "cluster/greeted_talk.h"
#include "cluster/room_wait.h"
#include "disk/system_file.h"
#include "feed/consumer.h"

namespace bobbin::cluster {
namespace {

// The source has to say something more often than it is taken for dead.
constexpr uint32_t kNoopIntervalS = 5;

}  // namespace

CopiedMark::CopiedMark(const disk::Persistence& disk) : path_(disk.directory().path() + "/copied") {}

bool CopiedMark::is_set() const {
  std::error_code error;
  return std::filesystem::exists(path_, error);
}

void CopiedMark::set() const {
  if (const auto written = disk::replace_file(path_, "all that the source had was here once\n"); !written)
    base::log(base::LogLevel::warning, written.error().message);
}

void CopiedMark::remove() const {
  std::error_code error;
  std::filesystem::remove(path_, error);
  if (error) base::log(base::LogLevel::warning, path_ + ": cannot be removed: " + error.message());
}

/// First a greeting, then change streams. It may end after its Copy has let go of the bucket, and keeps it
/// until then.
class Copy::Streams final : public GreetedTalk {
 public:
  explicit Streams(Copy& copy)
      : GreetedTalk({.agent = copy.agent(),
                     .user = copy.place_.source.user,
                     .password = copy.place_.source.password,
                     .bucket = copy.state_->name()}),
        copy_(copy) {}
  ~Streams() override {
    if (bucket_ == nullptr) return;
    consumer_.reset();
    bucket_.reset();
    --copy_.holders_;
  }
  Streams(const Streams&) = delete;
  Streams& operator=(const Streams&) = delete;

  void begin(SteadyTime now, net::Output& out) override {
    bucket_ = copy_.bucket_;
    ++copy_.holders_;
    GreetedTalk::begin(now, out);
  }

  TalkOutcome take_frame(std::string_view frame, base::Now now, SteadyTime steady,
                         net::Output& out) override {
    const feed::FrameOutcome outcome = consumer_->take(frame, now, steady, out);
    copy_.drop_mark_of_part();
    switch (outcome) {
      case feed::FrameOutcome::taken:
        room_.goes_on();
        break;
      case feed::FrameOutcome::wait:
        room_.waits(steady);
        return TalkOutcome::wait;
      case feed::FrameOutcome::broken:
        return broken(consumer_->trouble());
    }
    if (!told_streaming_ && consumer_->is_streaming()) {
      told_streaming_ = true;
      copy_.streaming();
    }
    return TalkOutcome::taken;
  }

  void tick(SteadyTime now, net::Output& out) override {
    if (consumer_) consumer_->tick(now, out);
  }
  void tick_while_waiting(SteadyTime now) override {
    if (consumer_) consumer_->tell_lag(now);
    if (room_.tell(now)) tell_waiting();
  }

  // Clients are told of each configuration.
  void pause() override {
    const uint64_t generation = bucket_->bucket().manifest_generation();
    if (std::exchange(generation_, generation) == generation) return;
    bucket_->config_watchers().changed();
    copy_.place_.following.configs_changed();
  }

 private:
  void tell_waiting() {
    base::log(
        base::LogLevel::warning,
        fmt::format("the copy of bucket {} of {} has waited for memory for {} s: give it more (ramQuota; "
                    "the default one: --memory)",
                    bucket_->name(), copy_.place_.following.source(), RoomWait::kTold.count()));
  }

  void let_in(SteadyTime now, net::Output& out) override {
    consumer_.emplace(*bucket_->disk(), copy_.state_->numbers,
                      feed::ConsumerOptions{.name = copy_.agent(), .noop_interval_s = kNoopIntervalS});
    consumer_->begin(now, out);
  }

  Copy& copy_;
  std::shared_ptr<serve::ServedBucket> bucket_;
  std::optional<feed::Consumer> consumer_;
  uint64_t generation_ = 0;  // of the bucket's manifest that clients were told of
  bool told_streaming_ = false;
  RoomWait room_;
};

Copy::Copy(Place place, std::shared_ptr<serve::ServedBucket> bucket,
           std::shared_ptr<serve::FollowedBucket> state)
    : place_(place),
      bucket_(std::move(bucket)),
      state_(std::move(state)),
      mark_(*bucket_->disk()),
      is_marked_(mark_.is_set()),
      link_(place.loop, place.clock, place.source, *this),
      lost_(std::chrono::steady_clock::now()) {}

// The source closes an older connection of this name.
std::string Copy::agent() const {
  return fmt::format("{}:{}", place_.source.name, state_->name());
}

std::unique_ptr<Talk> Copy::new_talk() {
  return std::make_unique<Streams>(*this);
}

void Copy::let_go() {
  link_.end();
  bucket_.reset();
}

void Copy::tick(SteadyTime now) {
  if (!link_.is_connected()) tell_lag(now);
  set_mark();
  // It is dialled again when the source lists it again.
  if (!link_.is_idle() || state_->is_expected()) link_.tick(now);
}

// A vbucket was emptied, to be copied again.
void Copy::drop_mark_of_part() {
  if (!state_->numbers.is_partial.load(std::memory_order_relaxed)) return;
  whole_at_.clear();
  if (std::exchange(is_marked_, false)) mark_.remove();
}

// The mark is not on disk before what it speaks of.
void Copy::set_mark() {
  const feed::FollowNumbers& numbers = state_->numbers;
  if (is_marked_ || numbers.is_partial.load(std::memory_order_relaxed) ||
      !numbers.caught_up.load(std::memory_order_relaxed))
    return;
  const store::Bucket& bucket = bucket_->bucket();
  const bool is_first = whole_at_.empty();
  for (uint32_t i = 0; is_first && i < bucket.vbucket_count(); ++i)
    whole_at_.push_back(bucket.high_seqno(static_cast<uint16_t>(i)));
  for (uint32_t i = 0; i < bucket.vbucket_count(); ++i)
    if (bucket.persisted_seqno(static_cast<uint16_t>(i)) < whole_at_[i]) return;
  is_marked_ = true;
  mark_.set();
}

// How old the copy is at most, while nothing is known of the source.
void Copy::tell_lag(SteadyTime now) {
  const auto since = std::chrono::duration_cast<std::chrono::milliseconds>(now - lost_);
  state_->numbers.lag_ms.store(lag_at_loss_ms_ + static_cast<uint64_t>(since.count()),
                               std::memory_order_relaxed);
}

void Copy::streaming() {
  state_->streaming();
  last_trouble_.clear();
  base::log(base::LogLevel::info,
            fmt::format("follows bucket {} of {}", state_->name(), place_.following.source()));
}

void Copy::failed(std::string why) {
  if (!state_->is_expected()) why = kNotListed;
  lost_ = std::chrono::steady_clock::now();
  lag_at_loss_ms_ = state_->numbers.lag_ms.load(std::memory_order_relaxed);
  // The same trouble once a second is one line.
  if (why != last_trouble_)
    base::log(base::LogLevel::warning, fmt::format("cannot follow bucket {} of {} for now: {}",
                                                   state_->name(), place_.following.source(), why));
  last_trouble_ = why;
  state_->failed(std::move(why));
}

}  // namespace bobbin::cluster
