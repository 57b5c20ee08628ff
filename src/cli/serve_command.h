#pragma once

#include <string>
#include <vector>

#include "cli/arguments.h"
#include "cli/running_server.h"

namespace bobbin::cli {

/// `bobbin serve`: 0 after a clean end, 1 if it could not start, 2 if the configuration is wrong.
int serve_command(int argc, char** argv);
/// The same with another server behind it, for tests.
int serve_with(const StartServer& start, int argc, char** argv);

/// Flags and help of `bobbin serve`.
[[nodiscard]] CommandLine serve_line();

/// Starts a server, says on standard output where it listens, and waits for SIGTERM or SIGINT; then drains.
/// Where there is a certificate, SIGHUP has it read again. A second signal ends the process at once, with 128
/// and the signal's number. Returns the exit code. To be called on the main thread, before others were
/// started: it blocks those signals.
int run_server(ServeConfig config, const StartServer& start);

/// The lines that say where the server listens and how to try it.
[[nodiscard]] std::string greeting(const ServeConfig& config, const std::vector<net::Address>& addresses,
                                   const std::vector<net::Address>& http = {},
                                   const std::vector<net::Address>& tls = {},
                                   const std::vector<net::Address>& https = {}, bool wants_login = false);

/// docs/configuration.md, made from the option table.
[[nodiscard]] std::string configuration_markdown();

}  // namespace bobbin::cli
