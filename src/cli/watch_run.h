#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/dcp_client.h"
#include "cli/dcp_position.h"
#include "cli/mcbp_client.h"
#include "feed/change_text.h"

namespace bobbin::cli {

using feed::CollectionNames;
using feed::WatchLines;

enum class WatchFrom : uint8_t { now, start };

struct WatchOptions {
  McbpOptions server;
  std::string what;    ///< as stream_filter() takes it
  std::string prefix;  ///< of keys; the server does not know of it
  WatchFrom from = WatchFrom::now;
  bool until_now = false;       ///< end with what was there at the start
  uint64_t limit = UINT64_MAX;  ///< of changes
  std::string position_path;    ///< empty: none is kept
  /// How long to go on without a connection, once there was one; 0: for ever.
  std::chrono::milliseconds give_up{0};
  WatchLines::Options lines;
};

/// Where lines go, and what else happens around a run.
struct WatchSurroundings {
  /// False when nobody takes lines any more.
  std::function<bool(const std::string& line)> print;
  /// Brings what was printed to who reads it; false as above.
  std::function<bool()> flush;
  std::function<void(const std::string& message)> notice;  ///< for the person, not part of the output
  std::function<bool()> stop;                              ///< asked several times a second
};

/// How a run ended without an error.
enum class WatchEnd : uint8_t { stopped, complete, nobody_reads };

/// `bobbin watch`: connects, asks for a stream of each vbucket, prints what comes, connects again when that
/// breaks. A position is saved after what it covers was flushed: with the file, every change is printed at
/// least once, also across kill -9.
class Watch {
 public:
  Watch(WatchOptions options, WatchSurroundings surroundings);
  base::Result<WatchEnd, base::Error> run();

 private:
  using Step = base::Result<std::optional<WatchEnd>, base::Error>;

  base::Result<void, base::Error> load();
  base::Result<void, base::Error> connect();
  base::Result<void, base::Error> find_filter(McbpClient& client);
  base::Result<void, base::Error> find_vbuckets(McbpClient& client);
  base::Result<void, base::Error> request(uint16_t vbucket);
  Step follow();
  Step handle(const DcpArrival& arrival);
  Step handle(uint16_t vbucket, const DcpStreamReply& reply);
  Step handle(uint16_t vbucket, const wire::DcpMessage& message);
  Step ended(uint16_t vbucket, wire::DcpEnd reason);
  Step show(const std::string& line);
  Step show_change(const std::string& line);
  Step settle();
  [[nodiscard]] bool is_shown(const wire::DcpKey& key) const;

  const WatchOptions options_;
  const WatchSurroundings around_;
  CollectionNames names_;
  const WatchLines lines_;
  std::string filter_;
  std::optional<DcpClient> client_;
  DcpPositions positions_;
  bool begun_ = false;  ///< there are positions: those of `from` do not matter any more
  std::map<uint16_t, uint64_t> ends_;
  std::set<uint16_t> open_;
  std::set<uint16_t> again_;  ///< to be asked for again, after a moment
  bool hopeless_ = false;     ///< the server will not say anything else next time
  uint64_t shown_ = 0;
  bool unflushed_ = false;
  bool unsaved_ = false;
  std::chrono::steady_clock::time_point saved_{};
};

}  // namespace bobbin::cli
