#include "cli/log_format.h"

#include <fmt/format.h>

#include <charconv>
#include <ctime>
#include <optional>
#include <utility>
#include <vector>

#include "cli/client_command.h"
#include "cli/json.h"

namespace bobbin::cli {
namespace {

/// "name=value" words of a line, in their order.
class Fields {
 public:
  explicit Fields(std::string_view line) {
    while (!line.empty()) {
      const size_t end = std::min(line.find(' '), line.size());
      const std::string_view word = line.substr(0, end);
      line.remove_prefix(std::min(end + 1, line.size()));
      const size_t equals = word.find('=');
      if (equals != std::string_view::npos)
        all_.emplace_back(word.substr(0, equals), word.substr(equals + 1));
    }
  }
  [[nodiscard]] std::string_view at(std::string_view name) const {
    for (const auto& [known, value] : all_) {
      if (known == name) return value;
    }
    return {};
  }
  [[nodiscard]] bool has(std::string_view name) const { return at(name).data() != nullptr; }

 private:
  std::vector<std::pair<std::string_view, std::string_view>> all_;
};

/// "1700000000.123456" as local time of day, "23:13:20.123456".
std::string time_of_day(std::string_view ts) {
  time_t seconds = 0;
  const auto [end, problem] = std::from_chars(ts.data(), ts.data() + ts.size(), seconds);
  if (problem != std::errc{}) return std::string(ts);
  const std::string_view fraction(end, static_cast<size_t>(ts.data() + ts.size() - end));
  std::tm local{};
  localtime_r(&seconds, &local);
  return fmt::format("{:02}:{:02}:{:02}{}", local.tm_hour, local.tm_min, local.tm_sec, fraction);
}

std::optional<unsigned> hex_byte(std::string_view digits) {
  unsigned byte = 0;
  const auto [end, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), byte, 16);
  if (problem != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
  return byte;
}

/// Keys come percent-encoded.
std::string decoded_key(std::string_view encoded) {
  std::string key;
  while (!encoded.empty()) {
    const bool escaped = encoded.front() == '%' && encoded.size() >= 3;
    const auto byte = escaped ? hex_byte(encoded.substr(1, 2)) : std::nullopt;
    key += byte ? static_cast<char>(*byte) : encoded.front();
    encoded.remove_prefix(byte ? 3 : 1);
  }
  return printable(key);
}

std::string peer(const Fields& fields) {
  const std::string_view ip = fields.at("rip");
  const bool v6 = ip.find(':') != std::string_view::npos;
  std::string text = v6 ? fmt::format("[{}]", ip) : std::string(ip);
  if (fields.has("rport") && fields.at("transport") != "unix") text += fmt::format(":{}", fields.at("rport"));
  if (fields.has("transport")) text += fmt::format(" ({})", fields.at("transport"));
  return text;
}

/// What follows the time; empty for a kind that is not known.
std::string event_text(const Fields& fields) {
  const std::string_view type = fields.at("type");
  const auto verb_and_key = [&](std::string_view verb) {
    return fmt::format("{:<8} {:<24}", verb, decoded_key(fields.at("key")));
  };
  const auto ttl = [&] {
    const std::string_view seconds = fields.at("ttl");
    return seconds.empty() || seconds == "0" || seconds == "-1" ? "" : fmt::format(", ttl {} s", seconds);
  };
  const auto size = [&] {
    return fields.has("size") ? fmt::format(", {} bytes", fields.at("size")) : std::string();
  };
  if (type == "item_get") {
    const bool found = fields.at("status") == "found";
    return fmt::format("{} {}{}", verb_and_key("get"), fields.at("status"), found ? size() : "");
  }
  if (type == "item_store") {
    return fmt::format("{} {}{}{}", verb_and_key(fields.at("cmd")), fields.at("status"), size(), ttl());
  }
  if (type == "eviction") {
    return fmt::format("{} fetched {}, last access {} s ago{}{}", verb_and_key("evict"), fields.at("fetch"),
                       fields.at("la"), size(), ttl());
  }
  if (type == "deleted") return fmt::format("{} deleted{}", verb_and_key("delete"), size());
  if (type == "conn_new") return fmt::format("{:<8} {}", "connect", peer(fields));
  if (type == "conn_close") return fmt::format("{:<8} {}, {}", "close", peer(fields), fields.at("reason"));
  return "";
}

/// The number of a line that says how many were skipped, "skipped=5" or "[skipped: 5]"; empty for another.
std::string_view skipped(std::string_view line) {
  for (const std::string_view prefix : {"skipped=", "[skipped: "}) {
    if (!line.starts_with(prefix)) continue;
    line.remove_prefix(prefix.size());
    return line.substr(0, line.find_first_not_of("0123456789"));
  }
  return {};
}

}  // namespace

std::string log_line_for_people(std::string_view line) {
  // The server encodes what clients chose; a line that could disturb a terminal is not one of its own.
  std::string quoted = json_string(line);
  if (quoted.size() != line.size() + 2) return quoted;
  if (const std::string_view count = skipped(line); !count.empty()) {
    return fmt::format("... {} events skipped: they came faster than they were read", count);
  }
  const Fields fields(line);
  const std::string event = event_text(fields);
  if (event.empty() || !fields.has("ts")) return std::string(line);
  return fmt::format("{}  {}", time_of_day(fields.at("ts")), event);
}

}  // namespace bobbin::cli
