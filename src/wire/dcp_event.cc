// Events of scopes and collections: their values have several shapes (system_event.md).

#include "wire/dcp_changes.h"

namespace bobbin::wire {
namespace {

constexpr size_t kExtrasBytes = 13;

bool is_about_scope(DcpEvent event) {
  return event == DcpEvent::scope_created || event == DcpEvent::scope_dropped;
}

bool has_name(DcpEvent event) {
  return event != DcpEvent::collection_dropped && event != DcpEvent::scope_dropped;
}

bool has_ttl(const DcpSystemEvent& event) {
  return event.max_ttl_s && !is_about_scope(event.event) && event.event != DcpEvent::collection_dropped;
}

size_t value_bytes(const DcpSystemEvent& event) {
  if (is_about_scope(event.event)) return 12;
  return has_ttl(event) ? 20 : 16;
}

bool is_known(uint32_t event) {
  return event <= static_cast<uint32_t>(DcpEvent::collection_changed) && event != 2;
}

}  // namespace

char* write_dcp_system_event(char* out, const DcpRoute& route, const DcpSystemEvent& event) {
  out = write_dcp_head(out, route,
                       {.opcode = BinaryOpcode::dcp_system_event,
                        .extras_bytes = kExtrasBytes,
                        .key_bytes = event.name.size(),
                        .value_bytes = value_bytes(event)});
  out = store_big_endian(out, event.seqno);
  out = store_big_endian(out, static_cast<uint32_t>(event.event));
  return store_big_endian(out, uint8_t{has_ttl(event)});
}

char* write_dcp_event_value(char* out, const DcpSystemEvent& event) {
  out = store_big_endian(out, event.manifest_uid);
  out = store_big_endian(out, event.scope);
  if (is_about_scope(event.event)) return out;
  out = store_big_endian(out, event.collection);
  return has_ttl(event) ? store_big_endian(out, *event.max_ttl_s) : out;
}

std::optional<DcpSystemEvent> read_dcp_system_event(const BinaryRequest& request) {
  if (request.extras.size() != kExtrasBytes) return std::nullopt;
  const auto number = load_big_endian<uint32_t>(request.extras.data() + 8);
  const auto version = static_cast<uint8_t>(request.extras[12]);
  if (!is_known(number) || version > 1) return std::nullopt;
  DcpSystemEvent event{.seqno = load_big_endian<uint64_t>(request.extras.data()),
                       .event = static_cast<DcpEvent>(number),
                       .name = request.key};
  if (event.name.empty() == has_name(event.event)) return std::nullopt;
  // So that the length asked for is that of the version.
  if (version == 1) event.max_ttl_s = 0;
  if ((version == 1) != has_ttl(event) || request.value.size() != value_bytes(event)) return std::nullopt;
  const char* const value = request.value.data();
  event.manifest_uid = load_big_endian<uint64_t>(value);
  event.scope = load_big_endian<uint32_t>(value + 8);
  if (!is_about_scope(event.event)) event.collection = load_big_endian<uint32_t>(value + 12);
  if (version == 1) event.max_ttl_s = load_big_endian<uint32_t>(value + 16);
  return event;
}

}  // namespace bobbin::wire
