#include "cli/watch_run.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

namespace bobbin::cli {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using wire::BinaryStatus;

constexpr milliseconds kPatience{100};
/// How often a position is written while changes come without pause.
constexpr milliseconds kSaveEvery{1000};
constexpr milliseconds kFirstPause{100};
constexpr milliseconds kLongestPause{5000};

}  // namespace

Watch::Watch(WatchOptions options, WatchSurroundings surroundings)
    : options_(std::move(options)), around_(std::move(surroundings)), lines_(options_.lines, names_) {}

base::Result<void, base::Error> Watch::load() {
  if (options_.position_path.empty()) return {};
  auto file = load_position(options_.position_path);
  if (!file) return base::fail(std::move(file.error()));
  if (file->positions.empty()) return {};
  if (file->bucket != options_.server.bucket || file->what != options_.what)
    return base::fail(base::Error{fmt::format("{}: this is the position of another watch (bucket {}, {})",
                                              options_.position_path, file->bucket,
                                              file->what.empty() ? "all of it" : file->what)});
  positions_ = std::move(file->positions);
  begun_ = true;
  return {};
}

base::Result<void, base::Error> Watch::find_filter(McbpClient& client) {
  const auto manifest = client.manifest();
  if (!manifest) return base::fail(manifest.error());
  if (!names_.read(*manifest)) return base::fail(base::Error{"the server's manifest cannot be read"});
  auto filter = stream_filter(client, options_.what);
  if (!filter) return base::fail(std::move(filter.error()));
  filter_ = std::move(*filter);
  return {};
}

// Where each vbucket is now: the positions to begin at, if there are none yet.
base::Result<void, base::Error> Watch::find_vbuckets(McbpClient& client) {
  const auto vbuckets = client.vbuckets();
  if (!vbuckets) return base::fail(vbuckets.error());
  const bool from_now = !begun_ && options_.from == WatchFrom::now;
  std::vector<uint16_t> changed;
  std::vector<uint64_t> seqnos;
  for (const McbpClient::VBucket& vbucket : *vbuckets) {
    if (options_.until_now) ends_.try_emplace(vbucket.number, vbucket.high_seqno);
    positions_.try_emplace(vbucket.number);
    if (!from_now || vbucket.high_seqno == 0) continue;
    changed.push_back(vbucket.number);
    seqnos.push_back(vbucket.high_seqno);
  }
  const auto uuids = client.vbucket_uuids(changed);
  if (!uuids) return base::fail(uuids.error());
  for (size_t i = 0; i < changed.size(); ++i)
    positions_[changed[i]] = DcpPosition((*uuids)[i], seqnos[i], seqnos[i], seqnos[i]);
  unsaved_ = unsaved_ || !begun_;
  begun_ = true;
  return {};
}

base::Result<void, base::Error> Watch::request(uint16_t vbucket) {
  const auto end = ends_.find(vbucket);
  const DcpPosition& position = positions_[vbucket];
  if (end != ends_.end() && position.seqno() >= end->second) return {};
  wire::DcpStreamRequest request = position.request(end == ends_.end() ? wire::kDcpForever : end->second);
  request.filter = filter_;
  open_.insert(vbucket);
  return client_->request_stream(vbucket, request);
}

base::Result<void, base::Error> Watch::connect() {
  client_.reset();
  open_.clear();
  again_.clear();
  McbpOptions server = options_.server;
  server.features = {wire::Feature::collections, wire::Feature::json};
  auto client = McbpClient::connect(server);
  if (!client) return base::fail(std::move(client.error()));
  if (auto found = find_filter(*client); !found) return found;
  if (auto found = find_vbuckets(*client); !found) return found;
  DcpClientOptions streams{
      .name = fmt::format("bobbin watch {} {}", ::getpid(), steady_clock::now().time_since_epoch().count()),
      .timeout = server.timeout};
  if (!options_.lines.values) streams.open_flags = wire::dcp_open_flags::kNoValue;
  auto opened = DcpClient::open(std::move(*client), streams);
  if (!opened) return base::fail(std::move(opened.error()));
  client_.emplace(std::move(*opened));
  for (const auto& [vbucket, position] : positions_) {
    if (auto sent = request(vbucket); !sent) return sent;
  }
  return {};
}

// ---- what comes

bool Watch::is_shown(const wire::DcpKey& key) const {
  return key.name.starts_with(options_.prefix);
}

Watch::Step Watch::show(const std::string& line) {
  unflushed_ = true;
  if (!around_.print(line + '\n')) return WatchEnd::nobody_reads;
  return std::nullopt;
}

Watch::Step Watch::show_change(const std::string& line) {
  Step step = show(line);
  if (step && !*step && ++shown_ >= options_.limit) return WatchEnd::complete;
  return step;
}

Watch::Step Watch::handle(uint16_t vbucket, const DcpStreamReply& reply) {
  switch (reply.status) {
    case BinaryStatus::success:
      positions_[vbucket].accepted(reply.failover_log);
      return std::nullopt;
    case BinaryStatus::rollback: {
      positions_[vbucket].roll_back(reply.rollback_seqno);
      unsaved_ = true;
      auto shown = show(lines_.rollback(vbucket, positions_[vbucket].seqno()));
      if (!shown || *shown) return shown;
      if (auto sent = request(vbucket); !sent) return base::fail(std::move(sent.error()));
      return std::nullopt;
    }
    case BinaryStatus::temporary_failure:
    case BinaryStatus::busy:
    case BinaryStatus::not_my_vbucket:
      again_.insert(vbucket);
      return std::nullopt;
    default:
      hopeless_ = true;
      return base::fail(
          base::Error{fmt::format("the stream of vbucket {}: {}", vbucket, status_words(reply.status))});
  }
}

Watch::Step Watch::ended(uint16_t vbucket, wire::DcpEnd reason) {
  open_.erase(vbucket);
  switch (reason) {
    case wire::DcpEnd::ok:
      break;
    case wire::DcpEnd::filter_empty:
      around_.notice("the collection was dropped");
      return WatchEnd::complete;
    case wire::DcpEnd::lost_privileges:
      hopeless_ = true;
      return base::fail(base::Error{"this user may not read any more what it asked for"});
    default:
      open_.insert(vbucket);
      again_.insert(vbucket);
      return std::nullopt;
  }
  if (open_.empty() && options_.until_now) return WatchEnd::complete;
  return std::nullopt;
}

Watch::Step Watch::handle(uint16_t vbucket, const wire::DcpMessage& message) {
  DcpPosition& position = positions_[vbucket];
  Step step = std::nullopt;
  const auto reached = [&](uint64_t seqno) {
    position.reached(seqno);
    unsaved_ = true;
  };
  if (const auto* mutation = std::get_if<wire::DcpMutation>(&message)) {
    if (is_shown(mutation->key)) step = show_change(lines_.line(vbucket, *mutation));
    reached(mutation->seqno);
  } else if (const auto* removal = std::get_if<wire::DcpRemoval>(&message)) {
    if (is_shown(removal->key)) step = show_change(lines_.line(vbucket, *removal));
    reached(removal->seqno);
  } else if (const auto* event = std::get_if<wire::DcpSystemEvent>(&message)) {
    names_.apply(*event);
    if (options_.prefix.empty()) step = show(lines_.line(vbucket, *event));
    reached(event->seqno);
  } else if (const auto* marker = std::get_if<wire::DcpSnapshotMarker>(&message)) {
    position.snapshot(*marker);
  } else if (const auto* mark = std::get_if<wire::DcpOsoSnapshot>(&message)) {
    position.out_of_order(*mark);
  } else if (const auto* advanced = std::get_if<wire::DcpSeqnoAdvanced>(&message)) {
    reached(advanced->seqno);
  } else if (const auto* prepare = std::get_if<wire::DcpPrepare>(&message)) {
    reached(prepare->seqno);
  } else if (const auto* completion = std::get_if<wire::DcpCompletion>(&message)) {
    reached(completion->seqno);
  } else if (const auto* reason = std::get_if<wire::DcpEnd>(&message)) {
    return ended(vbucket, *reason);
  }
  return step;
}

Watch::Step Watch::handle(const DcpArrival& arrival) {
  return std::visit([&](const auto& what) { return handle(arrival.vbucket, what); }, arrival.what);
}

// ---- runs

// Flushed first: a position may never be ahead of what was printed.
Watch::Step Watch::settle() {
  if (unflushed_ && !around_.flush()) return WatchEnd::nobody_reads;
  unflushed_ = false;
  if (!unsaved_ || options_.position_path.empty()) return std::nullopt;
  auto saved = save_position(options_.position_path, {options_.server.bucket, options_.what, positions_});
  if (!saved) return base::fail(std::move(saved.error()));
  unsaved_ = false;
  saved_ = steady_clock::now();
  return std::nullopt;
}

// Until the connection breaks, which is an error, or there is a reason to end.
Watch::Step Watch::follow() {
  if (options_.until_now && open_.empty()) return WatchEnd::complete;
  auto asked_again = steady_clock::now();
  while (!around_.stop()) {
    auto arrival = client_->next(kPatience);
    if (!arrival) return base::fail(std::move(arrival.error()));
    if (*arrival) {
      auto step = handle(**arrival);
      if (!step || *step) return step;
    }
    if (!client_->has_more()) {
      if (unflushed_ && !around_.flush()) return WatchEnd::nobody_reads;
      unflushed_ = false;
    }
    const auto now = steady_clock::now();
    if (!*arrival || now - saved_ > kSaveEvery) {
      auto step = settle();
      if (!step || *step) return step;
    }
    if (again_.empty() || now - asked_again < std::chrono::seconds(1)) continue;
    asked_again = now;
    for (const uint16_t vbucket : std::exchange(again_, {})) {
      if (auto sent = request(vbucket); !sent) return base::fail(std::move(sent.error()));
    }
  }
  return WatchEnd::stopped;
}

base::Result<WatchEnd, base::Error> Watch::run() {
  if (auto loaded = load(); !loaded) return base::fail(std::move(loaded.error()));
  bool was_connected = false;
  milliseconds pause = kFirstPause;
  auto since = steady_clock::now();
  while (true) {
    auto connected = connect();
    Step step = std::nullopt;
    if (connected) {
      if (was_connected) around_.notice("connected again");
      was_connected = true;
      pause = kFirstPause;
      step = follow();
      since = steady_clock::now();
    } else {
      step = base::fail(std::move(connected.error()));
    }
    // What could not be flushed must not count as printed.
    if (step && *step == WatchEnd::nobody_reads) return WatchEnd::nobody_reads;
    const Step settled = settle();
    if (!settled) return base::fail(settled.error());
    if (step && *step) return **step;
    if (*settled) return **settled;
    const bool too_long = options_.give_up.count() != 0 && steady_clock::now() - since > options_.give_up;
    if (!was_connected || too_long || hopeless_) return base::fail(std::move(step.error()));
    if (pause == kFirstPause) around_.notice(step.error().message + "; trying again");
    for (milliseconds waited{0}; waited < pause && !around_.stop(); waited += kPatience)
      std::this_thread::sleep_for(kPatience);
    if (around_.stop()) return WatchEnd::stopped;
    pause = std::min(pause * 2, kLongestPause);
  }
}

}  // namespace bobbin::cli
