#pragma once

#include <memory>

#include "base/clock.h"
#include "cli/serve_config.h"
#include "disk/error.h"
#include "serve/users.h"

namespace bobbin::cli {

/// Whether the data directory has a file of users. It has not been read.
[[nodiscard]] bool has_users(const ServeConfig& config);

/// The users that a server with this configuration begins with: those of its data directory; with `dev` the
/// one of quick-start programs, in memory only. `clock` outlives them.
[[nodiscard]] disk::Result<std::unique_ptr<serve::Users>> open_users(const ServeConfig& config,
                                                                     const base::Clock& clock);

}  // namespace bobbin::cli
