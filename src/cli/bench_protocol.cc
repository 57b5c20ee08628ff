#include "cli/bench_protocol.h"

#include <charconv>
#include <cstring>
#include <numeric>

#include "cli/bench_dialects.h"

namespace bobbin::cli {
namespace {

constexpr std::array<std::string_view, 5> kProtocolNames = {"text", "meta", "binary", "mcbp", "redis"};
constexpr std::array<std::string_view, kBenchErrors> kErrorNames = {"refused", "wrong_size", "malformed",
                                                                    "disconnected", "timed_out"};

/// A reply's line is shorter; without an end by then it is none.
constexpr size_t kMaxLineBytes = 2048;

}  // namespace

std::optional<BenchProtocol> parse_bench_protocol(std::string_view text) {
  for (size_t i = 0; i < kProtocolNames.size(); ++i) {
    if (kProtocolNames[i] == text) return static_cast<BenchProtocol>(i);
  }
  return std::nullopt;
}

std::string_view bench_protocol_name(BenchProtocol protocol) {
  return kProtocolNames[static_cast<size_t>(protocol)];
}

std::string_view bench_error_name(BenchError error) {
  return kErrorNames[static_cast<size_t>(error)];
}

void BenchReplies::refuse(std::string_view reason) {
  fail(BenchError::refused);
  if (first_refusal.empty()) first_refusal = reason;
}

void BenchReplies::merge(const BenchReplies& other) {
  hits += other.hits;
  misses += other.misses;
  for (size_t i = 0; i < kBenchErrors; ++i)
    errors[i] += other.errors[i];
  if (first_refusal.empty()) first_refusal = other.first_refusal;
}

uint64_t BenchReplies::error_count() const noexcept {
  return std::accumulate(errors.begin(), errors.end(), uint64_t{0});
}

bool take_count(std::string_view& text, uint32_t& count) noexcept {
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (problem != std::errc{}) return false;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return true;
}

bool is_text_refusal(std::string_view line) noexcept {
  return line == "ERROR" || line.starts_with("ERROR ") || line.starts_with("CLIENT_ERROR") ||
         line.starts_with("SERVER_ERROR");
}

void BenchLineReader::hit(uint32_t key, uint32_t value_bytes, BenchReplies& replies) noexcept {
  ++replies.hits;
  ++answered_;
  if (value_bytes != sizes_.of(key)) replies.fail(BenchError::wrong_size);
  value_left_ = value_bytes;
}

bool BenchLineReader::find(std::string_view key, const BenchAsked& asked) noexcept {
  const auto number = keys_.number_of(key);
  if (!number) return false;
  while (position_ < asked.keys.size()) {
    if (asked.keys[position_++] == *number) return true;
  }
  return false;
}

BenchReader::Progress BenchLineReader::read(std::string_view bytes, const BenchAsked& asked,
                                            BenchReplies& replies) {
  const size_t size = bytes.size();
  for (;;) {
    if (value_ != Value::none) {
      if (!take_value(bytes) || bytes.size() < 2) return {State::more, size - bytes.size()};
      if (!bytes.starts_with("\r\n")) return {State::broken, size};
      bytes.remove_prefix(2);
      const bool last = value_ == Value::last;
      value_ = Value::none;
      if (last) return finished(size - bytes.size());
    }
    const void* const found = bytes.empty() ? nullptr : std::memchr(bytes.data(), '\n', bytes.size());
    if (found == nullptr) {
      return {bytes.size() > kMaxLineBytes ? State::broken : State::more, size - bytes.size()};
    }
    const auto length = static_cast<size_t>(static_cast<const char*>(found) - bytes.data());
    if (length == 0 || bytes[length - 1] != '\r') return {State::broken, size};
    const Step step = on_line(bytes.substr(0, length - 1), asked, replies);
    bytes.remove_prefix(length + 1);
    switch (step) {
      case Step::next_line:
        break;
      case Step::value:
        value_ = Value::inner;
        break;
      case Step::last_value:
        value_ = Value::last;
        break;
      case Step::done:
        return finished(size - bytes.size());
      case Step::broken:
        return {State::broken, size};
    }
  }
}

std::unique_ptr<BenchWriter> make_bench_writer(BenchProtocol protocol, const BenchKeys& keys,
                                               uint32_t paths) {
  switch (protocol) {
    case BenchProtocol::text:
      return make_text_writer(keys);
    case BenchProtocol::meta:
      return make_meta_writer(keys);
    case BenchProtocol::binary:
      return make_binary_writer(keys);
    case BenchProtocol::mcbp:
      return make_mcbp_writer(keys, paths);
    case BenchProtocol::redis:
      return make_redis_writer(keys);
  }
  return nullptr;
}

std::unique_ptr<BenchReader> make_bench_reader(BenchProtocol protocol, const BenchKeys& keys,
                                               const BenchValueSizes& sizes, uint32_t paths) {
  switch (protocol) {
    case BenchProtocol::text:
      return make_text_reader(keys, sizes);
    case BenchProtocol::meta:
      return make_meta_reader(keys, sizes);
    case BenchProtocol::binary:
    case BenchProtocol::mcbp:
      return make_binary_reader(sizes, paths);
    case BenchProtocol::redis:
      return make_redis_reader(keys, sizes);
  }
  return nullptr;
}

}  // namespace bobbin::cli
