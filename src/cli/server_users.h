#pragma once

#include <memory>

#include "base/clock.h"
#include "base/result.h"
#include "cli/running_server.h"
#include "cli/serve_config.h"
#include "disk/error.h"
#include "serve/engine.h"
#include "serve/users.h"

namespace bobbin::cli {

/// Whether the data directory has users. A file of users that cannot be read counts: the server does not
/// start with it.
[[nodiscard]] bool has_users(const ServeConfig& config);

/// The users that a server with this configuration begins with: those of its data directory; with `dev` the
/// one of quick-start programs, in memory only. `clock` outlives them.
[[nodiscard]] disk::Result<std::unique_ptr<serve::Users>> open_users(const ServeConfig& config,
                                                                     const base::Clock& clock);

/// Makes the administrator that the configuration names, where there are no users: on a first start, and on
/// each of a cache. A password that is made up is printed on standard output. On a thread that may wait.
[[nodiscard]] base::Result<void, StartError> make_administrator(const ServeConfig& config,
                                                                const serve::Engine& engine);

}  // namespace bobbin::cli
