#pragma once

#include "serve/binary_commands.h"
#include "wire/text.h"

namespace bobbin::serve {

// `stats` and STAT, for the command tables.

void handle_text_stats(Session& session, const wire::TextRequest& request);
void handle_binary_stat(Session& session, const BinaryCommand& row, const wire::BinaryRequest& request);

}  // namespace bobbin::serve
