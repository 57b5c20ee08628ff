// Each group of statistics, asked of a server with a disk; what can be known exactly; and who may ask.

#include "serve/stat_groups.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>

#include "net/test_socket.h"
#include "serve/dcp_fixture.h"
#include "serve/mcbp_fixture.h"
#include "wire/datatype.h"

namespace bobbin::serve {
namespace {

using namespace std::string_literals;
using testing::HasSubstr;
using wire::BinaryOpcode;
using wire::BinaryStatus;

using Told = std::map<std::string, std::string>;

class StatGroupsTest : public DcpTest {
 protected:
  Told tell(const std::string& request) {
    Told told;
    EXPECT_TRUE(report_statistics(
        server_->engine(), *server_->engine().bucket, request,
        [&](std::string_view name, std::string_view value) { told[std::string(name)] = value; }))
        << request;
    return told;
  }
  StatAnswer::Kind ask(const std::string& request) {
    const auto [group, argument] = find_stat_group(request);
    EXPECT_NE(group, nullptr) << request;
    return report_group(*group, {server_->engine(), *server_->engine().bucket, argument},
                        [](std::string_view, std::string_view) {})
        .kind;
  }
};

TEST_F(StatGroupsTest, EachRowTellsSomething) {
  server_.set(k_[0], "v");
  server_.bring_to_disk();
  StreamClient consumer = client();
  ASSERT_EQ(consumer.request(0).status, BinaryStatus::success);
  (void)next(consumer, 2);
  // The step that has sent it may not be over.
  while (tell("runtimes").empty())
    std::this_thread::yield();
  const std::map<std::string_view, std::string> arguments = {
      {"key", " " + k_[0] + " 0"},  {"key-byid", " " + k_[0] + " 0 0x0"},
      {"collections-byid", " 0x0"}, {"scopes-byid", " 0x0"},
      {"dcp-vbtakeover", " 0"},     {"disk-slowness", " 3"},
      {"vkey", " " + k_[0] + " 0"}, {"vkey-byid", " " + k_[0] + " 0 0"},
  };
  // Nobody is followed, to reset says nothing, and clients have done nothing that is timed for these.
  const std::set<std::string_view> silent = {
      "reset", "follow-vbuckets", "json_validate", "snappy_decompress", "subdoc_execute", "stat-timings"};
  std::set<std::string_view> names;
  for_each_stat_group([&](const StatGroup& group) {
    EXPECT_TRUE(names.insert(group.name).second) << group.name << " twice";
    EXPECT_NE(group.report == nullptr, group.of_vbucket == nullptr) << group.name;
    EXPECT_FALSE(group.about.empty()) << group.name;
    const auto argument = arguments.find(group.name);
    const std::string request =
        std::string(group.name) + (argument == arguments.end() ? "" : argument->second);
    EXPECT_EQ(tell(request).empty(), silent.count(group.name) != 0) << group.name;
    if (!group.argument.empty()) return;
    EXPECT_EQ(ask(std::string(group.name) + " x"), StatAnswer::unknown) << group.name;
  });
  EXPECT_GT(names.size(), 40U);
}

TEST_F(StatGroupsTest, ADocument) {
  server_.wait_for_warmup();
  server_.set(k_[0], std::string(1000, 'v'), 0, 7);
  Told told = tell("key " + k_[0] + " 0");
  EXPECT_EQ(told["key_flags"], "7");
  EXPECT_EQ(told["key_exptime"], "0");
  EXPECT_EQ(told["key_is_resident"], "true");
  EXPECT_EQ(told["key_vb_state"], "active");
  EXPECT_EQ(told["key_cas"], std::to_string(server_.bucket().peek(k_[0], server_.now())->cas));
  server_.bring_to_disk();
  EXPECT_EQ(tell("key " + k_[0] + " 0")["key_is_dirty"], "false");
  ASSERT_EQ(server_.bucket().evict(k_[0], server_.now()), store::RemoveStatus::removed);
  EXPECT_EQ(tell("key " + k_[0] + " 0")["key_is_resident"], "false");
  EXPECT_EQ(tell("key-byid " + k_[0] + " 0 0"), tell("key " + k_[0] + " 0"));
  EXPECT_EQ(ask("key nobody 0"), StatAnswer::unknown);
  EXPECT_EQ(ask("key " + k_[0] + " 1"), StatAnswer::unknown) << "it is in another vbucket";
  EXPECT_EQ(ask("key " + k_[0] + " 4096"), StatAnswer::unknown);
  for (const std::string& wrong : {"key"s, "key k"s, "key k x"s, "key  0"s, "key-byid k 0 x"s,
                                   "key-byid k 0"s, "key "s + std::string(251, 'k') + " 0"})
    EXPECT_EQ(ask(wrong), StatAnswer::invalid) << wrong;
}

TEST_F(StatGroupsTest, ADocumentOfWhichOnlyTheDiskKnowsIsAskedForAgain) {
  StreamServer full(store::EvictionPolicy::full);
  full.wait_for_warmup();
  full.set(k_[0], "v");
  full.bring_to_disk();
  full.evict();
  const std::string request = "key " + k_[0] + " 0";
  const auto [group, argument] = find_stat_group(request);
  const StatAnswer answer =
      report_group(*group, {full->engine(), *full->engine().bucket, argument},
                   [](std::string_view, std::string_view) { ADD_FAILURE() << "nothing is known yet"; });
  EXPECT_EQ(answer.kind, StatAnswer::blocked);
  EXPECT_EQ(answer.key, store::DocKey(k_[0]));
  net::TestSocket socket(full->addresses()[0]);
  ASSERT_TRUE(socket.send_all("stats " + request + "\r\nversion\r\n"));
  std::string reply;
  while (reply.find("VERSION") == std::string::npos)
    reply += socket.receive(1);
  EXPECT_THAT(reply, HasSubstr("STAT key_flags 0\r\n"));
}

TEST_F(StatGroupsTest, TheChangeLogAndItsReaders) {
  StreamClient consumer = client();
  ASSERT_EQ(consumer.request(0).status, BinaryStatus::success);
  while (tell("checkpoint 0")["vb_0:num_conn_cursors"] != "1")
    std::this_thread::yield();
  server_.set(k_[0], "1");
  server_.set(k_[1], "2");
  server_.bring_to_disk();
  Told told = tell("checkpoint 0");
  EXPECT_EQ(told["vb_0:state"], "active");
  EXPECT_EQ(told["vb_0:num_items_for_persistence"], "0");
  EXPECT_EQ(told["vb_0:persistence:cursor_seqno"], "2");
  EXPECT_EQ(tell("checkpoint").count("vb_1:state"), 1U);
}

TEST_F(StatGroupsTest, StreamsInAllAndOfACopy) {
  server_.set(k_[0], "1");
  server_.bring_to_disk();
  Told told = tell("dcp-vbtakeover 0 stream test");
  EXPECT_EQ(told["status"], "does_not_exist");
  EXPECT_EQ(told["estimate"], "1");
  StreamClient consumer = client();
  ASSERT_EQ(consumer.request(0).status, BinaryStatus::success);
  EXPECT_EQ(next(consumer, 2).substr(0, 6), "marker");
  while (tell("dcp-vbtakeover 0 stream test")["estimate"] != "0")
    std::this_thread::yield();
  told = tell("dcp-vbtakeover 0 stream test");
  EXPECT_EQ(told["status"], "in-memory");
  EXPECT_EQ(told["vb_items"], "1");
  EXPECT_EQ(told["name"], "eq_dcpq:stream test");
  EXPECT_EQ(ask("dcp-vbtakeover x"), StatAnswer::invalid);
  EXPECT_EQ(ask("dcp-vbtakeover 4096"), StatAnswer::unknown);
  told = tell("dcpagg  ");
  EXPECT_EQ(told["stream:count"], "1") << "up to the space";
  EXPECT_EQ(told["stream:items_remaining"], "0");
  EXPECT_EQ(told[":total:producer_count"], "1");
  EXPECT_EQ(tell("dcpagg _").count("stream:count"), 0U);
}

TEST_F(StatGroupsTest, WhatTheDiskHasDone) {
  // One that takes more memory than its metadata.
  const std::string value(1000, 'v');
  server_.wait_for_warmup();  // which would bring back what is evicted
  server_.set(k_[0], value);
  server_.bring_to_disk();
  ASSERT_EQ(server_.bucket().evict(k_[0], server_.now()), store::RemoveStatus::removed);
  net::TestSocket socket(server_->addresses()[0]);
  ASSERT_TRUE(socket.send_all("get " + k_[0] + "\r\n"));
  const std::string reply = "VALUE " + k_[0] + " 0 1000\r\n" + value + "\r\nEND\r\n";
  EXPECT_EQ(socket.receive(reply.size()), reply);
  Told told = tell("kvstore");
  EXPECT_EQ(told["rw_0:backend_type"], "rocksdb");
  EXPECT_EQ(told["rw_0:io_bg_fetch_docs_read"], "1");
  EXPECT_EQ(told["rw_1:io_bg_fetch_docs_read"], "0");
  EXPECT_EQ(told["rw_0:failure_set"], "0");
  const auto is_told = [](const Told& all, const std::string& name) {
    return std::any_of(all.begin(), all.end(),
                       [&](const auto& one) { return one.first.starts_with(name + "_"); });
  };
  EXPECT_TRUE(is_told(tell("kvtimings"), "rw_0:readTime"));
  EXPECT_TRUE(is_told(tell("kvtimings"), "rw_0:commit"));
  EXPECT_FALSE(is_told(tell("kvtimings"), "rw_1:readTime"));
  EXPECT_EQ(tell("timings")["get_cmd_mean"].empty(), false);
  EXPECT_TRUE(is_told(tell("timings"), "bg_load"));
  EXPECT_TRUE(is_told(tell("timings"), "disk_commit"));
  told = tell("diskinfo detail");
  EXPECT_EQ(told.size(), 6U);
  EXPECT_GT(std::stoull(told["shard_0:file_size"]), 0U);
  EXPECT_EQ(ask("diskinfo x"), StatAnswer::unknown);
  told = tell("workload");
  EXPECT_EQ(told["ep_workload:num_shards"], "2");
  EXPECT_EQ(told["ep_workload:num_writers"], "2");
  EXPECT_EQ(told["ep_workload:num_auxio"], "2");
  EXPECT_EQ(tell("threads")["num_frontend_threads_actual"], "2");
}

TEST_F(StatGroupsTest, WhatTheDiskFailsAtAndIsSlowAt) {
  EXPECT_EQ(tell("disk-failures"), (Told{{"ep_data_read_failed", "0"}, {"ep_data_write_failed", "0"}}));
  EXPECT_EQ(tell("")["ep_data_write_failed"], "0");
  server_.bring_to_disk();
  const Told slow = tell("disk-slowness 4294967295");
  EXPECT_EQ(slow.size(), 4U);
  EXPECT_EQ(slow.at("pending_disk_read_slow_num"), "0");
  EXPECT_EQ(slow.at("pending_disk_write_slow_num"), "0");
  EXPECT_EQ(slow.at("pending_disk_read_num"), "0");
  for (const std::string wrong : {"", " ", " x", " 3s", " -1", " 4294967296"})
    EXPECT_EQ(ask("disk-slowness" + wrong), StatAnswer::invalid) << wrong;
}

TEST_F(StatGroupsTest, NothingIsPrepared) {
  server_.set(k_[0], "v");
  EXPECT_EQ(tell("durability-monitor 0"), (Told{{"vb_0:state", "active"},
                                                {"vb_0:high_prepared_seqno", "0"},
                                                {"vb_0:num_tracked", "0"},
                                                {"vb_0:last_tracked_seqno", "0"},
                                                {"vb_0:last_committed_seqno", "0"},
                                                {"vb_0:last_aborted_seqno", "0"}}));
  server_->engine().bucket->vbuckets().set(0, VBucketStates::kReplica);
  EXPECT_EQ(tell("durability-monitor 0"), (Told{{"vb_0:state", "replica"},
                                                {"vb_0:high_prepared_seqno", "0"},
                                                {"vb_0:high_completed_seqno", "0"}}));
  EXPECT_EQ(tell("vbucket 0"), (Told{{"vb_0", "replica"}}));
  EXPECT_EQ(tell("prev-vbucket 0"), (Told{{"vb_0", "active"}})) << "when the server started";
}

TEST_F(StatGroupsTest, StatesAreToldAsTheServerFoundThem) {
  server_.wait_for_warmup();
  {
    net::TestSocket socket(server_->addresses()[0]);
    for (const Frame& frame : {Frame{.opcode = BinaryOpcode::hello, .key = "test"},
                               Frame{.opcode = BinaryOpcode::select_bucket, .key = "default"},
                               Frame{.opcode = BinaryOpcode::set_vbucket, .extras = "\2"}}) {
      ASSERT_TRUE(socket.send_all(encoded(frame)));
      const std::string head = socket.receive(wire::kBinaryHeaderBytes);
      const wire::BinaryHeader header = wire::decode_header(head.data());
      EXPECT_EQ(header.vbucket_or_status, 0U) << header.opcode;
      (void)socket.receive(header.body_bytes);
    }
  }
  EXPECT_EQ(tell("prev-vbucket 0"), (Told{{"vb_0", "active"}}));
  server_.restart();
  EXPECT_EQ(tell("prev-vbucket 0"), (Told{{"vb_0", "replica"}}));
  EXPECT_EQ(tell("prev-vbucket 1"), (Told{{"vb_1", "active"}}));
}

TEST_F(StatGroupsTest, TasksOfTheFeedThreads) {
  EXPECT_EQ(tell("tasks-all")["ep_tasks:tasks"], "[]");
  StreamClient consumer = client();
  ASSERT_EQ(consumer.request(0).status, BinaryStatus::success);
  std::string tasks;
  while ((tasks = tell("tasks-all")["ep_tasks:tasks"]).find(R"("state":"snoozed")") == std::string::npos)
    std::this_thread::yield();
  EXPECT_THAT(tasks, testing::StartsWith(R"([{"tid":1,"name":")"));
  EXPECT_THAT(tasks, HasSubstr(R"("type":"AuxIO")"));
  EXPECT_THAT(tasks, HasSubstr(R"("last_starttime_ns":)"));
  EXPECT_THAT(tasks, testing::EndsWith("}]"));
}

TEST_F(StatGroupsTest, ClocksAndWhatThereIs) {
  Told told = tell("clocks");
  EXPECT_EQ(told.size(), 4U);
  EXPECT_GT(std::stoull(told["clock_fine_resolution_ns"]), 0U);
  EXPECT_GE(std::stoull(told["clock_coarse_resolution_ns"]), std::stoull(told["clock_fine_resolution_ns"]));
  EXPECT_EQ(tell("info")["uuid"], "the bucket's uuid");
}

TEST_F(StatGroupsTest, ConnectionsTellOfThemselvesToWhoMaySeeNoMore) {
  net::TestSocket one(server_->addresses()[0]);
  net::TestSocket two(server_->addresses()[0]);
  for (net::TestSocket* socket : {&one, &two}) {
    ASSERT_TRUE(socket->send_all("version\r\n"));
    EXPECT_EQ(socket->receive(7), "VERSION");
  }
  const Told all = tell("connections");
  ASSERT_EQ(all.size(), 2U);
  EXPECT_THAT(all.begin()->second, HasSubstr(R"("peername":"tcp:127.0.0.1:)"));
  const auto told_to = [&](const std::string& argument, uint64_t connection, bool sees_server) {
    std::set<std::string> numbers;
    (void)report_group(*find_stat_group("connections").group,
                       {server_->engine(), *server_->engine().bucket, argument, connection, sees_server},
                       [&](std::string_view name, std::string_view) { numbers.emplace(name); });
    return numbers;
  };
  const uint64_t first = std::stoull(all.begin()->first);
  EXPECT_EQ(told_to("", first, false), std::set{std::to_string(first)});
  EXPECT_EQ(told_to("self", first, true), std::set{std::to_string(first)});
  EXPECT_EQ(ask("connections x"), StatAnswer::invalid);
  EXPECT_EQ(ask("connections 100000"), StatAnswer::unknown);
}

// --- by commands ---

class StatCommandTest : public McbpTest {
 protected:
  BinaryStatus stat(const std::string& key) {
    // The last reply: of a group that is told, the one without a name.
    const size_t before = client_->replies().size();
    client_->feed(encoded({.opcode = BinaryOpcode::stat, .key = key}));
    std::string_view replies = std::string_view(client_->replies()).substr(before);
    while (true) {
      const wire::BinaryHeader header = wire::decode_header(replies.data());
      const size_t size = wire::kBinaryHeaderBytes + header.body_bytes;
      if (replies.size() == size) return static_cast<BinaryStatus>(header.vbucket_or_status);
      replies.remove_prefix(size);
    }
  }
  void log_in(const std::string& name, const std::string& roles) {
    UserChange change;
    change.name = name;
    change.password = "secret";
    change.roles = parse_roles(roles).value();
    ASSERT_TRUE(server_.users().add(change));
    connect_again();
    hello({wire::Feature::xerror, wire::Feature::select_bucket});
    ASSERT_EQ(
        status({.opcode = BinaryOpcode::sasl_auth, .key = "PLAIN", .value = "\0"s + name + "\0secret"s}),
        BinaryStatus::success);
    select();
  }
};

TEST_F(StatCommandTest, GroupsOfTheServerAndOfDocumentsTakeMore) {
  set("k", "v");
  log_in("monitor", "data_monitoring[default]");
  EXPECT_EQ(stat("vbucket"), BinaryStatus::success);
  EXPECT_EQ(stat("threads"), BinaryStatus::no_access);
  EXPECT_EQ(stat("key k 0"), BinaryStatus::no_access);
  EXPECT_EQ(stat("nothing"), BinaryStatus::key_not_found);
  log_in("root", "admin");
  EXPECT_EQ(stat("threads"), BinaryStatus::success);
  EXPECT_EQ(stat("key k 0"), BinaryStatus::success);
  EXPECT_EQ(stat("key k"), BinaryStatus::invalid_arguments);
  EXPECT_EQ(stat("bucket_details"), BinaryStatus::success);
  EXPECT_EQ(stat("bucket_details other"), BinaryStatus::key_not_found);
  log_in("reader", "data_reader[default]");
  EXPECT_EQ(stat("vbucket"), BinaryStatus::no_access);
}

TEST_F(StatCommandTest, ResponsesAreCountedByStatus) {
  hello({wire::Feature::xerror});
  EXPECT_EQ(set("k", "v").status, BinaryStatus::success);
  EXPECT_EQ(get("none").status, BinaryStatus::key_not_found);
  EXPECT_EQ(get("none").status, BinaryStatus::key_not_found);
  EXPECT_EQ(ask({.opcode = BinaryOpcode::stat, .key = "nothing"}).status, BinaryStatus::key_not_found);
  EXPECT_EQ(text("stats responses\r\n"), "STAT responses {\"0\":2,\"1\":3}\r\nEND\r\n");
}

TEST_F(StatCommandTest, OneIn64OfWhatIsQuickIsTimed) {
  hello({wire::Feature::xerror, wire::Feature::json, wire::Feature::snappy});
  const auto counted = [&](const std::string& group) {
    uint64_t sum = 0;
    (void)report_group(*find_stat_group(group).group, {server_.engine(), server_.served()},
                       [&](std::string_view name, std::string_view value) {
                         if (name.find(',') != std::string_view::npos) sum += std::stoull(std::string(value));
                       });
    return sum;
  };
  EXPECT_EQ(counted("json_validate"), 0U);
  for (int i = 0; i < 65; ++i)
    EXPECT_EQ(set("k", R"({"a":1})").status, BinaryStatus::success);
  EXPECT_EQ(counted("json_validate"), 2U) << "the first, and the 65th";
  EXPECT_EQ(status({.opcode = BinaryOpcode::subdoc_get, .key = "k", .value = "a", .extras = "\0\1\0"s}),
            BinaryStatus::success);
  EXPECT_EQ(counted("subdoc_execute"), 1U);
  EXPECT_EQ(counted("snappy_decompress"), 0U);
  EXPECT_EQ(status({.opcode = BinaryOpcode::set,
                    .key = "k",
                    .value = "\x01\x00v"s,
                    .extras = kSetExtras,
                    .datatype = wire::kDatatypeSnappy}),
            BinaryStatus::success);
  EXPECT_EQ(counted("snappy_decompress"), 1U);
}

TEST_F(StatCommandTest, TheGroupsThatWereAskedForAreTimed) {
  EXPECT_EQ(text("stats stat-timings\r\n"), "END\r\n");
  EXPECT_EQ(stat("uuid"), BinaryStatus::success);
  EXPECT_EQ(stat("nothing"), BinaryStatus::key_not_found);
  EXPECT_EQ(stat("key nobody 0"), BinaryStatus::key_not_found);
  (void)text("stats\r\n");
  const std::string told = text("stats stat-timings\r\n");
  EXPECT_THAT(told, HasSubstr("STAT uuid_mean "));
  EXPECT_THAT(told, HasSubstr("STAT all_mean "));
  EXPECT_THAT(told, HasSubstr("STAT stat-timings_mean "));
  EXPECT_EQ(told.find("STAT key_"), std::string::npos) << "nothing was told";
}

TEST_F(StatCommandTest, TextTakesArgumentsAndAValueOfSeveralLinesIsAsManyStatistics) {
  EXPECT_THAT(text("stats  bucket_details   default \r\n"),
              testing::StartsWith("STAT default {\"index\":0,\"name\":\"default\""));
  EXPECT_EQ(text("stats vbucket 0 \r\n"), "STAT vb_0 active\r\nEND\r\n");
  EXPECT_EQ(text("stats vbucket 1\r\n"), "ERROR\r\n");
  const std::string told = text("stats allocator\r\n");
  for (size_t at = 0; at + 5 < told.size(); at = told.find('\n', at) + 1)
    EXPECT_TRUE(told.substr(at).starts_with("STAT allocator ")) << told.substr(at, 80);
  EXPECT_TRUE(told.ends_with("\r\nEND\r\n"));
}

// --- of many vbuckets ---

class ManyVBucketsTest : public testing::Test {
 protected:
  ManyVBucketsTest() {
    ServerOptions options;
    net::Address any;
    any.host = "127.0.0.1";
    options.front_end.listen = {any};
    options.front_end.threads = 1;
    options.front_end.limits.spool_bytes = 64 << 10;
    options.bucket.cache.vbuckets = 1024;
    auto started = Server::start(std::move(options));
    EXPECT_TRUE(started);
    server_ = std::move(*started);
  }
  ~ManyVBucketsTest() override {
    server_->drain();
    EXPECT_TRUE(server_->close());
  }
  std::unique_ptr<Server> server_;
};

TEST_F(ManyVBucketsTest, TextIsToldInPiecesAndWhatFollowsIsAnsweredBehind) {
  net::TestSocket socket(server_->addresses()[0]);
  ASSERT_TRUE(socket.send_all("stats vbucket-details\r\nversion\r\n"));
  std::string replies;
  while (replies.find("VERSION") == std::string::npos)
    replies += socket.receive(1);
  size_t at = 0;
  for (int i = 0; i < 1024; ++i) {
    const size_t next = replies.find("STAT vb_" + std::to_string(i) + " active\r\n", at);
    ASSERT_NE(next, std::string::npos) << i;
    at = next;
  }
  EXPECT_NE(replies.find("STAT vb_1023:uuid "), std::string::npos);
  EXPECT_TRUE(replies.substr(0, replies.find("VERSION")).ends_with("\r\nEND\r\n"));
}

TEST_F(ManyVBucketsTest, BinaryIsToldInPieces) {
  net::TestSocket socket(server_->addresses()[0]);
  ASSERT_TRUE(socket.send_all(encoded({.opcode = BinaryOpcode::stat, .key = "vbucket"}) +
                              encoded({.opcode = BinaryOpcode::noop})));
  int told = 0;
  for (bool is_over = false;;) {
    const std::string head = socket.receive(wire::kBinaryHeaderBytes);
    ASSERT_EQ(head.size(), wire::kBinaryHeaderBytes);
    const wire::BinaryHeader header = wire::decode_header(head.data());
    const std::string body = socket.receive(header.body_bytes);
    if (header.opcode == static_cast<uint8_t>(BinaryOpcode::noop)) {
      EXPECT_TRUE(is_over);
      break;
    }
    EXPECT_EQ(header.opaque, 7U);
    if (header.key_bytes == 0) {
      is_over = true;
      continue;
    }
    EXPECT_EQ(body, "vb_" + std::to_string(told++) + "active");
  }
  EXPECT_EQ(told, 1024);
}

TEST_F(ManyVBucketsTest, WhoGoesAwayInBetweenLeavesNothingBehind) {
  {
    net::TestSocket socket(server_->addresses()[0], 4096);
    std::string many;
    for (int i = 0; i < 20; ++i)
      many += "stats vbucket-details\r\n";
    ASSERT_TRUE(socket.send_all(many));
    EXPECT_EQ(socket.receive(5), "STAT ");
  }
  while (server_->engine().feeds->tasks() != 0)
    std::this_thread::yield();
}

}  // namespace
}  // namespace bobbin::serve
