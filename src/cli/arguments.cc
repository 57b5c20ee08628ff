#include "cli/arguments.h"

#include <CLI/CLI.hpp>
#include <algorithm>

#include "cli/suggestion.h"

namespace bobbin::cli {
namespace {

const Flag& help_flag() {
  static const Flag flag{"--help", 'h', "", "Print this and end"};
  return flag;
}

std::string names_of(const Flag& flag) {
  return flag.letter == 0 ? flag.name : std::string{'-', flag.letter, ','} + flag.name;
}

void declare(CLI::App& app, const Flag& flag) {
  if (flag.value_name.empty()) {
    app.add_flag(names_of(flag))->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  } else {
    // One value each time, so that what follows is not swallowed; all of them are kept.
    app.add_option(names_of(flag))
        ->type_size(1)
        ->expected(1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  }
}

base::Result<void, base::Error> check_leftovers(const CommandLine& line,
                                                const std::vector<std::string>& leftovers) {
  if (leftovers.empty()) return {};
  const std::string name = leftovers.front().substr(0, leftovers.front().find('='));
  std::vector<std::string> known = {"--help"};
  for (const Flag& flag : line.flags)
    known.push_back(flag.name);
  std::string message = "unknown flag " + name + did_you_mean(name, known);
  if (line.max_positionals > 0) message += " (put -- before arguments that begin with a dash)";
  return base::fail(base::Error{std::move(message)});
}

base::Result<void, base::Error> check_count(const CommandLine& line,
                                            const std::vector<std::string>& positionals) {
  const auto wrong = [&](const std::string& what) {
    return base::fail(base::Error{what + " (usage: bobbin " + line.usage + ")"});
  };
  if (positionals.size() > line.max_positionals) {
    return wrong("unexpected argument \"" + positionals[line.max_positionals] + "\"");
  }
  if (positionals.size() < line.min_positionals) return wrong("an argument is missing");
  return {};
}

}  // namespace

std::vector<std::string> Arguments::all(std::string_view flag) const {
  const auto found = flags_.find(flag);
  return found == flags_.end() ? std::vector<std::string>{} : found->second;
}

std::string Arguments::last(std::string_view flag, const std::string& otherwise) const {
  const auto found = flags_.find(flag);
  return found == flags_.end() ? otherwise : found->second.back();
}

base::Result<Arguments, base::Error> parse_arguments(const CommandLine& line,
                                                     std::span<const std::string> words) {
  CLI::App app;
  app.set_help_flag();
  app.allow_extras();
  declare(app, help_flag());
  for (const Flag& flag : line.flags)
    declare(app, flag);
  Arguments arguments;
  app.add_option("arguments", arguments.positionals_);
  // What follows "--" is no flag, whatever it looks like.
  const auto end_of_flags = std::find(words.begin(), words.end(), "--");
  // CLI11 takes the words from the back.
  std::vector<std::string> reversed(words.begin(), end_of_flags);
  std::reverse(reversed.begin(), reversed.end());
  try {
    app.parse(std::move(reversed));
  } catch (const CLI::ArgumentMismatch& problem) {
    const std::string_view text = problem.what();
    return base::fail(base::Error{std::string(text.substr(0, text.find(':'))) + " needs a value"});
  } catch (const CLI::ParseError& problem) {
    return base::fail(base::Error{problem.what()});
  }
  if (end_of_flags != words.end()) {
    arguments.positionals_.insert(arguments.positionals_.end(), end_of_flags + 1, words.end());
  }
  const auto keep = [&](const Flag& flag) {
    const CLI::Option* option = app.get_option(flag.name);
    if (option->count() > 0) arguments.flags_[flag.name] = option->results();
  };
  keep(help_flag());
  for (const Flag& flag : line.flags)
    keep(flag);
  if (arguments.help()) return arguments;
  if (auto checked = check_leftovers(line, app.remaining()); !checked) return base::fail(checked.error());
  if (auto checked = check_count(line, arguments.positionals_); !checked) return base::fail(checked.error());
  return arguments;
}

}  // namespace bobbin::cli
