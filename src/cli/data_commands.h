#pragma once

#include <string>
#include <string_view>

#include "disk/error.h"

namespace bobbin::cli {

// The commands that look at data on disk and not at a server's port. They return the process's exit code,
// which is that of `bobbin serve` for the same trouble (running_server.h); argv[0] is the command's name.
int backup_command(int argc, char** argv);
int restore_command(int argc, char** argv);
int check_command(int argc, char** argv);
int user_command(int argc, char** argv);

/// Where the server that has a data directory takes commands.
[[nodiscard]] std::string control_path(const std::string& data);

/// What a data directory keeps besides documents: serve/users_file.h, serve/audit.h.
[[nodiscard]] std::string users_path(const std::string& data);
[[nodiscard]] std::string audit_path(const std::string& data);

/// "2026-11-24T15:00:00Z".
[[nodiscard]] std::string utc_text(uint64_t unix_ns);

}  // namespace bobbin::cli
