#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "cli/bench_keys.h"

/// What `bobbin bench` says to a server and how it reads the answers, for each protocol. Pure: bytes in,
/// counts out.

namespace bobbin::cli {

enum class BenchProtocol : uint8_t { text, meta, binary, mcbp, redis };

/// "text", "meta", "binary", "mcbp", "redis"; none for another text.
std::optional<BenchProtocol> parse_bench_protocol(std::string_view text);
std::string_view bench_protocol_name(BenchProtocol protocol);

enum class BenchError : uint8_t {
  refused,       ///< the server answered an error, or did not store
  wrong_size,    ///< a value of another length than this key's
  malformed,     ///< a reply that is none; the connection is closed
  disconnected,  ///< the server closed the connection before it had answered
  timed_out,     ///< no answer for --timeout; the connection is closed
};
inline constexpr size_t kBenchErrors = 5;
std::string_view bench_error_name(BenchError error);

/// What came back. A key is a hit or a miss; one of another length than expected is a hit and an error.
struct BenchReplies {
  uint64_t hits = 0;
  uint64_t misses = 0;
  std::array<uint64_t, kBenchErrors> errors{};
  std::string first_refusal = {};  ///< what the server said first, for a person

  void fail(BenchError error, uint64_t n = 1) noexcept { errors[static_cast<size_t>(error)] += n; }
  void refuse(std::string_view reason);
  void merge(const BenchReplies& other);
  [[nodiscard]] uint64_t error_count() const noexcept;
};

/// One request: a set of one key, or a get of one or more.
struct BenchAsked {
  bool is_set = false;
  std::span<const uint32_t> keys;  ///< numbers of a BenchKeys, in the order in which they were asked for
};

/// Makes requests by copying templates. Constant; any thread may use it.
class BenchWriter {
 public:
  virtual ~BenchWriter() = default;

  /// What a connection says before its first request. The reader takes what is answered to it for no reply.
  [[nodiscard]] virtual std::string_view greeting() const noexcept { return {}; }

  /// Room that write_get needs for `keys` keys, and write_set_head for one.
  [[nodiscard]] virtual size_t max_get_bytes(size_t keys) const noexcept = 0;
  [[nodiscard]] virtual size_t max_set_head_bytes() const noexcept = 0;

  /// The whole request. Returns the byte behind it.
  virtual char* write_get(char* out, std::span<const uint32_t> keys) const noexcept = 0;
  /// What precedes the value; set_tail() follows the value.
  virtual char* write_set_head(char* out, uint32_t key, uint32_t value_bytes) const noexcept = 0;
  [[nodiscard]] virtual std::string_view set_tail() const noexcept = 0;
};

/// Reads the replies of one connection, wherever they are cut. Values are counted, not looked at. One thread.
class BenchReader {
 public:
  enum class State : uint8_t {
    more,    ///< the reply goes on in bytes that have not arrived
    done,    ///< the reply is complete; the next byte begins the next one
    broken,  ///< this is no reply; the connection is out of step
  };
  struct Progress {
    State state;
    size_t consumed;  ///< a prefix; show the rest again, with more behind it
  };

  virtual ~BenchReader() = default;

  /// Reads on in the reply to `asked`, which is the same until `done`. What the reply tells is added to
  /// `replies`.
  virtual Progress read(std::string_view bytes, const BenchAsked& asked, BenchReplies& replies) = 0;

  /// Bytes of a value that come next: they may be dropped instead of being shown, and skip() be told.
  [[nodiscard]] size_t value_left() const noexcept { return value_left_; }
  /// `n` ≤ value_left(). If that was the last of it, read() shall be called, also without bytes.
  void skip(size_t n) noexcept { value_left_ -= n; }

 protected:
  /// Takes what is there of a value from the front; true once all of it is.
  bool take_value(std::string_view& bytes) noexcept {
    const size_t n = value_left_ < bytes.size() ? value_left_ : bytes.size();
    value_left_ -= n;
    bytes.remove_prefix(n);
    return value_left_ == 0;
  }
  size_t value_left_ = 0;
};

/// The most paths that a sub-document request may have.
inline constexpr uint32_t kMaxBenchPaths = 16;
/// What each path takes of a document at least.
inline constexpr uint32_t kBenchPathBytes = 32;
/// A JSON document of so many bytes, at least 2 + paths * kBenchPathBytes, with `paths` numbers all over it
/// that a lookup of so many paths finds.
[[nodiscard]] std::string bench_document(uint32_t bytes, uint32_t paths);

/// The keys must outlive what is made, and so must the sizes. With `paths`, which is for mcbp, a get is a
/// sub-document lookup of that many paths of a bench_document, and has one key.
std::unique_ptr<BenchWriter> make_bench_writer(BenchProtocol protocol, const BenchKeys& keys,
                                               uint32_t paths = 0);
std::unique_ptr<BenchReader> make_bench_reader(BenchProtocol protocol, const BenchKeys& keys,
                                               const BenchValueSizes& sizes, uint32_t paths = 0);

}  // namespace bobbin::cli
