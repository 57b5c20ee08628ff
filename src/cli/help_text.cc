#include <fmt/format.h>

#include <algorithm>

#include "cli/arguments.h"

namespace bobbin::cli {
namespace {

constexpr size_t kWidth = 100;
constexpr size_t kMaxNamesWidth = 30;

/// Where a word of `text` ends: at a space or a line's end.
size_t end_of_word(std::string_view text) {
  return std::min(text.find_first_of(" \n"), text.size());
}

/// `text` cut at spaces and line ends, which stay, each line after the first indented; the first is taken to
/// begin at `indent`.
std::string wrapped(std::string_view text, size_t indent) {
  std::string out;
  size_t column = indent;
  bool first = true;
  while (!text.empty()) {
    if (text.front() == '\n') {
      out += '\n';
      text.remove_prefix(1);
      if (!text.empty() && text.front() != '\n') out += std::string(indent, ' ');
      column = indent;
      first = true;
      continue;
    }
    const size_t end = end_of_word(text);
    const std::string_view word = text.substr(0, end);
    const bool ends_line = end < text.size() && text[end] == '\n';
    text.remove_prefix(ends_line ? end : std::min(end + 1, text.size()));
    if (!first && column + 1 + word.size() > kWidth) {
      out += '\n' + std::string(indent, ' ');
      column = indent;
    } else if (!first) {
      out += ' ';
      ++column;
    }
    out += word;
    column += word.size();
    first = false;
  }
  return out;
}

std::string left_side(const Flag& flag) {
  std::string names = flag.letter != 0 ? fmt::format("  -{}, ", flag.letter) : "      ";
  names += flag.name;
  if (!flag.value_name.empty()) names += ' ' + flag.value_name;
  return names;
}

std::string flags_text(const std::vector<Flag>& flags) {
  size_t width = 0;
  for (const Flag& flag : flags)
    width = std::max(width, std::min(left_side(flag).size(), kMaxNamesWidth));
  const size_t indent = width + 2;
  std::string out;
  std::string group;
  for (const Flag& flag : flags) {
    if (flag.group != group) {
      group = flag.group;
      out += fmt::format("\n{}:\n", group);
    }
    std::string left = left_side(flag);
    left = left.size() > width ? left + '\n' + std::string(indent, ' ') : fmt::format("{:<{}}", left, indent);
    const std::string help = flag.note.empty() ? flag.help : fmt::format("{} [{}]", flag.help, flag.note);
    out += left + wrapped(help, indent) + '\n';
  }
  return out;
}

}  // namespace

std::string help_text(const CommandLine& line) {
  std::string out = fmt::format("Usage: bobbin {}\n\n{}\n", line.usage, wrapped(line.summary, 0));
  if (!line.details.empty()) out += '\n' + wrapped(line.details, 0) + '\n';
  std::vector<Flag> flags = line.flags;
  // The last group is where a reader looks for it.
  flags.push_back({"--help", 'h', "", "Print this and end", flags.empty() ? "Options" : flags.back().group});
  out += flags_text(flags);
  if (!line.examples.empty()) {
    out += "\nExamples:\n";
    std::string_view rest = line.examples;
    while (!rest.empty()) {
      const size_t end = std::min(rest.find('\n'), rest.size());
      out += fmt::format("  {}\n", rest.substr(0, end));
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
  }
  return out;
}

}  // namespace bobbin::cli
