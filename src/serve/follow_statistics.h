#pragma once

#include <string_view>

#include "serve/statistics.h"

namespace bobbin::serve {

struct Engine;
class ServedBucket;

/// The groups `follow` and `follow-vbuckets`: how the copy of another server gets on, in all and by vbucket.
/// The second is of the default bucket, and empty where none is followed. False when it is none of these. Any
/// thread.
bool report_follow(const Engine& engine, const ServedBucket& bucket, std::string_view group,
                   const StatSink& sink);

/// Seqnos that the source had, when it was asked last, and this server has not.
[[nodiscard]] uint64_t seqnos_behind(const Engine& engine);

}  // namespace bobbin::serve
