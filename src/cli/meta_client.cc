#include "cli/meta_client.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <span>

#include "cli/json.h"
#include "wire/base64.h"

namespace bobbin::cli {
namespace {

/// Requests sent before their replies are read. Small enough that they fit into any socket's buffers: a
/// server that waits for us to read its replies can never keep us from sending.
constexpr size_t kBatch = 32;

/// Longest value that is taken from a server; protects against a stream that is not memcached's.
constexpr size_t kMaxValueBytes = 1 << 30;

bool starts_word(std::string_view line, std::string_view word) {
  return line.starts_with(word) && (line.size() == word.size() || line[word.size()] == ' ');
}

std::vector<std::span<const std::string>> batches(const std::vector<std::string>& keys) {
  std::vector<std::span<const std::string>> parts;
  for (size_t at = 0; at < keys.size(); at += kBatch) {
    parts.emplace_back(keys.data() + at, std::min(kBatch, keys.size() - at));
  }
  return parts;
}

}  // namespace

std::string key_problem(std::string_view key) {
  if (key.empty()) return "a key has at least one byte";
  if (key.size() > kMaxKeyBytes) {
    return fmt::format("a key has at most {} bytes, this one has {}", kMaxKeyBytes, key.size());
  }
  return "";
}

WireKey wire_key(std::string_view key) {
  const bool plain =
      std::none_of(key.begin(), key.end(), [](unsigned char c) { return c <= ' ' || c == 0x7f; });
  if (plain) return {std::string(key), ""};
  std::string encoded(wire::base64_chars(key.size()), '\0');
  encoded.resize(wire::encode_base64(key, encoded.data()));
  return {std::move(encoded), " b"};
}

base::Result<MetaClient, base::Error> MetaClient::connect(const net::Address& address,
                                                          std::chrono::milliseconds timeout) {
  auto stream = net::BlockingStream::connect(address, timeout);
  if (!stream) return base::fail(std::move(stream.error()));
  return MetaClient(std::move(*stream));
}

base::Error MetaClient::unexpected(const std::string& reply) const {
  return {"the server answered " + json_string(reply)};
}

base::Result<std::optional<std::string>, base::Error> MetaClient::read_value() {
  const auto line = stream_.read_line();
  if (!line) return base::fail(line.error());
  if (starts_word(*line, "EN")) return std::nullopt;
  if (!starts_word(*line, "VA")) return base::fail(unexpected(*line));
  size_t bytes = 0;
  const char* const digits = line->data() + std::min<size_t>(3, line->size());
  const auto [end, problem] = std::from_chars(digits, line->data() + line->size(), bytes);
  if (problem != std::errc{} || bytes > kMaxValueBytes) return base::fail(unexpected(*line));
  std::string value(bytes + 2, '\0');
  if (auto read = stream_.read_exact(value); !read) return base::fail(read.error());
  if (!value.ends_with("\r\n"))
    return base::fail(base::Error{"the server's value does not end where it said"});
  value.resize(bytes);
  return value;
}

base::Result<std::vector<std::optional<std::string>>, base::Error> MetaClient::get(
    const std::vector<std::string>& keys) {
  std::vector<std::optional<std::string>> values;
  for (const auto batch : batches(keys)) {
    std::string request;
    for (const std::string& key : batch) {
      const WireKey wire = wire_key(key);
      request += fmt::format("mg {} v{}\r\n", wire.text, wire.flag);
    }
    if (auto sent = stream_.write_all(request); !sent) return base::fail(sent.error());
    for (size_t i = 0; i < batch.size(); ++i) {
      auto value = read_value();
      if (!value) return base::fail(value.error());
      values.push_back(std::move(*value));
    }
  }
  return values;
}

base::Result<bool, base::Error> MetaClient::set(const std::string& key, std::string_view value,
                                                const MetaSet& how) {
  const WireKey wire = wire_key(key);
  std::string request = fmt::format("ms {} {}{} F{} T{} M{}\r\n", wire.text, value.size(), wire.flag,
                                    how.client_flags, how.expiry, static_cast<char>(how.mode));
  request += value;
  request += "\r\n";
  // A value that is too large may be refused, and the connection closed, before all of it was sent: the
  // answer tells more than the failed write.
  const auto sent = stream_.write_all(request);
  const auto reply = stream_.read_line();
  if (!reply) return base::fail(sent ? reply.error() : sent.error());
  if (starts_word(*reply, "HD")) return true;
  if (starts_word(*reply, "NS")) return false;
  return base::fail(unexpected(*reply));
}

base::Result<std::vector<bool>, base::Error> MetaClient::remove(const std::vector<std::string>& keys) {
  std::vector<bool> removed;
  for (const auto batch : batches(keys)) {
    std::string request;
    for (const std::string& key : batch) {
      const WireKey wire = wire_key(key);
      request += fmt::format("md {}{}\r\n", wire.text, wire.flag);
    }
    if (auto sent = stream_.write_all(request); !sent) return base::fail(sent.error());
    for (size_t i = 0; i < batch.size(); ++i) {
      const auto reply = stream_.read_line();
      if (!reply) return base::fail(reply.error());
      const bool found = starts_word(*reply, "HD");
      if (!found && !starts_word(*reply, "NF")) return base::fail(unexpected(*reply));
      removed.push_back(found);
    }
  }
  return removed;
}

base::Result<std::vector<std::pair<std::string, std::string>>, base::Error> MetaClient::stats(
    const std::string& group) {
  std::vector<std::pair<std::string, std::string>> all;
  const std::string request = group.empty() ? "stats\r\n" : "stats " + group + "\r\n";
  if (auto sent = stream_.write_all(request); !sent) return base::fail(sent.error());
  for (;;) {
    const auto line = stream_.read_line();
    if (!line) return base::fail(line.error());
    if (*line == "END" || *line == "RESET" || *line == "OK") return all;
    if (!starts_word(*line, "STAT")) return base::fail(unexpected(*line));
    const size_t name_at = std::min<size_t>(5, line->size());
    const size_t space = std::min(line->find(' ', name_at), line->size());
    const size_t value_at = std::min(space + 1, line->size());
    all.emplace_back(line->substr(name_at, space - name_at), line->substr(value_at));
  }
}

base::Result<void, base::Error> MetaClient::watch(const std::vector<std::string>& groups) {
  const std::string request = fmt::format("watch {}\r\n", fmt::join(groups, " "));
  if (auto sent = stream_.write_all(request); !sent) return base::fail(sent.error());
  const auto reply = stream_.read_line();
  if (!reply) return base::fail(reply.error());
  if (*reply != "OK") return base::fail(unexpected(*reply));
  stream_.set_timeout(std::chrono::milliseconds(0));
  return {};
}

base::Result<std::string, base::Error> MetaClient::next_event() {
  return stream_.read_line();
}

}  // namespace bobbin::cli
