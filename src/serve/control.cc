#include "serve/control.h"

#include <algorithm>
#include <utility>

#include "net/connection.h"

namespace bobbin::serve {

namespace {

constexpr size_t kMaxControlConnections = 16;
constexpr size_t kMaxLineBytes = 64 << 10;

bool has_word(std::string_view words, std::string_view word) {
  for (size_t at = 0; at <= words.size();) {
    const size_t end = std::min(words.find(',', at), words.size());
    if (words.substr(at, end - at) == word) return true;
    at = end + 1;
  }
  return false;
}

}  // namespace

size_t ControlReceiver::on_bytes(net::Connection& connection, std::span<const char> unread, size_t) {
  const std::string_view bytes(unread.data(), unread.size());
  size_t consumed = 0;
  for (size_t end = bytes.find('\n'); end != std::string_view::npos; end = bytes.find('\n', consumed)) {
    run(connection, bytes.substr(consumed, end - consumed));
    consumed = end + 1;
  }
  return consumed;
}

void ControlReceiver::run(net::Connection& connection, std::string_view line) {
  constexpr std::string_view kBackup = "backup ";
  const size_t words_end = line.find(' ', kBackup.size());
  if (!line.starts_with(kBackup) || words_end == std::string_view::npos) {
    connection.out().append("error config unknown command\n");
    return;
  }
  const std::string_view words = line.substr(kBackup.size(), words_end - kBackup.size());
  BackupRequest request;
  request.folder = line.substr(words_end + 1);
  // A relative one would be the server's, and what follows a zero byte would be lost on the way to the
  // system.
  if (!request.folder.starts_with('/') || request.folder.find('\0') != std::string::npos) {
    connection.out().append("error config the folder has to be an absolute path\n");
    return;
  }
  request.dry_run = has_word(words, "dry-run");
  request.verify = has_word(words, "verify");
  if (!backups_.start(std::move(request), connection.spool()))
    connection.out().append("error locked another backup of this server is being made\n");
}

base::Result<std::unique_ptr<net::FrontEnd>, base::Error> open_control(const std::string& path,
                                                                       BackupJob& backups) {
  auto address = net::Address::parse("unix:" + path, 0);
  if (!address) return base::fail(std::move(address.error()));
  net::FrontEndOptions options;
  options.listen = {std::move(*address)};
  options.unix_mode = 0600;
  options.limits.max_connections = kMaxControlConnections;
  options.limits.max_unread_bytes = kMaxLineBytes;
  return net::FrontEnd::start(options,
                              [&backups](size_t) { return std::make_unique<ControlReceiver>(backups); });
}

}  // namespace bobbin::serve
