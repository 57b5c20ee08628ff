#include "cli/dcp_client.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "wire/dcp_filter.h"

namespace bobbin::cli {
namespace {

using wire::BinaryHeader;
using wire::BinaryOpcode;
using wire::BinaryStatus;

template <typename T>
using Result = base::Result<T, base::Error>;

/// Longest body that is taken from a server; protects against a stream that is not of this protocol.
constexpr uint32_t kMaxBodyBytes = 128 << 20;
constexpr size_t kChunkBytes = 256 << 10;

bool is_reply(uint8_t magic) {
  return magic == wire::kBinaryReplyMagic || magic == wire::kFlexibleReplyMagic;
}

bool is_request(uint8_t magic) {
  return magic == wire::kBinaryRequestMagic || magic == wire::kFlexibleRequestMagic;
}

base::Error strange(std::string_view what) {
  return {fmt::format("the server sent {} that cannot be read", what)};
}

Result<void> open_streams(McbpClient& client, const DcpClientOptions& options) {
  std::array<char, 8> extras{};
  wire::store_big_endian(extras.data() + 4, options.open_flags | wire::dcp_open_flags::kProducer);
  const auto reply = client.ask({.opcode = BinaryOpcode::dcp_open,
                                 .key = options.name,
                                 .extras = std::string_view(extras.data(), extras.size())});
  if (!reply) return base::fail(reply.error());
  if (reply->status() == BinaryStatus::success) return {};
  if (reply->status() == BinaryStatus::not_supported)
    return base::fail(base::Error{"this bucket has no history that could be followed: it is a cache"});
  return base::fail(base::Error{fmt::format("change streams: {}", status_words(reply->status()))});
}

/// Whether the server takes a setting.
Result<bool> control(McbpClient& client, std::string_view key, std::string_view value) {
  const auto reply = client.ask({.opcode = BinaryOpcode::dcp_control, .key = key, .value = value});
  if (!reply) return base::fail(reply.error());
  return reply->status() == BinaryStatus::success;
}

}  // namespace

Result<std::string> stream_filter(McbpClient& client, const std::string& path) {
  wire::DcpFilter filter;
  if (path.empty()) return std::string();
  const bool is_collection = path.find('.') != std::string::npos;
  const auto id = is_collection ? client.collection_id(path) : client.scope_id(path);
  if (!id) return base::fail(id.error());
  if (is_collection) {
    filter.collections = std::vector<uint32_t>{*id};
  } else {
    filter.scope = *id;
  }
  return wire::dcp_filter_text(filter);
}

DcpClient::DcpClient(net::BlockingStream stream, const DcpClientOptions& options)
    : stream_(std::move(stream)),
      buffer_bytes_(options.buffer_bytes),
      silence_(std::chrono::seconds(3 * options.noop_interval_s)),
      heard_(std::chrono::steady_clock::now()) {}

Result<DcpClient> DcpClient::open(McbpClient client, const DcpClientOptions& options) {
  client.set_timeout(options.timeout);
  if (auto opened = open_streams(client, options); !opened) return base::fail(std::move(opened.error()));
  const std::string interval = std::to_string(options.noop_interval_s);
  const std::string buffer = std::to_string(options.buffer_bytes);
  const auto noop = control(client, "enable_noop", "true");
  const auto every = control(client, "set_noop_interval", interval);
  const auto flow = control(client, "connection_buffer_size", buffer);
  if (!noop || !every || !flow)
    return base::fail(!noop ? noop.error() : !every ? every.error() : flow.error());
  if (options.expirations) {
    if (const auto taken = control(client, "enable_expiry_opcode", "true"); !taken)
      return base::fail(taken.error());
  }
  // Bobbin's own: otherwise nobody is told that a collection's max TTL has changed.
  if (const auto taken = control(client, "bobbin_collection_changes", "true"); !taken)
    return base::fail(taken.error());
  DcpClient made(std::move(client).take_stream(), options);
  // Who does not send no-ops cannot be told from who has nothing to say.
  if (!*noop || !*every) made.silence_ = std::chrono::milliseconds::max();
  if (!*flow) made.buffer_bytes_ = 0;
  return made;
}

Result<void> DcpClient::request_stream(uint16_t vbucket, const wire::DcpStreamRequest& request) {
  std::array<char, wire::kMaxDcpHeadBytes> head;
  const char* const end =
      wire::write_dcp_stream_request(head.data(), {.vbucket = vbucket, .opaque = vbucket}, request);
  return stream_.write_all(
      std::string(head.data(), static_cast<size_t>(end - head.data())).append(request.filter));
}

std::optional<size_t> DcpClient::whole_frame() const {
  const size_t size = unread_.size() - unread_at_;
  if (size < wire::kBinaryHeaderBytes) return std::nullopt;
  const size_t frame =
      wire::kBinaryHeaderBytes + size_t{wire::decode_header(unread_.data() + unread_at_).body_bytes};
  if (size < frame) return std::nullopt;
  return frame;
}

bool DcpClient::has_more() const {
  return whole_frame().has_value();
}

// Whether there is a whole frame now; false when the time was up.
Result<bool> DcpClient::receive(std::chrono::milliseconds patience) {
  const auto until = std::chrono::steady_clock::now() + patience;
  while (!whole_frame()) {
    if (unread_.size() - unread_at_ >= wire::kBinaryHeaderBytes) {
      const BinaryHeader header = wire::decode_header(unread_.data() + unread_at_);
      if (header.body_bytes > kMaxBodyBytes || (!is_reply(header.magic) && !is_request(header.magic)))
        return base::fail(strange("a frame"));
    }
    const auto now = std::chrono::steady_clock::now();
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - now);
    const auto readable = stream_.wait_readable(std::max(left, std::chrono::milliseconds(0)));
    if (!readable) return base::fail(readable.error());
    if (!*readable) {
      if (silence_ != std::chrono::milliseconds::max() && now - heard_ > silence_)
        return base::fail(base::Error{"the server has said nothing for too long"});
      return false;
    }
    unread_.erase(0, std::exchange(unread_at_, 0));
    const size_t had = unread_.size();
    unread_.resize(had + kChunkBytes);
    const auto read = stream_.read_some({unread_.data() + had, kChunkBytes});
    unread_.resize(had + read.value_or(0));
    if (!read) return base::fail(read.error());
    if (*read == 0) return base::fail(base::Error{"the server closed the connection"});
    heard_ = std::chrono::steady_clock::now();
  }
  return true;
}

Result<void> DcpClient::acknowledge() {
  done_bytes_ += std::exchange(pending_bytes_, 0);
  if (buffer_bytes_ == 0 || done_bytes_ < buffer_bytes_ / 5) return {};
  std::array<char, wire::kMaxDcpHeadBytes> head;
  const char* const end = wire::write_dcp_buffer_ack(head.data(), 0, std::exchange(done_bytes_, 0));
  return stream_.write_all({head.data(), static_cast<size_t>(end - head.data())});
}

Result<std::optional<DcpArrival>> DcpClient::read_reply(std::string_view frame) {
  const BinaryHeader header = wire::decode_header(frame.data());
  if (header.before_value() > header.body_bytes) return base::fail(strange("a reply"));
  // Acknowledgements are answered by none, or by errors that the end of the connection will explain.
  if (header.opcode != static_cast<uint8_t>(BinaryOpcode::dcp_stream_request)) return std::nullopt;
  const std::string_view value = frame.substr(wire::kBinaryHeaderBytes + header.before_value());
  DcpStreamReply reply{.status = static_cast<BinaryStatus>(header.vbucket_or_status), .failover_log = {}};
  if (reply.status == BinaryStatus::success) {
    const auto count = wire::count_dcp_failover_entries(value);
    if (!count) return base::fail(strange("a failover log"));
    for (size_t i = 0; i < *count; ++i)
      reply.failover_log.push_back(wire::read_dcp_failover_entry(value, i));
  } else if (reply.status == BinaryStatus::rollback) {
    const auto seqno = wire::read_dcp_rollback(value);
    if (!seqno) return base::fail(strange("a rollback"));
    reply.rollback_seqno = *seqno;
  }
  return DcpArrival{.vbucket = static_cast<uint16_t>(header.opaque), .what = std::move(reply)};
}

Result<std::optional<DcpArrival>> DcpClient::read_frame(std::string_view frame) {
  if (is_reply(static_cast<uint8_t>(frame[0]))) return read_reply(frame);
  wire::BinaryRequest request;
  if (wire::cut_frame(frame, request, true) != wire::FrameState::complete)
    return base::fail(strange("a frame"));
  auto message = wire::read_dcp_message(request, true);
  if (!message)
    return base::fail(base::Error{
        fmt::format("the server sent a message 0x{:02x} that cannot be read", request.header.opcode)});
  pending_bytes_ = wire::dcp_flow_bytes(request);
  if (std::holds_alternative<wire::DcpNoop>(*message)) {
    std::array<char, wire::kBinaryHeaderBytes> reply;
    wire::write_dcp_reply(reply.data(), BinaryOpcode::dcp_noop, request.header.opaque, BinaryStatus::success);
    if (auto sent = stream_.write_all({reply.data(), reply.size()}); !sent) return base::fail(sent.error());
    return std::nullopt;
  }
  return DcpArrival{.vbucket = request.header.vbucket_or_status, .what = *message};
}

Result<std::optional<DcpArrival>> DcpClient::next(std::chrono::milliseconds patience) {
  while (true) {
    if (auto sent = acknowledge(); !sent) return base::fail(std::move(sent.error()));
    const auto received = receive(patience);
    if (!received) return base::fail(received.error());
    if (!*received) return std::nullopt;
    const size_t size = *whole_frame();
    const std::string_view frame = std::string_view(unread_).substr(unread_at_, size);
    unread_at_ += size;
    auto arrival = read_frame(frame);
    if (!arrival || *arrival) return arrival;
  }
}

}  // namespace bobbin::cli
