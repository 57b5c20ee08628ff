#include "cluster/scout.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "serve/buckets.h"
#include "wire/json_value.h"

namespace bobbin::cluster {
namespace {

using wire::BinaryHeader;
using wire::BinaryOpcode;
using wire::BinaryStatus;

constexpr std::chrono::seconds kAskEvery{1};
// A configuration has ten bytes for each vbucket, and some hundred for each node.
constexpr size_t kMaxConfigBytes = 1 << 20;

}  // namespace

Scout::Scout(GreetingOptions options, Owner& owner) : GreetedTalk(std::move(options)), owner_(owner) {}

void Scout::ask(BinaryOpcode opcode, std::string_view key, net::Output& out) {
  is_asking_ = true;
  asked_ = opcode;
  const BinaryHeader header{.opcode = static_cast<uint8_t>(opcode),
                            .key_bytes = static_cast<uint16_t>(key.size()),
                            .body_bytes = static_cast<uint32_t>(key.size())};
  char* const begin = out.reserve(wire::kBinaryHeaderBytes);
  out.commit(static_cast<size_t>(wire::encode_header(begin, header) - begin));
  out.append(key);
}

void Scout::ask_list(SteadyTime now, net::Output& out) {
  asked_at_ = now;
  ask(BinaryOpcode::list_buckets, {}, out);
}

void Scout::tick(SteadyTime now, net::Output& out) {
  if (is_let_in() && !is_asking_ && now - asked_at_ >= kAskEvery) ask_list(now, out);
}

TalkOutcome Scout::take_frame(std::string_view frame, base::Now /*now*/, SteadyTime /*steady*/,
                              net::Output& out) {
  const BinaryHeader header = wire::decode_header(frame.data());
  if (!is_asking_ || header.magic != wire::kBinaryReplyMagic || header.opcode != static_cast<uint8_t>(asked_))
    return broken("the source answers something else than it was asked");
  const size_t key_at = wire::kBinaryHeaderBytes + header.extras_bytes;
  const Reply reply{static_cast<BinaryStatus>(header.vbucket_or_status),
                    frame.substr(key_at, header.key_bytes), frame.substr(key_at + header.key_bytes)};
  const bool is_good = reply.status == BinaryStatus::success;
  // Who may not ask now may not later either: a bucket of that name is made as a new one would be.
  const bool is_refused = reply.status == BinaryStatus::no_access;
  switch (asked_) {
    case BinaryOpcode::list_buckets:
      return take_list(reply, out);
    case BinaryOpcode::select_bucket:
      // It may have gone since it was listed.
      if (is_good)
        ask(BinaryOpcode::get_cluster_config, {}, out);
      else
        ask_next(out);
      return TalkOutcome::taken;
    case BinaryOpcode::get_cluster_config:
      if (!is_good && !is_refused) return pass_over(reply, out);
      if (is_good) take_config(reply.value);
      ask(BinaryOpcode::stat, "config", out);
      return TalkOutcome::taken;
    default:
      break;
  }
  // Statistics, one a frame, and an empty one at the end; not everybody may ask for them.
  if (!is_good && !is_refused) return pass_over(reply, out);
  if (is_good && !reply.key.empty()) {
    found_.settings.take(reply.key, reply.value);
    return TalkOutcome::taken;
  }
  owner_.described(found_);
  ask_next(out);
  return TalkOutcome::taken;
}

// What failed for now is asked again with the next list; and it may have gone since it was selected.
TalkOutcome Scout::pass_over(const Reply& reply, net::Output& out) {
  owner_.not_described(found_.name, fmt::format("the source does not say what it is: status 0x{:02x}",
                                                static_cast<uint16_t>(reply.status)));
  ask_next(out);
  return TalkOutcome::taken;
}

TalkOutcome Scout::take_list(const Reply& reply, net::Output& out) {
  if (reply.status != BinaryStatus::success)
    return broken(fmt::format("the source does not say which buckets it has: status 0x{:02x}",
                              static_cast<uint16_t>(reply.status)));
  std::vector<std::string> names;
  std::string_view rest = reply.value;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find(' '), rest.size());
    const std::string_view name = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (!serve::is_bucket_name(name) || names.size() == serve::Buckets::kMost ||
        std::find(names.begin(), names.end(), name) != names.end())
      return broken("the source says that it has buckets that there cannot be");
    names.emplace_back(name);
  }
  const std::vector<std::string> wanted = owner_.listed(names);
  open_.assign(wanted.begin(), wanted.end());
  ask_next(out);
  return TalkOutcome::taken;
}

void Scout::ask_next(net::Output& out) {
  is_asking_ = false;
  if (open_.empty()) return;
  found_ = {};
  found_.name = std::move(open_.front());
  open_.pop_front();
  ask(BinaryOpcode::select_bucket, found_.name, out);
}

// Whoever names no capabilities is believed to have this one.
void Scout::take_config(std::string_view json) {
  if (json.size() > kMaxConfigBytes) return;
  const auto config = wire::JsonValue::parse(json);
  const wire::JsonValue* const member = config ? config->member("bucketCapabilities") : nullptr;
  if (member == nullptr || member->array() == nullptr) return;
  found_.has_history =
      std::any_of(member->array()->begin(), member->array()->end(), [](const wire::JsonValue& capability) {
        return capability.string() != nullptr && *capability.string() == "dcp";
      });
}

}  // namespace bobbin::cluster
