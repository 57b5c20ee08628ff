#pragma once

#include <cstdint>
#include <string>

namespace bobbin::serve {

/// What GET_ERROR_MAP answers: each status with a name, a sentence, and attributes from which a client that
/// does not know the status sees what to do (kv_engine docs/ErrorMap.md). A version above 2 gets 2.
/// `version` is 1 or more.
[[nodiscard]] std::string error_map(uint16_t version);

}  // namespace bobbin::serve
