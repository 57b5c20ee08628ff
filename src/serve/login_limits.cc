#include "serve/login_limits.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "wire/crypto.h"

namespace bobbin::serve {
namespace {

/// An entry can be in one of so many places.
constexpr size_t kWays = 8;

uint64_t ms_of(base::Now now) {
  return now.unix_ns / 1'000'000;
}

/// The wall clock may go back; then no time has passed.
uint64_t ms_since(uint64_t then_ms, uint64_t now_ms) {
  return now_ms > then_ms ? now_ms - then_ms : 0;
}

/// Those that have not leaked away.
uint64_t level(uint32_t failures, uint64_t failed_ms, const LoginLimit& limit, uint64_t now_ms) {
  const uint64_t leaked = ms_since(failed_ms, now_ms) / std::max<uint64_t>(limit.leak_ms, 1);
  return failures > leaked ? failures - leaked : 0;
}

/// What a login after so many failures has to wait, counted from the last of them.
uint64_t delay_ms(uint64_t failures, const LoginLimit& limit) {
  if (failures < std::max<uint32_t>(limit.free_failures, 1)) return 0;
  constexpr uint64_t kFirstDelayMs = 1000;
  constexpr uint64_t kMaxDoublings = 20;
  const uint64_t doublings = std::min(failures - limit.free_failures, kMaxDoublings);
  return std::min(kFirstDelayMs << doublings, limit.max_wait_ms);
}

}  // namespace

LoginLimits::LoginLimits(LoginLimitsOptions options)
    : options_(std::move(options)),
      entries_((std::max<size_t>(options_.entries, kWays) + kWays - 1) / kWays * kWays) {}

LoginLimits::Keys LoginLimits::keys_of(std::string_view user, std::string_view peer) const {
  const auto key_of = [&](char kind, std::string_view first, std::string_view second) {
    std::string text = std::string(1, kind) + std::to_string(first.size()) + ' ';
    text.append(first).append(second);
    const wire::Digest hash = wire::hmac(wire::Hash::sha256, options_.hash_key, text);
    uint64_t key = 0;
    std::memcpy(&key, hash.view().data(), sizeof key);
    return std::max<uint64_t>(key, 1);
  };
  const std::string group = peer_group(peer);
  return {key_of('p', group, {}), key_of('u', user, {}), key_of('b', user, group)};
}

LoginLimits::Entry* LoginLimits::find(uint64_t key) {
  Entry* const begin = &entries_[key % (entries_.size() / kWays) * kWays];
  Entry* const found =
      std::find_if(begin, begin + kWays, [&](const Entry& entry) { return entry.key == key; });
  return found == begin + kWays ? nullptr : found;
}

LoginLimits::Entry& LoginLimits::make(uint64_t key, uint64_t now_ms) {
  if (Entry* const entry = find(key)) return *entry;
  // The fewest failures, and of those the one that has not been heard of for longest. A free one has neither.
  const auto guilt = [&](const Entry& entry) {
    return std::pair(level(entry.failures, entry.failed_ms, options_.peer, now_ms),
                     std::max(entry.failed_ms, entry.succeeded_ms));
  };
  Entry* const begin = &entries_[key % (entries_.size() / kWays) * kWays];
  Entry* const victim = std::min_element(begin, begin + kWays,
                                         [&](const Entry& a, const Entry& b) { return guilt(a) < guilt(b); });
  *victim = Entry{};
  victim->key = key;
  return *victim;
}

LoginLimits::Entry* LoginLimits::acquaintance(uint64_t key, uint64_t now_ms) {
  Entry* const entry = find(key);
  const bool is_one = entry != nullptr && entry->succeeded_ms != 0 &&
                      ms_since(entry->succeeded_ms, now_ms) < options_.acquaintance_ms;
  return is_one ? entry : nullptr;
}

void LoginLimits::count(Entry& entry, const LoginLimit& limit, uint64_t now_ms) {
  const uint64_t before = level(entry.failures, entry.failed_ms, limit, now_ms);
  entry.failures = static_cast<uint32_t>(std::min<uint64_t>(before + 1, UINT32_MAX));
  entry.failed_ms = now_ms;
  entry.was_told = false;
}

LoginLimits::Wait LoginLimits::wait(std::string_view user, std::string_view peer, base::Now now) {
  const uint64_t now_ms = ms_of(now);
  const Keys keys = keys_of(user, peer);
  Wait longest;
  const auto consider = [&](Entry* entry, const LoginLimit& limit) {
    if (entry == nullptr) return;
    const uint64_t delay = delay_ms(level(entry->failures, entry->failed_ms, limit, now_ms), limit);
    const uint64_t passed = ms_since(entry->failed_ms, now_ms);
    if (delay <= passed || delay - passed <= longest.ms) return;
    longest = {delay - passed, !std::exchange(entry->was_told, true)};
  };
  if (Entry* const known = acquaintance(keys.both, now_ms)) {
    consider(known, options_.acquainted);
    return longest;
  }
  consider(find(keys.peer), options_.peer);
  consider(find(keys.user), options_.user);
  return longest;
}

void LoginLimits::failed(std::string_view user, std::string_view peer, base::Now now) {
  const uint64_t now_ms = ms_of(now);
  const Keys keys = keys_of(user, peer);
  if (Entry* const known = acquaintance(keys.both, now_ms)) {
    count(*known, options_.acquainted, now_ms);
    return;
  }
  count(make(keys.peer, now_ms), options_.peer, now_ms);
  count(make(keys.user, now_ms), options_.user, now_ms);
}

void LoginLimits::succeeded(std::string_view user, std::string_view peer, base::Now now) {
  const uint64_t now_ms = ms_of(now);
  make(keys_of(user, peer).both, now_ms).succeeded_ms = std::max<uint64_t>(now_ms, 1);
}

std::string peer_group(std::string_view peer) {
  const size_t scheme = peer.find(':');
  if (scheme == std::string_view::npos) return std::string(peer);
  std::string_view host = peer.substr(scheme + 1);
  if (!host.starts_with('[')) return std::string(host.substr(0, host.rfind(':')));
  host = host.substr(1, host.find(']') - 1);
  // ::ffff:192.0.2.1 is the IPv4 address.
  if (host.find('.') != std::string_view::npos) return std::string(host.substr(host.rfind(':') + 1));
  // Up to where zeros are left out, at most four groups.
  host = host.substr(0, host.find("::"));
  size_t end = 0;
  for (int groups = 0; groups < 4 && end != std::string_view::npos; ++groups)
    end = host.find(':', groups == 0 ? 0 : end + 1);
  return std::string(host.substr(0, end)) + "::";
}

}  // namespace bobbin::serve
