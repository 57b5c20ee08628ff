#pragma once

#include <fmt/format.h>

#include <concepts>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>

namespace bobbin::admin {

/// Prometheus' text format, version 0.0.4 (prometheus.io, "Exposition formats"): families, each with its
/// samples behind it.
class MetricsText {
 public:
  enum class Kind : uint8_t { counter, gauge, histogram };

  /// Of everything that is told until the next one. A counter's name ends in _total, by Prometheus' rules.
  void family(std::string_view name, Kind kind, std::string_view help) {
    static constexpr std::string_view kKinds[] = {"counter", "gauge", "histogram"};
    name_ = name;
    fmt::format_to(std::back_inserter(text_), "# HELP {} {}\n# TYPE {} {}\n", name, help, name,
                   kKinds[static_cast<size_t>(kind)]);
  }
  /// `labels` as they stand within the braces: `bucket="b"`, see label(). `suffix` is for histograms.
  template <typename Number>
  void sample(std::string_view labels, Number number, std::string_view suffix = {}) {
    fmt::format_to(std::back_inserter(text_), "{}{}", name_, suffix);
    if (!labels.empty()) fmt::format_to(std::back_inserter(text_), "{{{}}}", labels);
    fmt::format_to(std::back_inserter(text_), " {}\n", number);
  }
  /// A family of one sample.
  template <typename Number>
  void one(std::string_view name, Kind kind, std::string_view help, Number number) {
    family(name, kind, help);
    sample({}, number);
  }
  [[nodiscard]] static std::string label(std::string_view name, std::string_view value) {
    std::string text = fmt::format("{}=\"", name);
    for (const char c : value) {
      if (c == '\\' || c == '"') text += '\\';
      if (c == '\n')
        text += "\\n";
      else
        text += c;
    }
    return text += '"';
  }
  [[nodiscard]] std::string take() { return std::move(text_); }

 private:
  std::string text_;
  std::string name_;
};

}  // namespace bobbin::admin
