#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cli/mcbp_client.h"
#include "wire/dcp_changes.h"

namespace bobbin::cli {

/// Brings changes of documents to a server, with the metadata that they have (SET_WITH_META, DEL_WITH_META),
/// many at once. The server keeps what is newer there, so bringing a change twice does no harm. One thread,
/// which waits.
class MetaWriter {
 public:
  struct Counts {
    uint64_t stored = 0;
    uint64_t removed = 0;
    uint64_t newer = 0;  ///< the server had the same, or a newer change
  };

  /// `vbuckets`: how many the server has. `patience`: how long it may be too busy for a batch.
  MetaWriter(McbpClient client, uint32_t vbuckets, std::chrono::milliseconds patience);

  // Copy what they need. `collection` is the server's.
  void store(uint32_t collection, const wire::DcpMutation& mutation);
  void remove(uint32_t collection, const wire::DcpRemoval& removal);

  [[nodiscard]] bool is_full() const noexcept {
    return requests_.size() >= kMaxRequests || bytes_ >= kMaxBytes;
  }
  /// Everything that was given is there now. An error names the document that the server refused, and leaves
  /// unknown what became of the others of the batch.
  base::Result<void, base::Error> flush();

  [[nodiscard]] const Counts& counts() const noexcept { return counts_; }
  /// For looking something up; nothing may be waiting for flush().
  [[nodiscard]] McbpClient& client() noexcept { return client_; }

 private:
  static constexpr size_t kMaxRequests = 512;
  static constexpr size_t kMaxBytes = 1 << 20;

  struct Change {
    wire::BinaryOpcode opcode;
    uint32_t collection = 0;
    uint32_t flags = 0;
    uint32_t expiry_s = 0;
    uint64_t revision = 0;
    uint64_t cas = 0;
    uint32_t options = 0;
    uint8_t datatype = 0;
    std::string_view name;
    std::string_view value;
  };
  void add(const Change& change);
  base::Result<std::vector<size_t>, base::Error> send(const std::vector<size_t>& which);
  base::Result<bool, base::Error> count(const McbpFrame& reply, std::string_view request);

  McbpClient client_;
  const uint32_t vbuckets_;
  const std::chrono::milliseconds patience_;
  std::vector<std::string> requests_;  ///< whole frames; the opaque is the place
  size_t bytes_ = 0;
  Counts counts_;
};

}  // namespace bobbin::cli
