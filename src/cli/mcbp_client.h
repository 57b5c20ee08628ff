#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "net/address.h"
#include "net/blocking_stream.h"
#include "wire/binary_header.h"
#include "wire/feature.h"

namespace bobbin::cli {

struct McbpOptions {
  net::Address address;
  std::chrono::milliseconds timeout{10'000};  ///< of each answer; 0 waits for ever
  std::string agent = "bobbin";               ///< who the server is told this is
  std::string user = {};                      ///< empty: nobody logs in
  std::string password = {};
  std::string bucket = {};  ///< empty: none is selected
  /// What HELLO asks for, beside select_bucket. All have to be granted.
  std::vector<wire::Feature> features = {};
};

/// A request, or a reply to one of the server's. Views are the caller's.
struct McbpRequest {
  wire::BinaryOpcode opcode;
  std::string_view key = {};
  std::string_view value = {};
  std::string_view extras = {};
  uint16_t vbucket = 0;
  uint8_t datatype = 0;
  uint32_t opaque = 0;
  uint64_t cas = 0;
};

/// What has come: a reply, or a request of the server's (a change stream's).
struct McbpFrame {
  wire::BinaryHeader header;
  std::string body;

  [[nodiscard]] bool is_reply() const noexcept {
    return header.magic == wire::kBinaryReplyMagic || header.magic == wire::kFlexibleReplyMagic;
  }
  [[nodiscard]] wire::BinaryStatus status() const noexcept {
    return static_cast<wire::BinaryStatus>(header.vbucket_or_status);
  }
  // Valid as long as this is not changed.
  [[nodiscard]] std::string_view extras() const noexcept {
    return std::string_view(body).substr(header.framing_bytes, header.extras_bytes);
  }
  [[nodiscard]] std::string_view key() const noexcept {
    return std::string_view(body).substr(size_t{header.framing_bytes} + header.extras_bytes,
                                         header.key_bytes);
  }
  [[nodiscard]] std::string_view value() const noexcept {
    return std::string_view(body).substr(header.before_value());
  }
};

/// A connection that speaks Couchbase's protocol (kv_engine docs/BinaryProtocol.md), logged in, with a bucket
/// selected. Every call waits; one thread at a time. Errors are for a person, and name what was asked for.
class McbpClient {
 public:
  static base::Result<McbpClient, base::Error> connect(const McbpOptions& options);

  // For those who keep several requests on their way.
  base::Result<void, base::Error> send(const McbpRequest& request);
  /// Whole frames, as they are.
  base::Result<void, base::Error> send_frames(std::string_view frames) { return stream_.write_all(frames); }
  /// The next frame, whatever it answers; `frame` keeps its memory.
  base::Result<void, base::Error> receive(McbpFrame& frame);

  /// Sends, and waits for the next frame, which has to be the reply: nothing else may be on its way.
  base::Result<McbpFrame, base::Error> ask(const McbpRequest& request);

  struct VBucket {
    uint16_t number = 0;
    uint64_t high_seqno = 0;
  };
  /// Every vbucket of the selected bucket, in order.
  base::Result<std::vector<VBucket>, base::Error> vbuckets();
  /// Of the newest branch of its history.
  base::Result<uint64_t, base::Error> vbucket_uuid(uint16_t vbucket);
  /// The same of many, asked for all at once.
  base::Result<std::vector<uint64_t>, base::Error> vbucket_uuids(const std::vector<uint16_t>& vbuckets);
  /// Of "scope.collection"; either may be empty for the default.
  base::Result<uint32_t, base::Error> collection_id(const std::string& path);
  /// Of a scope, by its name.
  base::Result<uint32_t, base::Error> scope_id(const std::string& scope);
  /// The scopes and collections of the bucket, as JSON (store/manifest.h).
  base::Result<std::string, base::Error> manifest();

  /// For who goes on by itself: no reply is on its way.
  [[nodiscard]] net::BlockingStream take_stream() && { return std::move(stream_); }

  /// For the calls after this one; 0 waits for ever.
  void set_timeout(std::chrono::milliseconds timeout) { stream_.set_timeout(timeout); }

 private:
  explicit McbpClient(net::BlockingStream stream) : stream_(std::move(stream)) {}
  base::Result<void, base::Error> greet(const McbpOptions& options);
  base::Result<void, base::Error> log_in(const McbpOptions& options);
  base::Result<McbpFrame, base::Error> log_in_by_scram(std::string_view mechanism,
                                                       const McbpOptions& options);
  base::Result<void, base::Error> select(const std::string& bucket);
  base::Result<uint32_t, base::Error> id_of(wire::BinaryOpcode opcode, std::string_view kind,
                                            const std::string& path);

  net::BlockingStream stream_;
};

/// "no access", or the status as a number.
[[nodiscard]] std::string status_words(wire::BinaryStatus status);

}  // namespace bobbin::cli
