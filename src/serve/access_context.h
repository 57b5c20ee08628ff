#pragma once

#include <string>

#include "wire/binary_header.h"

namespace bobbin::serve {

class Session;

/// What a client is told with EACCESS, a JSON text (kv_engine docs/ErrorHandling.md): which command it was,
/// and the privileges that its user lacks. Of a collection or a document it does not say whether that is
/// there.
[[nodiscard]] std::string access_context(Session& session, const wire::BinaryHeader& request);

}  // namespace bobbin::serve
