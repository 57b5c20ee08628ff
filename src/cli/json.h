#pragma once

#include <string>
#include <string_view>

#include "wire/json_text.h"

namespace bobbin::cli {

using wire::json_string;

/// `text` unchanged if it is a number as JSON writes numbers, otherwise json_string(text).
std::string json_number_or_string(std::string_view text);

}  // namespace bobbin::cli
