#pragma once

#include <chrono>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "cli/serve_config.h"

namespace bobbin::cli {

/// How the value of an option is written, and what it is measured in.
enum class OptionType {
  port,       ///< 0 to 65535
  addresses,  ///< a list: an array in the file, the repeated flag, commas in the environment
  size,       ///< parse_size: bytes
  duration,   ///< parse_duration_ms: milliseconds
  count,      ///< a plain number
  boolean,    ///< true or false; the bare flag is true
  path,
  mode,  ///< octal file mode
  log_level,
  choice,  ///< one of the option's `choices`
};

/// The field of a ServeConfig that an option sets.
using Field = std::variant<uint16_t*, uint32_t*, size_t*, int*, bool*, std::string*,
                           std::vector<std::string>*, std::chrono::milliseconds*, base::LogLevel*,
                           Durability*, Eviction*, net::ClientCertificates*>;

/// One option of `bobbin serve`: the row that flag, environment variable, file key, range check, help and
/// documentation are made from.
struct Option {
  std::string_view key;  ///< in the file; flag and environment variable follow from it
  OptionType type;
  std::string_view group;  ///< heading in the help; rows of a group are neighbours
  uint64_t min;            ///< in the unit of the type; both 0 where the type is no number
  uint64_t max;            ///< fits into the field
  std::string_view help;   ///< one sentence without its full stop
  Field (*field)(ServeConfig& config);
  std::span<const std::string_view> choices = {};  ///< by the value of the field
  std::string_view value = {};                     ///< value_name(); empty: its type's
};

[[nodiscard]] std::span<const Option> serve_options();

/// "--max-item-size" for "max_item_size".
[[nodiscard]] std::string flag_name(const Option& option);
/// "BOBBIN_MAX_ITEM_SIZE" for "max_item_size".
[[nodiscard]] std::string environment_name(const Option& option);
/// What stands for the value in the help: "SIZE"; empty for a boolean.
[[nodiscard]] std::string_view value_name(const Option& option);
/// The value in `config`, as it would be written; empty for an empty path.
[[nodiscard]] std::string current_text(const Option& option, const ServeConfig& config);
/// "1K to 20M", or empty where there is no range.
[[nodiscard]] std::string range_text(const Option& option);

/// Sets the option's field. `texts` has one element, for addresses any number. The error says what is wrong
/// with the text and how it should look, but not where it stood; the field is unchanged then.
base::Result<void, base::Error> set_option(ServeConfig& config, const Option& option,
                                           std::span<const std::string> texts);

}  // namespace bobbin::cli
