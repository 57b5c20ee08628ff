#include "serve/audit.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/log.h"
#include "base/thread_name.h"
#include "wire/json_text.h"

namespace bobbin::serve {
namespace {

/// Names come from outside before anybody has logged in; a line has a bound.
constexpr size_t kMaxTextBytes = 1024;

std::string member(std::string_view name, std::string_view text, size_t max_bytes = kMaxTextBytes) {
  return fmt::format(",\"{}\":{}", name, wire::json_string(text.substr(0, max_bytes)));
}

// Names have no zero bytes; where one had, it would share a pace.
std::string pace_of(const AdminEvent& event) {
  std::string pace(event.user);
  if (event.pace == AdminEvent::Pace::object)
    pace.append(1, '\0').append(event.action).append(1, '\0').append(event.object);
  // What is refused of documents is no reason to be silent about administration; the detail says on whose
  // behalf.
  if (event.is_access) pace.append(2, '\0').append(event.detail);
  return pace;
}

std::string time_text(base::Now now) {
  const std::chrono::sys_seconds seconds{std::chrono::seconds(now.unix_ns / 1'000'000'000)};
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z",
                     fmt::gmtime(std::chrono::system_clock::to_time_t(seconds)),
                     now.unix_ns / 1'000'000 % 1000);
}

}  // namespace

AuditLog::AuditLog(AuditOptions options) : options_(std::move(options)), file_(options_.file) {
  if (!options_.file.path.empty()) thread_ = std::thread([this] { run(); });
}

AuditLog::~AuditLog() {
  if (!thread_.joinable()) return;
  {
    const base::MutexLock lock(mutex_);
    is_ending_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

std::string AuditLog::begin_line(std::string_view event) const {
  const base::Now now = options_.clock == nullptr ? base::Now{} : options_.clock->now();
  return fmt::format("{{\"time\":\"{}\",\"event\":\"{}\"", time_text(now), event);
}

void AuditLog::login(const LoginEvent& event) {
  if (!thread_.joinable()) return;
  std::string line = begin_line("login");
  line += event.succeeded ? ",\"ok\":true" : ",\"ok\":false";
  line += member("user", event.user) + member("peer", event.peer) + member("mechanism", event.mechanism);
  if (!event.succeeded) line += member("reason", event.reason);
  enqueue(line + "}\n", options_.max_queued_bytes);
}

bool AuditLog::admin(const AdminEvent& event) {
  if (!thread_.joinable()) return false;
  const bool is_paced = event.pace != AdminEvent::Pace::none;
  if (is_paced && !keeps_pace(event)) {
    dropped_.fetch_add(1, std::memory_order_relaxed);
    return false;
  }
  const size_t text_bytes = is_paced ? kPacedTextBytes : kMaxTextBytes;
  std::string line = begin_line(event.is_access ? "access" : "admin");
  line += event.succeeded ? ",\"ok\":true" : ",\"ok\":false";
  line += member("user", event.user, text_bytes) + member("peer", event.peer, text_bytes) +
          member("action", event.action, text_bytes) + member("object", event.object, text_bytes) +
          member("detail", event.detail, text_bytes);
  if (!event.ref.empty()) line += member("ref", event.ref);
  return enqueue(line + "}\n", is_paced ? options_.max_queued_bytes / 2 : options_.max_queued_bytes);
}

bool AuditLog::keeps_pace(const AdminEvent& event) {
  const uint64_t now = options_.clock == nullptr ? 0 : options_.clock->now().unix_ns;
  const uint64_t latest = now + kPacedLines * kPacedNs;
  const base::MutexLock lock(mutex_);
  auto found = paces_.find(pace_of(event));
  if (found == paces_.end()) {
    const size_t most = event.is_access ? kMaxPaces / 2 : kMaxPaces;
    if (paces_.size() >= most) std::erase_if(paces_, [now](const auto& one) { return one.second <= now; });
    if (paces_.size() >= most) return false;
    found = paces_.emplace(pace_of(event), now).first;
  }
  // A clock that was set back does not silence anybody for longer than that.
  const uint64_t made_up = std::min(std::max(found->second, now), latest);
  found->second = made_up;
  if (made_up + kPacedNs > latest) return false;
  found->second += kPacedNs;
  return true;
}

bool AuditLog::enqueue(std::string_view line, size_t max_bytes) {
  {
    const base::MutexLock lock(mutex_);
    if (queue_.size() + line.size() > max_bytes) {
      dropped_.fetch_add(1, std::memory_order_relaxed);
      return false;
    }
    queue_ += line;
    ++queued_lines_;
    if (queued_lines_ > 1) return true;  // who put the first one there has woken the writer
  }
  changed_.notify_one();
  return true;
}

void AuditLog::run() {
  base::name_thread("audit");
  for (;;) {
    std::string lines;
    uint64_t count = 0;
    {
      const base::MutexLock lock(mutex_);
      while (queue_.empty() && !is_ending_)
        changed_.wait(mutex_);
      if (queue_.empty()) return;
      lines = std::exchange(queue_, {});
      count = std::exchange(queued_lines_, 0);
    }
    write(lines, count);
  }
}

void AuditLog::write(const std::string& lines, uint64_t count) {
  const uint64_t dropped = dropped_.load(std::memory_order_relaxed);
  std::string text = lines;
  if (dropped > told_dropped_)
    text = fmt::format("{},\"count\":{}}}\n", begin_line("dropped"), dropped - told_dropped_) + lines;
  const auto done = file_.append(text);
  if (done) {
    told_dropped_ = dropped;
    written_.fetch_add(count, std::memory_order_relaxed);
  } else {
    dropped_.fetch_add(count, std::memory_order_relaxed);
    if (!is_failing_) base::log(base::LogLevel::error, "audit log: " + done.error().message);
  }
  is_failing_ = !done.has_value();
}

}  // namespace bobbin::serve
