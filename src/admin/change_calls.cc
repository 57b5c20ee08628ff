// A bucket's changes as server-sent events, for browsers and for curl (docs/changes.md).

#include <fmt/format.h>

#include <atomic>
#include <utility>

#include "admin/bucket_text.h"
#include "admin/route.h"
#include "feed/event_text.h"
#include "feed/producer.h"
#include "serve/bucket_guests.h"
#include "wire/dcp_filter.h"

namespace bobbin::admin {
namespace {

/// Of one bucket at once, with its other streams: each costs the memory of a stream for every vbucket.
constexpr size_t kMaxProducers = 64;

/// What a request asks for, checked.
struct Wanted {
  std::string bucket;
  std::string user;
  feed::EventText::Options text;
  wire::DcpFilter filter;
  bool from_start = false;
  std::vector<feed::EventMark> marks;  ///< of who comes back; empty: of nobody
};

/// A reader of changes, as long as its connection is there.
class ChangeAnswer final : public LiveAnswer {
 public:
  ChangeAnswer(const serve::Buckets::Entered& entered, std::shared_ptr<feed::Producer> producer)
      : guests_(entered.bucket->guests()), guest_(entered.guest), producer_(std::move(producer)) {}
  ~ChangeAnswer() override {
    producer_->end();
    producer_.reset();
    if (guest_ != 0) guests_->leave(guest_);
  }
  ChangeAnswer(const ChangeAnswer&) = delete;
  ChangeAnswer& operator=(const ChangeAnswer&) = delete;

  bool is_over() override { return producer_->wants_close() || (guest_ != 0 && guests_->is_evicting()); }

 private:
  const std::shared_ptr<serve::BucketGuests> guests_;
  const uint64_t guest_;
  std::shared_ptr<feed::Producer> producer_;
};

/// What the producer's steps share with the connection.
struct Translation {
  std::unique_ptr<feed::EventText> text;
  std::weak_ptr<feed::Producer> producer;

  void write(std::string_view message, std::string& out) const {
    text->write(message, out);
    // A browser answers no no-ops; that it does not read is found out by the connection.
    if (const auto alive = producer.lock()) {
      alive->noop_answered();
      if (text->is_cut()) alive->ask_to_close();
    }
  }
};

uint16_t branch_of(uint64_t uuid) {
  return static_cast<uint16_t>(uuid);
}

// Where a vbucket's stream begins: for who comes back, in the branch that it was in; one that is not known
// any more is none, and leads to a rollback.
wire::DcpStreamRequest request_for(const Wanted& wanted, const store::Bucket& bucket, uint16_t vbucket,
                                   feed::EventText::Begin& begin) {
  const auto log = bucket.failover_log(vbucket);
  begin.newest_start = log.front().seqno;
  begin.newest_branch = branch_of(log.front().uuid);
  wire::DcpStreamRequest request;
  if (!wanted.marks.empty()) {
    begin.mark = wanted.marks[vbucket];
    request.uuid = begin.mark.seqno == 0 ? 0 : UINT64_MAX;
    for (const store::FailoverEntry& entry : log)
      if (begin.mark.seqno != 0 && branch_of(entry.uuid) == begin.mark.branch) request.uuid = entry.uuid;
  } else if (!wanted.from_start) {
    begin.mark = {bucket.high_seqno(vbucket), begin.newest_branch};
    request.uuid = begin.mark.seqno == 0 ? 0 : log.front().uuid;
  }
  request.start_seqno = request.snapshot_start = request.snapshot_end = begin.mark.seqno;
  return request;
}

wire::BinaryStatus open_stream(feed::Producer& producer, feed::EventText& text,
                               const feed::StreamFilter& filter, uint16_t vbucket,
                               wire::DcpStreamRequest request, std::string& out) {
  const wire::DcpRoute route{.vbucket = vbucket, .opaque = vbucket};
  // Each rollback leads to less.
  while (true) {
    const feed::StreamAnswer answer = producer.open_stream(route, request, {}, filter);
    if (answer.status != wire::BinaryStatus::rollback || request.start_seqno == 0) return answer.status;
    const bool is_less = answer.rollback_seqno < request.start_seqno;
    const uint64_t seqno = is_less ? answer.rollback_seqno : 0;
    text.roll_back(vbucket, seqno, out);
    request.start_seqno = request.snapshot_start = request.snapshot_end = seqno;
    if (seqno == 0) request.uuid = 0;
  }
}

feed::ProducerSetup setup_for(const serve::Engine& engine, const Wanted& wanted,
                              const std::shared_ptr<serve::ServedBucket>& served, const net::Spool& spool,
                              const std::shared_ptr<Translation>& translation) {
  static std::atomic<uint64_t> last_reader{0};  // no two producers have one name
  const bool anybody = wanted.user.empty();
  return {.name = fmt::format("http {}", ++last_reader),
          .options = {.collections = true, .json = true, .no_value_but_datatype = !wanted.text.values},
          .bucket = served->bucket(),
          .disk = *served->disk(),
          .streams = served->streams(),
          .keeper = served,
          .spool = spool,
          .access_generation = [&engine] { return engine.users.generation(); },
          .may_see =
              [&engine, user = wanted.user, name = wanted.bucket, anybody](const feed::StreamFilter&) {
                if (anybody) return engine.allow_anonymous || engine.users.empty();
                return engine.users.access(user, name, serve::CollectionIds::of_any_name())
                    .may(serve::kDcpStream);
              },
          .translate = [translation](std::string_view message,
                                     std::string& out) { translation->write(message, out); }};
}

/// On the management loop, when the answer's head is on its way. Null when the bucket has just gone.
std::unique_ptr<LiveAnswer> begin(const serve::Engine& engine, Wanted wanted, net::Spool spool,
                                  bool is_chunked) {
  const serve::Buckets::Entered entered = engine.buckets.enter(wanted.bucket, spool);
  if (entered.bucket == nullptr) return nullptr;
  const std::shared_ptr<serve::ServedBucket> served = entered.bucket;
  const store::Bucket& bucket = served->bucket();
  const auto manifest = served->collections().manifest();
  const uint32_t vbuckets = bucket.vbucket_count();
  std::vector<feed::EventText::Begin> begins(vbuckets);
  std::vector<wire::DcpStreamRequest> requests;
  for (uint32_t i = 0; i < vbuckets; ++i)
    requests.push_back(request_for(wanted, bucket, static_cast<uint16_t>(i), begins[i]));
  feed::CollectionNames names;
  (void)names.read(manifest->json());
  wanted.text.is_chunked = is_chunked;
  auto translation = std::make_shared<Translation>();
  translation->text = std::make_unique<feed::EventText>(std::move(names), wanted.text, begins);
  auto producer = std::make_shared<feed::Producer>(setup_for(engine, wanted, served, spool, translation));
  translation->producer = producer;
  for (const auto& [key, value] :
       {std::pair{"enable_noop", "true"}, std::pair{"set_noop_interval", "1"},
        std::pair{"enable_expiry_opcode", "true"}, std::pair{"bobbin_collection_changes", "true"}})
    (void)producer->control(key, value);
  auto filter = feed::StreamFilter::make(true, wanted.filter, *manifest);
  std::string opening;
  wire::BinaryStatus status = filter ? wire::BinaryStatus::success : wire::BinaryStatus::unknown_collection;
  for (uint32_t i = 0; i < vbuckets && status == wire::BinaryStatus::success; ++i)
    status =
        open_stream(*producer, *translation->text, *filter, static_cast<uint16_t>(i), requests[i], opening);
  if (status != wire::BinaryStatus::success)
    translation->text->write_event("end", fmt::format("{{\"status\":{}}}", static_cast<uint16_t>(status)),
                                   opening);
  if (!opening.empty()) (void)spool.append(opening);
  served->streams().enter(producer);
  engine.feeds->spawn(producer);
  return std::make_unique<ChangeAnswer>(entered, std::move(producer));
}

// ---- the request

HttpResponse wrong(const std::string& what) {
  return text_answer(what + "\n", 400);
}

/// Nothing where it is fine.
std::optional<HttpResponse> read_query(const Form& form, const store::Manifest& manifest, Wanted& wanted) {
  for (const auto& [name, value] : form) {
    if (name == "from") {
      if (value != "now" && value != "start") return wrong("from: now, or start");
      wanted.from_start = value == "start";
    } else if (name == "values") {
      if (value != "true" && value != "false") return wrong("values: true, or false");
      wanted.text.values = value == "true";
    } else if (name == "prefix") {
      wanted.text.prefix = value;
    } else if (name == "scope") {
      const store::Scope* const scope = manifest.scope(value);
      if (scope == nullptr) return missing();
      wanted.filter.scope = scope->id;
    } else if (name == "collection") {
      const size_t dot = value.find('.');
      if (dot == std::string::npos) return wrong("collection: SCOPE.COLLECTION");
      const store::Collection* const collection = manifest.collection(
          std::string_view(value).substr(0, dot), std::string_view(value).substr(dot + 1));
      if (collection == nullptr) return missing();
      wanted.filter.collections.emplace(1, collection->id);
    } else if (name != "last_event_id") {
      return wrong("there is no such parameter: " + name);
    }
  }
  if (wanted.filter.scope && wanted.filter.collections) return wrong("either scope or collection");
  return std::nullopt;
}

HttpResponse handle_changes(const Call& call) {
  const auto bucket = find_bucket(call.engine(), call.names[0]);
  if (bucket == nullptr) return missing();
  if (bucket->disk() == nullptr)
    return wrong("This bucket has no history that could be followed: it is a cache.");
  if (call.engine().feeds == nullptr || bucket->streams().producers() >= kMaxProducers)
    return text_answer("Too many read the changes of this bucket.\n", 503);
  const auto form = parse_form(query_of(call.request.target));
  if (!form) return wrong("The parameters cannot be read.");
  Wanted wanted{.bucket = call.names[0], .user = call.user, .text = {}, .filter = {}, .marks = {}};
  if (auto refused = read_query(*form, *bucket->collections().manifest(), wanted)) return *refused;
  // A browser that connects again has the header; who begins anew has the parameter.
  const std::string* const parameter = form_value(*form, "last_event_id");
  const std::string& id =
      call.request.last_event_id.empty() && parameter != nullptr ? *parameter : call.request.last_event_id;
  if (!id.empty()) {
    auto marks = feed::decode_marks(id, bucket->bucket().vbucket_count());
    if (!marks) return wrong("This id is none of this bucket's.");
    wanted.marks = std::move(*marks);
  }
  HttpResponse response{.content_type = "text/event-stream"};
  response.live = [&engine = call.engine(), wanted = std::move(wanted)](net::Spool spool, bool is_chunked) {
    return begin(engine, wanted, std::move(spool), is_chunked);
  };
  return response;
}

constexpr Route kRoutes[] = {
    {"GET", "/buckets/{bucket}/changes", Door::bucket, serve::kDcpProducer | serve::kDcpStream,
     handle_changes},
};

}  // namespace

std::span<const Route> change_routes() {
  return kRoutes;
}

}  // namespace bobbin::admin
