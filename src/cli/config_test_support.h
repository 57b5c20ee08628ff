#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "cli/load_config.h"
#include "cli/serve_command.h"

namespace bobbin::cli {

/// A file with that text, for as long as this lives.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& text) {
    path_ = (std::filesystem::temp_directory_path() / "bobbin-config-XXXXXX").string();
    const int descriptor = mkstemp(path_.data());
    EXPECT_GE(descriptor, 0);
    close(descriptor);
    std::ofstream(path_) << text;
  }
  ~TemporaryFile() { std::filesystem::remove(path_); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// What a server is configured with: the text of a file, variables, and the words behind `bobbin serve`.
struct ConfigCase {
  std::string file = {};
  std::map<std::string, std::string> environment = {};
  std::vector<std::string> words = {};

  [[nodiscard]] base::Result<ServeConfig, std::vector<base::Error>> load() const {
    const TemporaryFile written(file);
    std::vector<std::string> all = words;
    if (!file.empty()) all.insert(all.end(), {"--config", written.path()});
    const auto arguments = parse_arguments(serve_line(), all);
    if (!arguments) return base::fail(std::vector<base::Error>{arguments.error()});
    return load_config(*arguments, [&](const char* name) -> const char* {
      const auto found = environment.find(name);
      return found == environment.end() ? nullptr : found->second.c_str();
    });
  }

  /// Every error, one a line, with the name of the file as "FILE".
  [[nodiscard]] std::string errors() const {
    const auto config = load();
    std::string text;
    if (config) return text;
    for (const base::Error& error : config.error())
      text += error.message + "\n";
    const std::string pattern = (std::filesystem::temp_directory_path() / "bobbin-config-").string();
    for (size_t at = 0; (at = text.find(pattern, at)) != std::string::npos;) {
      text.replace(at, pattern.size() + 6, "FILE");
    }
    return text;
  }
};

}  // namespace bobbin::cli
