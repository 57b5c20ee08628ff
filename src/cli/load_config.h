#pragma once

#include <functional>
#include <vector>

#include "base/result.h"
#include "cli/arguments.h"
#include "cli/serve_config.h"

namespace bobbin::cli {

/// The value of an environment variable, or null; getenv outside of tests.
using Environment = std::function<const char*(const char* name)>;

/// The rows of the option table as flags, with their defaults and ranges.
[[nodiscard]] std::vector<Flag> serve_flags();

/// Defaults, then the file that --config or BOBBIN_CONFIG names, then the environment, then the flags: the
/// later wins. Fails with every error found, each naming its flag, variable, or file and line.
base::Result<ServeConfig, std::vector<base::Error>> load_config(const Arguments& arguments,
                                                                const Environment& environment);

}  // namespace bobbin::cli
