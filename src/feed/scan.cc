#include "feed/scan.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "base/log.h"
#include "store/expiry.h"
#include "wire/compression.h"
#include "wire/crypto.h"
#include "wire/datatype.h"
#include "wire/xattr.h"

namespace bobbin::feed {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using wire::BinaryStatus;

// Of one step: records looked at, and bytes of items.
constexpr size_t kStepRecords = 4096;
constexpr size_t kStepBytes = 512 << 10;
// How often a scan that nobody continues looks whether there is still something to scan.
constexpr milliseconds kLookAgain{1000};
// And one that waits for a change that has not been made.
constexpr milliseconds kLookForSeqno{20};
// Longest wait for a seqno to be on disk, whatever the client would take; and for a flush of the bucket.
constexpr milliseconds kLongestWait{120'000};

wire::ScanId new_id() {
  return wire::read_scan_id(wire::random_bytes(sizeof(wire::ScanId)));
}

// SplitMix64: small, fast, and the same numbers everywhere for a seed.
uint64_t next_random(uint64_t& state) {
  uint64_t z = (state += 0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

std::string first_stored_key(const wire::ScanCreate& what) {
  std::string key = store::DocKey(what.collection, what.range.start).stored();
  // The next key there can be.
  if (what.range.excludes_start) key.push_back('\0');
  return key;
}

std::string behind_last_stored_key(const wire::ScanCreate& what) {
  std::string key = store::DocKey(what.collection, what.range.end).stored();
  if (!what.range.excludes_end) key.push_back('\0');
  return key;
}

void remove_system_xattrs(std::string& block) {
  std::vector<std::string> keys;
  wire::XattrReader reader(block);
  while (const auto pair = reader.next())
    if (wire::is_system_xattr(pair->key)) keys.emplace_back(pair->key);
  for (const std::string& key : keys)
    wire::remove_xattr(block, key);
}

}  // namespace

Scan::Scan(ScanOptions options, Asker creator, Scans& scans, const base::Clock& clock)
    : id_(new_id()),
      options_(std::move(options)),
      bucket_(&options_.bucket.bucket),
      scans_(scans),
      clock_(clock),
      asker_(std::move(creator)),
      began_(made_),
      random_(options_.what.sampling ? options_.what.sampling->seed : 0),
      frame_(options_.what.key_only ? wire::ScanFrame::Content::keys : wire::ScanFrame::Content::documents) {}

Scan::~Scan() {
  // A waker may hold it a moment longer than there are scans at all.
  if (!is_over()) release();
}

// ---- any thread

Scan::Continued Scan::continue_for(const wire::ScanContinue& limits, Asker asker) {
  {
    const base::MutexLock lock(mutex_);
    if (ending_ != Ending::none || state_ == State::over || state_ == State::opening) return Continued::gone;
    if (state_ == State::continuing) return Continued::busy;
    request_ = Request{limits, std::move(asker)};
    state_ = State::continuing;
  }
  wake();
  return Continued::started;
}

bool Scan::cancel() {
  {
    const base::MutexLock lock(mutex_);
    if (ending_ != Ending::none || state_ == State::over) return false;
    ending_ = Ending::cancelled;
  }
  scans_.hide(id_);
  wake();
  return true;
}

void Scan::end() {
  {
    const base::MutexLock lock(mutex_);
    ending_ = Ending::left;
  }
  scans_.hide(id_);
  wake();
}

Scan::Facts Scan::facts() const {
  const auto age = std::chrono::duration_cast<milliseconds>(steady_clock::now() - made_);
  const base::MutexLock lock(mutex_);
  return {state_, items_.load(std::memory_order_relaxed), bytes_.load(std::memory_order_relaxed),
          static_cast<uint64_t>(age.count())};
}

// ---- steps

Scan::Ending Scan::take_ending() const {
  const base::MutexLock lock(mutex_);
  return ending_;
}

bool Scan::begin_request() {
  const base::MutexLock lock(mutex_);
  if (!request_) return false;
  limits_ = request_->limits;
  asker_ = std::move(request_->asker);
  request_.reset();
  began_ = steady_clock::now();
  sent_items_ = sent_bytes_ = read_bytes_ = 0;
  return true;
}

Next Scan::step() {
  const Next next = advance();
  // Nobody knows for how long there is no other step.
  if (reader_ != nullptr && is_large()) {
    is_let_go_ = item_ != Item::none;
    reader_->let_go(is_let_go_ ? disk::KeyReader::Resume::same : disk::KeyReader::Resume::following);
  }
  return next;
}

Next Scan::advance() {
  if (concludes_) return conclude();
  const Ending ending = take_ending();
  if (ending != Ending::none) {
    scans_.cancelled_.fetch_add(1, std::memory_order_relaxed);
    return fail(BinaryStatus::range_scan_cancelled);
  }
  if (const auto next = send()) return *next;
  if (const auto status = is_obsolete()) {
    scans_.cancelled_.fetch_add(1, std::memory_order_relaxed);
    return fail(*status);
  }
  now_s_ = clock_.now().unix_s();
  if (!is_open_) return open();
  if (!asker_ && !begin_request()) return rest();
  return produce();
}

std::optional<BinaryStatus> Scan::is_obsolete() {
  const store::Bucket& bucket = options_.bucket.bucket;
  const uint64_t generation = bucket.manifest_generation();
  if (generation != manifest_generation_) {
    if (bucket.manifest()->collection(options_.what.collection) == nullptr)
      return BinaryStatus::unknown_collection;
    manifest_generation_ = generation;
  }
  // A flush begins a new branch of the vbucket's history.
  if (reader_ == nullptr || bucket.vbucket_uuid(options_.vbucket) == vbucket_uuid_) return std::nullopt;
  return is_open_ ? BinaryStatus::range_scan_cancelled : BinaryStatus::temporary_failure;
}

bool Scan::is_on_disk(uint64_t seqno) const {
  // What was cleared is on disk for a while.
  const store::Bucket& bucket = options_.bucket.bucket;
  return bucket.unsaved_clears() == 0 && bucket.persisted_seqno(options_.vbucket) >= seqno;
}

// The snapshot has everything up to the seqno that the client names, and has seen the last flush.
std::optional<Next> Scan::await_snapshot() {
  const store::FailoverEntry branch = options_.bucket.bucket.failover_log(options_.vbucket).front();
  const auto& wanted = options_.what.snapshot;
  vbucket_uuid_ = branch.uuid;
  if (wanted && wanted->vbucket_uuid != branch.uuid) return fail(BinaryStatus::vbucket_uuid_not_equal);
  if (wanted && wanted->timeout_ms == 0 && !is_on_disk(wanted->seqno))
    return fail(BinaryStatus::temporary_failure);
  const uint64_t seqno = std::max(branch.seqno, wanted ? wanted->seqno : 0);
  if (is_on_disk(seqno)) return std::nullopt;
  const bool is_for_client = wanted && wanted->seqno == seqno;
  const auto longest = is_for_client && wanted->timeout_ms < static_cast<uint64_t>(kLongestWait.count())
                           ? milliseconds(wanted->timeout_ms)
                           : kLongestWait;
  if (steady_clock::now() >= began_ + longest || !options_.bucket.disk.writable(options_.vbucket))
    return fail(BinaryStatus::temporary_failure);
  // Of a seqno that nobody has been given, no commit will tell.
  if (seqno > options_.bucket.bucket.high_seqno(options_.vbucket))
    return Next::wait_until(std::min(began_ + longest, steady_clock::now() + kLookForSeqno));
  options_.bucket.disk.after_commit_of(options_.vbucket, seqno, waker_of(shared_from_this()));
  // What was committed before the question is not told any more.
  if (is_on_disk(seqno)) return std::nullopt;
  return Next::wait_until(began_ + longest);
}

std::optional<BinaryStatus> Scan::take_snapshot() {
  const disk::Directory& directory = options_.bucket.disk.directory();
  const disk::Shard& shard = directory.shard(directory.shard_number(options_.vbucket));
  const wire::ScanCreate& what = options_.what;
  reader_ = shard.read_range(options_.vbucket, first_stored_key(what), behind_last_stored_key(what));
  if (what.snapshot && what.snapshot->seqno_exists) {
    const uint64_t seqno = what.snapshot->seqno;
    const auto found = shard.read_seqnos(options_.vbucket, seqno, seqno)->next_run(1, 1);
    if (!found) {
      base::log(base::LogLevel::error, "range scan: " + found.error().message);
      return BinaryStatus::internal_error;
    }
    if (found->empty()) return BinaryStatus::not_stored;
  }
  if (!what.sampling) return std::nullopt;
  const auto counts = options_.bucket.bucket.collection_statistics(options_.vbucket);
  const auto count = counts.find(what.collection);
  const uint64_t items = count == counts.end() ? 0 : count->second.items;
  if (what.sampling->samples < items) {
    const double part = static_cast<double>(what.sampling->samples) / static_cast<double>(items);
    draw_below_ = static_cast<uint64_t>(std::ldexp(part, 64));
  }
  return std::nullopt;
}

Next Scan::open() {
  if (reader_ == nullptr) {
    if (const auto next = await_snapshot()) return *next;
    if (const auto status = take_snapshot()) return fail(*status);
  }
  size_t budget = kStepRecords;
  switch (look(budget)) {
    case Looked::found:
      break;
    case Looked::end:
      return fail(BinaryStatus::key_not_found);
    case Looked::enough:
      return Next::again();
    case Looked::failed:
      return fail(BinaryStatus::internal_error);
  }
  is_open_ = true;
  scans_.show(std::static_pointer_cast<Scan>(shared_from_this()));
  // It may have been cancelled meanwhile, and is not to be found then.
  if (take_ending() != Ending::none) scans_.hide(id_);
  read_bytes_ = reader_->key().stored_size();
  put_reply(BinaryStatus::success, {id_.data(), id_.size()});
  return Next::again();
}

Scan::Looked Scan::look(size_t& budget) {
  while (item_ == Item::none || is_let_go_) {
    if (budget-- == 0) return Looked::enough;
    const auto next = reader_->next();
    if (!next) {
      base::log(base::LogLevel::error, "range scan: " + next.error().message);
      return Looked::failed;
    }
    if (!*next) return Looked::end;
    if (std::exchange(is_let_go_, false)) break;
    const disk::Record& record = reader_->record();
    if (!disk::is_tombstone(record.kind) && !store::is_expired(record.time_s, now_s_)) item_ = Item::found;
  }
  return Looked::found;
}

size_t Scan::value_bytes() const noexcept {
  const disk::Record& record = reader_->record();
  if ((record.datatype & wire::kDatatypeSnappy) == 0) [[likely]]
    return record.value.size();
  const auto bytes = wire::inflated_bytes(record.value);
  return bytes && *bytes <= store::kLargestMaxValueBytes ? *bytes : record.value.size();
}

bool Scan::is_drawn() {
  if (item_ == Item::drawn) return true;
  item_ = !draw_below_ || next_random(random_) < *draw_below_ ? Item::drawn : Item::none;
  return item_ == Item::drawn;
}

bool Scan::is_limit_reached() const {
  if (sent_items_ == 0) return false;
  if (limits_.items != 0 && sent_items_ >= limits_.items) return true;
  if (limits_.bytes != 0 && sent_bytes_ >= limits_.bytes) return true;
  return sent_items_ % 64 == 1 && is_time_over();
}

bool Scan::is_time_over() const {
  return sent_items_ != 0 && limits_.time_ms != 0 &&
         steady_clock::now() - began_ >= milliseconds(limits_.time_ms);
}

void Scan::take_item() {
  item_ = Item::none;
  const std::string_view key = reader_->key().name();
  const size_t before = frame_.bytes();
  if (options_.what.key_only) {
    frame_.add_key(key);
  } else {
    const disk::Record& record = reader_->record();
    wire::ScanItem item{record.flags, record.time_s, record.seqno, record.cas, 0, key, record.value};
    if (options_.view.json) item.datatype = record.datatype & wire::kDatatypeJson;
    // One that is damaged is given as it lies: its bit says that this is not the value.
    if ((record.datatype & wire::kDatatypeSnappy) != 0) {
      const bool sound = wire::inflate(record.value, store::kLargestMaxValueBytes, value_);
      if (sound) item.value = value_;
      if (!sound) item.datatype = wire::kDatatypeSnappy;
    } else if ((record.datatype & wire::kDatatypeXattr) != 0) {
      const auto value = wire::split_xattr_value(record.value);
      if (value) item.value = value->body;
      if (value && options_.what.include_xattrs && options_.view.xattrs) {
        attributes_ = value->block;
        if (!options_.view.system_xattrs) remove_system_xattrs(attributes_);
        if (!attributes_.empty()) {
          value_.assign(attributes_).append(value->body);
          item.value = value_;
          item.datatype |= wire::kDatatypeXattr;
        }
      }
    }
    frame_.add_document(item);
    for (std::string* text : {&value_, &attributes_})
      if (text->capacity() > kLargeBytes) std::string().swap(*text);
  }
  ++sent_items_;
  ++frame_items_;
  sent_bytes_ += frame_.bytes() - before;
  read_bytes_ += reader_->key().stored_size() + (options_.what.key_only ? 0 : reader_->record().value.size());
}

Next Scan::produce() {
  // Before its document is read again.
  if (room_ != nullptr && !room_->is_granted()) {
    if (!is_time_over()) return await_grant();
    room_.reset();
    put_frame(BinaryStatus::range_scan_more);
    return Next::again();
  }
  size_t budget = kStepRecords;
  const uint64_t bytes_before = sent_bytes_;
  for (;;) {
    if (sent_bytes_ - bytes_before > kStepBytes) return Next::again();
    const Looked looked = look(budget);
    if (looked == Looked::failed) return fail(BinaryStatus::internal_error);
    if (looked == Looked::end) {
      scans_.completed_.fetch_add(1, std::memory_order_relaxed);
      put_frame(BinaryStatus::range_scan_complete);
      return conclude();
    }
    if (looked == Looked::enough) return Next::again();
    if (is_limit_reached()) {
      room_.reset();  // who goes on asks for its own
      put_frame(BinaryStatus::range_scan_more);
      return Next::again();
    }
    if (!is_drawn()) continue;
    if (const auto next = await_room()) return *next;
    take_item();
    if (frame_.bytes() < kFrameBytes) {
      room_.reset();  // its attributes were what was large
      continue;
    }
    put_frame(BinaryStatus::success);
    if (const auto next = send()) return *next;
    give_way();
  }
}

Next Scan::rest() {
  const Time now = steady_clock::now();
  const Time end = idle_since_ + scans_.limits().idle_timeout;
  if (now < end) return Next::wait_until(std::min(end, now + kLookAgain));
  scans_.expired_.fetch_add(1, std::memory_order_relaxed);
  return fail(BinaryStatus::range_scan_cancelled);
}

// ---- ending

Next Scan::fail(BinaryStatus status) {
  concludes_ = true;
  failure_ = status;
  scans_.hide(id_);
  {
    const base::MutexLock lock(mutex_);
    state_ = State::over;
  }
  drop_frame();
  if (asker_) put_reply(status, {});
  return conclude();
}

Next Scan::conclude() {
  // Nothing more is read.
  release();
  for (;;) {
    if (flush() == net::Append::full) return Next::wait();
    drop_frame();
    // Another may have asked for more while the end of an answer waited.
    if (!begin_request()) return Next::done();
    put_reply(failure_, {});
  }
}

void Scan::release() noexcept {
  scans_.hide(id_);
  reader_.reset();
  room_.reset();
  options_.bucket.keeper.reset();
  if (std::exchange(holds_place_, false)) scans_.leave();
  {
    const base::MutexLock lock(mutex_);
    state_ = State::over;
  }
  is_over_.store(true, std::memory_order_release);
}

}  // namespace bobbin::feed
