#include "feed/scan.h"

#include <algorithm>

#include "feed/scan_fixture.h"
#include "wire/compression.h"
#include "wire/datatype.h"
#include "wire/xattr.h"

namespace bobbin::feed {
namespace {

TEST_F(ScanTest, TellsTheKeysOfARangeInTheirOrder) {
  const auto made = fill(20);
  EXPECT_EQ(scanned(all_keys()), joined(made));
  const auto between = [&](size_t from, size_t to) {
    return joined({made.begin() + static_cast<ptrdiff_t>(from), made.begin() + static_cast<ptrdiff_t>(to)});
  };
  wire::ScanCreate part = range(made[3], made[7], R"("key_only":true)");
  EXPECT_EQ(scanned(part), between(3, 8));
  part.range.excludes_start = true;
  EXPECT_EQ(scanned(part), between(4, 8));
  part.range.excludes_end = true;
  EXPECT_EQ(scanned(part), between(4, 7));
  EXPECT_EQ(scanned(range(made[5], made[5], R"("key_only":true)")), made[5]);
}

TEST_F(ScanTest, TellsDocumentsWithWhatBelongsToThem) {
  const std::string key = keys(1).front();
  const auto stored = disk_.set(key, "{}", disk_.in(100), 7);
  disk_.flush_to_disk();
  const auto client = connect();
  const auto scan = create(*client, range(key, key));
  ASSERT_NE(scan, nullptr);
  ASSERT_EQ(go_on(*client, *scan), Scan::Continued::started);
  const Reply reply = client->reply();
  EXPECT_EQ(reply.status, BinaryStatus::range_scan_complete);
  std::string_view rest = reply.value;
  const auto item = wire::take_scan_item(rest, wire::ScanFrame::Content::documents);
  ASSERT_TRUE(item);
  EXPECT_EQ(item->key, key);
  EXPECT_EQ(item->value, "{}");
  EXPECT_EQ(item->flags, 7U);
  EXPECT_EQ(item->expiry, disk_.in(100));
  EXPECT_EQ(item->cas, stored.cas);
  EXPECT_EQ(item->seqno, stored.seqno);
  EXPECT_EQ(scans_->find(scan->id()), nullptr);
  EXPECT_EQ(go_on(*client, *scan), Scan::Continued::gone);
}

TEST_F(ScanTest, LeavesOutWhatIsDeletedOrExpired) {
  const auto made = fill(10);
  ASSERT_TRUE(disk_.set(made[1], "soon gone", disk_.in(10)).ok());
  ASSERT_EQ(disk_.remove(made[2]).status, store::RemoveStatus::removed);
  disk_.flush_to_disk();
  disk_.clock().advance_s(11);
  auto left = made;
  left.erase(left.begin() + 1, left.begin() + 3);
  EXPECT_EQ(scanned(all_keys()), joined(left));
}

// Of units of 4 KiB; keys are 14 bytes with their collection.
TEST_F(ScanTest, TellsTheUnitsInTheReplyThatEndsAnAnswer) {
  const auto made = fill(8, std::string(4096, 'v'));
  const auto client = connect();
  client->is_told_units = true;
  const auto units = [](char n) { return std::string("\x12\0", 2) + n; };
  const auto scan = create(*client, range("", "\xff\xff"));
  ASSERT_NE(scan, nullptr);
  EXPECT_EQ(client->framing, units(1)) << "the first key";
  (void)continued(*client, *scan, BinaryStatus::range_scan_more, 4);
  EXPECT_EQ(client->framing, units(5));
  (void)continued(*client, *scan, BinaryStatus::range_scan_complete);
  EXPECT_EQ(client->framing, units(5)) << "and not what was told before";
  const auto of_keys = create(*client, all_keys());
  ASSERT_NE(of_keys, nullptr);
  EXPECT_EQ(continued(*client, *of_keys, BinaryStatus::range_scan_complete), joined(made));
  EXPECT_EQ(client->framing, units(1));
  client->is_told_units = false;
  (void)create(*client, all_keys());
  EXPECT_EQ(client->framing, "");
}

TEST_F(ScanTest, StopsAtLimitsAndGoesOn) {
  const auto made = fill(10);
  const auto client = connect();
  const auto scan = create(*client, all_keys());
  ASSERT_NE(scan, nullptr);
  EXPECT_EQ(continued(*client, *scan, BinaryStatus::range_scan_more, 2), joined({made[0], made[1]}));
  EXPECT_EQ(continued(*client, *scan, BinaryStatus::range_scan_more, 0, 1), made[2]);
  EXPECT_EQ(continued(*client, *scan, BinaryStatus::range_scan_more, 0, 15), joined({made[3], made[4]}));
  EXPECT_EQ(continued(*client, *scan, BinaryStatus::range_scan_complete, 5),
            joined({made.begin() + 5, made.end()}));
  EXPECT_EQ(open(), 0U);
  EXPECT_EQ(scans_->statistics().items, 10U);
  EXPECT_EQ(scans_->statistics().completed, 1U);
}

TEST_F(ScanTest, SeesTheMomentItWasMade) {
  const auto made = fill(10);
  const auto client = connect();
  const auto scan = create(*client, all_keys(R"("key_only":false)"));
  ASSERT_NE(scan, nullptr);
  std::string expected;
  for (const std::string& key : made) {
    expected += (expected.empty() ? "" : " ") + key + "=value";
    ASSERT_TRUE(disk_.set(key, "another").ok());
  }
  disk_.flush_to_disk();
  EXPECT_EQ(continued(*client, *scan, BinaryStatus::range_scan_complete), expected);
}

TEST_F(ScanTest, AnEmptyRangeIsNotFound) {
  const auto made = fill(3);
  const auto client = connect();
  EXPECT_EQ(create(*client, range("a", "b"), BinaryStatus::key_not_found), nullptr);
  EXPECT_EQ(create(*client, range(made[2], made[0]), BinaryStatus::key_not_found), nullptr);
  wire::ScanCreate nothing = range(made[0], made[0]);
  nothing.range.excludes_start = true;
  EXPECT_EQ(create(*client, nothing, BinaryStatus::key_not_found), nullptr);
  wait_for([&] { return open() == 0; });
}

TEST_F(ScanTest, ManyKeysFillManyFrames) {
  const auto made = fill(8'000, std::string(100, 'v'));
  EXPECT_EQ(scanned(all_keys()), joined(made));
  std::string documents = scanned(all_keys(R"("key_only":false)"));
  EXPECT_EQ(documents.size(), joined(made).size() + made.size() * 101);
}

TEST_F(ScanTest, LargeDocumentsAreNotCut) {
  const auto made = keys(6);
  std::string expected;
  for (size_t i = 0; i < made.size(); ++i) {
    const std::string value(300'000 + i, static_cast<char>('a' + i));
    ASSERT_TRUE(disk_.set(made[i], value).ok());
    expected += (expected.empty() ? "" : " ") + made[i] + "=" + value;
  }
  disk_.flush_to_disk();
  EXPECT_EQ(scanned(all_keys("\"name\":\"large\"")), expected);
}

TEST_F(ScanTest, SamplesAboutAsManyAndTheSameForASeed) {
  const auto made = fill(2'000);
  const auto sample = [&](uint64_t samples, uint64_t seed) {
    wire::ScanCreate what = all_keys();
    what.sampling = {samples, seed};
    return scanned(what);
  };
  const std::string some = sample(500, 1);
  const auto count = std::count(some.begin(), some.end(), ' ') + 1;
  EXPECT_GT(count, 400);
  EXPECT_LT(count, 600);
  EXPECT_EQ(sample(500, 1), some);
  EXPECT_NE(sample(500, 2), some);
  EXPECT_EQ(sample(2'000, 3), joined(made));
  EXPECT_EQ(sample(5'000, 3), joined(made));
}

TEST_F(ScanTest, SnapshotsHaveToBeWhatIsAskedFor) {
  disk_.close();
  disk_.options().linger = 60s;
  disk_.start_warm();
  const auto made = keys(3);
  ASSERT_TRUE(disk_.set(made[0], "1").ok());
  disk_.flush_to_disk();
  const uint64_t seqno = disk_.set(made[1], "2").seqno;
  const std::string uuid = std::to_string(disk_.bucket().vbucket_uuid(kVBucket));
  const auto with = [&](const std::string& id, uint64_t number, const std::string& more = "") {
    return all_keys(R"("key_only":true,"snapshot_requirements":{"vb_uuid":")" + id + R"(","seqno":)" +
                    std::to_string(number) + more + "}");
  };
  const auto client = connect();
  EXPECT_EQ(create(*client, with("1", 0), BinaryStatus::vbucket_uuid_not_equal), nullptr);
  EXPECT_EQ(create(*client, with(uuid, seqno + 1), BinaryStatus::temporary_failure), nullptr);
  EXPECT_EQ(create(*client, with(uuid, seqno + 1, R"(,"timeout_ms":1)"), BinaryStatus::temporary_failure),
            nullptr);
  // A wait hurries the flusher, which would linger for a minute.
  const auto scan = create(*client, with(uuid, seqno, R"(,"timeout_ms":60000,"seqno_exists":true)"));
  ASSERT_NE(scan, nullptr);
  EXPECT_EQ(continued(*client, *scan, BinaryStatus::range_scan_complete), joined({made[0], made[1]}));
  ASSERT_TRUE(disk_.set(made[1], "3").ok());
  disk_.flush_to_disk();
  EXPECT_EQ(create(*client, with(uuid, seqno, R"(,"seqno_exists":true)"), BinaryStatus::not_stored), nullptr);
  wait_for([&] { return open() == 0; });
}

TEST_F(ScanTest, AttributesAreShownToWhoMaySeeThem) {
  const std::string key = keys(1).front();
  std::string block;
  wire::set_xattr(block, "user", "1");
  wire::set_xattr(block, "_sys", "2");
  const std::string value = block + "body";
  auto draft = disk_.bucket().draft(key, 0, 0, static_cast<uint32_t>(value.size()), disk_.now(), true);
  ASSERT_TRUE(draft);
  std::copy(value.begin(), value.end(), draft->value().begin());
  draft->set_datatype(wire::kDatatypeXattr);
  ASSERT_TRUE(disk_.bucket().store(*draft, store::StoreMode::set, {}, disk_.now()).ok());
  disk_.flush_to_disk();
  const auto shown = [&](bool include, ScanView view) {
    const auto client = connect();
    wire::ScanCreate what = all_keys("\"key_only\":false");
    what.include_xattrs = include;
    const auto scan = make(*client, what, view);
    EXPECT_EQ(client->reply().status, BinaryStatus::success);
    EXPECT_EQ(go_on(*client, *scan), Scan::Continued::started);
    const std::string bytes = client->reply().value;
    std::string_view rest = bytes;
    const auto item = wire::take_scan_item(rest, wire::ScanFrame::Content::documents);
    return std::to_string(item->datatype) + ":" + std::string(item->value);
  };
  EXPECT_EQ(shown(false, {true, true, true}), "0:body");
  EXPECT_EQ(shown(true, {true, false, true}), "0:body");
  EXPECT_EQ(shown(true, {true, true, true}), "4:" + value);
  wire::remove_xattr(block, "_sys");
  EXPECT_EQ(shown(true, {true, true, false}), "4:" + block + "body");
}

TEST_F(ScanTest, CompressedValuesAreInflated) {
  const std::string value(500, 'x');
  std::string compressed;
  wire::deflate(value, compressed);
  const std::string damaged = "\x07\x08nonsense";
  const auto names = keys(2);
  for (const auto& [name, kept] : {std::pair(names[0], compressed), std::pair(names[1], damaged)}) {
    auto draft = disk_.bucket().draft(name, 0, 0, static_cast<uint32_t>(kept.size()), disk_.now());
    ASSERT_TRUE(draft);
    std::copy(kept.begin(), kept.end(), draft->value().begin());
    draft->set_datatype(wire::kDatatypeSnappy | wire::kDatatypeJson);
    ASSERT_TRUE(disk_.bucket().store(*draft, store::StoreMode::set, {}, disk_.now()).ok());
  }
  disk_.flush_to_disk();
  const auto client = connect();
  const auto scan = create(*client, all_keys("\"key_only\":false"));
  ASSERT_NE(scan, nullptr);
  ASSERT_EQ(go_on(*client, *scan), Scan::Continued::started);
  const std::string bytes = client->reply().value;
  std::string_view rest = bytes;
  const auto whole = wire::take_scan_item(rest, wire::ScanFrame::Content::documents);
  ASSERT_TRUE(whole);
  EXPECT_EQ(whole->value, value);
  EXPECT_EQ(whole->datatype, wire::kDatatypeJson);
  const auto wrong = wire::take_scan_item(rest, wire::ScanFrame::Content::documents);
  ASSERT_TRUE(wrong);
  EXPECT_EQ(wrong->value, damaged);
  EXPECT_EQ(wrong->datatype & wire::kDatatypeSnappy, wire::kDatatypeSnappy) << "which says so";
}

TEST_F(ScanTest, EndsWhenTheBucketIsFlushed) {
  fill(10);
  const auto client = connect();
  const auto scan = create(*client, all_keys());
  const auto idle = create(*client, all_keys());
  ASSERT_NE(scan, nullptr);
  disk_.flush_all();
  expect_ended(*client, *scan, BinaryStatus::range_scan_cancelled);
  wait_for([&] { return open() == 0; });  // the idle one has seen it too
  // What was flushed is not scanned, though the disk may have it still.
  EXPECT_EQ(create(*client, all_keys(), BinaryStatus::key_not_found), nullptr);
}

TEST_F(ScanTest, EndsWhenTheCollectionIsDropped) {
  const auto manifest = disk_.bucket().manifest()->with_collection("_default", "c", std::nullopt);
  ASSERT_TRUE(manifest);
  disk_.bucket().set_manifest(std::make_shared<const store::Manifest>(*manifest), disk_.now());
  const store::CollectionId id = manifest->collection("_default", "c")->id;
  const auto names = keys(3);
  for (const std::string& key : names)
    ASSERT_TRUE(disk_.set({id, key}, "v").ok());
  fill(5);
  wire::ScanCreate what = all_keys();
  what.collection = id;
  EXPECT_EQ(scanned(what), joined(names));
  const auto client = connect();
  const auto scan = create(*client, what);
  ASSERT_NE(scan, nullptr);
  const auto dropped = manifest->without_collection("_default", "c");
  disk_.bucket().set_manifest(std::make_shared<const store::Manifest>(*dropped), disk_.now());
  expect_ended(*client, *scan, BinaryStatus::unknown_collection);
  EXPECT_EQ(create(*client, what, BinaryStatus::unknown_collection), nullptr);
  wait_for([&] { return open() == 0; });
}

TEST_F(ScanTest, ExpiresWhenNobodyContinuesIt) {
  limit({.idle_timeout = 1ms});
  fill(10);
  const auto client = connect();
  // It may be gone before anybody could look for it.
  const auto scan = make(*client, all_keys());
  EXPECT_EQ(client->reply().status, BinaryStatus::success);
  wait_for([&] { return scans_->statistics().expired == 1; });
  wait_for([&] { return open() == 0; });
  EXPECT_EQ(go_on(*client, *scan), Scan::Continued::gone);
}

TEST_F(ScanTest, AsManyAreOpenAsMayBe) {
  limit({.scans = 3, .scans_per_connection = 2});
  fill(10);
  const auto client = connect();
  const auto first = create(*client, all_keys());
  const auto second = create(*client, all_keys());
  ASSERT_NE(second, nullptr);
  EXPECT_FALSE(mine_->enter());
  ConnectionScans other(*scans_);
  EXPECT_TRUE(other.enter());
  ConnectionScans third(*scans_);
  EXPECT_FALSE(third.enter());
  EXPECT_EQ(scans_->statistics().refused, 2U);
  EXPECT_TRUE(first->cancel());
  EXPECT_FALSE(first->cancel());
  wait_for([&] { return open() == 2; });
  EXPECT_TRUE(mine_->enter());
}

}  // namespace
}  // namespace bobbin::feed
