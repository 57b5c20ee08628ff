#include "wire/dcp_changes.h"

#include <gtest/gtest.h>

#include <string>

#include "wire/dcp_test_support.h"

namespace bobbin::wire {
namespace {

// Vectors marked so are those of couchbase/kv_engine docs/dcp/documentation/commands; where a header there
// does not have the lengths that the text beside it names, those of the text are taken.

constexpr DcpRoute kRoute{.vbucket = 0x210, .opaque = 0x1210};

DcpKey plain(std::string_view name) {
  return {.name = name, .wire = name};
}

// The documented vector.
TEST(DcpMarker, OfTheFirstVersionIsTheDocumentedOne) {
  const std::string bytes = frame_of([](char* out) {
    return write_dcp_snapshot_marker(out, {.opaque = 0xdeadbeef}, {.end_seqno = 8, .flags = 1});
  });
  EXPECT_EQ(bytes, bytes_of("80560000 14000000 00000014 deadbeef 00000000 00000000"
                            "00000000 00000000 00000000 00000008 00000001"));
  const auto marker = read_dcp_snapshot_marker(request_of(bytes));
  ASSERT_TRUE(marker);
  EXPECT_EQ(marker->version, DcpMarkerVersion::v1);
  EXPECT_EQ(marker->start_seqno, 0U);
  EXPECT_EQ(marker->end_seqno, 8U);
  EXPECT_EQ(marker->max_visible_seqno, 8U);
  EXPECT_EQ(marker->flags, dcp_snapshot_flags::kMemory);
}

// The documented vector.
TEST(DcpMarker, OfTheSecondVersionIsTheDocumentedOne) {
  const std::string bytes = frame_of([](char* out) {
    return write_dcp_snapshot_marker(out, {.opaque = 0xdeadbeef},
                                     {.version = DcpMarkerVersion::v2_0,
                                      .start_seqno = 1,
                                      .end_seqno = 8,
                                      .flags = 2,
                                      .max_visible_seqno = 8,
                                      .high_completed_seqno = 7});
  });
  EXPECT_EQ(bytes, bytes_of("80560000 01000000 00000025 deadbeef 00000000 00000000 00"
                            "00000000 00000001 00000000 00000008 00000002"
                            "00000000 00000008 00000000 00000007"));
  const auto marker = read_dcp_snapshot_marker(request_of(bytes));
  ASSERT_TRUE(marker);
  EXPECT_EQ(marker->version, DcpMarkerVersion::v2_0);
  EXPECT_EQ(marker->start_seqno, 1U);
  EXPECT_EQ(marker->max_visible_seqno, 8U);
  EXPECT_EQ(marker->high_completed_seqno, 7U);
}

TEST(DcpMarker, OfVersion22TellsThePurgeSeqno) {
  const std::string bytes = frame_of([](char* out) {
    return write_dcp_snapshot_marker(out, {},
                                     {.version = DcpMarkerVersion::v2_2,
                                      .start_seqno = 1,
                                      .end_seqno = 2,
                                      .flags = 2,
                                      .max_visible_seqno = 3,
                                      .high_completed_seqno = 4,
                                      .purge_seqno = 5,
                                      .high_prepared_seqno = 6});
  });
  EXPECT_EQ(bytes, bytes_of("80560000 01000000 00000035 00000000 00000000 00000000 02"
                            "00000000 00000001 00000000 00000002 00000002 00000000 00000003"
                            "00000000 00000004 00000000 00000005 00000000 00000006"));
  const auto marker = read_dcp_snapshot_marker(request_of(bytes));
  ASSERT_TRUE(marker);
  EXPECT_EQ(marker->purge_seqno, 5U);
  EXPECT_EQ(marker->high_prepared_seqno, 6U);

  const std::string shorter =
      request_bytes(BinaryOpcode::dcp_snapshot_marker, "\2", {}, std::string_view(bytes).substr(25, 44));
  EXPECT_EQ(read_dcp_snapshot_marker(request_of(shorter))->purge_seqno, 5U);
}

TEST(DcpMarker, IsNotReadWhereVersionAndLengthDisagree) {
  const auto reads = [](const std::string& extras, size_t value_bytes) {
    return read_dcp_snapshot_marker(request_of(request_bytes(BinaryOpcode::dcp_snapshot_marker, extras, {},
                                                             std::string(value_bytes, 'v'))))
        .has_value();
  };
  const std::string zero(1, '\0');
  EXPECT_TRUE(reads(zero, 36));
  EXPECT_FALSE(reads(zero, 44));
  EXPECT_FALSE(reads(zero, 0));
  EXPECT_TRUE(reads("\1", 44));
  EXPECT_FALSE(reads("\1", 36));
  EXPECT_TRUE(reads("\2", 44));
  EXPECT_FALSE(reads("\2", 48));
  EXPECT_FALSE(reads("\3", 52));
  EXPECT_FALSE(reads({}, 36));
  EXPECT_FALSE(reads(std::string(20, 'e'), 1));
  EXPECT_FALSE(reads(std::string(19, 'e'), 0));
}

// The documented vector.
TEST(DcpMutation, IsTheDocumentedOne) {
  const std::string bytes = frame_of(
      [](char* out) {
        return write_dcp_mutation(out, kRoute,
                                  {.seqno = 4, .revision = 1, .key = plain("hello"), .value = "world"});
      },
      "hello", "world");
  EXPECT_EQ(bytes, bytes_of("80570005 1f000210 00000029 00001210 00000000 00000000"
                            "00000000 00000004 00000000 00000001 00000000 00000000 00000000 0000 00") +
                       "helloworld");
  const auto mutation = read_dcp_mutation(request_of(bytes), false);
  ASSERT_TRUE(mutation);
  EXPECT_EQ(mutation->seqno, 4U);
  EXPECT_EQ(mutation->revision, 1U);
  EXPECT_EQ(mutation->key.name, "hello");
  EXPECT_EQ(mutation->value, "world");
}

TEST(DcpMutation, KeepsWhatItIsGiven) {
  const std::string key = "\x88\x01key";  // collection 0x88
  const std::string bytes = frame_of(
      [&](char* out) {
        return write_dcp_mutation(out, {.vbucket = 1, .opaque = 2, .stream_id = 3},
                                  {.seqno = 1ULL << 40,
                                   .revision = 2,
                                   .cas = 0x0102030405060708,
                                   .flags = 0xcafe,
                                   .expiry_s = 77,
                                   .lock_time_s = 5,
                                   .used = 6,
                                   .datatype = 3,
                                   .key = plain(key),
                                   .value = "v"});
      },
      key, "v");
  const auto mutation = read_dcp_mutation(request_of(bytes), true);
  ASSERT_TRUE(mutation);
  EXPECT_EQ(mutation->seqno, 1ULL << 40);
  EXPECT_EQ(mutation->cas, 0x0102030405060708U);
  EXPECT_EQ(mutation->flags, 0xcafeU);
  EXPECT_EQ(mutation->expiry_s, 77U);
  EXPECT_EQ(mutation->lock_time_s, 5U);
  EXPECT_EQ(mutation->used, 6);
  EXPECT_EQ(mutation->datatype, 3);
  EXPECT_EQ(mutation->key.collection, 0x88U);
  EXPECT_EQ(mutation->key.name, "key");
  EXPECT_EQ(mutation->key.wire, key);
  EXPECT_EQ(read_dcp_route(request_of(bytes))->stream_id, 3);
}

TEST(DcpMutation, CutsMetadataOffBehindTheValue) {
  std::string extras(31, '\0');
  extras[29] = 3;
  const auto read = [&](std::string_view value) {
    static std::string bytes;
    bytes = request_bytes(BinaryOpcode::dcp_mutation, extras, "k", value);
    return read_dcp_mutation(request_of(bytes), false);
  };
  EXPECT_EQ(read("valuexyz")->value, "value");
  EXPECT_EQ(read("xyz")->value, "");
  EXPECT_FALSE(read("xy"));
}

TEST(DcpMutation, NeedsItsExtrasAndAKey) {
  const auto reads = [](size_t extras, std::string_view key, bool collections) {
    return read_dcp_mutation(
               request_of(request_bytes(BinaryOpcode::dcp_mutation, std::string(extras, '\0'), key)),
               collections)
        .has_value();
  };
  EXPECT_TRUE(reads(31, "k", false));
  EXPECT_FALSE(reads(30, "k", false));
  EXPECT_FALSE(reads(32, "k", false));
  EXPECT_FALSE(reads(31, {}, false));
  EXPECT_TRUE(reads(31, "\1k", true));
  EXPECT_FALSE(reads(31, "\1", true));        // no name behind the id
  EXPECT_FALSE(reads(31, "\xff\xff", true));  // an id that does not end
}

// The documented vectors.
TEST(DcpRemoval, IsTheDocumentedOne) {
  EXPECT_EQ(frame_of(
                [](char* out) {
                  return write_dcp_removal(out, kRoute, {.seqno = 5, .revision = 1, .key = plain("hello")});
                },
                "hello"),
            bytes_of("80580005 12000210 00000017 00001210 00000000 00000000"
                     "00000000 00000005 00000000 00000001 0000") +
                "hello");
  EXPECT_EQ(frame_of(
                [](char* out) {
                  return write_dcp_removal(out, kRoute,
                                           {.kind = DcpRemovalKind::expiration,
                                            .seqno = 5,
                                            .revision = 1,
                                            .delete_time_s = 0x5f000000,
                                            .key = plain("hello")});
                },
                "hello"),
            bytes_of("80590005 14000210 00000019 00001210 00000000 00000000"
                     "00000000 00000005 00000000 00000001 5f000000") +
                "hello");
}

TEST(DcpRemoval, OfEachKindIsReadBack) {
  for (const DcpRemovalKind kind :
       {DcpRemovalKind::deletion_v1, DcpRemovalKind::deletion_v2, DcpRemovalKind::expiration}) {
    const std::string bytes = frame_of(
        [&](char* out) {
          return write_dcp_removal(out, kRoute,
                                   {.kind = kind,
                                    .seqno = 9,
                                    .revision = 3,
                                    .cas = 12,
                                    .delete_time_s = kind == DcpRemovalKind::deletion_v1 ? 0U : 55U,
                                    .datatype = 4,
                                    .key = plain("key"),
                                    .value = "attributes"});
        },
        "key", "attributes");
    const auto removal = read_dcp_removal(request_of(bytes), false);
    ASSERT_TRUE(removal);
    EXPECT_EQ(removal->kind, kind);
    EXPECT_EQ(removal->seqno, 9U);
    EXPECT_EQ(removal->revision, 3U);
    EXPECT_EQ(removal->cas, 12U);
    EXPECT_EQ(removal->delete_time_s, kind == DcpRemovalKind::deletion_v1 ? 0U : 55U);
    EXPECT_EQ(removal->datatype, 4);
    EXPECT_EQ(removal->value, "attributes");
  }
}

TEST(DcpRemoval, NeedsTheExtrasOfItsOpcode) {
  const auto reads = [](BinaryOpcode opcode, size_t extras) {
    return read_dcp_removal(request_of(request_bytes(opcode, std::string(extras, '\0'), "k")), false)
        .has_value();
  };
  EXPECT_FALSE(reads(BinaryOpcode::dcp_deletion, 20));
  EXPECT_FALSE(reads(BinaryOpcode::dcp_expiration, 18));
  EXPECT_FALSE(reads(BinaryOpcode::dcp_expiration, 21));
  std::string extras(18, '\0');
  extras[17] = 2;  // metadata that is not there
  EXPECT_FALSE(
      read_dcp_removal(request_of(request_bytes(BinaryOpcode::dcp_deletion, extras, "k", "m")), false));
}

// The documented vector, with the opcode that the text names.
TEST(DcpPrepare, IsTheDocumentedOne) {
  const std::string bytes = frame_of(
      [](char* out) {
        return write_dcp_prepare(out, kRoute,
                                 {.seqno = 4, .revision = 1, .key = plain("hello"), .value = "world"});
      },
      "hello", "world");
  EXPECT_EQ(bytes, bytes_of("80600005 1f000210 00000029 00001210 00000000 00000000"
                            "00000000 00000004 00000000 00000001 00000000 00000000 00000000 00 00 01") +
                       "helloworld");
  const auto prepare = read_dcp_prepare(request_of(bytes), false);
  ASSERT_TRUE(prepare);
  EXPECT_EQ(prepare->durability, 1);
  EXPECT_FALSE(prepare->deletes);
  EXPECT_EQ(prepare->value, "world");
}

TEST(DcpPrepare, OfNoDurabilityIsNotRead) {
  std::string extras(31, '\0');
  const auto reads = [&](char deletes, char durability) {
    extras[29] = deletes;
    extras[30] = durability;
    return read_dcp_prepare(request_of(request_bytes(BinaryOpcode::dcp_prepare, extras, "k")), false)
        .has_value();
  };
  EXPECT_TRUE(reads(0, 1));
  EXPECT_TRUE(reads(1, 3));
  EXPECT_FALSE(reads(0, 0));
  EXPECT_FALSE(reads(0, 4));
  EXPECT_FALSE(reads(2, 1));
}

// The documented vectors.
TEST(DcpCompletion, IsTheDocumentedOne) {
  const std::string rest =
      bytes_of("0005 10000210 00000015 00001210 00000000 00000000 00000000 00000004 00000000 00000005") +
      "hello";
  const auto written = [](bool commits) {
    return frame_of(
        [&](char* out) {
          return write_dcp_completion(
              out, kRoute, {.commits = commits, .prepared_seqno = 4, .seqno = 5, .key = plain("hello")});
        },
        "hello");
  };
  EXPECT_EQ(written(true), bytes_of("8062") + rest);
  EXPECT_EQ(written(false), bytes_of("8063") + rest);
  const std::string bytes = written(false);
  const auto completion = read_dcp_completion(request_of(bytes), false);
  ASSERT_TRUE(completion);
  EXPECT_FALSE(completion->commits);
  EXPECT_EQ(completion->prepared_seqno, 4U);
  EXPECT_EQ(completion->seqno, 5U);
  const std::string valued = request_bytes(BinaryOpcode::dcp_commit, std::string(16, '\0'), "key", "value");
  EXPECT_FALSE(read_dcp_completion(request_of(valued), false));
}

std::string event_frame(const DcpSystemEvent& event) {
  std::string value(kMaxDcpEventValueBytes, '\0');
  value.resize(static_cast<size_t>(write_dcp_event_value(value.data(), event) - value.data()));
  return frame_of([&](char* out) { return write_dcp_system_event(out, kRoute, event); }, event.name, value);
}

// The documented vector; its text has scope and collection in the order of the structures.
TEST(DcpSystemEvent, OfANewCollectionIsTheDocumentedOne) {
  const std::string bytes = event_frame({.seqno = 4,
                                         .event = DcpEvent::collection_created,
                                         .manifest_uid = 2,
                                         .scope = 0,
                                         .collection = 8,
                                         .max_ttl_s = 72000,
                                         .name = "mycollection"});
  EXPECT_EQ(bytes, bytes_of("805f000c 0d000210 0000002d 00001210 00000000 00000000"
                            "00000000 00000004 00000000 01") +
                       "mycollection" + bytes_of("00000000 00000002 00000000 00000008 00011940"));
}

TEST(DcpSystemEvent, OfEachKindIsReadBack) {
  const DcpSystemEvent events[] = {
      {.event = DcpEvent::collection_created, .scope = 9, .collection = 10, .name = "c"},
      {.event = DcpEvent::collection_created, .collection = 10, .max_ttl_s = 0, .name = "c"},
      {.event = DcpEvent::collection_dropped, .scope = 9, .collection = 10, .name = {}},
      {.event = DcpEvent::collection_changed, .scope = 9, .collection = 10, .max_ttl_s = 5, .name = "c"},
      {.event = DcpEvent::scope_created, .scope = 9, .name = "s"},
      {.event = DcpEvent::scope_dropped, .scope = 9, .name = {}},
  };
  for (DcpSystemEvent event : events) {
    event.seqno = 77;
    event.manifest_uid = 0xab;
    const std::string bytes = event_frame(event);
    const auto read = read_dcp_system_event(request_of(bytes));
    ASSERT_TRUE(read) << static_cast<int>(event.event);
    EXPECT_EQ(read->seqno, 77U);
    EXPECT_EQ(read->event, event.event);
    EXPECT_EQ(read->manifest_uid, 0xabU);
    EXPECT_EQ(read->scope, event.scope);
    EXPECT_EQ(read->collection, event.collection);
    EXPECT_EQ(read->max_ttl_s, event.max_ttl_s);
    EXPECT_EQ(read->name, event.name);
  }
}

TEST(DcpSystemEvent, OfAnotherShapeIsNotRead) {
  const auto reads = [](char event, char version, std::string_view key, size_t value) {
    std::string extras(13, '\0');
    extras[11] = event;
    extras[12] = version;
    return read_dcp_system_event(request_of(request_bytes(BinaryOpcode::dcp_system_event, extras, key,
                                                          std::string(value, 'v'))))
        .has_value();
  };
  EXPECT_TRUE(reads(0, 0, "c", 16));
  EXPECT_FALSE(reads(0, 0, "c", 20));
  EXPECT_FALSE(reads(0, 1, "c", 16));
  EXPECT_FALSE(reads(0, 0, {}, 16));
  EXPECT_FALSE(reads(0, 2, "c", 40));  // FlatBuffers
  EXPECT_FALSE(reads(1, 0, "c", 16));
  EXPECT_FALSE(reads(1, 1, {}, 20));
  EXPECT_FALSE(reads(2, 0, "c", 16));
  EXPECT_FALSE(reads(3, 0, "s", 16));
  EXPECT_TRUE(reads(3, 0, "s", 12));
  EXPECT_FALSE(reads(6, 0, "c", 16));
}

// The documented vectors, with the opcodes and lengths that the text names.
TEST(DcpMessage, MarksOfSeqnosAreTheDocumentedOnes) {
  EXPECT_EQ(frame_of([](char* out) { return write_dcp_seqno_advanced(out, {.opaque = 0xdeadbeef}, {4}); }),
            bytes_of("80640000 08000000 00000008 deadbeef 00000000 00000000 00000000 00000004"));
  EXPECT_EQ(frame_of([](char* out) {
              return write_dcp_oso_snapshot(out, {.opaque = 0xdeadbeef}, {dcp_oso_flags::kStart});
            }),
            bytes_of("80650000 04000000 00000004 deadbeef 00000000 00000000 00000001"));
  const std::string neither = request_bytes(BinaryOpcode::dcp_oso_snapshot, std::string(4, '\0'));
  EXPECT_FALSE(read_dcp_oso_snapshot(request_of(neither)));
}

TEST(DcpMessage, IsReadByItsOpcode) {
  const auto read = [](const std::string& bytes) { return read_dcp_message(request_of(bytes), false); };
  const auto bare = [](BinaryOpcode opcode) {
    return frame_of([&](char* out) { return write_dcp_bare(out, opcode, kRoute); });
  };
  EXPECT_TRUE(std::holds_alternative<DcpNoop>(*read(bare(BinaryOpcode::dcp_noop))));
  EXPECT_TRUE(std::holds_alternative<DcpFlush>(*read(bare(BinaryOpcode::dcp_flush))));
  EXPECT_FALSE(read(bare(BinaryOpcode::dcp_mutation)));
  EXPECT_FALSE(read(bare(BinaryOpcode::dcp_close_stream)));
  EXPECT_FALSE(read(bare(BinaryOpcode::get)));
  EXPECT_FALSE(read(request_bytes(BinaryOpcode::dcp_noop, "e")));
  const std::string expired = request_bytes(BinaryOpcode::dcp_expiration, std::string(20, '\0'), "key");
  EXPECT_EQ(std::get<DcpRemoval>(*read(expired)).kind, DcpRemovalKind::expiration);
  const std::string aborted = request_bytes(BinaryOpcode::dcp_abort, std::string(16, '\0'), "key");
  EXPECT_FALSE(std::get<DcpCompletion>(*read(aborted)).commits);
}

}  // namespace
}  // namespace bobbin::wire
