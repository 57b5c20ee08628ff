#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "net/front_end.h"
#include "net/receiver.h"
#include "serve/backup_job.h"

namespace bobbin::serve {

/// A connection to the control socket: lines that command the server as only who may write its data directory
/// can. There is one so far:
///
///   backup WORDS FOLDER    WORDS: "-", or dry-run, verify with commas between them; FOLDER: an absolute path
///
/// The answers are those of BackupJob. On its loop.
class ControlReceiver final : public net::Receiver {
 public:
  explicit ControlReceiver(BackupJob& backups) : backups_(backups) {}

  size_t on_bytes(net::Connection& connection, std::span<const char> unread, size_t seen) override;

 private:
  void run(net::Connection& connection, std::string_view line);

  BackupJob& backups_;
};

/// Listens on the Unix socket at `path`, for its owner only, with a loop and a thread of its own: commands
/// are answered however busy the others are.
[[nodiscard]] base::Result<std::unique_ptr<net::FrontEnd>, base::Error> open_control(const std::string& path,
                                                                                     BackupJob& backups);

}  // namespace bobbin::serve
