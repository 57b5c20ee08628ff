// What an operator's tools tell a node: most of it is a cluster's business, or RocksDB's, and is refused with
// a status that says so.

#include <atomic>
#include <string>

#include "base/log.h"
#include "serve/asking.h"
#include "serve/binary_commands.h"
#include "serve/cluster_config.h"
#include "serve/durations_json.h"
#include "serve/session.h"
#include "store/memory.h"
#include "wire/datatype.h"

namespace bobbin::serve {
namespace {

using wire::BinaryOpcode;
using wire::BinaryRequest;
using wire::BinaryStatus;
using wire::ExtrasLengths;
using wire::Presence;

void handle_refused(Session& session, const BinaryCommand&, const BinaryRequest& request) {
  reply_binary_error(session, request.header, BinaryStatus::not_supported);
}

std::string text_of(const ServedBucket& served, uint16_t vbucket) {
  return served.name() + "/" + std::to_string(vbucket);
}

void set_state(const ServedBucket& served, uint16_t vbucket, VBucketStates::State state) {
  served.vbuckets().set(vbucket, state);
  if (served.disk() != nullptr) served.bucket().set_role(vbucket, static_cast<store::VBucketRole>(state));
}

BinaryStatus delete_vbucket(const ServedBucket& served, uint16_t vbucket, bool waits, base::Now now) {
  // Another may have been faster.
  if (served.vbuckets().of(vbucket) != VBucketStates::kDead) return BinaryStatus::not_my_vbucket;
  disk::Persistence* const disk = served.disk();
  if (disk != nullptr && !disk->writable(vbucket)) return BinaryStatus::temporary_failure;
  // A crash in between leaves one that is dead and empty.
  if (!served.bucket().clear(vbucket, now)) return BinaryStatus::temporary_failure;
  set_state(served, vbucket, VBucketStates::kDeleted);
  if (!waits || disk == nullptr) return BinaryStatus::success;
  return disk->bring_to_disk() ? BinaryStatus::success : BinaryStatus::temporary_failure;
}

// SET_VBUCKET: it is on disk with the vbucket's next commit. In front of a cache it holds until the server
// ends.
void handle_set_vbucket(Session& session, const BinaryCommand&, const BinaryRequest& request) {
  const std::string_view bytes = request.extras.empty() ? request.value : request.extras;
  uint32_t state = 0;
  if (bytes.size() == 1) state = static_cast<uint8_t>(bytes[0]);
  if (bytes.size() == 4) state = wire::read_u32_extras(bytes);
  if (state < VBucketStates::kActive || state > VBucketStates::kDead)
    return reply_binary_error(session, request.header, BinaryStatus::invalid_arguments);
  const uint16_t vbucket = request.header.vbucket_or_status;
  // One after the other with DEL_VBUCKET, which takes a while.
  session.run_aside(request.header, [vbucket, state, asking = Asking(session)](const ServedBucket& served) {
    set_state(served, vbucket, static_cast<VBucketStates::State>(state));
    asking.note("set vbucket", text_of(served, vbucket), true, std::to_string(state));
    return BinaryStatus::success;
  });
}

// GET_VBUCKET: the state of one.
void handle_get_vbucket(Session& session, const BinaryCommand&, const BinaryRequest& request) {
  const auto state = session.served().vbuckets().of(request.header.vbucket_or_status);
  if (state == VBucketStates::kDeleted) return reply_not_my_vbucket(session, request.header);
  const std::string value{'\0', '\0', '\0', static_cast<char>(state)};
  answer_value(session, request.header, value);
}

// DEL_VBUCKET: everything of a vbucket that is dead is gone, and so is the vbucket until SET_VBUCKET makes a
// new one. With the value `async=0` it is gone from the disk, too, when this is answered.
void handle_del_vbucket(Session& session, const BinaryCommand&, const BinaryRequest& request) {
  const uint16_t vbucket = request.header.vbucket_or_status;
  const auto state = session.served().vbuckets().of(vbucket);
  if (state == VBucketStates::kDeleted) return reply_not_my_vbucket(session, request.header);
  if (state != VBucketStates::kDead)
    return reply_binary_error(session, request.header, BinaryStatus::invalid_arguments);
  const bool waits = request.value == "async=0";
  const base::Now now = session.now();
  session.run_aside(
      request.header, [vbucket, waits, now, asking = Asking(session)](const ServedBucket& served) {
        const BinaryStatus status = delete_vbucket(served, vbucket, waits, now);
        asking.note("delete vbucket", text_of(served, vbucket), status == BinaryStatus::success);
        return status;
      });
}

// COMPACT_DB: extras are up to which time and which seqno tombstones go, whether all do, and the file's
// number. Here they go by their age: to be asked for others is refused, or a copy would miss deletions.
void handle_compact(Session& session, const BinaryCommand&, const BinaryRequest& request) {
  const std::string_view wishes = request.extras.substr(0, 17);
  if (session.served().disk() == nullptr || wishes.find_first_not_of('\0') != std::string_view::npos)
    return handle_refused(session, {}, request);
  const uint16_t vbucket = request.header.vbucket_or_status;
  std::atomic<bool>& ending = session.engine().errands.ending();
  session.run_aside(request.header, [vbucket, &ending, asking = Asking(session)](const ServedBucket& served) {
    const auto compacted = served.disk()->compact(vbucket, ending);
    if (!compacted) base::log(base::LogLevel::error, "disk: compaction: " + compacted.error().message);
    asking.note("compact", text_of(served, vbucket), compacted.has_value() && !ending.load());
    return compacted && !ending.load() ? BinaryStatus::success : BinaryStatus::temporary_failure;
  });
}

// IOCTL_GET: what there is to be asked.
void handle_ioctl_get(Session& session, const BinaryCommand&, const BinaryRequest& request) {
  if (request.key != "trace.status")
    return reply_binary_error(session, request.header, BinaryStatus::invalid_arguments);
  answer_value(session, request.header, "disabled");
}

// IOCTL_SET: the allocator gives back what it keeps, which may take a while. It has no profiler, and there is
// nothing that traces.
void handle_ioctl_set(Session& session, const BinaryCommand&, const BinaryRequest& request) {
  if (request.key != "release_free_memory" || !request.value.empty())
    return reply_binary_error(session, request.header, BinaryStatus::invalid_arguments);
  session.run_aside(request.header, [](const ServedBucket&) {
    return store::release_free_memory() ? BinaryStatus::success : BinaryStatus::not_supported;
  });
}

bool is_bucket(const Engine& engine, std::string_view name) {
  bool found = false;
  engine.buckets.visit([&](const ServedBucket& bucket) { found = found || bucket.name() == name; });
  return found;
}

// GET_CMD_TIMER: how long a command took, as a histogram. The key is a bucket's name, empty for the one that
// is selected, or "/all/"; but all are told of the whole server. Who may see the server's statistics may name
// another.
void handle_cmd_timer(Session& session, const BinaryCommand&, const BinaryRequest& request) {
  const auto refuse = [&](BinaryStatus status) { reply_binary_error(session, request.header, status); };
  const bool is_own = session.has_bucket() && (request.key.empty() || request.key == session.served().name());
  if (!session.may(is_own ? kBucketStats : kServerStats)) return refuse(BinaryStatus::no_access);
  if (!is_own && request.key != "/all/" && !is_bucket(session.engine(), request.key))
    return refuse(BinaryStatus::key_not_found);
  const size_t command = CommandTimes::kBinary + static_cast<uint8_t>(request.extras[0]);
  base::DurationCounts counts;
  for (const auto& loop : session.engine().counters)
    counts.add(loop->times.of(command).counts());
  answer_value(session, request.header, durations_json(counts),
               {.datatype = session.has(wire::Feature::json) ? wire::kDatatypeJson : uint8_t{0}});
}

constexpr BinaryCommand row(BinaryOpcode opcode, std::string_view name, wire::BinaryShape shape,
                            decltype(BinaryCommand::handle) handle, Privileges needs) {
  BinaryCommand row{opcode, name, shape, handle};
  row.key = KeyKind::name;
  row.needs = needs;
  row.audience = Audience::couchbase;
  return row;
}
constexpr BinaryCommand of_states(BinaryCommand row) {
  row.sets_states = true;
  return row;
}
constexpr BinaryCommand of_node(BinaryCommand row) {
  row.needs_bucket = false;
  return row;
}

constexpr wire::BinaryShape kSetVbucket = wire::with_datatypes(
    {ExtrasLengths(0, 1, 4), Presence::forbidden, Presence::optional}, wire::kDatatypeJson);
constexpr wire::BinaryShape kDelVbucket{ExtrasLengths(0), Presence::forbidden, Presence::optional};
constexpr wire::BinaryShape kCompact =
    wire::with_datatypes({ExtrasLengths(24), Presence::forbidden, Presence::forbidden}, wire::kDatatypeJson);
constexpr wire::BinaryShape kNamed{ExtrasLengths(0), Presence::required, Presence::optional};
constexpr wire::BinaryShape kParameter{ExtrasLengths(4), Presence::required, Presence::required};

constexpr wire::BinaryShape kTimer{ExtrasLengths(1), Presence::optional, Presence::forbidden};

using enum BinaryOpcode;
constexpr BinaryCommand kCommands[] = {
    of_states(row(set_vbucket, "set_vbucket", kSetVbucket, handle_set_vbucket, kManageBucket)),
    row(get_vbucket, "get_vbucket", wire::binary_shapes::kNothing, handle_get_vbucket, 0),
    of_states(row(del_vbucket, "del_vbucket", kDelVbucket, handle_del_vbucket, kManageBucket)),
    reorders(row(compact_db, "compact_db", kCompact, handle_compact, kManageBucket)),
    row(stop_persistence, "stop_persistence", wire::binary_shapes::kNothing, handle_refused, kManageBucket),
    row(start_persistence, "start_persistence", wire::binary_shapes::kNothing, handle_refused, kManageBucket),
    row(set_param, "set_param", kParameter, handle_refused, kManageBucket),
    of_node(row(ioctl_get, "ioctl_get", wire::binary_shapes::kKey, handle_ioctl_get, kManageServer)),
    of_node(row(ioctl_set, "ioctl_set", kNamed, handle_ioctl_set, kManageServer)),
    of_node(row(get_cmd_timer, "get_cmd_timer", kTimer, handle_cmd_timer, 0)),
};

}  // namespace

std::span<const BinaryCommand> node_commands() {
  return kCommands;
}

}  // namespace bobbin::serve
