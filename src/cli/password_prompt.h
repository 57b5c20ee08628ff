#pragma once

#include <string>

#include "base/result.h"

namespace bobbin::cli {

/// A new password: the environment variable BOBBIN_PASSWORD, if it is set; asked for twice without echo where
/// standard input is a terminal; otherwise the first line of standard input. Never an argument, which
/// everybody on the machine could read. A signal that ends the process while it is asked for leaves the
/// terminal as it was.
[[nodiscard]] base::Result<std::string, base::Error> read_new_password();

}  // namespace bobbin::cli
