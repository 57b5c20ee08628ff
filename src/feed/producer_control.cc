// DCP_CONTROL: what a client may ask of its producer (kv_engine docs/dcp/documentation/commands/control.md).

#include <charconv>
#include <optional>

#include "feed/producer.h"

namespace bobbin::feed {
namespace {

using wire::BinaryStatus;

constexpr uint64_t kMaxNoopIntervalS = 10'800;

std::optional<uint64_t> number_in(std::string_view text, uint64_t max) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number > max) return std::nullopt;
  return number;
}

}  // namespace

BinaryStatus Producer::control(std::string_view key, std::string_view value) {
  const base::MutexLock lock(mutex_);
  BinaryStatus status = set_choice(key, value);
  if (status == BinaryStatus::not_supported && (value == "true" || value == "false"))
    status = set_flag(key, value == "true");
  if (status == BinaryStatus::success) wake();
  return status;
}

BinaryStatus Producer::set_flag(std::string_view key, bool on) {
  StreamOptions& options = setup_.options;
  if (key == "enable_noop") {
    wants_noops_ = on;
  } else if (key == "send_stream_end_on_client_close_stream") {
    options.ends_closed_streams = on;
  } else if (key == "enable_expiry_opcode") {
    options.expirations = on;
  } else if (key == "bobbin_collection_changes") {
    options.collection_changes = on;
  } else if (key == "force_value_compression") {
    if (on && !options.snappy) return BinaryStatus::invalid_arguments;
    options.compresses = on;
  } else if (key == "enable_stream_id") {
    // Those that are there have none.
    if (!on || !open_.empty()) return BinaryStatus::invalid_arguments;
    options.stream_ids = true;
  } else if (key == "supports_cursor_dropping" || key == "supports_cursor_dropping_vulcan" ||
             key == "v7_dcp_status_codes" || key == "supports_hifi_MFU") {
    // Cursors are dropped whatever it says; the others change nothing that is sent from here.
  } else {
    return BinaryStatus::not_supported;
  }
  return BinaryStatus::success;
}

BinaryStatus Producer::set_choice(std::string_view key, std::string_view value) {
  StreamOptions& options = setup_.options;
  if (key == "connection_buffer_size") {
    const auto bytes = number_in(value, UINT32_MAX);
    if (!bytes) return BinaryStatus::invalid_arguments;
    window_bytes_ = *bytes;
  } else if (key == "set_noop_interval") {
    const auto seconds = number_in(value, kMaxNoopIntervalS);
    if (!seconds || *seconds == 0) return BinaryStatus::invalid_arguments;
    noop_interval_s_ = *seconds;
  } else if (key == "set_priority") {
    // All have the same: a client has its share of the pool, whatever the others do.
    if (value != "high" && value != "medium" && value != "low") return BinaryStatus::invalid_arguments;
  } else if (key == "backfill_order") {
    if (value != "round-robin" && value != "sequential") return BinaryStatus::invalid_arguments;
  } else if (key == "max_marker_version") {
    if (value == "2.2") {
      options.marker = wire::DcpMarkerVersion::v2_2;
    } else if (value == "2.0") {
      options.marker = wire::DcpMarkerVersion::v2_0;
    } else {
      return BinaryStatus::invalid_arguments;
    }
  } else if (key == "enable_out_of_order_snapshots") {
    if (value != "true" && value != "true_with_seqno_advanced") return BinaryStatus::invalid_arguments;
    options.out_of_order = value == "true" ? OutOfOrder::yes : OutOfOrder::with_seqno_advanced;
  } else {
    return BinaryStatus::not_supported;
  }
  return BinaryStatus::success;
}

}  // namespace bobbin::feed
