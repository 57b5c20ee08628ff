#include "serve/live_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace bobbin::serve {
namespace {

constexpr std::pair<std::string_view, WatchKind> kKinds[] = {
    {"fetchers", kWatchFetchers},      {"mutations", kWatchMutations}, {"evictions", kWatchEvictions},
    {"connevents", kWatchConnections}, {"deletions", kWatchDeletions},
};

// Keys may hold any byte; a line must not. The same escaping as in addresses of the web, as memcached does.
std::string encoded(std::string_view key) {
  static constexpr char digits[] = "0123456789ABCDEF";
  std::string text;
  text.reserve(key.size());
  for (const char c : key) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '.' || c == '_' || c == '~';
    if (plain) {
      text += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      text += {'%', digits[byte >> 4], digits[byte & 15]};
    }
  }
  return text;
}

struct PeerParts {
  std::string_view host;
  std::string_view port = "0";
  std::string_view transport;
};

// "tcp:127.0.0.1:4711", "tcp6:[::1]:4711", "unix", as net::ConnectionStatus has it.
PeerParts parts_of(std::string_view peer) {
  const size_t scheme = peer.find(':');
  if (scheme == std::string_view::npos) return {peer, "0", peer};
  const size_t port = peer.rfind(':');
  std::string_view host = peer.substr(scheme + 1, port - scheme - 1);
  if (host.starts_with('[')) host = host.substr(1, host.size() - 2);
  return {host, peer.substr(port + 1), "tcp"};
}

}  // namespace

uint32_t watch_kind(std::string_view word) {
  for (const auto& [name, kind] : kKinds) {
    if (name == word) return kind;
  }
  return 0;
}

void LiveLog::subscribe(net::Spool spool, uint32_t kinds) {
  auto watcher = std::make_shared<Watcher>();
  watcher->spool = std::move(spool);
  watcher->kinds = kinds;
  const base::MutexLock lock(mutex_);
  auto more = std::make_shared<Watchers>(*watchers_);
  more->push_back(std::move(watcher));
  watchers_ = std::move(more);
  wanted_.fetch_or(kinds, std::memory_order_relaxed);
}

size_t LiveLog::watchers() const {
  const base::MutexLock lock(mutex_);
  return watchers_->size();
}

void LiveLog::publish(WatchKind kind, std::string_view type, std::string_view rest) {
  std::shared_ptr<const Watchers> watchers;
  {
    const base::MutexLock lock(mutex_);
    watchers = watchers_;
  }
  const uint64_t ns = clock_.now().unix_ns;
  const std::string line =
      fmt::format("ts={}.{:06} gid={} type={} {}\n", ns / 1'000'000'000, ns / 1000 % 1'000'000,
                  next_gid_.fetch_add(1, std::memory_order_relaxed), type, rest);
  bool closed = false;
  for (const auto& watcher : *watchers) {
    if ((watcher->kinds & kind) != 0) closed |= !send(*watcher, line);
  }
  if (closed) remove_closed();
}

// False when the watcher is gone.
bool LiveLog::send(Watcher& watcher, std::string_view line) {
  net::Append result = net::Append::accepted;
  const uint64_t missed = watcher.missed.exchange(0, std::memory_order_relaxed);
  if (missed > 0) {
    // In one frame with the line that follows, so that the gap is told where it is.
    result = watcher.spool.append(fmt::format("skipped={}\n{}", missed, line));
  } else {
    result = watcher.spool.append(line);
  }
  switch (result) {
    case net::Append::accepted:
      sent_.fetch_add(1, std::memory_order_relaxed);
      return true;
    case net::Append::full:
      watcher.missed.fetch_add(missed + 1, std::memory_order_relaxed);
      skipped_.fetch_add(1, std::memory_order_relaxed);
      return true;
    case net::Append::closed:
      return false;
  }
  return false;
}

void LiveLog::remove_closed() {
  const base::MutexLock lock(mutex_);
  auto left = std::make_shared<Watchers>(*watchers_);
  std::erase_if(*left, [](const auto& watcher) { return watcher->spool.closed(); });
  uint32_t wanted = 0;
  for (const auto& watcher : *left)
    wanted |= watcher->kinds;
  wanted_.store(wanted, std::memory_order_relaxed);
  watchers_ = std::move(left);
}

void LiveLog::fetched(std::string_view key, std::string_view status, uint64_t connection, size_t bytes) {
  if (!wants(kWatchFetchers)) return;
  publish(kWatchFetchers, "item_get",
          fmt::format("key={} status={} clsid=0 cfd={} size={}", encoded(key), status, connection, bytes));
}

void LiveLog::stored(std::string_view key, std::string_view status, std::string_view command, int64_t ttl_s,
                     uint64_t connection, size_t bytes) {
  if (!wants(kWatchMutations)) return;
  publish(kWatchMutations, "item_store",
          fmt::format("key={} status={} cmd={} ttl={} clsid=0 cfd={} size={}", encoded(key), status, command,
                      ttl_s, connection, bytes));
}

void LiveLog::deleted(std::string_view key, std::string_view command, uint64_t connection, size_t bytes) {
  if (!wants(kWatchDeletions)) return;
  publish(kWatchDeletions, "deleted",
          fmt::format("key={} cmd={} clsid=0 cfd={} size={}", encoded(key), command, connection, bytes));
}

void LiveLog::connection_opened(std::string_view peer, uint64_t connection) {
  if (!wants(kWatchConnections)) return;
  const PeerParts parts = parts_of(peer);
  publish(kWatchConnections, "conn_new",
          fmt::format("rip={} rport={} transport={} cfd={}", parts.host, parts.port, parts.transport,
                      connection));
}

void LiveLog::connection_closed(std::string_view peer, std::string_view reason, uint64_t connection) {
  if (!wants(kWatchConnections)) return;
  const PeerParts parts = parts_of(peer);
  publish(kWatchConnections, "conn_close",
          fmt::format("rip={} rport={} transport={} reason={} cfd={}", parts.host, parts.port,
                      parts.transport, reason, connection));
}

void LiveLog::on_evicted(const store::Document& document, const store::EvictionFacts& facts) noexcept {
  if (!wants(kWatchEvictions)) return;
  const uint32_t now_s = clock_.now().unix_s();
  const int64_t ttl_s = facts.expiry == 0 ? -1 : int64_t{facts.expiry} - now_s;
  const uint32_t last_access_s = now_s - std::min(facts.last_access, now_s);
  publish(kWatchEvictions, "eviction",
          fmt::format("key={} fetch={} ttl={} la={} clsid=0 size={}", encoded(document.key()),
                      facts.fetched ? "yes" : "no", ttl_s, last_access_s, document.size()));
}

}  // namespace bobbin::serve
