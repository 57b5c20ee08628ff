#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "cli/mcbp_client.h"
#include "net/blocking_stream.h"
#include "wire/dcp_changes.h"

namespace bobbin::cli {

struct DcpClientOptions {
  std::string name;         ///< of the connection; the server closes an older one of the same name
  uint32_t open_flags = 0;  ///< wire::dcp_open_flags, beside kProducer
  bool expirations = true;  ///< as such, and not as deletions
  uint32_t buffer_bytes = 8 << 20;
  uint32_t noop_interval_s = 20;
  std::chrono::milliseconds timeout{10'000};  ///< of each answer before streams begin, and of each write
};

/// The filter of a stream request for a part of the bucket: "" for all of it, "scope", or "scope.collection".
[[nodiscard]] base::Result<std::string, base::Error> stream_filter(McbpClient& client,
                                                                   const std::string& path);

/// A stream was accepted, or was not.
struct DcpStreamReply {
  wire::BinaryStatus status = wire::BinaryStatus::success;
  std::vector<wire::DcpFailoverEntry> failover_log;  ///< with success
  uint64_t rollback_seqno = 0;                       ///< with rollback
};

/// What has come for a vbucket. Views are valid until the next call.
struct DcpArrival {
  uint16_t vbucket = 0;
  std::variant<DcpStreamReply, wire::DcpMessage> what;
};

/// The consumer's side of a connection of change streams (kv_engine docs/dcp/documentation): collections are
/// agreed on, no-ops are answered, and what was dealt with is acknowledged. Every call waits, one thread at a
/// time; after an error it is of no further use. Errors are for a person.
class DcpClient {
 public:
  /// Makes one of a connection whose HELLO asked for collections, with its bucket selected.
  static base::Result<DcpClient, base::Error> open(McbpClient client, const DcpClientOptions& options);

  /// Asks for a stream; whether it is accepted comes with next(). One for each vbucket.
  base::Result<void, base::Error> request_stream(uint16_t vbucket, const wire::DcpStreamRequest& request);

  /// The next thing that matters; by calling it, the one before is dealt with. Nothing when `patience` has
  /// passed without one.
  base::Result<std::optional<DcpArrival>, base::Error> next(std::chrono::milliseconds patience);

  /// Whether next() would have something without waiting.
  [[nodiscard]] bool has_more() const;

 private:
  explicit DcpClient(net::BlockingStream stream, const DcpClientOptions& options);
  base::Result<void, base::Error> acknowledge();
  /// A whole frame: how many bytes it has.
  [[nodiscard]] std::optional<size_t> whole_frame() const;
  base::Result<std::optional<DcpArrival>, base::Error> read_frame(std::string_view frame);
  base::Result<std::optional<DcpArrival>, base::Error> read_reply(std::string_view frame);
  base::Result<bool, base::Error> receive(std::chrono::milliseconds patience);

  net::BlockingStream stream_;
  uint32_t buffer_bytes_;
  std::chrono::milliseconds silence_;  ///< after which the server is taken for dead
  std::chrono::steady_clock::time_point heard_;
  std::string unread_;
  size_t unread_at_ = 0;
  uint32_t pending_bytes_ = 0;  ///< of the frame that the caller deals with
  uint32_t done_bytes_ = 0;     ///< not yet acknowledged
};

}  // namespace bobbin::cli
