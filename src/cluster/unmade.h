#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace bobbin::cluster {

/// Buckets that could not be made here. Each is tried again after a pause, because making one is work for the
/// disk, and the same trouble again is not logged. A value; one thread.
class Unmade {
 public:
  using Time = std::chrono::steady_clock::time_point;
  static constexpr std::chrono::seconds kPause{30};

  /// It may be tried, for the first time or again.
  [[nodiscard]] bool is_due(std::string_view name, Time now) const {
    const auto found = entries_.find(name);
    return found == entries_.end() || found->second.again_at <= now;
  }
  /// It was tried. `sort` says what went wrong, in words that are the same for the same trouble; false: it
  /// was that the last time.
  bool failed(const std::string& name, const std::string& sort, Time now) {
    Entry& entry = entries_[name];
    entry.again_at = now + kPause;
    return std::exchange(entry.sort, sort) != sort;
  }
  void made(const std::string& name) { entries_.erase(name); }
  /// The others are not wanted any more.
  void keep_only(const std::vector<std::string>& names) {
    std::erase_if(entries_, [&names](const auto& entry) {
      return std::find(names.begin(), names.end(), entry.first) == names.end();
    });
  }

 private:
  struct Entry {
    std::string sort;
    Time again_at;
  };
  std::map<std::string, Entry, std::less<>> entries_;
};

}  // namespace bobbin::cluster
