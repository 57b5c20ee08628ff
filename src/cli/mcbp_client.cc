#include "cli/mcbp_client.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "cli/json.h"
#include "wire/base64.h"
#include "wire/binary_reply.h"
#include "wire/scram_client.h"

namespace bobbin::cli {
namespace {

using wire::BinaryHeader;
using wire::BinaryOpcode;
using wire::BinaryStatus;
using wire::Feature;

template <typename T>
using Result = base::Result<T, base::Error>;

/// Longest body that is taken from a server; protects against a stream that is not of this protocol.
constexpr uint32_t kMaxBodyBytes = 64 << 20;

base::Error refused(std::string_view what, const McbpFrame& reply) {
  return {fmt::format("{}: {}", what, status_words(reply.status()))};
}

std::string random_nonce() {
  const std::string bytes = wire::random_bytes(18);
  std::string text(wire::base64_chars(bytes.size()), '\0');
  text.resize(wire::encode_base64(bytes, text.data()));
  return text;
}

// The strongest that the server has.
std::string_view choose_mechanism(std::string_view offered) {
  constexpr std::array<std::string_view, 4> kBest{"SCRAM-SHA512", "SCRAM-SHA256", "SCRAM-SHA1", "PLAIN"};
  const std::string padded = " " + std::string(offered) + " ";
  for (const std::string_view mechanism : kBest)
    if (padded.find(" " + std::string(mechanism) + " ") != std::string::npos) return mechanism;
  return {};
}

}  // namespace

std::string status_words(BinaryStatus status) {
  switch (status) {
    case BinaryStatus::key_not_found:
      return "not found";
    case BinaryStatus::no_access:
      return "no access";
    case BinaryStatus::auth_error:
      return "wrong user or password";
    case BinaryStatus::no_bucket:
      return "no bucket is selected";
    case BinaryStatus::not_my_vbucket:
      return "the vbucket is not on this server";
    case BinaryStatus::unknown_command:
      return "the server does not know this command";
    case BinaryStatus::not_supported:
      return "not supported";
    case BinaryStatus::busy:
      return "the server is busy";
    case BinaryStatus::temporary_failure:
      return "not now; try again later";
    case BinaryStatus::unknown_collection:
      return "no such collection";
    case BinaryStatus::unknown_scope:
      return "no such scope";
    case BinaryStatus::invalid_arguments:
      return "invalid arguments";
    default:
      return fmt::format("status 0x{:02x}", static_cast<uint16_t>(status));
  }
}

Result<McbpClient> McbpClient::connect(const McbpOptions& options) {
  auto stream = net::BlockingStream::connect(options.address, options.timeout);
  if (!stream) return base::fail(std::move(stream.error()));
  McbpClient client(std::move(*stream));
  if (auto greeted = client.greet(options); !greeted) return base::fail(std::move(greeted.error()));
  if (!options.user.empty()) {
    if (auto logged_in = client.log_in(options); !logged_in) return base::fail(std::move(logged_in.error()));
  }
  if (!options.bucket.empty()) {
    if (auto selected = client.select(options.bucket); !selected)
      return base::fail(std::move(selected.error()));
  }
  return client;
}

Result<void> McbpClient::send(const McbpRequest& request) {
  BinaryHeader header;
  header.opcode = static_cast<uint8_t>(request.opcode);
  header.key_bytes = static_cast<uint16_t>(request.key.size());
  header.extras_bytes = static_cast<uint8_t>(request.extras.size());
  header.datatype = request.datatype;
  header.vbucket_or_status = request.vbucket;
  header.body_bytes =
      static_cast<uint32_t>(request.extras.size() + request.key.size() + request.value.size());
  header.opaque = request.opaque;
  header.cas = request.cas;
  std::string bytes(wire::kBinaryHeaderBytes, '\0');
  wire::encode_header(bytes.data(), header);
  bytes.append(request.extras).append(request.key).append(request.value);
  return stream_.write_all(bytes);
}

Result<void> McbpClient::receive(McbpFrame& frame) {
  std::array<char, wire::kBinaryHeaderBytes> head;
  if (auto read = stream_.read_exact(head); !read) return read;
  frame.header = wire::decode_header(head.data());
  const uint8_t magic = frame.header.magic;
  const bool is_known = magic == wire::kBinaryReplyMagic || magic == wire::kFlexibleReplyMagic ||
                        magic == wire::kBinaryRequestMagic || magic == wire::kFlexibleRequestMagic;
  if (!is_known || frame.header.before_value() > frame.header.body_bytes ||
      frame.header.body_bytes > kMaxBodyBytes)
    return base::fail(base::Error{"the server answers in another protocol"});
  frame.body.resize(frame.header.body_bytes);
  if (frame.body.empty()) return {};
  return stream_.read_exact(frame.body);
}

Result<McbpFrame> McbpClient::ask(const McbpRequest& request) {
  if (auto sent = send(request); !sent) return base::fail(std::move(sent.error()));
  McbpFrame frame;
  if (auto received = receive(frame); !received) return base::fail(std::move(received.error()));
  if (frame.is_reply() && frame.header.opaque == request.opaque &&
      frame.header.opcode == static_cast<uint8_t>(request.opcode))
    return frame;
  return base::fail(base::Error{"the server answered something else than was asked"});
}

Result<void> McbpClient::greet(const McbpOptions& options) {
  std::vector<Feature> features = options.features;
  features.push_back(Feature::select_bucket);
  std::string asked;
  for (const Feature feature : features) {
    const auto number = static_cast<uint16_t>(feature);
    asked += {static_cast<char>(number >> 8), static_cast<char>(number)};
  }
  const auto reply = ask({.opcode = BinaryOpcode::hello, .key = options.agent, .value = asked});
  if (!reply) return base::fail(reply.error());
  if (reply->status() != BinaryStatus::success) return base::fail(refused("HELLO", *reply));
  std::vector<uint16_t> granted;
  for (size_t i = 0; i + 2 <= reply->value().size(); i += 2)
    granted.push_back(wire::load_big_endian<uint16_t>(reply->value().data() + i));
  for (const Feature feature : features) {
    if (std::find(granted.begin(), granted.end(), static_cast<uint16_t>(feature)) == granted.end())
      return base::fail(base::Error{
          fmt::format("the server lacks feature 0x{:02x} of the protocol", static_cast<uint16_t>(feature))});
  }
  return {};
}

Result<McbpFrame> McbpClient::log_in_by_scram(std::string_view mechanism, const McbpOptions& options) {
  const auto hash = wire::scram_hash(mechanism);
  if (!hash) return base::fail(base::Error{"the server knows no way to log in that is known here"});
  wire::ScramClient scram(*hash, options.user, options.password, random_nonce());
  const std::string first = scram.first();
  auto begun = ask({.opcode = BinaryOpcode::sasl_auth, .key = mechanism, .value = first});
  if (!begun || begun->status() != BinaryStatus::auth_continue) return begun;
  const auto answer = scram.answer(begun->value());
  if (!answer) return base::fail(base::Error{"the server's answer to the login is not SCRAM"});
  auto ended = ask({.opcode = BinaryOpcode::sasl_step, .key = mechanism, .value = *answer});
  if (ended && ended->status() == BinaryStatus::success && !scram.is_right(ended->value()))
    return base::fail(base::Error{"the server does not know the password of " + options.user +
                                  ": it is not the one that it should be"});
  return ended;
}

Result<void> McbpClient::log_in(const McbpOptions& options) {
  const auto offered = ask({.opcode = BinaryOpcode::sasl_list_mechs});
  if (!offered) return base::fail(offered.error());
  if (offered->status() != BinaryStatus::success) return base::fail(refused("login", *offered));
  const std::string_view mechanism = choose_mechanism(offered->value());
  Result<McbpFrame> ended = base::fail(base::Error{});
  if (mechanism == "PLAIN") {
    std::string message = '\0' + options.user + '\0' + options.password;
    ended = ask({.opcode = BinaryOpcode::sasl_auth, .key = mechanism, .value = message});
    wire::wipe(message);
  } else {
    ended = log_in_by_scram(mechanism, options);
  }
  if (!ended) return base::fail(std::move(ended.error()));
  if (ended->status() != BinaryStatus::success)
    return base::fail(refused("cannot log in as " + options.user, *ended));
  return {};
}

Result<void> McbpClient::select(const std::string& bucket) {
  const auto reply = ask({.opcode = BinaryOpcode::select_bucket, .key = bucket});
  if (!reply) return base::fail(reply.error());
  if (reply->status() == BinaryStatus::success) return {};
  return base::fail(refused("bucket " + json_string(bucket), *reply));
}

Result<std::vector<McbpClient::VBucket>> McbpClient::vbuckets() {
  const auto reply = ask({.opcode = BinaryOpcode::get_all_vb_seqnos});
  if (!reply) return base::fail(reply.error());
  if (reply->status() != BinaryStatus::success) return base::fail(refused("the vbuckets", *reply));
  constexpr size_t kEntryBytes = 10;
  std::vector<VBucket> all;
  const std::string_view value = reply->value();
  for (size_t i = 0; i + kEntryBytes <= value.size(); i += kEntryBytes)
    all.push_back({wire::load_big_endian<uint16_t>(value.data() + i),
                   wire::load_big_endian<uint64_t>(value.data() + i + 2)});
  return all;
}

Result<uint64_t> McbpClient::vbucket_uuid(uint16_t vbucket) {
  const auto reply = ask({.opcode = BinaryOpcode::get_failover_log, .vbucket = vbucket});
  if (!reply) return base::fail(reply.error());
  if (reply->status() != BinaryStatus::success || reply->value().size() < 16)
    return base::fail(refused(fmt::format("the history of vbucket {}", vbucket), *reply));
  return wire::load_big_endian<uint64_t>(reply->value().data());
}

Result<std::vector<uint64_t>> McbpClient::vbucket_uuids(const std::vector<uint16_t>& vbuckets) {
  std::string frames;
  std::array<char, wire::kBinaryHeaderBytes> head;
  for (const uint16_t vbucket : vbuckets) {
    wire::encode_header(head.data(), {.opcode = static_cast<uint8_t>(BinaryOpcode::get_failover_log),
                                      .vbucket_or_status = vbucket,
                                      .opaque = vbucket});
    frames.append(head.data(), head.size());
  }
  if (auto sent = send_frames(frames); !sent) return base::fail(std::move(sent.error()));
  std::vector<uint64_t> uuids;
  McbpFrame reply;
  for (const uint16_t vbucket : vbuckets) {
    if (auto received = receive(reply); !received) return base::fail(std::move(received.error()));
    if (!reply.is_reply() || reply.header.opaque != vbucket)
      return base::fail(base::Error{"the server answered something else than was asked"});
    if (reply.status() != BinaryStatus::success || reply.value().size() < 16)
      return base::fail(refused(fmt::format("the history of vbucket {}", vbucket), reply));
    uuids.push_back(wire::load_big_endian<uint64_t>(reply.value().data()));
  }
  return uuids;
}

Result<uint32_t> McbpClient::id_of(BinaryOpcode opcode, std::string_view kind, const std::string& path) {
  const auto reply = ask({.opcode = opcode, .value = path});
  if (!reply) return base::fail(reply.error());
  if (reply->status() != BinaryStatus::success)
    return base::fail(refused(fmt::format("{} {}", kind, json_string(path)), *reply));
  if (reply->extras().size() != 12)
    return base::fail(base::Error{"the server answered something else than an id"});
  return wire::load_big_endian<uint32_t>(reply->extras().data() + 8);
}

Result<uint32_t> McbpClient::collection_id(const std::string& path) {
  return id_of(BinaryOpcode::collections_get_id, "collection", path);
}

Result<uint32_t> McbpClient::scope_id(const std::string& scope) {
  return id_of(BinaryOpcode::collections_get_scope_id, "scope", scope);
}

Result<std::string> McbpClient::manifest() {
  const auto reply = ask({.opcode = BinaryOpcode::collections_get_manifest});
  if (!reply) return base::fail(reply.error());
  if (reply->status() != BinaryStatus::success) return base::fail(refused("the collections", *reply));
  return std::string(reply->value());
}

}  // namespace bobbin::cli
