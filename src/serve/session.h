#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "feed/scan.h"
#include "net/connection.h"
#include "net/receiver.h"
#include "serve/aside_answer.h"
#include "serve/buckets.h"
#include "serve/client.h"
#include "serve/disk_wait.h"
#include "serve/engine.h"
#include "serve/unordered.h"
#include "serve/upload.h"
#include "wire/binary.h"
#include "wire/dialect.h"
#include "wire/text.h"

namespace bobbin::feed {
class Producer;
class StreamFilter;
struct StreamOptions;
}  // namespace bobbin::feed

namespace bobbin::serve {

struct BinaryCommand;

/// What a user, or who has not logged in, may do in a bucket as users, roles and collections are now. Any
/// thread.
[[nodiscard]] Access access_of(const Engine& engine, const std::string& user, const ServedBucket& bucket);

/// One client's conversation: cuts requests out of its bytes, finds their rows in the command tables, and
/// lets the handlers answer. Owned by its connection; every call is on the connection's loop.
///
/// The functions below the Receiver ones are what handlers use.
class Session final : public net::Receiver {
 public:
  Session(const Engine& engine, CommandCounters& counters)
      : engine_(engine), counters_(counters), served_(engine.bucket) {}

  void on_open(net::Connection& connection) override;
  size_t on_bytes(net::Connection& connection, std::span<const char> unread, size_t seen) override;
  std::span<char> landing() noexcept override;
  void on_landed(net::Connection& connection, size_t n) override;
  void on_resumed(net::Connection& connection) override;
  void on_closed(net::Connection& connection, net::CloseReason reason) override;

  [[nodiscard]] const Engine& engine() const noexcept { return engine_; }
  /// What a client that said HELLO has agreed on; null before, and in memcached's protocols.
  [[nodiscard]] Client* client() const noexcept { return client_.get(); }
  [[nodiscard]] bool has(wire::Feature feature) const noexcept {
    return client_ != nullptr && client_->features.has(feature);
  }
  /// What the request that is being handled has read or written, in bytes of key and value: its reply, if
  /// that is a success, tells who has asked for it. For whoever is about to answer.
  void note_read(uint64_t bytes) {
    if (has(wire::Feature::report_unit_usage)) [[unlikely]]
      client_->moved.read = bytes;
  }
  void note_read(store::DocKey key, uint64_t value_bytes) { note_read(key.stored_size() + value_bytes); }
  void note_written(uint64_t bytes) {
    if (has(wire::Feature::report_unit_usage)) [[unlikely]]
      client_->moved.written = bytes;
  }
  void note_written(store::DocKey key, uint64_t value_bytes) {
    note_written(key.stored_size() + value_bytes);
  }
  /// HELLO: from here on this is a client of Couchbase's protocol, and has to select a bucket if it knows
  /// how to. What it had agreed on before is over.
  void greet(wire::FeatureSet features);
  /// The client has selected a bucket, which this connection has entered (Buckets::enter).
  void select(Buckets::Entered entered);
  /// Writes to the bucket wait for the disk, and their replies for these: another cannot be selected now.
  [[nodiscard]] bool has_held_replies() const noexcept { return disk_ != nullptr && disk_->has_written(); }
  /// False: the client has to select one first.
  [[nodiscard]] bool has_bucket() const noexcept { return selected_; }
  /// What the user may do in the bucket that is selected, as users and roles are now.
  [[nodiscard]] bool may(Privileges needs) {
    renew_access();
    return access_.may(needs) && (impersonated_ == nullptr || impersonated_->may(needs));
  }
  /// One of the bits of `wanted` somewhere in the bucket.
  [[nodiscard]] bool may_somewhere(Privileges wanted) {
    renew_access();
    if (impersonated_ != nullptr && wanted != 0 && !impersonated_->may_somewhere(wanted)) return false;
    return wanted == 0 || access_.may_somewhere(wanted);
  }
  /// What the user may do in one collection, which is hidden when it does not exist.
  [[nodiscard]] Verdict may_in(store::CollectionId collection, Privileges needs) {
    const bool everywhere = may(needs);
    if (everywhere && collection == store::kDefaultCollection) [[likely]]
      return Verdict::granted;
    const store::Collection* const found = manifest().collection(collection);
    if (found == nullptr) return Verdict::hidden;
    if (everywhere) return Verdict::granted;
    const Verdict verdict = access_.may(needs, found->scope, found->id);
    if (verdict != Verdict::granted || impersonated_ == nullptr) return verdict;
    return impersonated_->access.may(needs & ~impersonated_->extra, found->scope, found->id);
  }
  /// A bucket of this name, whether or not there is one.
  [[nodiscard]] bool may_select(std::string_view bucket) const;
  /// The one that is selected: something in it is allowed.
  [[nodiscard]] bool may_select_here() {
    renew_access();
    return access_.may_select() && (impersonated_ == nullptr || impersonated_->access.may_select());
  }
  /// Until be_oneself(), only what this user may do as well is allowed, and `extra`. False: there is none of
  /// that name.
  [[nodiscard]] bool impersonate(std::string_view user, Privileges extra);
  [[nodiscard]] bool impersonates() const noexcept { return impersonated_ != nullptr; }
  /// Only where impersonates().
  [[nodiscard]] const std::string& impersonated() const noexcept { return impersonated_->user; }
  void be_oneself() noexcept {
    if (impersonated_ != nullptr) [[unlikely]]
      impersonated_.reset();
  }
  /// A login was right. Whoever was logged in before is no longer.
  void log_in(std::string user);
  void log_out();
  /// The client's next step ends it.
  void begin_login(std::unique_ptr<wire::ScramExchange> exchange);
  [[nodiscard]] std::unique_ptr<wire::ScramExchange> take_login();
  /// Empty: nobody.
  [[nodiscard]] const std::string& user() const noexcept { return user_; }
  /// Whoever this is has to log in and has not, as users were when may() was last asked: may hold and be sent
  /// only little.
  [[nodiscard]] bool is_stranger() const noexcept { return is_stranger_; }
  /// The bucket that this client works on; of memcached's protocols, the default one.
  [[nodiscard]] const ServedBucket& served() const noexcept { return *served_; }
  [[nodiscard]] store::Bucket& bucket() const noexcept { return served_->bucket(); }
  /// The bucket's scopes and collections as they are now. Valid until the next call.
  [[nodiscard]] const store::Manifest& manifest() {
    if (manifest_ == nullptr || manifest_generation_ != served_->collections().generation()) [[unlikely]]
      read_manifest();
    return *manifest_;
  }
  [[nodiscard]] CommandCounters& counters() const noexcept { return counters_; }
  [[nodiscard]] LiveLog& log() const noexcept { return engine_.log; }
  [[nodiscard]] net::Connection& connection() const noexcept { return *connection_; }
  [[nodiscard]] net::Output& out() const noexcept { return connection_->out(); }
  /// One reading of the clock for everything that one read brought.
  [[nodiscard]] base::Now now() const noexcept { return now_; }
  /// As the live log names this connection.
  [[nodiscard]] uint64_t id() const noexcept { return connection_->id(); }

  void reply(std::string_view bytes) { out().append(bytes); }
  /// The document's value, without attributes: copied when it is small, sent from where it lies otherwise.
  void reply_value(store::DocumentRef document);

  /// Bytes behind the request that is being handled, as far as they have arrived.
  [[nodiscard]] std::string_view following() const noexcept { return following_; }
  /// The request takes `n` of following() too.
  void take(size_t n) noexcept { following_.remove_prefix(n); }
  /// Drops the next `n` bytes, now or when they arrive.
  void swallow(uint64_t n);
  /// The value does not lie in following() as a whole: receives the rest of it, and calls the upload's
  /// finish. With `line_end`, "\r\n" has to follow the value.
  void receive(std::unique_ptr<Upload> upload, bool line_end);
  /// A retrieval that could not be answered to its end, because the client does not take its replies: it goes
  /// on when it does. The last `left` bytes of the line and its terminator are shown to it again.
  void suspend_retrieval(const wire::TextRequest& request, bool with_cas, bool touch, size_t left);
  /// Nothing more is read of this client; what it was answered is sent, then the connection closes.
  void quit();
  /// What the bucket answered with would_block. True: the request, or the upload's finish, runs again when
  /// `keys` (1 to DiskWait::kMaxKeys) have been read; return at once, having counted and answered nothing.
  /// False: they cannot be read.
  [[nodiscard]] bool retry_after_reading(std::span<const store::DocKey> keys) { return disk_->fetch(keys); }
  [[nodiscard]] bool retry_after_reading(store::DocKey key) { return disk_->fetch({&key, 1}); }
  /// The bucket had no memory to change this vbucket. True: as above, and it runs again when there may be.
  [[nodiscard]] bool retry_when_there_is_room(uint16_t vbucket) {
    return disk_ != nullptr && disk_->await_room(vbucket);
  }
  /// The request that is being handled runs again.
  [[nodiscard]] bool retrying() const noexcept { return disk_ != nullptr && disk_->retrying(); }
  /// 0 where nothing depends on it, because the bucket forgets and the client is told of no vbuckets.
  [[nodiscard]] uint16_t vbucket_of(store::DocKey key) const {
    return disk_ == nullptr && client_ == nullptr ? uint16_t{0} : bucket().vbucket_of(key);
  }
  /// A command has changed a key: every one has to say so, for its reply to wait until that is on disk where
  /// the server promises it.
  void changed(uint16_t vbucket, uint64_t seqno) {
    if (disk_ != nullptr) disk_->changed(vbucket, seqno, wants_on_disk());
  }
  /// A command has changed nothing because of what is there, or is not: where replies promise the disk, so
  /// does this one, of the change that it goes by.
  void refused(uint16_t vbucket) {
    if (disk_ != nullptr) disk_->refused(vbucket, wants_on_disk());
  }
  void refused(store::DocKey key) { refused(vbucket_of(key)); }
  /// The reply leaves when the vbucket is on disk up to there; of a persistent bucket.
  void await_on_disk(uint16_t vbucket, uint64_t seqno) { disk_->changed(vbucket, seqno, true); }
  /// The request that is being handled says that its write has to be on disk when it is answered.
  [[nodiscard]] bool wants_on_disk() const noexcept {
    return client_ != nullptr && client_->frame.durability > wire::DurabilityLevel::majority;
  }
  /// A flush_all: its moment, or that there is none any more, is such a change.
  void changed_flush_moment() {
    if (disk_ != nullptr) disk_->changed_flush_moment();
  }
  /// False: a write has failed, and changes are refused with no_memory until the server is started again.
  [[nodiscard]] bool is_writable(uint16_t vbucket) const {
    return served_->disk() == nullptr || served_->disk()->writable(vbucket);
  }
  /// The range scans of this connection; they end with it, or when it leaves the bucket.
  [[nodiscard]] feed::ConnectionScans& scans();
  /// The selected bucket, for a task of the pool. Null: it is being removed.
  [[nodiscard]] std::shared_ptr<const void> keep_bucket();
  /// The request that is being handled is answered by a task of the pool: what follows waits for that.
  /// Where the client takes replies in any order, only a barrier does.
  [[nodiscard]] std::shared_ptr<feed::Awaited> await_feed();
  /// It was answered here.
  void forget_feed() noexcept;
  /// Has `work` done by the errands' thread; what it returns is the answer to `request`. Until that is there
  /// the connection is suspended, unless replies may come in any order. Whatever it holds of this session's
  /// bucket it is given.
  void run_aside(const wire::BinaryHeader& request, std::function<AsideAnswer(const ServedBucket&)> work);
  /// Has `check` done by the thread that checks passwords. The text of its answer is the user, who is logged
  /// in when that is there. Nothing is handled meanwhile.
  void log_in_aside(const wire::BinaryHeader& request, std::function<AsideAnswer()> check);
  /// From now on this connection gets change streams of its bucket, which is on disk.
  void produce(std::string name, const feed::StreamOptions& options);
  /// Null: it gets none.
  [[nodiscard]] feed::Producer* producer() const noexcept { return producer_.get(); }
  /// Whether the user may see what a stream shows.
  [[nodiscard]] Verdict may_stream(const feed::StreamFilter& filter);
  /// From now on this connection only listens to the live log; what it sends is dropped.
  void watch(uint32_t kinds);

  // For the binary protocol's dispatch, of a client that takes replies in any order.

  [[nodiscard]] bool is_unordered() const noexcept { return unordered_ != nullptr; }
  /// True: return, having answered and taken nothing. Requests are under way, and this one, which has no row
  /// or one that keeps order, is not to be looked at before they are answered.
  [[nodiscard]] bool waits_its_turn(const BinaryCommand* row);
  /// False: return, as above. For a request that was admitted: it is a barrier, or behind one, or there is a
  /// request for the same document that has to be carried out before.
  [[nodiscard]] bool may_begin(const BinaryCommand& row, const wire::BinaryRequest& request);
  /// Calls the row's handler; if the request waits then, and others need not, puts it aside. It begins at
  /// `frame`, which goes to the end of what has arrived.
  void run_unordered(const BinaryCommand& row, const wire::BinaryRequest& request, std::string_view frame);

 private:
  [[nodiscard]] size_t fetch_ahead(std::string_view bytes) const;
  size_t step(std::string_view bytes, size_t scanned);
  size_t handle_text(std::string_view bytes, size_t scanned);
  size_t handle_binary(std::string_view bytes);
  size_t resume_retrieval(std::string_view bytes);
  [[nodiscard]] size_t consumed_of(std::string_view bytes) const;
  size_t fill_upload(std::string_view bytes);
  void finish_upload();
  void read_clock();
  void settle_times();
  void renew_access() {
    if (access_generation_ != engine_.users.generation() ||
        access_manifest_generation_ != served_->collections().generation()) [[unlikely]]
      work_out_access();
  }
  void work_out_access();
  void read_manifest();
  void leave_bucket();
  /// Has the client told of each change of its bucket's configuration, where that was agreed on.
  void watch_config();
  void unwatch_config();
  void wait_for_disk_of_bucket();
  /// The requests that could be handled were.
  void settle();
  void stop_producing();
  /// False: what is awaited has not come.
  [[nodiscard]] bool take_awaited();
  void post(base::Worker& worker, const wire::BinaryHeader& request, Unordered::Errand::Kind kind,
            std::function<AsideAnswer()> work);
  void answer_errand(const Unordered::Errand& errand);
  void suspend_for_others();
  [[nodiscard]] std::unique_ptr<DiskWait> make_disk_wait() const;
  /// Replies to the request that is being handled are held until what they say is on disk.
  [[nodiscard]] bool promises_disk() const noexcept { return served_->durable_replies() || wants_on_disk(); }

  void take_replies_in_any_order(bool agreed);
  [[nodiscard]] bool is_anything_under_way();
  [[nodiscard]] bool has_scan_under_way();
  void release_committed();
  template <typename Work>
  void in_lane(bool may_be_held, const Work& work);
  [[nodiscard]] bool finish_unordered(std::unique_ptr<Upload>& upload);
  [[nodiscard]] bool run_again(Unordered::Aside& aside);
  [[nodiscard]] bool resume_unordered();
  [[nodiscard]] bool settle_unordered();

  struct Suspended {
    size_t left = 0;
    int64_t exptime = 0;
    bool with_cas = false;
    bool touch = false;
  };

  struct Impersonated {
    std::string user;
    Access access;
    Privileges extra = 0;  // which the user has for this request, whatever its roles

    [[nodiscard]] bool may(Privileges needs) const noexcept { return access.may(needs & ~extra); }
    [[nodiscard]] bool may_somewhere(Privileges wanted) const noexcept {
      return (wanted & extra) != 0 || access.may_somewhere(wanted);
    }
  };

  const Engine& engine_;
  CommandCounters& counters_;
  std::shared_ptr<ServedBucket> served_;
  std::unique_ptr<Client> client_;
  Access access_;
  uint64_t access_manifest_generation_ = 0;
  uint64_t access_generation_ = 0;                   // of the users; 0: not worked out
  std::shared_ptr<const store::Manifest> manifest_;  // of served_, when its generation was this
  uint64_t manifest_generation_ = 0;
  std::string user_;
  std::unique_ptr<Impersonated> impersonated_;  // for the request that is being handled
  std::unique_ptr<wire::ScramExchange> login_;
  net::Connection* connection_ = nullptr;
  base::Now now_;
  uint64_t began_ns_ = 0;  // when the requests that are being handled arrived; 0: there are none
  std::string_view following_;
  std::optional<wire::Dialect> dialect_;
  uint64_t config_watch_ = 0;  // its number among its bucket's ConfigWatchers; 0: none
  bool selected_ = true;
  bool is_stranger_ = false;
  bool yields_ = false;                       // there is more to do, and others come first
  uint64_t guest_ = 0;                        // of served_, where it may be removed (Buckets::Entered)
  std::shared_ptr<feed::Producer> producer_;  // shared with the pool that takes its steps
  bool quitting_ = false;
  bool watching_ = false;
  bool upload_line_end_ = false;
  uint64_t swallow_ = 0;
  std::unique_ptr<Upload> upload_;
  bool upload_complete_ = false;                  // it only has to be finished once more
  std::unique_ptr<DiskWait> disk_;                // null in a cache
  std::unique_ptr<feed::ConnectionScans> scans_;  // null before the first
  // Somebody else's answer, behind which those to the next requests come: a task of the pool sends it by
  // itself, that of an errand is this session's to send. Null: none is awaited.
  std::shared_ptr<feed::Awaited> awaited_;
  const Unordered::Errand* errand_ = nullptr;  // *awaited_, if that is one
  std::unique_ptr<Unordered> unordered_;       // null: replies keep the order of requests
  bool is_lost_ = false;                       // of that, a write will never be on disk
  std::optional<Suspended> suspended_;
};

}  // namespace bobbin::serve
