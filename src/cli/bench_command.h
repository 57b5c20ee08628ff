#pragma once

namespace bobbin::cli {

/// `bobbin bench`: 0, or 3 if there were errors or the server cannot be reached, 2 if the flags are wrong.
/// argv[0] is the subcommand's name.
int bench_command(int argc, char** argv);

}  // namespace bobbin::cli
