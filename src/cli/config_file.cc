#include "cli/config_file.h"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace bobbin::cli {
namespace {

std::string_view kind_name(toml::node_type type) {
  switch (type) {
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "a list";
    case toml::node_type::floating_point:
      return "a number with a decimal point";
    case toml::node_type::date:
    case toml::node_type::time:
    case toml::node_type::date_time:
      return "a date or time";
    default:
      return "something else";
  }
}

std::vector<FileEntry> to_entries(const toml::table& table);

FileValue to_value(const toml::node& node) {
  FileValue value{FileValueKind::other, std::string(kind_name(node.type())), node.source().begin.line};
  if (const toml::table* table = node.as_table())
    value.members = std::make_shared<const std::vector<FileEntry>>(to_entries(*table));
  if (const auto* text = node.as_string()) {
    value.kind = FileValueKind::text;
    value.text = text->get();
  } else if (const auto* number = node.as_integer()) {
    value.kind = FileValueKind::integer;
    value.text = std::to_string(number->get());
  } else if (const auto* flag = node.as_boolean()) {
    value.kind = FileValueKind::boolean;
    value.text = flag->get() ? "true" : "false";
  }
  return value;
}

FileEntry to_entry(std::string_view key, size_t line, const toml::node& node) {
  FileEntry entry{std::string(key), line, false, {}};
  if (const toml::array* list = node.as_array()) {
    entry.is_list = true;
    for (const toml::node& element : *list)
      entry.values.push_back(to_value(element));
  } else {
    entry.values.push_back(to_value(node));
  }
  return entry;
}

std::vector<FileEntry> to_entries(const toml::table& table) {
  std::vector<FileEntry> entries;
  for (const auto& [key, node] : table)
    entries.push_back(to_entry(key.str(), key.source().begin.line, node));
  std::stable_sort(entries.begin(), entries.end(),
                   [](const FileEntry& a, const FileEntry& b) { return a.line < b.line; });
  return entries;
}

}  // namespace

std::string found_kind(const FileValue& value) {
  switch (value.kind) {
    case FileValueKind::integer:
      return "the number " + value.text;
    case FileValueKind::text:
      return "the text \"" + value.text + "\"";
    case FileValueKind::boolean:
    case FileValueKind::other:
      break;
  }
  return value.text;
}

base::Result<std::vector<FileEntry>, base::Error> parse_config_text(std::string_view text,
                                                                    const std::string& name) {
  toml::table table;
  try {
    table = toml::parse(text, name);
  } catch (const toml::parse_error& problem) {
    const auto at = problem.source().begin;
    return base::fail(
        base::Error{fmt::format("{}:{}:{}: {}", name, at.line, at.column, problem.description())});
  }
  return to_entries(table);
}

base::Result<std::vector<FileEntry>, base::Error> read_config_file(const std::string& path) {
  std::error_code problem;
  if (std::filesystem::is_directory(path, problem)) return base::fail(base::Error{path + ": is a directory"});
  std::ifstream file(path, std::ios::binary);
  if (!file) return base::fail(base::Error{fmt::format("{}: {}", path, std::strerror(errno))});
  const std::string text(std::istreambuf_iterator<char>(file), {});
  return parse_config_text(text, path);
}

}  // namespace bobbin::cli
