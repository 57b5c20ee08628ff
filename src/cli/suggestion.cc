#include "cli/suggestion.h"

#include <algorithm>
#include <numeric>

namespace bobbin::cli {
namespace {

/// Letters to insert, delete, replace or swap with their neighbour to turn one word into the other.
size_t distance(std::string_view a, std::string_view b) {
  std::vector<size_t> before_last(b.size() + 1);
  std::vector<size_t> last(b.size() + 1);
  std::vector<size_t> row(b.size() + 1);
  std::iota(last.begin(), last.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, replaced});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], before_last[j - 2] + 1);
    }
    before_last = last;
    last = row;
  }
  return last[b.size()];
}

}  // namespace

std::string did_you_mean(std::string_view typed, const std::vector<std::string>& known) {
  // What the compared words all begin with says nothing about how close they are.
  const auto bare = [](std::string_view word) {
    word.remove_prefix(std::min(word.find_first_not_of('-'), word.size()));
    return word;
  };
  const std::string_view wanted = bare(typed);
  size_t best = std::max<size_t>(wanted.size() / 3, 1) + 1;
  std::string_view closest;
  for (const std::string& word : known) {
    const size_t steps = distance(wanted, bare(word));
    if (steps < best) {
      best = steps;
      closest = word;
    }
  }
  return closest.empty() ? "" : ", did you mean " + std::string(closest) + "?";
}

}  // namespace bobbin::cli
