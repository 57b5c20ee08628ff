#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace bobbin::cli {

/// ", did you mean X?" for the known word that is closest to what was typed, or nothing when none is close.
std::string did_you_mean(std::string_view typed, const std::vector<std::string>& known);

}  // namespace bobbin::cli
