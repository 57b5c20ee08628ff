#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>

#include "base/durations.h"
#include "serve/roles.h"
#include "serve/statistics.h"
#include "store/doc_key.h"

namespace bobbin::serve {

struct Engine;
class ServedBucket;

/// What somebody asks for.
struct StatQuery {
  const Engine& engine;
  const ServedBucket& bucket;      ///< what is about documents tells of this one
  std::string_view argument = {};  ///< what stands behind the group's name and a space; empty: nothing
  uint64_t connection = 0;         ///< who asks; 0: no connection
  bool sees_server = true;         ///< may be told of other connections than its own
};

struct StatAnswer {
  enum Kind : uint8_t {
    told,
    unknown,  ///< there is no such thing as the argument names
    invalid,  ///< the argument is none
    blocked,  ///< nothing was told: only the disk knows `key`; to be asked again when it was read. Of a group
              ///< that reads the disk: that could not be read
  };
  // NOLINTNEXTLINE(google-explicit-constructor): most have nothing else to say
  StatAnswer(Kind what, store::DocKey blocked_by = {}) : kind(what), key(blocked_by) {}

  Kind kind;
  store::DocKey key;  ///< its name lies in the argument
};

/// A group of statistics, as a row of a table. Any thread may ask.
struct StatGroup {
  std::string_view name;
  StatAnswer (*report)(const StatQuery& query, const StatSink& sink);
  std::string_view about;          ///< one line for docs/compatibility.md
  std::string_view argument = {};  ///< what it takes behind its name, for people; empty: nothing
  Privileges needs = kBucketStats;
  /// Instead of `report`: tells of one vbucket. Without an argument all are told of; of many, by a task of
  /// the pool, a few at a time.
  void (*of_vbucket)(const ServedBucket& bucket, uint16_t vbucket, const StatSink& sink) = nullptr;
  /// `report` waits for the disk: a task of the pool asks it.
  bool reads_disk = false;
};

/// A group that tells of each vbucket.
constexpr StatGroup of_vbuckets(std::string_view name, decltype(StatGroup::of_vbucket) of_vbucket,
                                std::string_view about) {
  return {.name = name, .report = nullptr, .about = about, .argument = "[vbucket]", .of_vbucket = of_vbucket};
}

/// The group that `text` begins with, null when there is none, and what is behind it.
struct NamedStatGroup {
  const StatGroup* group = nullptr;
  std::string_view argument;
};
[[nodiscard]] NamedStatGroup find_stat_group(std::string_view text);

/// Tells all of it at once.
StatAnswer report_group(const StatGroup& group, const StatQuery& query, const StatSink& sink);

/// Calls `visit` for each row of each table.
void for_each_stat_group(const std::function<void(const StatGroup&)>& visit);

// The tables.

std::span<const StatGroup> general_groups();     ///< statistics.cc: memcached's, and those of the server
std::span<const StatGroup> node_groups();        ///< node_statistics.cc: connections, threads, buckets
std::span<const StatGroup> vbucket_groups();     ///< vbucket_statistics.cc
std::span<const StatGroup> key_groups();         ///< key_statistics.cc: one document
std::span<const StatGroup> bucket_groups();      ///< bucket_statistics.cc
std::span<const StatGroup> timing_groups();      ///< timing_statistics.cc
std::span<const StatGroup> collection_groups();  ///< collection_statistics.cc
std::span<const StatGroup> stream_groups();      ///< dcp_statistics.cc
std::span<const StatGroup> scan_groups();        ///< scan_statistics.cc
std::span<const StatGroup> follow_groups();      ///< follow_statistics.cc

// What reports are written with.

void tell(const StatSink& sink, std::string_view name, uint64_t value);
/// A line for each step that counts something, "name_8,16" for what took more than 8 and up to 16
/// microseconds, and "name_mean", in microseconds. Nothing of what has not happened.
void tell(const StatSink& sink, std::string_view name, const base::DurationCounts& counts);

}  // namespace bobbin::serve
