#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <thread>

#include "base/clock.h"
#include "base/mutex.h"
#include "disk/rotated_file.h"

namespace bobbin::serve {

struct AuditOptions {
  /// An empty path: nothing is kept.
  disk::RotatedFileOptions file = {};
  const base::Clock* clock = nullptr;  ///< outlives the log
  /// Lines that wait for the disk. What does not fit is dropped, and counted.
  size_t max_queued_bytes = 1024 * 1024;
};

/// A login that was tried.
struct LoginEvent {
  std::string_view user;
  std::string_view peer;       ///< net::ConnectionStatus::peer
  std::string_view mechanism;  ///< "SCRAM-SHA512", "PLAIN", "basic"
  bool succeeded = false;
  std::string_view reason = {};  ///< why it failed
};

/// Something that an administrator did, or was not allowed to.
struct AdminEvent {
  /// Where one client can cause lines without end, they have a pace, and less of the queue: they are not to
  /// push out what others did. What is beyond is dropped, and counted.
  enum class Pace : uint8_t {
    none,
    user,   ///< what a user was refused, whatever it was
    object  ///< what a user does to an object, over and over
  };

  std::string_view user;  ///< empty: nobody has logged in
  std::string_view peer;
  std::string_view action;  ///< "create bucket", "change user" …
  std::string_view object;  ///< what it was done to
  bool succeeded = false;
  std::string_view detail = {};
  Pace pace = Pace::none;
  std::string_view ref = {};  ///< a uuid that who was refused has been told, too
  bool is_access = false;     ///< a user was refused what is no administration
};

/// Who logged in, who failed to, and what administrators did: a JSON object a line.
///
///   {"time":"2026-11-24T18:00:00.123Z","event":"login","ok":false,"user":"app","peer":"tcp:192.0.2.7:4711",
///    "mechanism":"SCRAM-SHA512","reason":"…"}
///   {"time":…,"event":"admin","ok":true,"user":"admin","peer":…,"action":"create
///   bucket","object":"b","detail":""}
///   {"time":…,"event":"access","ok":false,"user":"app","peer":…,"action":"set","object":"b",
///    "detail":"not allowed","ref":"4f0c…"}       "ref": the client was told it with the refusal
///   {"time":…,"event":"dropped","count":12}      so many lines before this one could not be kept
///
/// Any thread, a loop as well: an event is a line in a queue, and never waits. One thread writes. Lines are
/// in the system's hands within moments and are not synced: a power cut may take the last seconds, a crash of
/// the server only what is in the queue.
class AuditLog {
 public:
  explicit AuditLog(AuditOptions options);
  /// Writes what is in the queue.
  ~AuditLog();
  AuditLog(const AuditLog&) = delete;
  AuditLog& operator=(const AuditLog&) = delete;

  void login(const LoginEvent& event);
  /// False: the line is not kept. There is no log, or no room.
  bool admin(const AdminEvent& event);

  /// Of AdminEvent::Pace: lines at once, and how long until there may be another. Of a line's text, and of
  /// users and objects that have had one lately, there is a bound as well.
  static constexpr uint64_t kPacedLines = 20;
  static constexpr uint64_t kPacedNs = 500'000'000;
  static constexpr size_t kPacedTextBytes = 256;
  static constexpr size_t kMaxPaces = 1024;

  // Lines since the start.
  [[nodiscard]] uint64_t written() const noexcept { return written_.load(std::memory_order_relaxed); }
  /// For want of room in the queue, beyond their pace, or because the file could not be written.
  [[nodiscard]] uint64_t dropped() const noexcept { return dropped_.load(std::memory_order_relaxed); }

 private:
  [[nodiscard]] std::string begin_line(std::string_view event) const;
  /// What is queued already may be `max_bytes` with the line.
  bool enqueue(std::string_view line, size_t max_bytes) EXCLUDES(mutex_);
  /// False: there are too many of its kind. Takes one's place.
  [[nodiscard]] bool keeps_pace(const AdminEvent& event) EXCLUDES(mutex_);
  void run() EXCLUDES(mutex_);
  void write(const std::string& lines, uint64_t count);

  const AuditOptions options_;
  disk::RotatedFile file_;     // the writing thread's
  bool is_failing_ = false;    // the writing thread's
  uint64_t told_dropped_ = 0;  // the writing thread's
  std::atomic<uint64_t> written_{0};
  std::atomic<uint64_t> dropped_{0};
  base::Mutex mutex_;
  std::condition_variable_any changed_;
  std::string queue_ GUARDED_BY(mutex_);
  uint64_t queued_lines_ GUARDED_BY(mutex_) = 0;
  bool is_ending_ GUARDED_BY(mutex_) = false;
  // When what was written is made up for (ns since 1970), by whose pace it is. What has been may be
  // forgotten.
  std::map<std::string, uint64_t, std::less<>> paces_ GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace bobbin::serve
