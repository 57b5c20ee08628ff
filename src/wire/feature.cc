#include "wire/feature.h"

namespace bobbin::wire {
namespace {

// What one feature makes no sense without.
bool builds_on_missing(Feature feature, const FeatureSet& others) {
  switch (feature) {
    case Feature::snappy_everywhere:
      return !others.has(Feature::snappy);
    case Feature::clustermap_change_notification:
    case Feature::clustermap_change_notification_brief:
      return !others.has(Feature::duplex);
    case Feature::range_scan_include_xattr:
      return !others.has(Feature::xattr);
    case Feature::get_random_key_include_xattr:
      return !others.has(Feature::xattr) || !others.has(Feature::json) ||
             !others.has(Feature::snappy_everywhere);
    default:
      return false;
  }
}

}  // namespace

bool grant_features(std::string_view asked, FeatureSet offered, std::vector<Feature>& granted) {
  granted.clear();
  if (asked.size() % 2 != 0) return false;
  FeatureSet all;
  std::vector<Feature> wanted;
  for (; !asked.empty(); asked.remove_prefix(2)) {
    const auto number = load_big_endian<uint16_t>(asked.data());
    if (!offered.has_number(number) || all.has_number(number)) continue;
    const auto feature = static_cast<Feature>(number);
    if (feature == Feature::tcp_delay && all.has(Feature::tcp_nodelay)) continue;
    if (feature == Feature::tcp_nodelay && all.has(Feature::tcp_delay)) continue;
    all.add(feature);
    wanted.push_back(feature);
  }
  for (const Feature feature : wanted)
    if (!builds_on_missing(feature, all)) granted.push_back(feature);
  return true;
}

}  // namespace bobbin::wire
