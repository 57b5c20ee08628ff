#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace bobbin::cli {

enum class FileValueKind { integer, text, boolean, other };

struct FileEntry;

/// One value of a configuration file, with the text it would have as a flag.
struct FileValue {
  FileValueKind kind = FileValueKind::other;
  std::string text;  ///< for `other`: what it is, "a table"
  size_t line = 0;   ///< from 1
  /// Of a table, in the order of their lines; null: it is none.
  std::shared_ptr<const std::vector<FileEntry>> members = {};
};

/// `key = value`, or `key = [values]`.
struct FileEntry {
  std::string key;
  size_t line = 0;
  bool is_list = false;
  std::vector<FileValue> values;  ///< exactly one unless is_list
};

/// What a value is, for a message: "the number 7".
[[nodiscard]] std::string found_kind(const FileValue& value);

/// The top-level entries of a TOML text, in the order of their lines. An error names line and column, with
/// `name` as the file's name.
base::Result<std::vector<FileEntry>, base::Error> parse_config_text(std::string_view text,
                                                                    const std::string& name);

base::Result<std::vector<FileEntry>, base::Error> read_config_file(const std::string& path);

}  // namespace bobbin::cli
