#pragma once

#include <cstdio>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cli/arguments.h"
#include "cli/mcbp_client.h"
#include "cli/meta_client.h"

namespace bobbin::cli {

/// What the client subcommands end with, so that scripts can tell the cases apart.
enum ExitCode : int {
  kExitOk = 0,
  kExitNo = 1,      ///< a key is missing, or a condition such as --add was not met
  kExitUsage = 2,   ///< wrong flags or arguments
  kExitFailed = 3,  ///< no connection, or the server answered an error
};

/// --server and --timeout, which every client subcommand has.
void add_client_flags(CommandLine& line);

/// Parses and, if asked to, prints the help; then nothing is left to do. An empty result with the exit code
/// in `exit_code` otherwise.
std::optional<Arguments> begin_client_command(const CommandLine& line, int argc, char** argv, int& exit_code);

/// What --server, BOBBIN_SERVER or the default names.
base::Result<net::Address, base::Error> server_address(const Arguments& arguments);

/// Connects to server_address().
base::Result<MetaClient, base::Error> connect_client(const Arguments& arguments);

/// --user, --password, --bucket, for those that speak Couchbase's protocol.
void add_bucket_flags(CommandLine& line);

/// Where and how to connect by that: add `features`. The password is the flag's, or that of BOBBIN_PASSWORD.
base::Result<McbpOptions, base::Error> mcbp_options(const Arguments& arguments);

/// Prints "bobbin: message" to standard error, and returns `code`.
int complain(std::string_view message, int code);

/// Writes bytes to standard output as they are.
void print(std::string_view bytes);

/// The key, quoted and escaped where it is not printable, for messages.
std::string printable(std::string_view bytes);

// One for each client subcommand; argv[0] is the subcommand's name. They return the process's exit code.
int get_command(int argc, char** argv);
int set_command(int argc, char** argv);
int del_command(int argc, char** argv);
int stat_command(int argc, char** argv);
int log_command(int argc, char** argv);
int watch_command(int argc, char** argv);
int copy_command(int argc, char** argv);
int scan_command(int argc, char** argv);

}  // namespace bobbin::cli
