#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include "fuzz_check.h"
#include "wire/dcp_changes.h"
#include "wire/dcp_filter.h"

/// What a peer sends on a connection of change streams, in both directions: what is read lies in the frame,
/// and what is written of it reads as the same again. Filters of stream requests are written and read as
/// well.

namespace bobbin::fuzz {
namespace {

using namespace wire;  // NOLINT(google-build-using-namespace): this file is about nothing else

// A frame as a sender puts it together: what the writer wrote, then key and value.
class Frame {
 public:
  explicit Frame(const DcpRoute& route) : route_(route) {}

  template <typename Write>
  void put(Write write, std::string_view key = {}, std::string_view value = {}) {
    std::array<char, kMaxDcpHeadBytes> head;
    char* const end = write(head.data(), route_);
    BOBBIN_FUZZ_CHECK(end <= head.data() + head.size());
    bytes_.assign(head.data(), end);
    bytes_.append(key).append(value);
  }
  [[nodiscard]] const std::string& bytes() const { return bytes_; }

  void operator()(const DcpSnapshotMarker& m) {
    put([&](char* out, const DcpRoute& route) { return write_dcp_snapshot_marker(out, route, m); });
  }
  void operator()(const DcpMutation& m) {
    put([&](char* out, const DcpRoute& route) { return write_dcp_mutation(out, route, m); }, m.key.wire,
        m.value);
  }
  void operator()(const DcpRemoval& m) {
    put([&](char* out, const DcpRoute& route) { return write_dcp_removal(out, route, m); }, m.key.wire,
        m.value);
  }
  void operator()(const DcpPrepare& m) {
    put([&](char* out, const DcpRoute& route) { return write_dcp_prepare(out, route, m); }, m.key.wire,
        m.value);
  }
  void operator()(const DcpCompletion& m) {
    put([&](char* out, const DcpRoute& route) { return write_dcp_completion(out, route, m); }, m.key.wire);
  }
  void operator()(const DcpSystemEvent& m) {
    std::array<char, kMaxDcpEventValueBytes> value;
    char* const end = write_dcp_event_value(value.data(), m);
    put([&](char* out, const DcpRoute& route) { return write_dcp_system_event(out, route, m); }, m.name,
        {value.data(), static_cast<size_t>(end - value.data())});
  }
  void operator()(const DcpSeqnoAdvanced& m) {
    put([&](char* out, const DcpRoute& route) { return write_dcp_seqno_advanced(out, route, m); });
  }
  void operator()(const DcpOsoSnapshot& m) {
    put([&](char* out, const DcpRoute& route) { return write_dcp_oso_snapshot(out, route, m); });
  }
  void operator()(DcpEnd m) {
    put([&](char* out, const DcpRoute& route) { return write_dcp_stream_end(out, route, m); });
  }
  void operator()(DcpVbucketState m) {
    put([&](char* out, const DcpRoute& route) { return write_dcp_vbucket_state(out, route, m); });
  }
  void operator()(DcpFlush) {
    put([](char* out, const DcpRoute& route) { return write_dcp_bare(out, BinaryOpcode::dcp_flush, route); });
  }
  void operator()(DcpNoop) {
    put([](char* out, const DcpRoute& route) { return write_dcp_bare(out, BinaryOpcode::dcp_noop, route); });
  }

 private:
  const DcpRoute route_;
  std::string bytes_;
};

std::string written(const DcpMessage& message, const DcpRoute& route) {
  Frame frame(route);
  std::visit(frame, message);
  return frame.bytes();
}

void check_views(const DcpMessage& message, std::string_view unread) {
  std::visit(
      [&](const auto& m) {
        using Message = std::decay_t<decltype(m)>;
        if constexpr (requires { m.key; }) {
          BOBBIN_FUZZ_CHECK(!m.key.name.empty() && m.key.wire.ends_with(m.key.name));
          BOBBIN_FUZZ_CHECK(lies_in(m.key.wire, unread));
        }
        if constexpr (requires { m.value; }) BOBBIN_FUZZ_CHECK(lies_in(m.value, unread));
        if constexpr (std::is_same_v<Message, DcpSystemEvent>) BOBBIN_FUZZ_CHECK(lies_in(m.name, unread));
      },
      message);
}

// From the producer: what is read and written reads the same.
void check_message(const BinaryRequest& request, std::string_view unread, bool collections) {
  const std::optional<DcpRoute> route = read_dcp_route(request);
  const std::optional<DcpMessage> message = read_dcp_message(request, collections);
  if (!message || !route) return;
  check_views(*message, unread);
  // The header has a byte for the key's length beside framing extras.
  if (route->stream_id != 0 && request.key.size() > 255) return;
  const std::string once = written(*message, *route);
  BinaryRequest again;
  BOBBIN_FUZZ_CHECK(cut_frame(once, again, true) == FrameState::complete &&
                    again.frame_bytes() == once.size());
  const std::optional<DcpMessage> same = read_dcp_message(again, collections);
  BOBBIN_FUZZ_CHECK(same && same->index() == message->index() && read_dcp_route(again) == route);
  BOBBIN_FUZZ_CHECK(written(*same, *route) == once);
}

void check_filter(std::string_view text) {
  const std::optional<DcpFilter> filter = read_dcp_filter(text);
  if (filter) BOBBIN_FUZZ_CHECK(read_dcp_filter(dcp_filter_text(*filter)) == filter);
}

// From the consumer.
void check_request(const BinaryRequest& request, std::string_view unread) {
  if (const auto open = read_dcp_open(request)) {
    BOBBIN_FUZZ_CHECK(lies_in(open->name, unread) && lies_in(open->value, unread));
  }
  if (const auto control = read_dcp_control(request)) {
    BOBBIN_FUZZ_CHECK(!control->key.empty() && lies_in(control->value, unread));
  }
  if (const auto stream = read_dcp_stream_request(request)) check_filter(stream->filter);
  static_cast<void>(read_dcp_add_stream(request));
  static_cast<void>(read_dcp_buffer_ack(request));
  static_cast<void>(read_dcp_seqno_acknowledged(request));
  if (const auto entries = count_dcp_failover_entries(request.value)) {
    static_cast<void>(read_dcp_failover_entry(request.value, *entries - 1));
  }
  std::string_view seqnos = request.value;
  while (take_dcp_vbucket_seqno(seqnos))
    BOBBIN_FUZZ_CHECK(lies_in(seqnos, unread));
  BOBBIN_FUZZ_CHECK(dcp_flow_bytes(request) <= request.frame_bytes() + 2);
}

}  // namespace
}  // namespace bobbin::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace bobbin;  // NOLINT(google-build-using-namespace)
  std::string_view unread(reinterpret_cast<const char*>(data), size);
  while (true) {
    wire::BinaryRequest request;
    if (wire::cut_frame(unread, request, true) != wire::FrameState::complete) return 0;
    fuzz::check_message(request, unread, false);
    fuzz::check_message(request, unread, true);
    fuzz::check_request(request, unread);
    unread.remove_prefix(static_cast<size_t>(request.frame_bytes()));
  }
}
