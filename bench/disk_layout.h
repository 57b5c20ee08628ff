#pragma once

#include <rocksdb/db.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

/// Bare RocksDB with the two candidate layouts, for disk_layout and disk_flush. Nothing of src/disk is in it.
namespace bobbin::bench {

/// name=value arguments.
class Settings {
 public:
  Settings(int argc, char** argv);
  [[nodiscard]] uint64_t number(const std::string& name, uint64_t otherwise) const;
  [[nodiscard]] std::string text(const std::string& name, const std::string& otherwise) const;

 private:
  std::map<std::string, std::string> values_;
};

/// Seconds since it was made.
class Stopwatch {
 public:
  [[nodiscard]] double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// Which keys a writer writes: fresh ones, or `range` of them again and again, in random order.
class Keys {
 public:
  Keys(std::string_view order, uint64_t range, uint64_t first, uint64_t seed)
      : repeats_(order == "overwritten"),
        range_(range),
        next_(first),
        random_(seed * 2654435761U + 88172645463325252U) {}
  uint64_t next() {
    if (!repeats_) return next_++;
    random_ ^= random_ << 13;
    random_ ^= random_ >> 7;
    random_ ^= random_ << 17;
    return random_ % range_;
  }
  /// 16 bytes that do not sort like the number.
  static std::string name(uint64_t number);

 private:
  bool repeats_;
  uint64_t range_;
  uint64_t next_;
  uint64_t random_;
};

inline constexpr uint32_t kVBuckets = 1024;
std::string sortable(uint64_t number, size_t bytes);
inline uint32_t vbucket_of(uint64_t number, uint32_t shard, uint32_t shards) {
  return static_cast<uint32_t>((number * 0x9e3779b97f4a7c15U >> 40) % (kVBuckets / shards) * shards + shard);
}

/// One RocksDB with the column families docs and seqnos, and the loop that writes to it.
class BareShard {
 public:
  BareShard(const std::string& path, const Settings& settings, uint32_t shard, uint32_t shards);
  ~BareShard();
  BareShard(const BareShard&) = delete;
  BareShard& operator=(const BareShard&) = delete;

  /// Writes `count` documents in batches; returns how many bytes the log got.
  void write(Keys keys, uint64_t count, uint64_t batch, bool sync);
  /// Waits until RocksDB has nothing left to compact by itself.
  void settle();
  void compact();
  /// Documents per vbucket in seqno order: (vbucket, read).
  uint64_t stream(uint32_t vbucket);
  uint64_t iterate();
  bool get(uint64_t number);
  [[nodiscard]] uint64_t file_bytes() const;

 private:
  struct Item {
    std::string doc_key;
    std::string index_key;
    uint64_t seqno;
  };
  void put(const std::vector<Item>& items, bool sync);
  uint64_t stream_through_documents(const std::vector<std::pair<uint64_t, std::string>>& run);

  std::string path_;
  bool value_in_index_;
  bool sorted_;
  bool with_index_;
  uint32_t shard_;
  uint32_t shards_;
  std::string value_;
  std::vector<uint64_t> seqnos_;
  std::unique_ptr<rocksdb::DB> db_;
  rocksdb::ColumnFamilyHandle* docs_ = nullptr;
  rocksdb::ColumnFamilyHandle* index_ = nullptr;
};

}  // namespace bobbin::bench
