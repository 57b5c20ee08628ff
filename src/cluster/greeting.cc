#include "cluster/greeting.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "wire/base64.h"
#include "wire/crypto.h"
#include "wire/feature.h"

namespace bobbin::cluster {
namespace {

using wire::BinaryHeader;
using wire::BinaryOpcode;
using wire::BinaryStatus;
using wire::Feature;

constexpr std::array kFeatures{Feature::collections, Feature::json, Feature::xattr, Feature::select_bucket,
                               Feature::snappy};

std::string new_nonce() {
  const std::string bytes = wire::random_bytes(18);
  std::string text(wire::base64_chars(bytes.size()), '\0');
  text.resize(wire::encode_base64(bytes, text.data()));
  return text;
}

// The strongest of those offered, which are separated by spaces. Not PLAIN: nothing hides what is sent, and
// who stands between could offer that alone.
std::string_view choose_mechanism(std::string_view offered) {
  constexpr std::array<std::string_view, 3> kBest{"SCRAM-SHA512", "SCRAM-SHA256", "SCRAM-SHA1"};
  const std::string padded = fmt::format(" {} ", offered);
  for (const std::string_view mechanism : kBest)
    if (padded.find(fmt::format(" {} ", mechanism)) != std::string::npos) return mechanism;
  return {};
}

std::string number_of(BinaryStatus status) {
  return fmt::format("status 0x{:02x}", static_cast<uint16_t>(status));
}

}  // namespace

Greeting::Greeting(GreetingOptions options) : options_(std::move(options)) {}

Greeting::~Greeting() {
  wire::wipe(options_.password);
}

GreetingOutcome Greeting::broken(std::string why) {
  trouble_ = std::move(why);
  return GreetingOutcome::broken;
}

void Greeting::ask(BinaryOpcode opcode, std::string_view key, std::string_view value, net::Output& out) {
  asked_ = opcode;
  const BinaryHeader header{.opcode = static_cast<uint8_t>(opcode),
                            .key_bytes = static_cast<uint16_t>(key.size()),
                            .body_bytes = static_cast<uint32_t>(key.size() + value.size())};
  char* const begin = out.reserve(wire::kBinaryHeaderBytes);
  out.commit(static_cast<size_t>(wire::encode_header(begin, header) - begin));
  out.append(key);
  out.append(value);
}

void Greeting::begin(net::Output& out) {
  std::array<char, kFeatures.size() * 2> wanted;
  char* end = wanted.data();
  for (const Feature feature : kFeatures)
    end = wire::store_big_endian(end, static_cast<uint16_t>(feature));
  ask(BinaryOpcode::hello, options_.agent, {wanted.data(), wanted.size()}, out);
}

GreetingOutcome Greeting::take(std::string_view frame, net::Output& out) {
  const BinaryHeader header = wire::decode_header(frame.data());
  const bool is_reply = header.magic == wire::kBinaryReplyMagic || header.magic == wire::kFlexibleReplyMagic;
  if (!is_reply || header.opcode != static_cast<uint8_t>(asked_))
    return broken("the source answers something else than it was asked: it is no Bobbin, or no such port");
  const Reply reply{static_cast<BinaryStatus>(header.vbucket_or_status),
                    frame.substr(wire::kBinaryHeaderBytes + header.before_value())};
  switch (asked_) {
    case BinaryOpcode::hello:
      return take_hello(reply, out);
    case BinaryOpcode::sasl_list_mechs:
      return take_mechanisms(reply, out);
    case BinaryOpcode::sasl_auth:
      return take_challenge(reply, out);
    case BinaryOpcode::sasl_step:
      return take_login(reply, out);
    default:
      return take_bucket(reply);
  }
}

GreetingOutcome Greeting::take_hello(const Reply& reply, net::Output& out) {
  if (reply.status != BinaryStatus::success)
    return broken("the source does not speak Couchbase's protocol: " + number_of(reply.status));
  for (const Feature feature : kFeatures) {
    bool is_granted = false;
    for (size_t i = 0; i + 2 <= reply.value.size(); i += 2)
      is_granted = is_granted ||
                   wire::load_big_endian<uint16_t>(reply.value.data() + i) == static_cast<uint16_t>(feature);
    // What a source does not send compressed is the same to us.
    if (!is_granted && feature != Feature::snappy)
      return broken(
          fmt::format("the source lacks feature 0x{:02x} of the protocol", static_cast<uint16_t>(feature)));
  }
  if (options_.user.empty()) return select(out);
  ask(BinaryOpcode::sasl_list_mechs, {}, {}, out);
  return GreetingOutcome::going_on;
}

GreetingOutcome Greeting::take_mechanisms(const Reply& reply, net::Output& out) {
  if (reply.status == BinaryStatus::success) mechanism_ = choose_mechanism(reply.value);
  const auto hash = wire::scram_hash(mechanism_);
  if (!hash) return broken("the source offers no way to log in that is known here");
  scram_ = std::make_unique<wire::ScramClient>(*hash, options_.user, options_.password, new_nonce());
  ask(BinaryOpcode::sasl_auth, mechanism_, scram_->first(), out);
  return GreetingOutcome::going_on;
}

GreetingOutcome Greeting::take_challenge(const Reply& reply, net::Output& out) {
  if (reply.status != BinaryStatus::auth_continue) return take_login(reply, out);
  const auto answer = scram_->answer(reply.value);
  if (!answer) return broken("the source's answer to the login is not SCRAM");
  ask(BinaryOpcode::sasl_step, mechanism_, *answer, out);
  return GreetingOutcome::going_on;
}

GreetingOutcome Greeting::take_login(const Reply& reply, net::Output& out) {
  if (reply.status == BinaryStatus::auth_error)
    return broken(fmt::format("cannot log in as {}: wrong user or password", options_.user));
  if (reply.status != BinaryStatus::success)
    return broken(fmt::format("cannot log in as {}: {}", options_.user, number_of(reply.status)));
  if (asked_ != BinaryOpcode::sasl_step || !scram_->is_right(reply.value))
    return broken(
        fmt::format("the source does not know the password of {}: it is not the server that it should be",
                    options_.user));
  return select(out);
}

GreetingOutcome Greeting::select(net::Output& out) {
  if (options_.bucket.empty()) return GreetingOutcome::done;
  ask(BinaryOpcode::select_bucket, options_.bucket, {}, out);
  return GreetingOutcome::going_on;
}

GreetingOutcome Greeting::take_bucket(const Reply& reply) {
  switch (reply.status) {
    case BinaryStatus::success:
      return GreetingOutcome::done;
    case BinaryStatus::no_access:
      return broken(
          options_.user.empty()
              ? fmt::format("the source wants a login for bucket {}", options_.bucket)
              : fmt::format("the source does not let {} into bucket {}", options_.user, options_.bucket));
    case BinaryStatus::key_not_found:
      return broken(fmt::format("the source has no bucket {}", options_.bucket));
    default:
      return broken(fmt::format("bucket {} of the source: {}", options_.bucket, number_of(reply.status)));
  }
}

}  // namespace bobbin::cluster
