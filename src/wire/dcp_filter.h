#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// The value of a stream request: which part of the bucket the stream shows, and what the client knows
/// (couchbase/kv_engine docs/dcp/documentation/commands/stream-request-value.md).

namespace bobbin::wire {

struct DcpFilter {
  std::optional<uint64_t> manifest_uid = std::nullopt;
  std::optional<uint16_t> stream_id = std::nullopt;  ///< not 0
  /// Of these collections only. Not together with `scope`.
  std::optional<std::vector<uint32_t>> collections = std::nullopt;
  std::optional<uint32_t> scope = std::nullopt;
  std::optional<uint64_t> purge_seqno = std::nullopt;
  friend bool operator==(const DcpFilter&, const DcpFilter&) = default;
};

inline constexpr size_t kMaxDcpFilterBytes = 64 << 10;

/// Nothing where it is longer than that, no object, or a member that is known is of another shape. Unknown
/// ones are passed over. An empty text is an empty filter.
[[nodiscard]] std::optional<DcpFilter> read_dcp_filter(std::string_view text);

/// Empty for an empty filter.
[[nodiscard]] std::string dcp_filter_text(const DcpFilter& filter);

}  // namespace bobbin::wire
