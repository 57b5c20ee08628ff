// One bit of one file is flipped: the damage is told with the file's name, or it made no difference.
#include <algorithm>
#include <array>
#include <map>
#include <random>

#include "disk/directory.h"
#include "disk/disk_test_support.h"

namespace bobbin::disk {
namespace {

namespace fs = std::filesystem;

constexpr int kKeys = 200;

std::string key_of(int i) {
  return "key" + std::to_string(i);
}
std::string value_for(int i) {
  return i % 50 == 0 ? std::string(8000, static_cast<char>('a' + i % 26)) : "value" + std::to_string(i);
}

DirectoryOptions options_for(const std::string& path) {
  DirectoryOptions options;
  options.path = path;
  options.shards = 1;
  options.vbuckets = 16;
  options.memory_bytes = 8 << 20;
  return options;
}

/// A directory with tables, blob files, and, unless it is closed, a log.
void fill(const std::string& path, bool clean) {
  auto directory = Directory::open(options_for(path));
  ASSERT_TRUE(directory) << directory.error().message;
  for (int i = 0; i < kKeys; ++i) {
    const std::string key = key_of(i);
    const std::string value = value_for(i);
    const std::vector<Change> changes = {document(1, key, static_cast<uint64_t>(i) + 1, value)};
    ASSERT_TRUE((*directory)->shard(0).commit(changes, {}, Sync::yes));
    if (i == kKeys / 2) {
      ASSERT_TRUE((*directory)->shard(0).compact());
    }
  }
  if (clean) {
    ASSERT_TRUE((*directory)->close());
  }
}

struct Outcome {
  std::string error;  ///< empty: everything could be read and was right
  std::string path;
};

/// Opens, reads every document in each way and compares.
Outcome read_all(const std::string& path) {
  auto directory = Directory::open(options_for(path));
  if (!directory) return {directory.error().message, directory.error().path};
  Shard& shard = (*directory)->shard(0);
  for (int i = 0; i < kKeys; ++i) {
    const auto found = shard.get(1, key_of(i));
    if (!found) return {found.error().message, found.error().path};
    if (!*found || (*found)->record().value != value_for(i)) return {"WRONG: " + key_of(i), ""};
  }
  const auto verified = shard.verify();
  if (!verified) return {verified.error().message, verified.error().path};
  const auto reader = shard.read_seqnos(1, 0, kMaxSeqno);
  int read = 0;
  for (;;) {
    const auto run = reader->next_run(64, 1 << 20);
    if (!run) return {run.error().message, run.error().path};
    if (run->empty()) break;
    read += static_cast<int>(run->size());
  }
  return read == kKeys ? Outcome{} : Outcome{"WRONG: " + std::to_string(read) + " in the index", ""};
}

/// Flips bits of the file whose name has `part` and reads; answers how many flips were told.
int flip(const std::string& part, bool clean, int flips, const std::string& folder_part = "/shard-0") {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE(part + " seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  const TemporaryFolder original;
  fill(original.path(), clean);
  std::vector<std::string> paths = files_with(original.path() + folder_part, part);
  // The largest: the others may be empty.
  std::sort(paths.begin(), paths.end(),
            [](const auto& a, const auto& b) { return fs::file_size(a) > fs::file_size(b); });
  EXPECT_FALSE(paths.empty()) << part;
  if (paths.empty()) return 0;
  const std::string relative = fs::relative(paths.front(), original.path()).string();
  const std::string bytes = contents(paths.front());
  EXPECT_FALSE(bytes.empty()) << part;
  int told = 0;
  for (int i = 0; i < flips && !bytes.empty(); ++i) {
    const TemporaryFolder damaged;
    fs::copy(original.path(), damaged.path(),
             fs::copy_options::recursive | fs::copy_options::overwrite_existing);
    std::string flipped = bytes;
    // First and last byte always, and one that in a blob file belongs to the column family; others at random.
    const std::array<size_t, 3> always = {0, bytes.size() - 1, std::min<size_t>(10, bytes.size() - 1)};
    const auto turn = static_cast<size_t>(i);
    const size_t at = turn < always.size() ? always.at(turn) : random() % bytes.size();
    flipped[at] = static_cast<char>(flipped[at] ^ 1 << random() % 8);
    write_contents(damaged.path() + "/" + relative, flipped);
    const Outcome outcome = read_all(damaged.path());
    EXPECT_FALSE(outcome.error.starts_with("WRONG"))
        << "byte " << at << " of " << bytes.size() << ": " << outcome.error;
    if (outcome.error.empty()) continue;
    ++told;
    EXPECT_NE(outcome.error.find(damaged.path()), std::string::npos) << outcome.error;
    // A manifest that lost its end may name a table that is gone: then both are named, the table first.
    EXPECT_NE(outcome.error.find(part), std::string::npos)
        << "byte " << at << ": " << outcome.path << ": " << outcome.error;
  }
  return told;
}

TEST(FlippedBit, InATable) {
  EXPECT_GT(flip(".sst", true, 20), 15);
}

TEST(FlippedBit, InABlobFile) {
  EXPECT_GT(flip(".blob", true, 12), 10);
}

TEST(FlippedBit, InCurrent) {
  EXPECT_EQ(flip("CURRENT", true, 10), 10);
}

// The end of the log may look torn, which is no error; so only what lies before the last record is flipped.
TEST(FlippedBit, InTheLog) {
  const TemporaryFolder original;
  fill(original.path(), false);
  auto logs = files_with(original.path() + "/shard-0", ".log");
  std::sort(logs.begin(), logs.end(),
            [](const auto& a, const auto& b) { return fs::file_size(a) > fs::file_size(b); });
  ASSERT_FALSE(logs.empty());
  const std::string bytes = contents(logs.front());
  ASSERT_GT(bytes.size(), 2000U);
  const std::string relative = fs::relative(logs.front(), original.path()).string();
  std::mt19937_64 random(1);
  for (int i = 0; i < 20; ++i) {
    const TemporaryFolder damaged;
    fs::copy(original.path(), damaged.path(),
             fs::copy_options::recursive | fs::copy_options::overwrite_existing);
    std::string flipped = bytes;
    const size_t at = random() % (bytes.size() / 2);
    flipped[at] = static_cast<char>(flipped[at] ^ 1 << i % 8);
    write_contents(damaged.path() + "/" + relative, flipped);
    const Outcome outcome = read_all(damaged.path());
    EXPECT_FALSE(outcome.error.empty()) << "byte " << at << " was not noticed";
    EXPECT_FALSE(outcome.error.starts_with("WRONG")) << "byte " << at << ": " << outcome.error;
    EXPECT_NE(outcome.path.find(".log"), std::string::npos) << outcome.path << ": " << outcome.error;
  }
}

TEST(FlippedBit, InTheManifest) {
  EXPECT_GT(flip("MANIFEST", true, 30), 20);
}

TEST(FlippedBit, InTheLayout) {
  EXPECT_EQ(flip("layout", true, 10, ""), 10);
}

TEST(CutOff, AManifestThatEndsEarlyIsDamageAfterACleanEnd) {
  const TemporaryFolder folder;
  fill(folder.path(), true);
  const auto manifests = files_with(folder.path() + "/shard-0", "MANIFEST");
  ASSERT_EQ(manifests.size(), 1U);
  const std::string bytes = contents(manifests.front());
  write_contents(manifests.front(), bytes.substr(0, bytes.size() / 2));
  const Outcome outcome = read_all(folder.path());
  EXPECT_FALSE(outcome.error.empty());
  EXPECT_FALSE(outcome.error.starts_with("WRONG")) << outcome.error;
}

TEST(Missing, EachKindOfFileIsMissed) {
  for (const std::string part : {"CURRENT", "MANIFEST", ".sst", ".blob"}) {
    const TemporaryFolder folder;
    fill(folder.path(), true);
    for (const std::string& path : files_with(folder.path() + "/shard-0", part))
      fs::remove(path);
    const Outcome outcome = read_all(folder.path());
    EXPECT_FALSE(outcome.error.empty()) << part;
    EXPECT_FALSE(outcome.error.starts_with("WRONG")) << part << ": " << outcome.error;
    EXPECT_NE(outcome.error.find(folder.path()), std::string::npos) << outcome.error;
  }
}

}  // namespace
}  // namespace bobbin::disk
