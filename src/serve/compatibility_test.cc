// Writes docs/compatibility.md, by asking a server every command of Couchbase's protocol, and compares. With
// BOBBIN_WRITE_PAGES in the environment it replaces the page.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <string>

#include "serve/binary_commands.h"
#include "serve/mcbp_fixture.h"
#include "serve/stat_groups.h"

namespace bobbin::serve {
namespace {

using wire::BinaryStatus;

struct Known {
  uint8_t opcode;
  std::string_view name;
  std::string_view why = {};
};

constexpr std::string_view kStreams = "what a producer sends: a follower takes it where it has asked for it";
constexpr std::string_view kScans = "of buckets on disk";
constexpr std::string_view kManager = "of the cluster manager with its nodes";
constexpr std::string_view kManagement = "buckets are managed in another way";
constexpr std::string_view kFiles = "Bobbin has no such files";
constexpr std::string_view kOld = "upstream has dropped it, too";
constexpr std::string_view kTests = "of upstream's own tests";

// The numbers of kv_engine include/mcbp/protocol/opcode.h. Names are those of the command tables where there
// is a row.
constexpr Known kKnown[] = {
    {0x00, "get"},
    {0x01, "set"},
    {0x02, "add"},
    {0x03, "replace"},
    {0x04, "delete"},
    {0x05, "increment"},
    {0x06, "decrement"},
    {0x07, "quit"},
    {0x08, "flush"},
    {0x09, "getq"},
    {0x0a, "noop"},
    {0x0b, "version"},
    {0x0c, "getk"},
    {0x0d, "getkq"},
    {0x0e, "append"},
    {0x0f, "prepend"},
    {0x10, "stat"},
    {0x11, "setq"},
    {0x12, "addq"},
    {0x13, "replaceq"},
    {0x14, "deleteq"},
    {0x15, "incrementq"},
    {0x16, "decrementq"},
    {0x17, "quitq"},
    {0x18, "flushq"},
    {0x19, "appendq"},
    {0x1a, "prependq"},
    {0x1b, "verbosity", "accepted, and changes nothing"},
    {0x1c, "touch"},
    {0x1d, "gat"},
    {0x1e, "gatq"},
    {0x1f, "hello"},
    {0x20, "sasl_list_mechs"},
    {0x21, "sasl_auth"},
    {0x22, "sasl_step"},
    {0x23, "ioctl_get", "`trace.status`"},
    {0x24, "ioctl_set",
     "`release_free_memory`; nothing is traced, and the allocator has no profiler (`jemalloc.prof.*`): "
     "invalid "
     "arguments"},
    {0x25, "config_validate", kFiles},
    {0x26, "config_reload", kFiles},
    {0x27, "audit_put", kManager},
    {0x28, "audit_config_reload", kFiles},
    {0x29, "shutdown", "a signal ends the server"},
    {0x2a, "set_bucket_throttle_properties", kManager},
    {0x2b, "set_bucket_data_limit_exceeded", kManager},
    {0x2c, "set_node_throttle_properties", kManager},
    {0x2d, "set_active_encryption_keys", kManager},
    {0x3d, "set_vbucket", "kept on disk; of others than active, documents are not served"},
    {0x3e, "get_vbucket"},
    {0x3f, "del_vbucket", "of one that is dead; `async=0` waits for the disk"},
    {0x48, "get_all_vb_seqnos"},
    {0x49, "get_ex"},
    {0x4a, "get_ex_replica", "there are no replicas: not my vbucket"},
    {0x50, "dcp_open", "to a producer, of a persistent bucket; a cache, which was asked, has no history"},
    {0x51, "dcp_add_stream", "there are no consumers that others tell what to ask for"},
    {0x52, "dcp_close_stream"},
    {0x53, "dcp_stream_req", "no takeover"},
    {0x54, "dcp_get_failover_log"},
    {0x55, "dcp_stream_end", kStreams},
    {0x56, "dcp_snapshot_marker", kStreams},
    {0x57, "dcp_mutation", kStreams},
    {0x58, "dcp_deletion", kStreams},
    {0x59, "dcp_expiration", kStreams},
    {0x5b, "dcp_set_vbucket_state", kStreams},
    {0x5c, "dcp_noop"},
    {0x5d, "dcp_buffer_acknowledgement"},
    {0x5e, "dcp_control"},
    {0x5f, "dcp_system_event", kStreams},
    {0x60, "dcp_prepare", kStreams},
    {0x61, "dcp_seqno_acknowledged", kStreams},
    {0x62, "dcp_commit", kStreams},
    {0x63, "dcp_abort", kStreams},
    {0x64, "dcp_seqno_advanced", kStreams},
    {0x65, "dcp_oso_snapshot", kStreams},
    {0x80, "stop_persistence", "changes are always on their way to the disk"},
    {0x81, "start_persistence", "changes are always on their way to the disk"},
    {0x82, "set_param", kManagement},
    {0x83, "get_replica", "there are no replicas: not my vbucket"},
    {0x85, "create_bucket", kManagement},
    {0x86, "delete_bucket", kManagement},
    {0x87, "list_buckets"},
    {0x89, "select_bucket"},
    {0x8a, "pause_bucket", kManager},
    {0x8b, "resume_bucket", kManager},
    {0x91, "observe_seqno"},
    {0x92, "observe"},
    {0x93, "evict_key", "from memory, in a persistent bucket; a cache, which was asked, would lose it"},
    {0x94, "get_locked"},
    {0x95, "unlock_key"},
    {0x96, "get_failover_log"},
    {0xa0, "get_meta"},
    {0xa1, "getq_meta"},
    {0xa2, "set_with_meta"},
    {0xa3, "setq_with_meta"},
    {0xa4, "add_with_meta"},
    {0xa5, "addq_with_meta"},
    {0xa8, "del_with_meta"},
    {0xa9, "delq_with_meta"},
    {0xad, "enable_traffic", kManager},
    {0xae, "disable_traffic", kManager},
    {0xaf, "ifconfig",
     "until the server ends; not of the type `prometheus` (metrics are where HTTP is), not for the `system` "
     "(no "
     "connections are set aside), TLS from 1.2 on, the last listener stays"},
    {0xb2, "return_meta"},
    {0xb3, "compact_db", "in a persistent bucket; a cache was asked"},
    {0xb4, "set_cluster_config", kManager},
    {0xb5, "get_cluster_config"},
    {0xb6, "get_random_key"},
    {0xb7, "seqno_persistence", "in a persistent bucket; a cache was asked"},
    {0xb8, "get_keys"},
    {0xb9, "collections_set_manifest"},
    {0xba, "collections_get_manifest"},
    {0xbb, "collections_get_id"},
    {0xbc, "collections_get_scope_id"},
    {0xc5, "subdoc_get"},
    {0xc6, "subdoc_exists"},
    {0xc7, "subdoc_dict_add"},
    {0xc8, "subdoc_dict_upsert"},
    {0xc9, "subdoc_delete"},
    {0xca, "subdoc_replace"},
    {0xcb, "subdoc_array_push_last"},
    {0xcc, "subdoc_array_push_first"},
    {0xcd, "subdoc_array_insert"},
    {0xce, "subdoc_array_add_unique"},
    {0xcf, "subdoc_counter"},
    {0xd0, "subdoc_multi_lookup"},
    {0xd1, "subdoc_multi_mutation"},
    {0xd2, "subdoc_get_count"},
    {0xd3, "subdoc_replace_body_with_xattr"},
    {0xda, "range_scan_create", kScans},
    {0xdb, "range_scan_continue", kScans},
    {0xdc, "range_scan_cancel", kScans},
    {0xf0, "scrub", kOld},
    {0xf1, "isasl_refresh", kFiles},
    {0xf2, "ssl_certs_refresh", kFiles},
    {0xf3, "get_cmd_timer", "of the whole server, whichever bucket is named; in steps of powers of two"},
    {0xf4, "set_ctrl_token", kManager},
    {0xf5, "get_ctrl_token", kManager},
    {0xf6, "update_external_user_permissions", kManager},
    {0xf7, "rbac_refresh", kFiles},
    {0xf8, "auth_provider", "there are no users from elsewhere"},
    {0xfb, "drop_privilege", kTests},
    {0xfc, "adjust_timeofday", kTests},
    {0xfd, "ewouldblock_ctl", kTests},
    {0xfe, "get_error_map"},
};

struct Missing {
  std::string_view name;
  std::string_view why;
};

constexpr std::string_view kPrepares = "nothing is ever prepared: one node is a majority";
constexpr std::string_view kDumps = "of upstream's own structures";

// Groups of kv_engine include/memcached/stat_group.h that are in no table.
constexpr Missing kMissing[] = {
    {"aggregate", "each bucket tells of itself"},
    {"client_connection_details", "agents are not counted"},
    {"dispatcher", "no threads that take any task: see `threads`, `runtimes`"},
    {"encryption-key-ids", "nothing is encrypted on disk"},
    {"eviction", "the general ones count evictions; how often victims had been used is not kept"},
    {"external-auth-timings", "there are no users from elsewhere"},
    {"scrub", kOld},
    {"tasks", "a task does not say whose it is: see `tasks-all`"},
    {"topkeys", kOld},
    {"tracing", "nothing is traced"},
    {"vbucket-durability-state", kPrepares},
    {"worker_thread_info", "how long a loop has to wait for its processor is not measured"},
    {"_checkpoint-dump", kDumps},
    {"_durability-dump", kDumps},
    {"_hash-dump", kDumps},
    {"_vbucket-dump", kDumps},
};

constexpr std::string_view kGroupsHead =
    R"(
## Groups of statistics

STAT's key is a group's name, and where it takes one, a space and an argument; the text protocol's `stats` takes the
same. All need the privilege to see the bucket's statistics; *server*: those of the server, too; *read*: the bucket's
documents, too. A group that is not there, as these of upstream's, is answered with "key not found", and one that needs
another privilege with "no access". The text protocol answers `ERROR` to both, and to a wrong argument. A histogram
is told as `NAME_8,16` for each step that counted something: how often it took more than 8 and up to 16 microseconds.

| group | argument | needs | |
| --- | --- | --- | --- |
)";

constexpr std::string_view kHead =
    R"(# Commands of Couchbase's protocol

Written by `src/serve/compatibility_test.cc`, which asks a server with a bucket in memory (a cache) each of them: what
works on buckets on disk alone is not supported here, and the last column says so. *Upstream* is Couchbase's own engine,
kv_engine. *works*: it does what it is for, or says
what is wrong with the request. *not supported* and *unknown command* are the statuses that clients get. Commands that
upstream's list marks as unsupported are left out. What [couchbase.md](couchbase.md) says of features holds here, too.
*any*: where the client takes replies in any order, nobody waits for this one's, nor it for others; see there.

| opcode | command | answer | order | |
| --- | --- | --- | --- | --- |
)";

class CompatibilityTest : public McbpTest {
 protected:
  std::string group_lines() {
    std::string lines(kGroupsHead);
    size_t count = 0;
    for_each_stat_group([&](const StatGroup& group) {
      const std::string_view more = (group.needs & kServerStats) != 0 ? "server"
                                    : (group.needs & kRead) != 0      ? "read"
                                                                      : "";
      lines += fmt::format("| {} | {} | {} | {} |\n", group.name.empty() ? "(none)" : group.name,
                           group.argument, more, group.about);
      ++count;
    });
    lines += "\n| not there | |\n| --- | --- |\n";
    for (const Missing& missing : kMissing) {
      EXPECT_EQ(find_stat_group(missing.name).group, nullptr) << missing.name;
      EXPECT_EQ(status({.opcode = wire::BinaryOpcode::stat, .key = std::string(missing.name)}),
                BinaryStatus::key_not_found);
      lines += fmt::format("| {} | {} |\n", missing.name, missing.why);
    }
    return lines + fmt::format("\n{} of {} are there.\n", count, count + std::size(kMissing));
  }
  // The answer to a request of the row's shape. Quiet ones and what ends the connection say nothing.
  std::string_view answer(const Known& known, const BinaryCommand* row) {
    connect_again();
    hello({wire::Feature::xerror, wire::Feature::xattr, wire::Feature::json, wire::Feature::select_bucket});
    select();
    Frame frame{.opcode = static_cast<wire::BinaryOpcode>(known.opcode)};
    if (row != nullptr) {
      uint8_t extras = 0;
      while (!row->shape.extras.has(extras))
        ++extras;
      frame.extras.assign(extras, '\0');
      if (row->shape.key == wire::Presence::required) frame.key = "k";
      if (row->shape.value == wire::Presence::required) frame.value = "v";
    }
    const size_t before = client_->replies().size();
    client_->feed(encoded(frame));
    const std::string_view reply = std::string_view(client_->replies()).substr(before);
    if (reply.empty()) return row != nullptr && row->quiet ? "works" : "nothing";
    switch (static_cast<BinaryStatus>(wire::decode_header(reply.data()).vbucket_or_status)) {
      case BinaryStatus::unknown_command:
        return "unknown command";
      case BinaryStatus::not_supported:
        return "not supported";
      default:
        return "works";
    }
  }
};

TEST_F(CompatibilityTest, ThePageIsTrue) {
  std::map<uint8_t, const BinaryCommand*> rows;
  for_each_binary_command([&](const BinaryCommand& row) {
    if (row.audience != Audience::memcached) rows[static_cast<uint8_t>(row.opcode)] = &row;
  });
  std::string page(kHead);
  size_t works = 0;
  for (const Known& known : kKnown) {
    const auto found = rows.find(known.opcode);
    const BinaryCommand* row = found == rows.end() ? nullptr : found->second;
    EXPECT_EQ(row == nullptr ? known.name : row->name, known.name);
    const std::string_view told = answer(known, row);
    EXPECT_TRUE(told == "works" || !known.why.empty()) << known.name << " has no reason";
    works += told == "works" ? 1 : 0;
    page += fmt::format("| 0x{:02x} | {} | {} | {} | {} |\n", known.opcode, known.name, told,
                        row != nullptr && row->reorders ? "any" : "", known.why);
    rows.erase(known.opcode);
  }
  EXPECT_TRUE(rows.empty()) << "not in the list: " << rows.begin()->second->name;
  page += fmt::format("\n{} of {} work.\n", works, std::size(kKnown));

  connect_again();
  page += group_lines();

  const std::string path = BOBBIN_SOURCE_FOLDER "/docs/compatibility.md";
  if (std::getenv("BOBBIN_WRITE_PAGES") != nullptr) std::ofstream(path) << page;
  std::ifstream file(path);
  const std::string written{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  EXPECT_EQ(written, page) << "run serve_test with BOBBIN_WRITE_PAGES=1";
}

}  // namespace
}  // namespace bobbin::serve
