#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "feed/change_text.h"
#include "wire/dcp_changes.h"

namespace bobbin::feed {

/// Up to where a reader of server-sent events has a vbucket, at the end of a snapshot: a number, and 16 bits
/// of the branch's uuid in which it counts. Seqno 0: it has nothing.
struct EventMark {
  uint64_t seqno = 0;
  uint16_t branch = 0;
  friend bool operator==(const EventMark&, const EventMark&) = default;
};

/// As an event's id: those of all vbuckets, in base64, about 7 KiB for 1024 vbuckets that have changed.
[[nodiscard]] std::string encode_marks(const std::vector<EventMark>& marks);
/// Nothing where it is none, or of another number of vbuckets.
[[nodiscard]] std::optional<std::vector<EventMark>> decode_marks(std::string_view id, size_t vbuckets);

/// Change streams as server-sent events (HTML, "9.2 Server-sent events"): takes a producer's messages and
/// writes what a browser is sent instead. One thread at a time.
///
/// An id covers only snapshots that are complete, so who comes back with it misses nothing and sees some
/// changes twice. It is sent once an interval at most.
class EventText {
 public:
  struct Options {
    std::string prefix = {};  ///< of keys that are shown
    bool values = true;
    bool is_chunked = true;  ///< each event is a chunk of HTTP/1.1
    std::chrono::milliseconds id_interval{1000};
  };
  /// Of a vbucket: where the stream begins, and the branch that follows from `newest_start` on.
  struct Begin {
    EventMark mark = {};
    uint64_t newest_start = 0;
    uint16_t newest_branch = 0;
  };
  EventText(CollectionNames names, Options options, const std::vector<Begin>& begins);
  // Lines refer to the names.
  EventText(const EventText&) = delete;
  EventText& operator=(const EventText&) = delete;

  void write(std::string_view message, std::string& out);
  /// What was shown of the vbucket behind that seqno did not stay.
  void roll_back(uint16_t vbucket, uint64_t seqno, std::string& out);
  /// An event that is no change.
  void write_event(std::string_view event, std::string_view data, std::string& out) const;
  /// A stream has ended where there is more, as by a flush: who connects again with the last id goes on.
  [[nodiscard]] bool is_cut() const noexcept { return is_cut_; }

 private:
  struct Place {
    EventMark mark;
    uint64_t snapshot_end = 0;
    uint64_t newest_start = 0;
    uint16_t newest_branch = 0;
  };

  void show(const std::string& json, std::string& out) const;
  void reach(uint16_t vbucket, uint64_t seqno);
  void write_id(bool is_idle, std::string& out);
  void put(std::string_view event, std::string& out) const;

  const Options options_;
  CollectionNames names_;
  const WatchLines lines_;
  std::vector<Place> places_;
  bool moved_ = true;  ///< since the last id
  bool has_ended_ = false;
  bool is_cut_ = false;
  std::chrono::steady_clock::time_point told_{};
};

}  // namespace bobbin::feed
