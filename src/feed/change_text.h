#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "wire/dcp_changes.h"

namespace bobbin::feed {

/// What scopes and collections are called, as far as their manifest and the events since then say.
class CollectionNames {
 public:
  /// Of a bucket's manifest as JSON. False where it is none.
  bool read(std::string_view manifest);
  void apply(const wire::DcpSystemEvent& event);

  struct Names {
    std::string scope;
    std::string collection;
  };
  /// A number in hexadecimal where a name is not known.
  [[nodiscard]] Names of(uint32_t collection) const;
  [[nodiscard]] std::string scope(uint32_t id) const;

 private:
  struct Collection {
    uint32_t scope = 0;
    std::string name;
  };
  std::map<uint32_t, std::string> scopes_;
  std::map<uint32_t, Collection> collections_;
};

enum class WatchFormat : uint8_t { people, json };

/// How changes are shown in text, a line for each thing, without its line end. Lines for people are
/// safe on a terminal and may be cut; those in JSON have everything.
class WatchLines {
 public:
  struct Options {
    WatchFormat format = WatchFormat::people;
    bool values = true;
    size_t max_value_bytes = 100;  ///< in lines for people
  };
  WatchLines(const Options& options, const CollectionNames& names) : options_(options), names_(names) {}

  [[nodiscard]] std::string line(uint16_t vbucket, const wire::DcpMutation& mutation) const;
  [[nodiscard]] std::string line(uint16_t vbucket, const wire::DcpRemoval& removal) const;
  [[nodiscard]] std::string line(uint16_t vbucket, const wire::DcpSystemEvent& event) const;
  /// What was shown behind `seqno` did not stay.
  [[nodiscard]] std::string rollback(uint16_t vbucket, uint64_t seqno) const;

 private:
  struct Change;
  [[nodiscard]] std::string json(const Change& change) const;
  [[nodiscard]] std::string people(const Change& change) const;

  const Options options_;
  const CollectionNames& names_;
};

/// "2026-11-24T15:00:00.123Z", of a CAS, which is a time in nanoseconds since 1970.
[[nodiscard]] std::string cas_time(uint64_t cas);

}  // namespace bobbin::feed
