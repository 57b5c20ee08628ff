#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "feed/pool.h"
#include "feed/scan.h"
#include "net/spool.h"
#include "serve/stat_groups.h"

namespace bobbin::serve {

struct Engine;

struct StatTaskSetup {
  const StatGroup& group;  ///< one that tells of each vbucket, or reads the disk
  const Engine& engine;
  const ServedBucket& bucket;  ///< for as long as `keeper` is held
  std::string argument;
  std::shared_ptr<const void> keeper;
  net::Spool spool;
  std::shared_ptr<feed::Awaited> awaited;
  /// Appends one statistic as the client's protocol has it. Any thread.
  std::function<void(std::string& out, std::string_view name, std::string_view value)> append;
  std::string end;  ///< what is behind the last one
  /// Instead of all that, where nothing was told.
  std::function<std::string(StatAnswer::Kind)> refusal;
};

/// Tells a client of all vbuckets: a task of the pool, because that is some 50 bytes for each statistic of
/// each. A step makes a piece of 32 KiB and a bit, which the spool takes when there is room. The session that
/// asked waits for the end. Also what has to be read from the disk, which is one piece.
class StatTask final : public feed::Task {
 public:
  explicit StatTask(StatTaskSetup setup);

  [[nodiscard]] std::string_view kind() const noexcept override { return "statistics"; }

 private:
  static constexpr size_t kPieceBytes = 32 << 10;

  feed::Next step() override;
  void abandoned() noexcept override { setup_.keeper.reset(); }

  void make_piece();
  void make_all();
  [[nodiscard]] feed::Next finish();

  // Of the steps.
  StatTaskSetup setup_;
  uint32_t next_vbucket_ = 0;
  std::string piece_;  // that the spool has not taken
  bool is_last_ = false;
  const std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
};

}  // namespace bobbin::serve
