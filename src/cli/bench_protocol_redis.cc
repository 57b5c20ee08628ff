// Redis's protocol (RESP 2) as a load generator speaks it: GET, MGET and SET.

#include <fmt/format.h>

#include "cli/bench_dialects.h"
#include "wire/numbers.h"
#include "wire/text_reply.h"

namespace bobbin::cli {
namespace {

class RedisWriter final : public BenchWriter {
 public:
  explicit RedisWriter(const BenchKeys& keys)
      : keys_(keys),
        key_(fmt::format("${}\r\n{}\r\n", keys.key_bytes(), keys.zero_key())),
        get_("*2\r\n$3\r\nGET\r\n" + key_),
        set_("*3\r\n$3\r\nSET\r\n" + key_ + "$") {}

  [[nodiscard]] size_t max_get_bytes(size_t keys) const noexcept override {
    return get_.size() + wire::kMaxU64Chars + keys * key_.size();
  }
  [[nodiscard]] size_t max_set_head_bytes() const noexcept override {
    return set_.size() + wire::kMaxU64Chars + 2;
  }
  char* write_get(char* out, std::span<const uint32_t> keys) const noexcept override {
    if (keys.size() == 1) {
      out = wire::put_bytes(out, get_);
      keys_.write_digits(out - 2, keys.front());
      return out;
    }
    *out++ = '*';
    out = wire::put_number(out, keys.size() + 1);
    out = wire::put_bytes(out, "\r\n$4\r\nMGET\r\n");
    for (const uint32_t key : keys) {
      out = wire::put_bytes(out, key_);
      keys_.write_digits(out - 2, key);
    }
    return out;
  }
  char* write_set_head(char* out, uint32_t key, uint32_t value_bytes) const noexcept override {
    out = wire::put_bytes(out, set_);
    keys_.write_digits(out - 3, key);
    return wire::put_bytes(wire::put_number(out, value_bytes), wire::kLineEnd);
  }
  [[nodiscard]] std::string_view set_tail() const noexcept override { return wire::kLineEnd; }

 private:
  const BenchKeys& keys_;
  const std::string key_;
  const std::string get_;
  const std::string set_;
};

class RedisReader final : public BenchLineReader {
 public:
  using BenchLineReader::BenchLineReader;

 private:
  Step on_line(std::string_view line, const BenchAsked& asked, BenchReplies& replies) override {
    if (line.starts_with('-')) {
      replies.refuse(line.substr(1));
      if (in_array_) ++position_;
      return end_of_key(asked);
    }
    if (asked.is_set) return line == "+OK" ? Step::done : Step::broken;
    uint32_t number = 0;
    std::string_view digits = line.substr(line.empty() ? 0 : 1);
    if (asked.keys.size() > 1 && !in_array_) {
      in_array_ = line.starts_with('*') && take_count(digits, number) && digits.empty() &&
                  number == asked.keys.size();
      return in_array_ ? Step::next_line : Step::broken;
    }
    if (!line.starts_with('$') || position_ >= asked.keys.size()) return Step::broken;
    const uint32_t key = asked.keys[position_++];
    if (digits == "-1") {
      ++replies.misses;
      return end_of_key(asked);
    }
    if (!take_count(digits, number) || !digits.empty()) return Step::broken;
    hit(key, number, replies);
    return end_of_key(asked) == Step::done ? Step::last_value : Step::value;
  }

  // An array ends with its last key; an error in its place ends the reply at once.
  Step end_of_key(const BenchAsked& asked) {
    if (in_array_ && position_ < asked.keys.size()) return Step::next_line;
    in_array_ = false;
    return Step::done;
  }

  bool in_array_ = false;  ///< the array's line has been read
};

}  // namespace

std::unique_ptr<BenchWriter> make_redis_writer(const BenchKeys& keys) {
  return std::make_unique<RedisWriter>(keys);
}

std::unique_ptr<BenchReader> make_redis_reader(const BenchKeys& keys, const BenchValueSizes& sizes) {
  return std::make_unique<RedisReader>(keys, sizes);
}

}  // namespace bobbin::cli
