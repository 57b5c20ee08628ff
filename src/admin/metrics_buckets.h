#pragma once

#include "admin/metrics_text.h"

namespace bobbin::serve {
struct Engine;
}

namespace bobbin::admin {

/// The families that have a sample for each bucket: documents and memory, the disk, change streams.
void write_buckets(MetricsText& text, const serve::Engine& engine);

}  // namespace bobbin::admin
