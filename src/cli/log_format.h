#pragma once

#include <string>
#include <string_view>

namespace bobbin::cli {

/// A line of the live log ("ts=1700000000.123456 gid=7 type=item_get key=a status=found …") for a person:
/// local time of day, what happened, to which key, and how it went. Lines of a kind that is not known keep
/// their fields as they are. Without line break; nothing in it can disturb a terminal.
std::string log_line_for_people(std::string_view line);

}  // namespace bobbin::cli
