#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace bobbin::cli {

/// A flag of a subcommand.
struct Flag {
  std::string name;        ///< "--ttl"
  char letter = 0;         ///< 't' for -t; 0 for none
  std::string value_name;  ///< "DURATION"; empty for a switch
  std::string help;        ///< one sentence without its full stop
  std::string group = "Options";
  std::string note = {};  ///< shown behind the help: default, range, environment variable
};

/// What a subcommand takes: the one description that parsing and help are made from. -h, --help is added to
/// every one. The names of positional arguments are for the help only.
struct CommandLine {
  std::string usage;    ///< behind "bobbin ": "set KEY [VALUE]"
  std::string summary;  ///< one sentence
  std::string details = {};
  std::vector<Flag> flags = {};
  size_t min_positionals = 0;
  size_t max_positionals = 0;
  std::string examples = {};  ///< one a line
};

/// What was typed. Texts are as typed; nothing is checked but the names and the number of positionals.
class Arguments {
 public:
  [[nodiscard]] bool has(std::string_view flag) const { return flags_.find(flag) != flags_.end(); }
  /// Every value of the flag, in order; empty if it was not given.
  [[nodiscard]] std::vector<std::string> all(std::string_view flag) const;
  /// The last value of the flag, or `otherwise`.
  [[nodiscard]] std::string last(std::string_view flag, const std::string& otherwise = {}) const;
  [[nodiscard]] const std::vector<std::string>& positionals() const noexcept { return positionals_; }
  [[nodiscard]] bool help() const { return has("--help"); }

 private:
  friend base::Result<Arguments, base::Error> parse_arguments(const CommandLine&,
                                                              std::span<const std::string>);
  std::map<std::string, std::vector<std::string>, std::less<>> flags_;
  std::vector<std::string> positionals_;
};

/// `words` without program and subcommand. With --help among them nothing else is checked.
base::Result<Arguments, base::Error> parse_arguments(const CommandLine& line,
                                                     std::span<const std::string> words);

/// The help page, at most 100 columns wide, ending in a newline.
std::string help_text(const CommandLine& line);

}  // namespace bobbin::cli
