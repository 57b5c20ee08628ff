#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "disk/error.h"
#include "store/bucket.h"

namespace bobbin::disk {

/// Which documents were in memory and in use, of a bucket that is larger than its memory: what a warmup
/// brings first. It knows hashes, 4 bytes a document, and takes one in thousands for another: it is advice.
class WarmSet {
 public:
  WarmSet() = default;  // of nothing: everything is as good as anything else

  /// Of a bucket as it is now; empty where all of it is in memory. Goes through all documents, a vbucket's
  /// lock for a step at a time.
  [[nodiscard]] static WarmSet of(store::Bucket& bucket, base::Now now);

  [[nodiscard]] bool empty() const noexcept { return vbuckets_.empty(); }
  [[nodiscard]] bool contains(uint16_t vbucket, store::DocKey key) const noexcept;
  [[nodiscard]] uint64_t size() const noexcept;

  /// With a checksum over all of it.
  [[nodiscard]] std::string encode() const;
  /// Nothing when it is damaged.
  [[nodiscard]] static std::optional<WarmSet> decode(std::string_view text);

 private:
  // For each vbucket the hashes of its documents, sorted; no vbuckets at all when empty.
  std::vector<std::vector<uint32_t>> vbuckets_;
};

/// Reads the file `warm` of a data directory. Nothing is wrong when it is missing or damaged: then every
/// document is as good as another.
[[nodiscard]] WarmSet read_warm_set(const std::string& directory);
/// Writes it, or removes it where the set is empty.
[[nodiscard]] Result<void> write_warm_set(const std::string& directory, const WarmSet& set);

/// Writes that file every now and then, so that a crash costs little of it, and at the end. One thread starts
/// and ends it; between there is one of its own.
class WarmSetWriter {
 public:
  WarmSetWriter(store::Bucket& bucket, std::string directory, const base::Clock& clock,
                std::chrono::milliseconds period);
  /// Ends the thread, and writes nothing.
  ~WarmSetWriter();
  WarmSetWriter(const WarmSetWriter&) = delete;
  WarmSetWriter& operator=(const WarmSetWriter&) = delete;

  void start();
  /// Ends the thread. The bucket is at rest: writes how it is.
  void finish();

 private:
  void run();
  void stop();
  void write();

  store::Bucket& bucket_;
  const std::string directory_;
  const base::Clock& clock_;
  const std::chrono::milliseconds period_;

  base::Mutex mutex_;
  std::condition_variable_any changed_;
  bool stopping_ GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace bobbin::disk
