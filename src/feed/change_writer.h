#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "disk/record.h"
#include "feed/outlet.h"
#include "feed/stream_options.h"
#include "store/change_log.h"
#include "store/collection_event.h"
#include "wire/dcp_changes.h"

namespace bobbin::feed {

/// A document or tombstone on its way, from memory or from disk. Views.
struct StreamItem {
  disk::RecordKind kind = disk::RecordKind::document;  ///< neither flush nor event
  uint8_t datatype = 0;
  uint64_t seqno = 0;
  uint64_t cas = 0;
  uint64_t revision = 0;
  uint32_t flags = 0;
  uint32_t time_s = 0;  ///< a document's expiry; when a tombstone was made, 0 where that is not known
  std::string_view stored_key;
  std::string_view value;
  /// Where the value lies, so that a large one can be sent from there; null: nowhere for long.
  const store::Change* source = nullptr;
};

[[nodiscard]] StreamItem item_of(const store::Change& change) noexcept;
[[nodiscard]] StreamItem item_of(std::string_view stored_key, const disk::Record& record) noexcept;

/// Writes messages of one stream as its client has asked for them. One thread at a time.
class ChangeWriter {
 public:
  ChangeWriter(const wire::DcpRoute& route, const StreamOptions& options) noexcept
      : route_(route), options_(options) {}

  void write(Outlet& out, const StreamItem& item);
  /// False: this client is not told of such events.
  [[nodiscard]] bool write(Outlet& out, uint64_t seqno, const store::CollectionEvent& event) const;
  void write(Outlet& out, wire::DcpSnapshotMarker marker) const;
  void write(Outlet& out, const wire::DcpOsoSnapshot& snapshot) const;
  void write(Outlet& out, const wire::DcpSeqnoAdvanced& advanced) const;
  void write(Outlet& out, wire::DcpEnd reason) const;

  [[nodiscard]] const StreamOptions& options() const noexcept { return options_; }
  [[nodiscard]] const wire::DcpRoute& route() const noexcept { return route_; }

 private:
  void write_mutation(Outlet& out, const StreamItem& item, std::string_view wire_key);
  void keep_attributes(std::string_view value, wire::DcpRemoval& removal);

  const wire::DcpRoute route_;
  const StreamOptions options_;
  std::string scratch_;  // a value, inflated or compressed
  std::string attributes_;
};

}  // namespace bobbin::feed
