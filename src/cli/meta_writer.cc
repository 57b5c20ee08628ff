#include "cli/meta_writer.h"

#include <fmt/format.h>

#include <numeric>
#include <thread>

#include "cli/client_command.h"
#include "store/key_hash.h"
#include "wire/leb128.h"

namespace bobbin::cli {
namespace {

using wire::BinaryOpcode;
using wire::BinaryStatus;

template <typename T>
using Result = base::Result<T, base::Error>;

constexpr uint32_t kIsExpiration = 0x10;
constexpr std::chrono::milliseconds kPause{20};

void append_leb128(std::string& bytes, uint32_t number) {
  for (; number >= 0x80; number >>= 7)
    bytes += static_cast<char>(number | 0x80);
  bytes += static_cast<char>(number);
}

template <std::unsigned_integral Number>
void append_number(std::string& bytes, Number number) {
  std::array<char, sizeof(Number)> encoded;
  wire::store_big_endian(encoded.data(), number);
  bytes.append(encoded.data(), encoded.size());
}

std::string key_of(std::string_view request) {
  const wire::BinaryHeader header = wire::decode_header(request.data());
  std::string_view key = request.substr(wire::kBinaryHeaderBytes + header.extras_bytes, header.key_bytes);
  static_cast<void>(wire::take_leb128(key));
  return printable(key);
}

}  // namespace

MetaWriter::MetaWriter(McbpClient client, uint32_t vbuckets, std::chrono::milliseconds patience)
    : client_(std::move(client)), vbuckets_(vbuckets), patience_(patience) {}

void MetaWriter::add(const Change& change) {
  std::string key;
  append_leb128(key, change.collection);
  key += change.name;
  std::string extras;
  append_number(extras, change.flags);
  append_number(extras, change.expiry_s);
  append_number(extras, change.revision);
  append_number(extras, change.cas);
  if (change.options != 0) append_number(extras, change.options);
  std::string frame(wire::kBinaryHeaderBytes, '\0');
  wire::encode_header(
      frame.data(),
      {.opcode = static_cast<uint8_t>(change.opcode),
       .key_bytes = static_cast<uint16_t>(key.size()),
       .extras_bytes = static_cast<uint8_t>(extras.size()),
       .datatype = change.datatype,
       .vbucket_or_status = static_cast<uint16_t>(store::vbucket_of_key(change.name, vbuckets_)),
       .body_bytes = static_cast<uint32_t>(extras.size() + key.size() + change.value.size()),
       .opaque = static_cast<uint32_t>(requests_.size())});
  frame.append(extras).append(key).append(change.value);
  bytes_ += frame.size();
  requests_.push_back(std::move(frame));
}

void MetaWriter::store(uint32_t collection, const wire::DcpMutation& mutation) {
  add({.opcode = BinaryOpcode::set_with_meta,
       .collection = collection,
       .flags = mutation.flags,
       .expiry_s = mutation.expiry_s,
       .revision = mutation.revision,
       .cas = mutation.cas,
       .datatype = mutation.datatype,
       .name = mutation.key.name,
       .value = mutation.value});
}

// A tombstone's attributes stay behind.
void MetaWriter::remove(uint32_t collection, const wire::DcpRemoval& removal) {
  add({.opcode = BinaryOpcode::del_with_meta,
       .collection = collection,
       .revision = removal.revision,
       .cas = removal.cas,
       .options = removal.kind == wire::DcpRemovalKind::expiration ? kIsExpiration : 0,
       .name = removal.key.name,
       .value = {}});
}

// False where it has to be sent again.
Result<bool> MetaWriter::count(const McbpFrame& reply, std::string_view request) {
  const bool stores = reply.header.opcode == static_cast<uint8_t>(BinaryOpcode::set_with_meta);
  switch (reply.status()) {
    case BinaryStatus::success:
      ++(stores ? counts_.stored : counts_.removed);
      return true;
    case BinaryStatus::key_exists:
    case BinaryStatus::key_not_found:
      ++counts_.newer;
      return true;
    case BinaryStatus::temporary_failure:
    case BinaryStatus::out_of_memory:
    case BinaryStatus::busy:
    case BinaryStatus::locked:
      return false;
    default:
      return base::fail(base::Error{fmt::format("{}: {}", key_of(request), status_words(reply.status()))});
  }
}

// The ones that the server was too busy for.
Result<std::vector<size_t>> MetaWriter::send(const std::vector<size_t>& which) {
  std::string frames;
  for (const size_t i : which)
    frames += requests_[i];
  if (auto sent = client_.send_frames(frames); !sent) return base::fail(std::move(sent.error()));
  std::vector<size_t> again;
  McbpFrame reply;
  for (size_t answered = 0; answered < which.size(); ++answered) {
    if (auto received = client_.receive(reply); !received) return base::fail(std::move(received.error()));
    const size_t place = reply.header.opaque;
    if (!reply.is_reply() || place >= requests_.size())
      return base::fail(base::Error{"the server answered something else than was asked"});
    const auto counted = count(reply, requests_[place]);
    if (!counted) return base::fail(counted.error());
    if (!*counted) again.push_back(place);
  }
  return again;
}

Result<void> MetaWriter::flush() {
  std::vector<size_t> left(requests_.size());
  std::iota(left.begin(), left.end(), size_t{0});
  auto moved = std::chrono::steady_clock::now();
  while (!left.empty()) {
    auto again = send(left);
    if (!again) return base::fail(std::move(again.error()));
    const auto now = std::chrono::steady_clock::now();
    if (again->size() < left.size()) moved = now;
    left = std::move(*again);
    if (left.empty()) break;
    if (patience_.count() != 0 && now - moved > patience_)
      return base::fail(
          base::Error{fmt::format("the server takes no more: it has no memory, or is too busy, since {} s",
                                  std::chrono::duration_cast<std::chrono::seconds>(now - moved).count())});
    std::this_thread::sleep_for(kPause);
  }
  requests_.clear();
  bytes_ = 0;
  return {};
}

}  // namespace bobbin::cli
