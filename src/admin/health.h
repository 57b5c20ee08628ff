#pragma once

#include <string>

#include "admin/route.h"

namespace bobbin::admin {

/// Why an operation of a client would not work now; empty: it would.
[[nodiscard]] std::string not_ready(const serve::Engine& engine);

/// metrics.cc
[[nodiscard]] HttpResponse handle_metrics(const Call& call);

}  // namespace bobbin::admin
