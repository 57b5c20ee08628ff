// The text protocol as a load generator speaks it: get of any number of keys in one line, and set.

#include "cli/bench_dialects.h"
#include "wire/numbers.h"
#include "wire/text_reply.h"

namespace bobbin::cli {
namespace {

class TextWriter final : public BenchWriter {
 public:
  explicit TextWriter(const BenchKeys& keys)
      : keys_(keys), set_("set " + std::string(keys.zero_key()) + " 0 0 ") {}

  [[nodiscard]] size_t max_get_bytes(size_t keys) const noexcept override {
    return 5 + keys * (keys_.key_bytes() + 1);
  }
  [[nodiscard]] size_t max_set_head_bytes() const noexcept override {
    return set_.size() + wire::kMaxU64Chars + 2;
  }
  char* write_get(char* out, std::span<const uint32_t> keys) const noexcept override {
    out = wire::put_bytes(out, "get");
    for (const uint32_t key : keys) {
      *out++ = ' ';
      out = keys_.write(out, key);
    }
    return wire::put_bytes(out, wire::kLineEnd);
  }
  char* write_set_head(char* out, uint32_t key, uint32_t value_bytes) const noexcept override {
    out = wire::put_bytes(out, set_);
    keys_.write_digits(out - 5, key);
    return wire::put_bytes(wire::put_number(out, value_bytes), wire::kLineEnd);
  }
  [[nodiscard]] std::string_view set_tail() const noexcept override { return wire::kLineEnd; }

 private:
  const BenchKeys& keys_;
  const std::string set_;
};

class TextReader final : public BenchLineReader {
 public:
  using BenchLineReader::BenchLineReader;

 private:
  Step on_line(std::string_view line, const BenchAsked& asked, BenchReplies& replies) override {
    if (is_text_refusal(line)) {
      replies.refuse(line);
      return Step::done;
    }
    if (asked.is_set) {
      if (line == "STORED") return Step::done;
      if (line != "NOT_STORED" && line != "EXISTS" && line != "NOT_FOUND") return Step::broken;
      replies.refuse(line);
      return Step::done;
    }
    if (line == "END") {
      replies.misses += asked.keys.size() - answered_;
      return Step::done;
    }
    return on_value(line, asked, replies);
  }

  // "VALUE key flags bytes", with a CAS behind it after gets.
  Step on_value(std::string_view line, const BenchAsked& asked, BenchReplies& replies) {
    if (!line.starts_with("VALUE ")) return Step::broken;
    line.remove_prefix(6);
    const std::string_view key = line.substr(0, keys_.key_bytes());
    line.remove_prefix(key.size());
    uint32_t flags = 0;
    uint32_t value_bytes = 0;
    const auto space = [&line] {
      const bool there = line.starts_with(' ');
      if (there) line.remove_prefix(1);
      return there;
    };
    if (!space() || !take_count(line, flags) || !space() || !take_count(line, value_bytes)) {
      return Step::broken;
    }
    if (!line.empty() && line.front() != ' ') return Step::broken;
    if (!find(key, asked)) return Step::broken;
    hit(asked.keys[position_ - 1], value_bytes, replies);
    return Step::value;
  }
};

}  // namespace

std::unique_ptr<BenchWriter> make_text_writer(const BenchKeys& keys) {
  return std::make_unique<TextWriter>(keys);
}

std::unique_ptr<BenchReader> make_text_reader(const BenchKeys& keys, const BenchValueSizes& sizes) {
  return std::make_unique<TextReader>(keys, sizes);
}

}  // namespace bobbin::cli
