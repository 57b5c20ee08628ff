#include "cli/copy_run.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "cli/json.h"
#include "cli/quantity.h"
#include "store/manifest.h"

namespace bobbin::cli {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using wire::BinaryOpcode;
using wire::BinaryStatus;

template <typename T>
using Result = base::Result<T, base::Error>;

constexpr milliseconds kPatience{100};
constexpr milliseconds kSaveEvery{1000};

/// Documents of the selected bucket, as its statistics say.
Result<uint64_t> items_of(McbpClient& client) {
  if (auto sent = client.send({.opcode = BinaryOpcode::stat}); !sent)
    return base::fail(std::move(sent.error()));
  std::optional<uint64_t> items;
  McbpFrame frame;
  while (true) {
    if (auto received = client.receive(frame); !received) return base::fail(std::move(received.error()));
    if (frame.status() != BinaryStatus::success || frame.key().empty()) break;
    if (frame.key() == "curr_items") items = parse_count(frame.value());
  }
  if (items) return *items;
  return base::fail(base::Error{"the server does not say how many documents it has"});
}

base::Error of_source(base::Error error) {
  return {"from: " + std::move(error.message)};
}

base::Error of_target(base::Error error) {
  return {"to: " + std::move(error.message)};
}

}  // namespace

Copy::Copy(CopyOptions options, CopySurroundings surroundings)
    : options_(std::move(options)), around_(std::move(surroundings)) {}

Result<void> Copy::load() {
  if (options_.position_path.empty()) return {};
  auto file = load_position(options_.position_path);
  if (!file) return base::fail(std::move(file.error()));
  if (file->positions.empty()) return {};
  if (file->bucket != options_.source.bucket || file->what != options_.what)
    return base::fail(base::Error{options_.position_path + ": this is the position of something else"});
  positions_ = std::move(file->positions);
  return {};
}

// ---- the beginning

Result<void> Copy::connect_target() {
  McbpOptions options = options_.target;
  options.features = {wire::Feature::collections, wire::Feature::json, wire::Feature::xattr};
  auto client = McbpClient::connect(options);
  if (!client) return base::fail(of_target(std::move(client.error())));
  const auto vbuckets = client->vbuckets();
  if (!vbuckets) return base::fail(of_target(vbuckets.error()));
  const size_t count = vbuckets->size();
  if (count == 0 || (count & (count - 1)) != 0)
    return base::fail(
        of_target({fmt::format("{} vbuckets: not all of the bucket is on this server", count)}));
  target_.emplace(std::move(*client), static_cast<uint32_t>(count), options.timeout * 6);
  return {};
}

Result<uint32_t> Copy::target_collection(uint32_t source) {
  if (source == store::kDefaultCollection) return source;
  if (const auto known = collections_.find(source); known != collections_.end()) return known->second;
  const feed::CollectionNames::Names names = names_.of(source);
  // What waits is not about this one, and answers must not get mixed up.
  if (auto flushed = target_->flush(); !flushed) return base::fail(of_target(std::move(flushed.error())));
  auto id = target_->client().collection_id(names.scope + "." + names.collection);
  if (!id) return base::fail(of_target(std::move(id.error())));
  return collections_[source] = *id;
}

Result<void> Copy::connect() {
  if (auto connected = connect_target(); !connected) return connected;
  McbpOptions options = options_.source;
  options.features = {wire::Feature::collections, wire::Feature::json, wire::Feature::xattr};
  auto client = McbpClient::connect(options);
  if (!client) return base::fail(of_source(std::move(client.error())));
  const auto manifest = client->manifest();
  if (!manifest) return base::fail(of_source(manifest.error()));
  if (!names_.read(*manifest)) return base::fail(of_source({"the manifest cannot be read"}));
  auto filter = stream_filter(*client, options_.what);
  if (!filter) return base::fail(of_source(std::move(filter.error())));
  filter_ = std::move(*filter);
  const auto vbuckets = client->vbuckets();
  if (!vbuckets) return base::fail(of_source(vbuckets.error()));
  for (const McbpClient::VBucket& vbucket : *vbuckets) {
    ends_[vbucket.number] = vbucket.high_seqno;
    const uint64_t from = positions_[vbucket.number].seqno();
    if (from < vbucket.high_seqno) total_ += vbucket.high_seqno - from;
  }
  auto opened = DcpClient::open(
      std::move(*client),
      {.name = fmt::format("bobbin copy {} {}", ::getpid(), steady_clock::now().time_since_epoch().count()),
       .open_flags = wire::dcp_open_flags::kXattrs,
       .timeout = options.timeout});
  if (!opened) return base::fail(of_source(std::move(opened.error())));
  source_.emplace(std::move(*opened));
  for (const auto& [vbucket, end] : ends_) {
    if (auto requested = request(vbucket); !requested) return requested;
  }
  return {};
}

Result<void> Copy::request(uint16_t vbucket) {
  const uint64_t end = ends_[vbucket];
  const DcpPosition& position = positions_[vbucket];
  if (position.seqno() >= end) return {};
  wire::DcpStreamRequest request = position.request(end);
  request.filter = filter_;
  open_.insert(vbucket);
  if (auto sent = source_->request_stream(vbucket, request); !sent)
    return base::fail(of_source(std::move(sent.error())));
  return {};
}

// ---- what comes

Result<void> Copy::handle(uint16_t vbucket, const DcpStreamReply& reply) {
  if (reply.status == BinaryStatus::success) {
    positions_[vbucket].accepted(reply.failover_log);
    return {};
  }
  if (reply.status != BinaryStatus::rollback)
    return base::fail(
        of_source({fmt::format("the stream of vbucket {}: {}", vbucket, status_words(reply.status))}));
  positions_[vbucket].roll_back(reply.rollback_seqno);
  around_.notice(
      fmt::format("vbucket {}: the source's history went back to {}; what was copied behind it stays",
                  vbucket, positions_[vbucket].seqno()));
  return request(vbucket);
}

Result<void> Copy::ended(uint16_t vbucket, wire::DcpEnd reason) {
  open_.erase(vbucket);
  if (reason == wire::DcpEnd::ok) {
    // The rest was of no concern to this stream.
    if (positions_[vbucket].seqno() < ends_[vbucket]) positions_[vbucket].reached(ends_[vbucket]);
    return {};
  }
  if (reason == wire::DcpEnd::filter_empty) {
    around_.notice("the collection was dropped");
    return {};
  }
  if (reason == wire::DcpEnd::lost_privileges)
    return base::fail(of_source({"this user may not read any more what it asked for"}));
  return request(vbucket);
}

Result<void> Copy::handle(uint16_t vbucket, const wire::DcpMessage& message) {
  DcpPosition& position = positions_[vbucket];
  if (const auto* mutation = std::get_if<wire::DcpMutation>(&message)) {
    const auto collection = target_collection(mutation->key.collection);
    if (!collection) return base::fail(collection.error());
    target_->store(*collection, *mutation);
    position.reached(mutation->seqno);
  } else if (const auto* removal = std::get_if<wire::DcpRemoval>(&message)) {
    const auto collection = target_collection(removal->key.collection);
    if (!collection) return base::fail(collection.error());
    target_->remove(*collection, *removal);
    position.reached(removal->seqno);
  } else if (const auto* event = std::get_if<wire::DcpSystemEvent>(&message)) {
    names_.apply(*event);
    position.reached(event->seqno);
  } else if (const auto* marker = std::get_if<wire::DcpSnapshotMarker>(&message)) {
    position.snapshot(*marker);
  } else if (const auto* advanced = std::get_if<wire::DcpSeqnoAdvanced>(&message)) {
    position.reached(advanced->seqno);
  } else if (const auto* reason = std::get_if<wire::DcpEnd>(&message)) {
    return ended(vbucket, *reason);
  } else if (std::holds_alternative<wire::DcpPrepare>(message) ||
             std::holds_alternative<wire::DcpCompletion>(message)) {
    return base::fail(of_source({"durable writes come in two parts, which were not asked for"}));
  }
  return {};
}

// A position may cover only what the target has.
Result<void> Copy::settle(bool at_end) {
  if (auto flushed = target_->flush(); !flushed) return base::fail(of_target(std::move(flushed.error())));
  uint64_t left = 0;
  for (const auto& [vbucket, end] : ends_) {
    const uint64_t seqno = positions_[vbucket].seqno();
    if (seqno < end) left += end - seqno;
  }
  around_.progress(total_ - std::min(left, total_), total_);
  const auto now = steady_clock::now();
  if (options_.position_path.empty() || (!at_end && now - saved_ < kSaveEvery)) return {};
  saved_ = now;
  return save_position(options_.position_path, {options_.source.bucket, options_.what, positions_});
}

// ---- the end

Result<void> Copy::count_items(CopyResult& result) {
  if (!options_.what.empty()) return {};
  auto source = McbpClient::connect(options_.source);
  if (!source) return base::fail(of_source(std::move(source.error())));
  const auto source_items = items_of(*source);
  if (!source_items) return base::fail(of_source(source_items.error()));
  const auto target_items = items_of(target_->client());
  if (!target_items) return base::fail(of_target(target_items.error()));
  result.source_items = *source_items;
  result.target_items = *target_items;
  return {};
}

Result<CopyResult> Copy::run() {
  if (auto loaded = load(); !loaded) return base::fail(std::move(loaded.error()));
  if (auto connected = connect(); !connected) return base::fail(std::move(connected.error()));
  while (!open_.empty() && !around_.stop()) {
    auto arrival = source_->next(kPatience);
    if (!arrival) return base::fail(of_source(std::move(arrival.error())));
    if (*arrival) {
      const uint16_t vbucket = (*arrival)->vbucket;
      auto handled = std::visit([&](const auto& what) { return handle(vbucket, what); }, (*arrival)->what);
      if (!handled) return base::fail(std::move(handled.error()));
    }
    if (!*arrival || target_->is_full()) {
      if (auto settled = settle(false); !settled) return base::fail(std::move(settled.error()));
    }
  }
  if (auto settled = settle(true); !settled) return base::fail(std::move(settled.error()));
  CopyResult result{.counts = target_->counts(), .complete = open_.empty()};
  if (result.complete) {
    if (auto counted = count_items(result); !counted) return base::fail(std::move(counted.error()));
  }
  return result;
}

}  // namespace bobbin::cli
