// What tools ask about documents, vbuckets and the node.

#include <set>
#include <string>

#include "disk/disk_test_support.h"
#include "serve/mcbp_fixture.h"
#include "wire/datatype.h"

namespace bobbin::serve {
namespace {

using namespace std::string_literals;
using wire::BinaryOpcode;
using wire::BinaryStatus;
using wire::Feature;

class DocumentCommandsTest : public McbpTest {
 protected:
  DocumentCommandsTest() { hello({Feature::xerror}); }
};

TEST_F(DocumentCommandsTest, ObserveTellsOfEachKey) {
  const Reply stored = set("k", "v");
  const Reply seen = ask({.opcode = BinaryOpcode::observe, .value = "\0\0\0\1k\0\0\0\2no"s});
  std::string cas(8, '\0');
  wire::store_big_endian(cas.data(), stored.cas);
  EXPECT_EQ(seen.value, "\0\0\0\1k\0"s + cas + "\0\0\0\2no\x80"s + std::string(8, '\0'));
  for (const std::string& wrong :
       {"\0"s, "\0\0\0"s, "\0\0\0\0"s, "\0\0\0\2k"s, "\0\0\xff\xffk"s, "\0\0\0\1k\0"s})
    EXPECT_EQ(status({.opcode = BinaryOpcode::observe, .value = wrong}), BinaryStatus::invalid_arguments);
  EXPECT_EQ(status({.opcode = BinaryOpcode::observe, .value = "\0\1\0\1k"s}), BinaryStatus::not_my_vbucket);
  EXPECT_EQ(status({.opcode = BinaryOpcode::observe}), BinaryStatus::invalid_arguments);
}

TEST_F(DocumentCommandsTest, ARandomDocumentIsOneThatIsThere) {
  EXPECT_EQ(status({.opcode = BinaryOpcode::get_random_key}), BinaryStatus::key_not_found);
  set("a", "1");
  const Reply found = ask({.opcode = BinaryOpcode::get_random_key});
  EXPECT_EQ(found.key, "a");
  EXPECT_EQ(found.value, "1");
  EXPECT_EQ(found.extras, "\0\0\0\0"s);
  EXPECT_EQ(status({.opcode = BinaryOpcode::get_random_key, .extras = "\0\0\0\x08"s}),
            BinaryStatus::unknown_collection);
  EXPECT_EQ(status({.opcode = BinaryOpcode::get_random_key, .extras = "\0"s}),
            BinaryStatus::invalid_arguments);
  hello({Feature::collections});
  EXPECT_EQ(ask({.opcode = BinaryOpcode::get_random_key}).key, "\0a"s);
}

TEST_F(DocumentCommandsTest, ARandomDocumentComesWithItsAttributesIfThatIsAskedFor) {
  hello({Feature::xerror, Feature::xattr, Feature::json, Feature::collections});
  set("\0a"s, "1");
  EXPECT_EQ(
      status(
          {.opcode = BinaryOpcode::subdoc_dict_upsert, .key = "\0a"s, .value = "_x2", .extras = "\0\2\4"s}),
      BinaryStatus::success);
  const auto found = [&](const std::string& extras) {
    return ask({.opcode = BinaryOpcode::get_random_key, .extras = extras});
  };
  EXPECT_EQ(found("\0\0\0\0\0"s).value, "1");
  EXPECT_EQ(found("\0\0\0\0"s).value, "1");
  const Reply whole = found("\0\0\0\0\1"s);
  EXPECT_EQ(whole.key, "\0a"s);
  EXPECT_EQ(whole.value, "\0\0\0\x09\0\0\0\5_x\0002\0001"s);
  EXPECT_EQ(whole.datatype, wire::kDatatypeXattr | wire::kDatatypeJson);
  EXPECT_EQ(found("\0\0\0\0\2"s).status, BinaryStatus::invalid_arguments);
  hello({Feature::xerror, Feature::collections});
  EXPECT_EQ(found("\0\0\0\0\1"s).value, "1") << "to who knows no attributes";
}

TEST_F(DocumentCommandsTest, EachCollectionHasItsOwn) {
  ASSERT_TRUE(server_.collections().create_collection("_default", "c"));
  hello({Feature::collections, Feature::xerror});
  const std::string key = "\x08k";
  const std::string metadata = std::string(15, '\0') + '\1' + std::string(7, '\0') + '\5';
  EXPECT_EQ(status({.opcode = BinaryOpcode::set_with_meta, .key = key, .value = "v", .extras = metadata}),
            BinaryStatus::success);
  EXPECT_EQ(get("\0k"s).status, BinaryStatus::key_not_found);
  EXPECT_EQ(ask({.opcode = BinaryOpcode::get_ex, .key = key}).value, "v");
  EXPECT_EQ(ask({.opcode = BinaryOpcode::get_random_key, .extras = "\0\0\0\x08"s}).key, key);
  EXPECT_EQ(status({.opcode = BinaryOpcode::get_random_key}), BinaryStatus::key_not_found);
  EXPECT_EQ(ask({.opcode = BinaryOpcode::get_keys, .key = key}).value, "\0\2\x08k"s);
  EXPECT_EQ(status({.opcode = BinaryOpcode::get_keys, .key = "\0a"s}), BinaryStatus::key_not_found);
  EXPECT_EQ(ask({.opcode = BinaryOpcode::observe, .value = "\0\0\0\2\x08k"s}).value.at(6), '\0');
  EXPECT_EQ(ask({.opcode = BinaryOpcode::observe, .value = "\0\0\0\2\0k"s}).value.at(6), '\x80');
  EXPECT_EQ(status({.opcode = BinaryOpcode::observe, .value = "\0\0\0\2\x09k"s}),
            BinaryStatus::unknown_collection);
  EXPECT_EQ(status({.opcode = BinaryOpcode::set_with_meta, .key = "\x09k", .value = "v", .extras = metadata}),
            BinaryStatus::unknown_collection);
  const std::string later = std::string(15, '\0') + '\2' + std::string(7, '\0') + '\6';
  EXPECT_EQ(status({.opcode = BinaryOpcode::del_with_meta, .key = key, .extras = later}),
            BinaryStatus::success);
  EXPECT_EQ(get(key).status, BinaryStatus::key_not_found);
}

TEST_F(DocumentCommandsTest, NamesComeInTheirOrder) {
  const auto names = [&](const std::string& start, const std::string& extras) {
    return ask({.opcode = BinaryOpcode::get_keys, .key = start, .extras = extras}).value;
  };
  for (const char* key : {"c", "a", "b", "d"})
    set(key, "v");
  EXPECT_EQ(names("b", ""), "\0\1b\0\1c\0\1d"s);
  EXPECT_EQ(names("a", "\0\0\0\2"s), "\0\1a\0\1b"s);
  EXPECT_EQ(status({.opcode = BinaryOpcode::get_keys, .key = "e"}), BinaryStatus::key_not_found);
  EXPECT_EQ(status({.opcode = BinaryOpcode::get_keys}), BinaryStatus::invalid_arguments);
}

TEST_F(DocumentCommandsTest, ACacheHasNoDiskToWaitForOrToEvictTo) {
  set("k", "v");
  EXPECT_EQ(status({.opcode = BinaryOpcode::evict_key, .key = "k"}), BinaryStatus::not_supported);
  EXPECT_EQ(status({.opcode = BinaryOpcode::seqno_persistence, .extras = std::string(8, '\0')}),
            BinaryStatus::not_supported);
  EXPECT_EQ(get("k").value, "v");
}

TEST_F(DocumentCommandsTest, VbucketsHaveTheStatesThatTheyAreGiven) {
  const auto make = [&](const std::string& extras) {
    return status({.opcode = BinaryOpcode::set_vbucket, .extras = extras});
  };
  const auto seqnos = [&](const std::string& state) {
    return ask({.opcode = BinaryOpcode::get_all_vb_seqnos, .extras = state}).value.size() / 10;
  };
  set("k", "v");
  EXPECT_EQ(ask({.opcode = BinaryOpcode::get_vbucket}).value, "\0\0\0\1"s);
  EXPECT_EQ(make("\5"), BinaryStatus::invalid_arguments);
  EXPECT_EQ(make("\0"s), BinaryStatus::invalid_arguments);
  EXPECT_EQ(make("\0\1"s), BinaryStatus::invalid_arguments);
  EXPECT_EQ(make("\2"), BinaryStatus::success);
  EXPECT_EQ(ask({.opcode = BinaryOpcode::get_vbucket}).value, "\0\0\0\2"s);
  EXPECT_EQ(get("k").status, BinaryStatus::not_my_vbucket);
  EXPECT_NE(get("k").value.find("vBucketServerMap"), std::string::npos);
  EXPECT_EQ(text("get k\r\n"), "VALUE k 0 1\r\nv\r\nEND\r\n") << "memcached's clients know no vbuckets";
  EXPECT_EQ(text("stats vbucket\r\n"), "STAT vb_0 replica\r\nEND\r\n");
  EXPECT_EQ(seqnos("\0\0\0\2"s), 1U);
  EXPECT_EQ(seqnos("\0\0\0\1"s), 0U);
  EXPECT_EQ(seqnos(""), 1U);
  EXPECT_EQ(make("\0\0\0\1"s), BinaryStatus::success);
  EXPECT_EQ(get("k").value, "v");
  EXPECT_EQ(status({.opcode = BinaryOpcode::get_vbucket, .vbucket = 1}), BinaryStatus::not_my_vbucket);
}

TEST_F(DocumentCommandsTest, AVbucketThatIsDeadIsDeleted) {
  const auto make = [&](const std::string& extras) {
    return status({.opcode = BinaryOpcode::set_vbucket, .extras = extras});
  };
  const auto remove = [&](const std::string& value = "") {
    return status({.opcode = BinaryOpcode::del_vbucket, .value = value});
  };
  set("k", "v");
  EXPECT_EQ(remove(), BinaryStatus::invalid_arguments);
  EXPECT_EQ(get("k").value, "v");
  EXPECT_EQ(status({.opcode = BinaryOpcode::del_vbucket, .key = "k"}), BinaryStatus::invalid_arguments);
  EXPECT_EQ(status({.opcode = BinaryOpcode::del_vbucket, .vbucket = 1}), BinaryStatus::not_my_vbucket);
  EXPECT_EQ(make("\4"), BinaryStatus::success);
  EXPECT_EQ(remove("async=0"), BinaryStatus::success);
  EXPECT_EQ(status({.opcode = BinaryOpcode::get_vbucket}), BinaryStatus::not_my_vbucket);
  EXPECT_EQ(get("k").status, BinaryStatus::not_my_vbucket);
  EXPECT_EQ(remove(), BinaryStatus::not_my_vbucket);
  // A new one.
  EXPECT_EQ(make("\1"), BinaryStatus::success);
  EXPECT_EQ(get("k").status, BinaryStatus::key_not_found);
  EXPECT_EQ(server_.bucket().statistics().items, 0U);
}

TEST_F(DocumentCommandsTest, ACacheHasNoFilesToCompact) {
  EXPECT_EQ(status({.opcode = BinaryOpcode::compact_db, .extras = std::string(24, '\0')}),
            BinaryStatus::not_supported);
}

TEST_F(DocumentCommandsTest, WhoMayImpersonateIsJudgedByBoth) {
  const auto add = [&](const char* name, const char* roles) {
    UserChange change;
    change.name = name;
    change.password = "secret";
    change.roles = parse_roles(roles).value();
    ASSERT_TRUE(server_.users().add(change));
  };
  add("root", "admin");
  add("reader", "data_reader[default]");
  add("writer", "data_writer[default]");
  const auto log_in = [&](const std::string& name) {
    connect_again();
    hello({Feature::xerror, Feature::alt_request});
    EXPECT_EQ(
        status({.opcode = BinaryOpcode::sasl_auth, .key = "PLAIN", .value = "\0"s + name + "\0secret"s}),
        BinaryStatus::success);
  };
  const auto as = [](const std::string& name) { return static_cast<char>(0x40 | name.size()) + name; };
  const auto put = [&](const std::string& framing) {
    return status(
        {.opcode = BinaryOpcode::set, .key = "k", .value = "1", .extras = kSetExtras, .framing = framing});
  };
  const auto read = [&](const std::string& framing) {
    return status({.opcode = BinaryOpcode::get, .key = "k", .framing = framing});
  };
  log_in("root");
  EXPECT_EQ(put(as("writer")), BinaryStatus::success);
  EXPECT_EQ(put(as("reader")), BinaryStatus::no_access);
  EXPECT_EQ(read(as("reader")), BinaryStatus::success);
  EXPECT_EQ(read(as("writer")), BinaryStatus::no_access);
  EXPECT_EQ(read(as("nobody")), BinaryStatus::no_access);
  EXPECT_EQ(put(""), BinaryStatus::success) << "the next request is its own again";
  const auto with = [](const std::string& name) { return static_cast<char>(0x60 | name.size()) + name; };
  EXPECT_EQ(put(as("reader") + with("Upsert")), BinaryStatus::success);
  EXPECT_EQ(put(with("Read") + with("Upsert") + as("reader")), BinaryStatus::success) << "whatever the order";
  EXPECT_EQ(put(as("reader") + with("Delete")), BinaryStatus::no_access);
  EXPECT_EQ(put(as("reader") + with("RangeScan")), BinaryStatus::no_access) << "known, and nothing here";
  EXPECT_EQ(put(as("reader") + with("upsert")), BinaryStatus::invalid_arguments);
  EXPECT_EQ(put(as("reader") + "\x60"), BinaryStatus::invalid_arguments);
  EXPECT_EQ(put(with("Upsert")), BinaryStatus::success);
  EXPECT_EQ(put(as("reader")), BinaryStatus::no_access) << "it was for that request";
  log_in("writer");
  EXPECT_EQ(read(as("reader")), BinaryStatus::no_access) << "that takes a privilege";
  EXPECT_EQ(read(with("Read")), BinaryStatus::no_access) << "nobody gives oneself one";
}

TEST_F(DocumentCommandsTest, WhoMayNotIsNamedWithWhoIsImpersonated) {
  const disk::TemporaryFolder folder;
  const std::string path = folder.path() + "/audit.log";
  {
    TestEngine audited(loop_, {.vbuckets = 1}, base::Worker::Where::caller, path);
    for (const auto& [name, roles] :
         {std::pair("root", "admin"), std::pair("reader", "data_reader[default]")}) {
      UserChange change;
      change.name = name;
      change.password = "secret";
      change.roles = parse_roles(roles).value();
      ASSERT_TRUE(audited.users().add(change));
    }
    client_ = audited.connect();
    hello({Feature::xerror, Feature::alt_request});
    ASSERT_EQ(status({.opcode = BinaryOpcode::sasl_auth, .key = "PLAIN", .value = "\0root\0secret"s}),
              BinaryStatus::success);
    EXPECT_EQ(status({.opcode = BinaryOpcode::flush, .framing = "\x46reader"}), BinaryStatus::no_access);
    connect_again();
  }
  const std::string log = disk::contents(path);
  EXPECT_NE(log.find("\"user\":\"root\""), std::string::npos) << log;
  EXPECT_NE(log.find("\"detail\":\"not allowed on behalf of reader\""), std::string::npos) << log;
}

TEST_F(DocumentCommandsTest, ARefusalCanBeFoundByItsReference) {
  const disk::TemporaryFolder folder;
  const std::string path = folder.path() + "/audit.log";
  std::vector<std::string> refs;
  size_t without = 0;
  {
    TestEngine audited(loop_, {.vbuckets = 1}, base::Worker::Where::caller, path);
    UserChange change;
    change.name = "reader";
    change.password = "secret";
    change.roles = parse_roles("data_reader[default]").value();
    ASSERT_TRUE(audited.users().add(change));
    client_ = audited.connect();
    hello({Feature::xerror, Feature::json});
    const Frame write{.opcode = BinaryOpcode::set, .key = "k", .value = "v", .extras = kSetExtras};
    EXPECT_EQ(ask(write).value, R"({"error":{"context":"Authorization failed: set needs Upsert"}})")
        << "who has not logged in leaves no line";
    ASSERT_EQ(status({.opcode = BinaryOpcode::sasl_auth, .key = "PLAIN", .value = "\0reader\0secret"s}),
              BinaryStatus::success);
    // Many refusals of documents silence none of administration.
    constexpr uint64_t kWrites = AuditLog::kPacedLines + 3;
    for (uint64_t i = 0; i < kWrites + 1; ++i) {
      const Reply refused = ask(i < kWrites ? write : Frame{.opcode = BinaryOpcode::flush});
      EXPECT_EQ(refused.status, BinaryStatus::no_access);
      const size_t at = refused.value.find(R"(","ref":")");
      if (at == std::string::npos) {
        ++without;
        continue;
      }
      refs.push_back(refused.value.substr(at + 9, 36));
      EXPECT_EQ(refused.value.substr(at + 45), R"("}})");
    }
    connect_again();
  }
  EXPECT_EQ(refs.size(), AuditLog::kPacedLines + 1);
  EXPECT_EQ(without, 3U) << "beyond the pace";
  EXPECT_EQ(std::set<std::string>(refs.begin(), refs.end()).size(), refs.size());
  const std::string log = disk::contents(path);
  for (size_t i = 0; i < refs.size(); ++i) {
    const std::string& ref = refs[i];
    EXPECT_EQ(ref[14], '4');
    const size_t at = log.find(R"("ref":")" + ref + R"("})");
    ASSERT_NE(at, std::string::npos) << ref << log;
    const std::string line = log.substr(log.rfind('\n', at) + 1, at - log.rfind('\n', at));
    const bool is_write = i < AuditLog::kPacedLines;
    EXPECT_NE(line.find(is_write ? R"("event":"access")" : R"("event":"admin")"), std::string::npos) << line;
    EXPECT_NE(line.find(is_write ? R"("action":"set")" : R"("action":"flush")"), std::string::npos) << line;
  }
}

TEST_F(DocumentCommandsTest, IoctlKnowsWhatThereIs) {
  EXPECT_EQ(ask({.opcode = BinaryOpcode::ioctl_get, .key = "trace.status"}).value, "disabled");
  EXPECT_EQ(status({.opcode = BinaryOpcode::ioctl_get, .key = "other"}), BinaryStatus::invalid_arguments);
  EXPECT_EQ(status({.opcode = BinaryOpcode::ioctl_set, .key = "other"}), BinaryStatus::invalid_arguments);
  EXPECT_EQ(status({.opcode = BinaryOpcode::ioctl_set, .key = "release_free_memory"}), BinaryStatus::success);
  EXPECT_EQ(status({.opcode = BinaryOpcode::ioctl_set, .key = "release_free_memory", .value = "x"}),
            BinaryStatus::invalid_arguments);
}

TEST_F(DocumentCommandsTest, CommandsAreTimed) {
  set("k", "v");
  hello({Feature::xerror, Feature::select_bucket, Feature::json});
  select();
  const auto timer = [&](BinaryOpcode opcode, const std::string& bucket) {
    return ask({.opcode = BinaryOpcode::get_cmd_timer,
                .key = bucket,
                .extras = std::string(1, static_cast<char>(opcode))});
  };
  // What came with the last read is counted with the next one that is timed.
  for (int i = 0; i < 3; ++i) {
    server_.clock().advance_s(1);
    (void)get("k");
  }
  server_.clock().advance_s(1);
  const Reply told = timer(BinaryOpcode::get, "");
  EXPECT_EQ(told.value,
            R"({"total":3,"bucketsLow":0,"data":[[1,3,100]],"overflowed":0,"max_trackable":8388608})");
  EXPECT_EQ(told.datatype, wire::kDatatypeJson);
  EXPECT_EQ(timer(BinaryOpcode::get, "default").value, told.value);
  EXPECT_EQ(timer(BinaryOpcode::get, "/all/").value, told.value);
  EXPECT_EQ(timer(BinaryOpcode::get, "other").status, BinaryStatus::key_not_found);
  EXPECT_EQ(status({.opcode = BinaryOpcode::get_cmd_timer}), BinaryStatus::invalid_arguments);
}

TEST_F(DocumentCommandsTest, ATimerOfOtherBucketsTakesThePrivilegeToSeeTheServer) {
  UserChange change;
  change.name = "monitor";
  change.password = "secret";
  change.roles = parse_roles("data_monitoring[default]").value();
  ASSERT_TRUE(server_.users().add(change));
  connect_again();
  hello({Feature::xerror, Feature::select_bucket});
  const auto timer = [&](const std::string& bucket) {
    return status({.opcode = BinaryOpcode::get_cmd_timer, .key = bucket, .extras = "\0"s});
  };
  EXPECT_EQ(timer(""), BinaryStatus::no_access);
  ASSERT_EQ(status({.opcode = BinaryOpcode::sasl_auth, .key = "PLAIN", .value = "\0monitor\0secret"s}),
            BinaryStatus::success);
  select();
  EXPECT_EQ(timer(""), BinaryStatus::success);
  EXPECT_EQ(timer("/all/"), BinaryStatus::no_access);
  EXPECT_EQ(timer("other"), BinaryStatus::no_access);
}

TEST_F(DocumentCommandsTest, StatisticsHaveTheEnginesNames) {
  set("k", "v");
  EXPECT_EQ(text("stats vbucket\r\n"), "STAT vb_0 active\r\nEND\r\n");
  EXPECT_NE(text("stats vbucket-details 0\r\n").find("STAT vb_0:num_items 1\r\n"), std::string::npos);
  EXPECT_NE(text("stats vbucket-seqno\r\n").find("STAT vb_0:high_seqno 3\r\n"), std::string::npos)
      << text("stats vbucket-seqno\r\n");
  EXPECT_NE(text("stats failovers\r\n").find("STAT vb_0:num_entries 1\r\n"), std::string::npos);
  EXPECT_NE(text("stats hash\r\n").find("STAT vb_0:counted 1\r\n"), std::string::npos);
  EXPECT_TRUE(text("stats uuid\r\n").starts_with("STAT uuid "));
  EXPECT_NE(text("stats memory\r\n").find("STAT mem_used "), std::string::npos);
  EXPECT_NE(text("stats config\r\n").find("STAT ep_bucket_type cache\r\n"), std::string::npos);
  client_->feed(encoded({.opcode = BinaryOpcode::stat, .key = "vbucket-seqno 0"}));
  EXPECT_NE(client_->replies().find("vb_0:uuid"), std::string::npos);
  for (const char* group : {"vbucket-details 1", "vbucket-details x", "vbucket-details 99999", "vbuckets"})
    EXPECT_EQ(status({.opcode = BinaryOpcode::stat, .key = group}), BinaryStatus::key_not_found) << group;
}

}  // namespace
}  // namespace bobbin::serve
