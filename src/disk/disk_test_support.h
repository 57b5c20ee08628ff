#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "disk/shard.h"

namespace bobbin::disk {

/// A folder of its own, gone at the end. For tests only, as all of this file.
class TemporaryFolder {
 public:
  TemporaryFolder() : path_(make()) {}
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  static std::string make() {
    std::string name = (std::filesystem::temp_directory_path() / "bobbin-disk-XXXXXX").string();
    return mkdtemp(name.data()) == nullptr ? std::string() : name;
  }
  std::string path_;
};

[[nodiscard]] inline std::string contents(const std::string& path) {
  std::ostringstream bytes;
  bytes << std::ifstream(path, std::ios::binary).rdbuf();
  return bytes.str();
}

inline void write_contents(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

/// The paths in a folder whose name contains `part`.
[[nodiscard]] inline std::vector<std::string> files_with(const std::string& folder, const std::string& part) {
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().filename().string().find(part) != std::string::npos)
      paths.push_back(entry.path().string());
  }
  return paths;
}

/// The name, with the collection's number in front where it is not the default one: "9/name".
[[nodiscard]] inline std::string text_of(store::DocKey key) {
  const std::string name(key.name());
  return key.collection() == 0 ? name : std::to_string(key.collection()) + "/" + name;
}

[[nodiscard]] inline Change document(uint16_t vbucket, store::DocKey key, uint64_t seqno,
                                     std::string_view value) {
  Change change;
  change.vbucket = vbucket;
  change.key = key;
  change.record.seqno = seqno;
  change.record.cas = seqno + 1000;
  change.record.revision = 1;
  change.record.value = value;
  return change;
}

[[nodiscard]] inline Change deletion(uint16_t vbucket, store::DocKey key, uint64_t seqno, uint32_t time_s) {
  Change change = document(vbucket, key, seqno, {});
  change.record.kind = RecordKind::deletion;
  change.record.time_s = time_s;
  return change;
}

[[nodiscard]] inline Change flush_of(uint16_t vbucket, uint64_t seqno) {
  Change change;
  change.vbucket = vbucket;
  change.record.kind = RecordKind::flush;
  change.record.seqno = seqno;
  return change;
}

/// A shard in a folder of its own that can be closed, left as after a crash, and opened again.
class ShardFixture {
 public:
  ShardFixture() {
    options_.path = folder_.path() + "/shard-0";
    options_.create = true;
    options_.vbuckets = 16;
    options_.resources = std::make_shared<Resources>(8 << 20, 1);
  }

  [[nodiscard]] ShardOptions& options() { return options_; }
  [[nodiscard]] const std::string& path() const { return options_.path; }
  Result<void> try_open() {
    shard_.reset();
    auto opened = Shard::open(options_);
    if (!opened) return base::fail(opened.error());
    shard_ = std::move(*opened);
    options_.create = false;
    return {};
  }
  void open() {
    const auto opened = try_open();
    ASSERT_TRUE(opened) << opened.error().message;
  }
  void close() {
    const auto closed = shard_->close();
    EXPECT_TRUE(closed) << closed.error().message;
    shard_.reset();
  }
  void crash() { shard_.reset(); }
  void commit(const std::vector<Change>& changes, const std::vector<VBucketState>& states = {}) {
    const auto committed = shard_->commit(changes, states, Sync::yes);
    EXPECT_TRUE(committed) << committed.error().message;
  }
  /// The value, "-" for a tombstone, "" for nothing, "error: ..." when it cannot be read.
  [[nodiscard]] std::string value_of(uint16_t vbucket, store::DocKey key) const {
    const auto found = shard_->get(vbucket, key);
    if (!found) return "error: " + found.error().message;
    if (!*found) return "";
    const Record record = (*found)->record();
    return is_tombstone(record.kind) ? "-" : std::string(record.value);
  }
  /// "kind:seqno:key=value ..." in seqno order.
  [[nodiscard]] std::string history(uint16_t vbucket, uint64_t from = 0, size_t items = 100) const {
    std::string text;
    const auto reader = shard_->read_seqnos(vbucket, from, kMaxSeqno);
    for (;;) {
      const auto run = reader->next_run(items, 1 << 20);
      if (!run) return "error: " + run.error().message;
      if (run->empty()) return text;
      for (const SeqnoItem& item : *run) {
        constexpr std::array<const char*, 4> kNames = {"set", "delete", "expire", "flush"};
        if (!text.empty()) text += " ";
        text += std::string(kNames[static_cast<size_t>(item.kind)]) + ":" + std::to_string(item.seqno) + ":" +
                text_of(store::DocKey::parse(item.stored_key).value_or(store::DocKey()));
        if (item.kind == RecordKind::document) text += "=" + std::string(item.stored.record().value);
      }
    }
  }
  Shard* operator->() { return shard_.get(); }

 private:
  TemporaryFolder folder_;
  ShardOptions options_;
  std::unique_ptr<Shard> shard_;
};

}  // namespace bobbin::disk
