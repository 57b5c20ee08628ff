// What a session does for a client that takes replies in another order: a request that waits is put aside,
// and those behind it go on. What is under way is in serve/unordered.h.

#include <utility>

#include "serve/binary_commands.h"
#include "serve/session.h"
#include "serve/turn.h"
#include "serve/unordered.h"

namespace bobbin::serve {
namespace {

// A reply to it may be one of those that are held until what it says is on disk. That a document is there, or
// is not, is told to who changes it or locks it.
bool may_be_held(const BinaryCommand& row) {
  return row.writes || row.awaits_disk || row.locks;
}

}  // namespace

void Session::take_replies_in_any_order(bool agreed) {
  if (agreed && unordered_ == nullptr) unordered_ = std::make_unique<Unordered>(counters_);
  if (agreed || unordered_ == nullptr) return;
  if (unordered_->is_kept_open) connection_->keep_open(false);
  unordered_.reset();
}

// True: something is under way.
bool Session::is_anything_under_way() {
  if (!unordered_->is_busy()) return false;
  unordered_->close_batch();
  release_committed();
  return unordered_->is_busy();
}

void Session::release_committed() {
  if (!unordered_->release_committed(out())) is_lost_ = true;
}

bool Session::waits_its_turn(const BinaryCommand* row) {
  if (row != nullptr && row->reorders) return false;
  // Frames of a scan are the old user's, of the old bucket, in the old order.
  const bool changes_session =
      row != nullptr &&
      (row->opcode == wire::BinaryOpcode::hello || row->opcode == wire::BinaryOpcode::sasl_auth ||
       row->opcode == wire::BinaryOpcode::sasl_step || row->opcode == wire::BinaryOpcode::select_bucket);
  unordered_->awaits_turn = is_anything_under_way() || (changes_session && has_scan_under_way());
  return unordered_->awaits_turn;
}

bool Session::may_begin(const BinaryCommand& row, const wire::BinaryRequest& request) {
  Unordered& mine = *unordered_;
  if (mine.runs_again) return true;
  const bool is_barrier = client_->frame.barrier;
  // Of a write that kept order. Where one is not on disk, a wake will come.
  bool waits =
      (mine.is_barrier || is_barrier) && has_held_replies() && disk_->commit() != DiskWait::Commit::done;
  if (is_barrier) {
    waits = waits || is_anything_under_way() || has_scan_under_way();
  } else if (mine.is_busy() && (mine.holds_too_much() || (row.key == KeyKind::document &&
                                                          mine.conflicts(key_of(request), row.writes)))) {
    waits = waits || is_anything_under_way();
  }
  mine.awaits_turn = waits;
  return !waits;
}

bool Session::has_scan_under_way() {
  std::erase_if(unordered_->scans, [](const std::shared_ptr<feed::Awaited>& scan) {
    return scan->has_come.load(std::memory_order_acquire);
  });
  return !unordered_->scans.empty();
}

// With a DiskWait of its own for `work`. Where the reply may be held, it goes to the batch, and from there on
// at once when it turns out that it need not be.
template <typename Work>
void Session::in_lane(bool may_be_held, const Work& work) {
  Unordered& mine = *unordered_;
  if (mine.lane == nullptr) mine.lane = make_disk_wait();
  if (may_be_held && mine.batch.disk == nullptr) mine.batch.disk = make_disk_wait();
  std::swap(disk_, mine.lane);
  if (may_be_held) connection_->divert(&mine.batch.replies);
  work();
  if (may_be_held) connection_->divert(nullptr);
  std::swap(disk_, mine.lane);
  if (!mine.lane->retrying()) mine.lane->progressed();
  disk_->take_throttle(*mine.lane);
  if (!may_be_held) return;
  mine.batch.disk->take_written(*mine.lane);
  if (!mine.batch.disk->has_written()) out().splice(mine.batch.replies);
}

void Session::run_unordered(const BinaryCommand& row, const wire::BinaryRequest& request,
                            std::string_view frame) {
  Unordered& mine = *unordered_;
  const auto command = static_cast<uint16_t>(CommandTimes::kBinary + request.header.opcode);
  if (!mine.runs_again) {
    counters_.times.note(command);
    mine.is_barrier = client_->frame.barrier;
    mine.may_reorder = row.reorders && !mine.is_barrier;
  }
  // In a cache nothing waits for a disk.
  if (disk_ == nullptr || !(mine.may_reorder || mine.runs_again)) return row.handle(*this, row, request);
  const std::string_view behind = following_;
  const bool is_held = promises_disk() && may_be_held(row);
  if (row.awaits_disk) mine.close_batch();
  in_lane(is_held || row.awaits_disk, [&] { row.handle(*this, row, request); });
  if (row.awaits_disk) mine.close_batch();
  if (!mine.lane->retrying() || mine.runs_again) return;
  const size_t bytes = request.frame_bytes();
  if (mine.lane->awaits_room() || frame.size() < bytes || !mine.has_room_aside(bytes)) {
    // Once more, as for everybody else: it will wait in front of the others.
    counters_.unordered_in_order.add(1);
    mine.lane.reset();
    mine.may_reorder = false;
    following_ = behind;
    return row.handle(*this, row, request);
  }
  counters_.times.take_back();
  following_ = frame.substr(bytes);
  Unordered::Aside aside;
  aside.disk = std::exchange(mine.lane, nullptr);
  aside.frame = frame.substr(0, bytes);
  aside.writes = row.writes;
  aside.command = command;
  aside.began_ns = began_ns_;
  aside.received_ns = client_->received_ns;
  if (row.key == KeyKind::document) {
    aside.collection = request.collection;
    aside.name = request.key;
  }
  mine.set_aside(std::move(aside));
}

// False: it is to be finished in order.
bool Session::finish_unordered(std::unique_ptr<Upload>& upload) {
  Unordered& mine = *unordered_;
  if (!mine.may_reorder || disk_ == nullptr) return false;
  in_lane(promises_disk(), [&] { upload->finish(*this); });
  if (!mine.lane->retrying()) return true;
  if (mine.lane->awaits_room() || impersonates() || !mine.has_room_aside(0)) {
    counters_.unordered_in_order.add(1);
    mine.lane.reset();
    mine.may_reorder = false;
    return false;
  }
  const store::DocKey key = upload->draft().doc_key();
  Unordered::Aside aside;
  aside.disk = std::exchange(mine.lane, nullptr);
  aside.upload = std::move(upload);
  aside.frame_info = client_->frame;
  aside.collection = key.collection();
  aside.name = key.name();
  aside.writes = true;
  aside.began_ns = began_ns_;
  aside.received_ns = client_->received_ns;
  mine.set_aside(std::move(aside));
  return true;
}

// False: it waits again. The request that the connection is in the middle of, whose value is still arriving,
// finds everything as it was.
bool Session::run_again(Unordered::Aside& aside) {
  Unordered& mine = *unordered_;
  aside.disk->begin_again();
  std::swap(mine.lane, aside.disk);
  const std::string_view following = following_;
  const Client client = *client_;
  auto impersonated = std::move(impersonated_);
  mine.runs_again = true;
  ++now_.unix_ns;
  client_->restart_clock(aside.received_ns);
  if (aside.upload != nullptr) {
    client_->frame = aside.frame_info;
    in_lane(promises_disk(), [&] { aside.upload->finish(*this); });
  } else {
    following_ = aside.frame;
    run_binary_command(*this);
  }
  mine.runs_again = false;
  impersonated_ = std::move(impersonated);
  *client_ = client;
  following_ = following;
  std::swap(mine.lane, aside.disk);
  if (aside.disk->retrying()) return false;
  if (aside.upload == nullptr)
    counters_.times.count(aside.command, now_.unix_ns > aside.began_ns ? now_.unix_ns - aside.began_ns : 0);
  return true;
}

// What has come of what is under way. False: the connection was closed.
bool Session::resume_unordered() {
  Unordered& mine = *unordered_;
  mine.awaits_turn = false;
  now_ = engine_.clock.now();
  const Turn turn;
  for (auto aside = mine.aside.begin(); aside != mine.aside.end();) {
    if (connection_->congested()) {
      connection_->resume_when_taken();
      break;
    }
    if (turn.is_over()) {
      connection_->spool().resume();
      break;
    }
    const bool is_done = aside->disk->has_come() && run_again(*aside);
    aside = is_done ? mine.done(aside) : std::next(aside);
  }
  const uint64_t received_ns = client_->received_ns;
  std::erase_if(mine.errands, [&](const std::shared_ptr<Unordered::Errand>& errand) {
    if (!errand->has_come.load(std::memory_order_acquire)) return false;
    client_->received_ns = errand->received_ns;
    answer_errand(*errand);
    return true;
  });
  client_->received_ns = received_ns;
  (void)has_scan_under_way();
  return settle_unordered();
}

// False: the connection was closed.
bool Session::settle_unordered() {
  Unordered& mine = *unordered_;
  mine.close_batch();
  if (!mine.held.empty()) release_committed();
  if (is_lost_) {
    // The replies say that it is stored, and it is not.
    connection_->close_now(net::CloseReason::by_receiver);
    return false;
  }
  if (mine.owes_replies() != mine.is_kept_open) {
    mine.is_kept_open = !mine.is_kept_open;
    connection_->keep_open(mine.is_kept_open);
  }
  return true;
}

void Session::suspend_for_others() {
  const bool yields = std::exchange(yields_, false);
  if (awaited_ != nullptr) return connection_->suspend(net::Hold::nothing);
  if (yields) {
    connection_->suspend(net::Hold::nothing);
    return connection_->spool().resume();
  }
  if (unordered_ == nullptr || !unordered_->awaits_turn) return;
  connection_->suspend(net::Hold::nothing);
  // What it waited for has come in the meantime, and nobody will say so.
  if (!unordered_->owes_replies()) connection_->spool().resume();
}

}  // namespace bobbin::serve
