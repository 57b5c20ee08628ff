#include "serve/session.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cassert>
#include <utility>

#include "feed/producer.h"
#include "net/tls.h"
#include "serve/binary_commands.h"
#include "serve/bucket_stay.h"
#include "serve/text_commands.h"
#include "serve/turn.h"
#include "wire/datatype.h"
#include "wire/pipeline.h"

namespace bobbin::serve {
namespace {

// Replies that wait for who has not logged in: beyond these no further request of theirs is looked at. Ten
// thousand such connections are 160 MB then.
constexpr size_t kStrangersUnsentBytes = 16 << 10;

}  // namespace

void Session::on_open(net::Connection& connection) {
  connection_ = &connection;
  wait_for_disk_of_bucket();
  if (const net::TlsPeer* peer = connection.tls(); peer != nullptr && peer->is_certified) {
    if (engine_.logins.certificate(peer->common_name, connection.status().peer, true))
      log_in(peer->common_name);
  }
  renew_access();
  if (log().wants(kWatchConnections)) log().connection_opened(connection.status().peer, id());
}

void Session::on_closed(net::Connection& connection, net::CloseReason reason) {
  awaited_.reset();
  leave_bucket();
  if (watching_) log().remove_closed();
  if (!log().wants(kWatchConnections)) return;
  static constexpr std::string_view kReasons[] = {"normal",  "normal",   "error",     "idle_timeout",
                                                  "stalled", "shutdown", "handshake", "overdue"};
  log().connection_closed(connection.status().peer, kReasons[static_cast<size_t>(reason)], id());
}

size_t Session::on_bytes(net::Connection& connection, std::span<const char> unread, size_t seen) {
  read_clock();
  // What has waited for the disk was received before it did.
  const bool runs_again = began_ns_ != 0;
  if (!runs_again) began_ns_ = now_.unix_ns;
  if (runs_again && has(wire::Feature::tracing)) client_->restart_clock(began_ns_);
  const std::string_view bytes(unread.data(), unread.size());
  if (watching_) return bytes.size();
  if (!dialect_ && !bytes.empty()) dialect_ = wire::dialect_of(static_cast<uint8_t>(bytes.front()));
  size_t consumed = 0;
  size_t ahead = 0;
  const Turn turn;
  while (consumed < bytes.size() && !connection.congested() && !quitting_ && !watching_ && !turn.is_over()) {
    if (consumed >= ahead) ahead = consumed + fetch_ahead(bytes.substr(consumed));
    const size_t n = step(bytes.substr(consumed), consumed == 0 ? seen : 0);
    ++now_.unix_ns;  // so that the mutations of one read have different CAS values, on whatever keys
    consumed += n;
    if (n == 0 && retrying()) counters_.times.take_back();
    if (n == 0 || retrying() || awaited_ != nullptr) break;
    if (disk_ != nullptr) disk_->progressed();
  }
  settle_times();
  yields_ = turn.is_over() && consumed < bytes.size() && !quitting_ && !watching_;
  settle();
  return quitting_ || watching_ ? bytes.size() : consumed;
}

// What several requests will read, before the first of them runs. Answers how many bytes of `bytes` need not
// be looked at before these are done.
size_t Session::fetch_ahead(std::string_view bytes) const {
  // Of a stranger nothing is looked up.
  if (is_stranger_) return bytes.size();
  if (swallow_ > 0 || upload_ != nullptr || suspended_) return 0;
  const bool binary = dialect_ == wire::Dialect::binary;
  const bool with_collection = binary && has(wire::Feature::collections);
  store::DocKey keys[store::Bucket::kFetchedAhead];
  size_t count = 0;
  size_t at = 0;
  while (at < bytes.size() && count < std::size(keys)) {
    const auto next =
        binary ? wire::upcoming_binary(bytes.substr(at)) : wire::upcoming_text(bytes.substr(at));
    // What is no request for a document is rare: this read goes on without.
    if (!next) {
      at = bytes.size();
      break;
    }
    at += std::min<uint64_t>(next->bytes, bytes.size() - at);
    // The first alone would be looked up twice.
    if (count == 0 && at == bytes.size()) break;
    const auto key = with_collection ? store::DocKey::parse(next->key) : store::DocKey(next->key);
    if (key && key->is_valid()) keys[count++] = *key;
  }
  if (count > 1) served_->bucket().fetch_ahead(std::span(keys).first(count));
  return at;
}

// Where the disk holds replies back, what is awaited is behind them: on_resumed looks for it then.
void Session::settle() {
  if (unordered_ != nullptr && !settle_unordered()) return;
  if (disk_ != nullptr && disk_->settle()) return;
  suspend_for_others();
}

// Takes one request, or a part of what an earlier one announced; 0 when more bytes are needed.
size_t Session::step(std::string_view bytes, size_t scanned) {
  if (swallow_ > 0) {
    const size_t n = std::min<uint64_t>(swallow_, bytes.size());
    swallow_ -= n;
    return n;
  }
  if (upload_ != nullptr) return fill_upload(bytes);
  if (suspended_) return resume_retrieval(bytes);
  return dialect_ == wire::Dialect::binary ? handle_binary(bytes) : handle_text(bytes, scanned);
}

size_t Session::handle_text(std::string_view bytes, size_t scanned) {
  // Nobody logs in by this protocol. What follows may be a value: nothing of it is read as a command.
  if (!may(kRead)) [[unlikely]] {
    reply(wire::kUnauthenticated);
    quit();
    return bytes.size();
  }
  const wire::LineCut cut = wire::cut_line(bytes, scanned);
  if (cut.state == wire::LineState::incomplete) return 0;
  if (cut.state == wire::LineState::too_long) {
    reply(wire::kLineTooLong);
    quit();
    return bytes.size();
  }
  following_ = bytes.substr(cut.consumed);
  run_text_command(*this, cut.line);
  return consumed_of(bytes);
}

size_t Session::handle_binary(std::string_view bytes) {
  following_ = bytes;
  run_binary_command(*this);
  return consumed_of(bytes);
}

// Nothing of a request that runs again, unless it has said what of it.
size_t Session::consumed_of(std::string_view bytes) const {
  return retrying() && !suspended_ ? 0 : bytes.size() - following_.size();
}

void Session::reply_value(store::DocumentRef document) {
  const std::string_view value = document->body();
  if (value.size() < net::Output::kCopyBelowBytes) {
    out().append(value);
  } else {
    out().append(store::pin(std::move(document), value));
  }
}

void Session::read_clock() {
  now_ = engine_.clock.now();
  if (has(wire::Feature::tracing)) client_->received_ns = now_.unix_ns;
}

// Where a request waits for the disk, its time goes on.
void Session::settle_times() {
  CommandTimes& times = counters_.times;
  if (times.is_due(began_ns_)) {
    const uint64_t now_ns = engine_.clock.now().unix_ns;
    times.settle(began_ns_, now_ns > began_ns_ ? now_ns - began_ns_ : 0);
  }
  if (!retrying()) began_ns_ = 0;
}

namespace {

bool has_every_right(const Engine& engine, const std::string& user) {
  return user.empty() && (engine.allow_anonymous || engine.users.empty());
}

}  // namespace

Access access_of(const Engine& engine, const std::string& user, const ServedBucket& bucket) {
  if (has_every_right(engine, user)) return Access::unlimited();
  const auto manifest = bucket.collections().manifest();
  const auto id_of = [](const auto* found) {
    return found == nullptr ? std::nullopt : std::optional<uint32_t>(found->id);
  };
  const CollectionIds ids{.scope = [&](std::string_view scope) { return id_of(manifest->scope(scope)); },
                          .collection =
                              [&](std::string_view scope, std::string_view collection) {
                                return id_of(manifest->collection(scope, collection));
                              }};
  return engine.users.access(user, bucket.name(), ids);
}

void Session::work_out_access() {
  access_generation_ = engine_.users.generation();
  access_manifest_generation_ = served_->collections().generation();
  access_ = access_of(engine_, user_, *served_);
  is_stranger_ = user_.empty() && !has_every_right(engine_, user_);
  connection_->limit_unsent(is_stranger_ ? kStrangersUnsentBytes : SIZE_MAX);
  connection_->expect(is_stranger_);
  if (impersonated_ != nullptr) impersonated_->access = access_of(engine_, impersonated_->user, *served_);
}

bool Session::impersonate(std::string_view user, Privileges extra) {
  if (engine_.users.find(user) == nullptr) return false;
  impersonated_ = std::make_unique<Impersonated>();
  impersonated_->user = user;
  impersonated_->extra = extra;
  impersonated_->access = access_of(engine_, impersonated_->user, *served_);
  return true;
}

void Session::select(Buckets::Entered entered) {
  selected_ = true;
  if (client_ != nullptr) client_->known_config = 0;
  if (entered.bucket == served_) {
    if (entered.guest != 0) served_->guests()->leave(entered.guest);  // it has entered twice
    watch_config();
    return;
  }
  leave_bucket();
  guest_ = entered.guest;
  served_ = std::move(entered.bucket);
  access_generation_ = 0;
  manifest_.reset();
  wait_for_disk_of_bucket();
  watch_config();
}

void Session::watch_config() {
  unwatch_config();
  const bool full = has(wire::Feature::clustermap_change_notification);
  if (!selected_ || !(full || has(wire::Feature::clustermap_change_notification_brief)) || !may_select_here())
    return;
  const NotificationForm form = !full                                   ? NotificationForm::brief
                                : has(wire::Feature::snappy_everywhere) ? NotificationForm::compressed
                                                                        : NotificationForm::full;
  const net::Address place = place_of(*this);
  config_watch_ = served_->config_watchers().add(
      {connection_->spool(), fmt::format("{} {}", static_cast<int>(form), place.text()),
       [&node = engine_.node, bucket = served_.get(), place, form] {
         return config_notification(node, *bucket, place, form);
       }});
}

void Session::unwatch_config() {
  if (const uint64_t watch = std::exchange(config_watch_, 0); watch != 0)
    served_->config_watchers().remove(watch);
}

// Whoever removes the bucket waits for this: nothing of it may be held afterwards, so that it does not end
// here.
void Session::leave_bucket() {
  unwatch_config();
  stop_producing();
  upload_.reset();
  suspended_.reset();
  disk_.reset();
  scans_.reset();
  if (unordered_ != nullptr) unordered_->clear();
  const uint64_t guest = std::exchange(guest_, 0);
  if (guest == 0) return;
  const auto guests = served_->guests();
  served_ = engine_.bucket;
  access_generation_ = 0;
  manifest_.reset();
  guests->leave(guest);
}

void Session::wait_for_disk_of_bucket() {
  disk_.reset();
  if (served_->disk() != nullptr) disk_ = make_disk_wait();
}

std::unique_ptr<DiskWait> Session::make_disk_wait() const {
  return std::make_unique<DiskWait>(*served_->disk(), *connection_, served_->durable_replies());
}

feed::ConnectionScans& Session::scans() {
  if (scans_ == nullptr) scans_ = std::make_unique<feed::ConnectionScans>(engine_.scans);
  return *scans_;
}

std::shared_ptr<const void> Session::keep_bucket() {
  const uint64_t guest = guest_ == 0 ? 0 : served_->guests()->enter(connection_->spool());
  if (guest_ != 0 && guest == 0) return nullptr;
  return std::make_shared<BucketStay>(served_, guest);
}

void Session::read_manifest() {
  // In this order: the next call sees a change that comes in between.
  manifest_generation_ = served_->collections().generation();
  manifest_ = served_->collections().manifest();
}

bool Session::may_select(std::string_view bucket) const {
  const auto may = [&](const std::string& user) {
    return engine_.users.access(user, bucket, CollectionIds::of_any_name()).may_select();
  };
  if (impersonated_ != nullptr && !may(impersonated_->user)) return false;
  if (has_every_right(engine_, user_)) return true;
  return may(user_);
}

void Session::log_in(std::string user) {
  user_ = std::move(user);
  access_generation_ = 0;
  renew_access();  // what is expected of a stranger is so no longer, or from now on
  watch_config();  // which not everybody may
}

void Session::log_out() {
  login_.reset();
  log_in({});
}

void Session::begin_login(std::unique_ptr<wire::ScramExchange> exchange) {
  login_ = std::move(exchange);
}

std::unique_ptr<wire::ScramExchange> Session::take_login() {
  return std::exchange(login_, nullptr);
}

void Session::greet(wire::FeatureSet features) {
  if (client_ == nullptr) client_ = std::make_unique<Client>();
  client_->features = features;
  // What follows in the same bytes has come with them.
  client_->received_ns = features.has(wire::Feature::tracing) ? now_.unix_ns : 0;
  if (features.has(wire::Feature::select_bucket)) selected_ = false;
  take_replies_in_any_order(features.has(wire::Feature::unordered_execution));
  watch_config();
}

void Session::swallow(uint64_t n) {
  const size_t here = std::min<uint64_t>(n, following_.size());
  take(here);
  swallow_ += n - here;  // of another request, which is arriving, some may be left
}

void Session::quit() {
  quitting_ = true;
  connection_->close_when_sent();
}

void Session::watch(uint32_t kinds) {
  watching_ = true;
  connection_->never_idle();
  log().subscribe(connection_->spool(), kinds);
}

// --- values that arrive in parts ---

void Session::receive(std::unique_ptr<Upload> upload, bool line_end) {
  assert(upload_ == nullptr);
  upload_ = std::move(upload);
  upload_line_end_ = line_end;
  take(fill_upload(following_));
}

size_t Session::fill_upload(std::string_view bytes) {
  const std::span<char> rest = upload_->rest();
  const size_t n = std::min(rest.size(), bytes.size());
  std::copy_n(bytes.data(), n, rest.data());
  upload_->filled(n);
  if (n < rest.size()) return n;
  if (!upload_line_end_) {
    finish_upload();
    return n;
  }
  if (bytes.size() - n < wire::kLineEnd.size()) return n;
  if (bytes.substr(n, wire::kLineEnd.size()) == wire::kLineEnd) {
    finish_upload();
  } else {
    const auto malformed = std::exchange(upload_, nullptr);
    malformed->malformed(*this);
  }
  return n + wire::kLineEnd.size();
}

void Session::finish_upload() {
  auto complete = std::exchange(upload_, nullptr);
  if (unordered_ != nullptr && finish_unordered(complete)) return;
  complete->finish(*this);
  upload_complete_ = retrying();
  if (upload_complete_) upload_ = std::move(complete);
}

std::span<char> Session::landing() noexcept {
  return upload_ == nullptr ? std::span<char>() : upload_->rest();
}

void Session::on_landed(net::Connection&, size_t n) {
  read_clock();
  upload_->filled(n);
  if (!upload_->rest().empty() || upload_line_end_) return;
  finish_upload();
  settle();
}

void Session::on_resumed(net::Connection& connection) {
  if (guest_ != 0 && served_->guests()->is_evicting()) {
    leave_bucket();
    quitting_ = true;
    return connection.close_now(net::CloseReason::by_receiver);
  }
  if (producer_ != nullptr && producer_->wants_close()) {
    quitting_ = true;
    return connection.close_now(net::CloseReason::by_receiver);
  }
  if (unordered_ != nullptr && !resume_unordered()) return;
  if (disk_ != nullptr && !disk_->resumed()) return;
  if (!take_awaited()) return connection.suspend(net::Hold::nothing);
  if (!upload_complete_) return;
  now_ = engine_.clock.now();
  finish_upload();
  settle();
}

// --- retrievals that wait for the client to take their first part ---

void Session::suspend_retrieval(const wire::TextRequest& request, bool with_cas, bool touch, size_t left) {
  suspended_ = Suspended{left, request.exptime, with_cas, touch};
  // Given back: they lie right before what follows.
  following_ = std::string_view(following_.data() - left, following_.size() + left);
}

size_t Session::resume_retrieval(std::string_view bytes) {
  const Suspended suspended = *suspended_;
  suspended_.reset();
  assert(bytes.size() >= suspended.left);
  std::string_view line = bytes.substr(0, suspended.left - 1);  // the newline is there: it was seen before
  if (line.ends_with('\r')) line.remove_suffix(1);
  following_ = bytes.substr(suspended.left);
  wire::TextRequest request;
  request.words = line;
  request.exptime = suspended.exptime;
  retrieve(*this, request, suspended.with_cas, suspended.touch);
  return bytes.size() - following_.size();
}

}  // namespace bobbin::serve
