// The meta protocol as a load generator speaks it: mg, quiet mg with mn behind them for several keys, and ms.

#include "cli/bench_dialects.h"
#include "wire/numbers.h"
#include "wire/text_reply.h"

namespace bobbin::cli {
namespace {

class MetaWriter final : public BenchWriter {
 public:
  explicit MetaWriter(const BenchKeys& keys)
      : keys_(keys),
        get_("mg " + std::string(keys.zero_key()) + kGetEnd),
        quiet_get_("mg " + std::string(keys.zero_key()) + kQuietGetEnd),
        set_("ms " + std::string(keys.zero_key()) + " ") {}

  [[nodiscard]] size_t max_get_bytes(size_t keys) const noexcept override {
    return keys * quiet_get_.size() + kNoop.size();
  }
  [[nodiscard]] size_t max_set_head_bytes() const noexcept override {
    return set_.size() + wire::kMaxU64Chars + 2;
  }
  char* write_get(char* out, std::span<const uint32_t> keys) const noexcept override {
    if (keys.size() == 1) {
      out = wire::put_bytes(out, get_);
      keys_.write_digits(out - (sizeof kGetEnd - 1), keys.front());
      return out;
    }
    for (const uint32_t key : keys) {
      out = wire::put_bytes(out, quiet_get_);
      keys_.write_digits(out - (sizeof kQuietGetEnd - 1), key);
    }
    return wire::put_bytes(out, kNoop);
  }
  char* write_set_head(char* out, uint32_t key, uint32_t value_bytes) const noexcept override {
    out = wire::put_bytes(out, set_);
    keys_.write_digits(out - 1, key);
    return wire::put_bytes(wire::put_number(out, value_bytes), wire::kLineEnd);
  }
  [[nodiscard]] std::string_view set_tail() const noexcept override { return wire::kLineEnd; }

 private:
  static constexpr char kGetEnd[] = " v\r\n";
  static constexpr char kQuietGetEnd[] = " k q v\r\n";
  static constexpr std::string_view kNoop = "mn\r\n";

  const BenchKeys& keys_;
  const std::string get_;
  const std::string quiet_get_;
  const std::string set_;
};

class MetaReader final : public BenchLineReader {
 public:
  using BenchLineReader::BenchLineReader;

 private:
  Step on_line(std::string_view line, const BenchAsked& asked, BenchReplies& replies) override {
    const bool several = asked.keys.size() > 1;
    if (is_text_refusal(line)) {
      replies.refuse(line);
      ++answered_;
      return several ? Step::next_line : Step::done;
    }
    if (asked.is_set) {
      if (line == "HD") return Step::done;
      if (line != "NS" && line != "EX" && line != "NF") return Step::broken;
      replies.refuse(line);
      return Step::done;
    }
    if (line == (several ? "MN" : "EN")) {
      replies.misses += asked.keys.size() - answered_;
      return Step::done;
    }
    return on_value(line, several, asked, replies);
  }

  // "VA bytes", and "VA bytes kKEY" from a quiet get.
  Step on_value(std::string_view line, bool several, const BenchAsked& asked, BenchReplies& replies) {
    uint32_t value_bytes = 0;
    if (!line.starts_with("VA ")) return Step::broken;
    line.remove_prefix(3);
    if (!take_count(line, value_bytes)) return Step::broken;
    if (!several) {
      if (!line.empty()) return Step::broken;
      hit(asked.keys.front(), value_bytes, replies);
      return Step::last_value;
    }
    if (!line.starts_with(" k") || !find(line.substr(2), asked)) return Step::broken;
    hit(asked.keys[position_ - 1], value_bytes, replies);
    return Step::value;
  }
};

}  // namespace

std::unique_ptr<BenchWriter> make_meta_writer(const BenchKeys& keys) {
  return std::make_unique<MetaWriter>(keys);
}

std::unique_ptr<BenchReader> make_meta_reader(const BenchKeys& keys, const BenchValueSizes& sizes) {
  return std::make_unique<MetaReader>(keys, sizes);
}

}  // namespace bobbin::cli
