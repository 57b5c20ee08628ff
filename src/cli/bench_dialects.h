#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "cli/bench_protocol.h"

/// What the protocols of `bobbin bench` share. For bench_*.cc only.

namespace bobbin::cli {

/// Reads replies that are lines, and values of announced length between them, each with "\r\n" behind it.
class BenchLineReader : public BenchReader {
 public:
  BenchLineReader(const BenchKeys& keys, const BenchValueSizes& sizes) : keys_(keys), sizes_(sizes) {}

  Progress read(std::string_view bytes, const BenchAsked& asked, BenchReplies& replies) final;

 protected:
  enum class Step : uint8_t {
    next_line,
    value,       ///< value_left_ is set; a line follows the value
    last_value,  ///< value_left_ is set; the value ends the reply
    done,
    broken,
  };
  /// `line` is without its "\r\n".
  virtual Step on_line(std::string_view line, const BenchAsked& asked, BenchReplies& replies) = 0;

  /// A key's value is announced: counts it, and sets value_left_.
  void hit(uint32_t key, uint32_t value_bytes, BenchReplies& replies) noexcept;

  /// A value came with its key: which of those asked for that is. Keys come in the order of the request;
  /// false if this one does not.
  bool find(std::string_view key, const BenchAsked& asked) noexcept;

  const BenchKeys& keys_;
  const BenchValueSizes& sizes_;
  // Of the reply being read:
  size_t position_ = 0;  ///< keys of the request that were answered or passed over
  size_t answered_ = 0;  ///< of those, answered with a value or an error

 private:
  Progress finished(size_t consumed) noexcept {
    position_ = answered_ = 0;
    return {State::done, consumed};
  }
  enum class Value : uint8_t { none, inner, last };
  Value value_ = Value::none;
};

/// Reads "123" from the front of `text`; false if there is no number below 2^32.
bool take_count(std::string_view& text, uint32_t& count) noexcept;

/// True for the lines with which memcached refuses: ERROR, CLIENT_ERROR, SERVER_ERROR.
bool is_text_refusal(std::string_view line) noexcept;

std::unique_ptr<BenchWriter> make_text_writer(const BenchKeys& keys);
std::unique_ptr<BenchWriter> make_meta_writer(const BenchKeys& keys);
std::unique_ptr<BenchWriter> make_binary_writer(const BenchKeys& keys);
std::unique_ptr<BenchWriter> make_mcbp_writer(const BenchKeys& keys, uint32_t paths);
std::unique_ptr<BenchWriter> make_redis_writer(const BenchKeys& keys);
std::unique_ptr<BenchReader> make_text_reader(const BenchKeys& keys, const BenchValueSizes& sizes);
std::unique_ptr<BenchReader> make_meta_reader(const BenchKeys& keys, const BenchValueSizes& sizes);
/// For mcbp, too.
std::unique_ptr<BenchReader> make_binary_reader(const BenchValueSizes& sizes, uint32_t paths);
std::unique_ptr<BenchReader> make_redis_reader(const BenchKeys& keys, const BenchValueSizes& sizes);

}  // namespace bobbin::cli
