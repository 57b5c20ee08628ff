#pragma once

namespace bobbin::cli {

// The commands that look at data on disk and not at a server's port. They return the process's exit code,
// which is that of `bobbin serve` for the same trouble (running_server.h); argv[0] is the command's name.
int check_command(int argc, char** argv);

}  // namespace bobbin::cli
