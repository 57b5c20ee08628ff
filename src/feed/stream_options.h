#pragma once

#include <cstdint>

#include "wire/dcp_changes.h"

namespace bobbin::feed {

/// Whether a copy from the beginning may come out of order.
enum class OutOfOrder : uint8_t { no, yes, with_seqno_advanced };

/// How a client wants its streams: what it said in HELLO, in DCP_OPEN, and in DCP_CONTROL so far. A stream
/// keeps those of the moment at which it was asked for.
struct StreamOptions {
  // HELLO.
  bool collections = false;
  bool json = false;    ///< knows the datatype
  bool snappy = false;  ///< takes compressed values
  // DCP_OPEN.
  bool xattrs = false;
  bool deleted_user_xattrs = false;  ///< with `xattrs`: of deleted documents not those of the system alone
  bool no_value = false;
  bool no_value_but_datatype = false;
  bool delete_times = false;
  // DCP_CONTROL.
  bool expirations = false;
  bool compresses = false;  ///< every value that becomes shorter by it
  bool stream_ids = false;
  bool ends_closed_streams = false;
  bool collection_changes = false;  ///< Bobbin's own: takes events of changed collections
  wire::DcpMarkerVersion marker = wire::DcpMarkerVersion::v1;
  OutOfOrder out_of_order = OutOfOrder::no;

  [[nodiscard]] bool second_deletions() const noexcept { return collections || delete_times || expirations; }
};

}  // namespace bobbin::feed
