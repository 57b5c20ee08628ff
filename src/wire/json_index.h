#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

namespace bobbin::wire {

/// Where the tokens of a JSON text begin, found with SIMD in one pass over it. Everything that looks at JSON
/// here works on these positions, because the sub-document API needs positions: what an edit does not touch
/// stays as it is, byte for byte.
///
/// The pass is simdjson's first stage (Debian's libsimdjson). Of Debian 12's libraries it alone fits: its
/// stage takes text where it lies, without the padding that its parsers want behind it, and gives positions;
/// rapidjson's reader gives them too but at a fraction of the speed, and nlohmann's gives none. simdjson's
/// own front ends are left aside: the on-demand one hands out a path at a time and no depth, the DOM one
/// needs 12 bytes and more for each byte of text.
///
/// Owned by one thread; whoever handles many texts keeps one and uses it again. A text may be anything.
class JsonIndex {
 public:
  /// Room that is kept between texts, in bytes of text. What a larger text needs is given back with
  /// release(): an index takes 4 bytes for each byte of text.
  static constexpr size_t kKeptTextBytes = 1 << 20;
  /// A longer text is not looked at: positions are 32 bits, and no value may be this long.
  static constexpr size_t kMaxTextBytes = size_t{1} << 30;

  JsonIndex();
  ~JsonIndex();
  JsonIndex(const JsonIndex&) = delete;
  JsonIndex& operator=(const JsonIndex&) = delete;

  /// Looks at `text`, which has to stay where it is as long as positions are used. false if it cannot be
  /// JSON: nothing but white space, invalid UTF-8, a string that does not end or has a control character in
  /// it, or longer than kMaxTextBytes. true does not mean that it is JSON: see json_check.h. After false
  /// there are no tokens.
  bool build(std::string_view text);

  /// Forgets the text, and gives back what is beyond kKeptTextBytes.
  void release();

  [[nodiscard]] std::string_view text() const { return text_; }

  /// Rising positions in text(): of each of {}[]:, outside of strings, of the quote that opens a string, and
  /// of the first byte of every other run of bytes (numbers, true, false, null, or nonsense).
  [[nodiscard]] std::span<const uint32_t> tokens() const { return tokens_; }

 private:
  struct Stage;
  bool make_room(size_t bytes);

  std::unique_ptr<Stage> stage_;
  std::string_view text_;
  std::span<const uint32_t> tokens_;
};

/// Whether `bytes` are UTF-8.
bool valid_utf8(std::string_view bytes);

}  // namespace bobbin::wire
