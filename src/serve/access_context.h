#pragma once

#include <string>

#include "wire/binary_header.h"

namespace bobbin::serve {

struct BinaryCommand;
class Session;

/// Writes into the audit log that the user may not do this. Answers the uuid by which the line can be found;
/// empty where none is kept: there is no log, nobody has logged in, or there were too many just now.
std::string note_refusal(Session& session, const BinaryCommand& row);

/// The same, and what a client is told with EACCESS, a JSON text (kv_engine docs/ErrorHandling.md): which
/// command it was, the privileges that its user lacks, and that uuid. Of a collection or a document it does
/// not say whether that is there.
[[nodiscard]] std::string refuse_access(Session& session, const wire::BinaryHeader& request);

}  // namespace bobbin::serve
