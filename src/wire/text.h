#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "wire/text_reply.h"

/// Requests of memcached's text protocol (doc/protocol.txt of memcached; where that is silent, what 1.6.18
/// answers). Pure functions: no I/O, no clock, no allocation. Every view in a result points into the bytes
/// that were passed in and is valid as long as they are.

namespace bobbin::wire {

/// Keys are 1 to 250 bytes, without spaces and newlines. Other control bytes are not refused, as in
/// memcached.
inline constexpr size_t kMaxKeyBytes = 250;

/// Bytes before '\n', a '\r' included. A line that is longer is no request: the peer is out of step.
inline constexpr size_t kMaxLineBytes = 2048;
/// The same for get, gets, gat and gats, which name any number of keys.
inline constexpr size_t kMaxRetrievalLineBytes = 1 << 20;

/// The largest value length that a line may announce: with its two bytes of line end it fits 31 bits.
inline constexpr uint32_t kMaxAnnouncedBytes = (uint32_t{1} << 31) - 3;

// ---- lines

enum class LineState : uint8_t {
  incomplete,  ///< no newline yet: call again with the same bytes and more behind them
  complete,    ///< `line` and `consumed` are set
  too_long,    ///< answer kLineTooLong and close; nothing behind it can be trusted
};

struct LineCut {
  LineState state = LineState::incomplete;
  std::string_view line;  ///< without '\n' and without one '\r' before it
  size_t consumed = 0;    ///< bytes of `unread` that the line takes, its terminator included
  size_t scanned = 0;     ///< incomplete: pass it to the next call
};

/// True when the line that `unread` begins is one of get, gets, gat, gats (spaces may precede).
bool begins_retrieval(std::string_view unread);

/// Cuts one line off the front of `unread`. `scanned` is what the last call for this line answered (0 for a
/// new line): those bytes hold no newline and are not looked at again. The answer does not depend on how the
/// bytes arrived: a line is too long when its first kMaxLineBytes + 1 bytes (kMaxRetrievalLineBytes + 1 for a
/// retrieval) hold no newline.
inline LineCut cut_line(std::string_view unread, size_t scanned = 0) {
  LineCut cut;
  scanned = std::min(scanned, unread.size());
  const size_t left = unread.size() - scanned;
  const void* found = left == 0 ? nullptr : std::memchr(unread.data() + scanned, '\n', left);
  const size_t length =
      found == nullptr ? unread.size() : static_cast<size_t>(static_cast<const char*>(found) - unread.data());
  if (length > kMaxLineBytes && (length > kMaxRetrievalLineBytes || !begins_retrieval(unread))) {
    cut.state = LineState::too_long;
    return cut;
  }
  if (found == nullptr) {
    cut.scanned = length;
    return cut;
  }
  cut.state = LineState::complete;
  cut.consumed = length + 1;
  cut.line = unread.substr(0, length > 0 && unread[length - 1] == '\r' ? length - 1 : length);
  return cut;
}

// ---- words

namespace detail {
/// The first space in [at, end), or end. Eight bytes at a time: keys are longer than flags, and a multi-get
/// is little else than keys.
inline const char* find_space(const char* at, const char* end) {
  if constexpr (std::endian::native == std::endian::little) {
    constexpr uint64_t kOnes = 0x0101010101010101;
    while (end - at >= 8) {
      uint64_t bytes;
      std::memcpy(&bytes, at, sizeof(bytes));
      bytes ^= kOnes * ' ';
      // The lowest byte that is zero now is the first space; bits above it may lie.
      const uint64_t zeros = (bytes - kOnes) & ~bytes & (kOnes << 7);
      if (zeros != 0) return at + std::countr_zero(zeros) / 8;
      at += 8;
    }
  }
  while (at != end && *at != ' ')
    ++at;
  return at;
}
}  // namespace detail

/// The words of a line, one after the other. Only the space separates; any number of them does.
class Words {
 public:
  explicit constexpr Words(std::string_view text) : rest_(text) {}

  /// The next word; empty when there is none left.
  std::string_view next() {
    const char* at = rest_.data();
    const char* const end = at + rest_.size();
    while (at != end && *at == ' ')
      ++at;
    const char* const start = at;
    while (at != end && *at != ' ')
      ++at;
    rest_ = std::string_view(at, static_cast<size_t>(end - at));
    return {start, static_cast<size_t>(at - start)};
  }

  /// What has not been given out yet; may begin with spaces.
  [[nodiscard]] constexpr std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
};

struct VerbAndArguments {
  std::string_view verb;       ///< empty for a line of nothing but spaces: answer kError
  std::string_view arguments;  ///< may begin and end with spaces
};

inline VerbAndArguments split_verb(std::string_view line) {
  Words words(line);
  const std::string_view verb = words.next();
  return {verb, words.rest()};
}

// ---- requests

/// What stands behind the verb. A row of the command table names the shape, and parse_text does the rest.
enum class Shape : uint8_t {
  nothing,    ///< version, quit: whatever follows is ignored, noreply too
  retrieval,  ///< get, gets: key+
  gat,        ///< gat, gats: exptime key*
  storage,    ///< set, add, replace, append, prepend: key flags exptime bytes [noreply]
  cas,        ///< cas: key flags exptime bytes cas [noreply]
  deletion,   ///< delete: key [0] [noreply]
  delta,      ///< incr, decr: key delta [noreply]
  touch,      ///< touch: key exptime [noreply]
  flush,      ///< flush_all: [delay] [noreply]
  verbosity,  ///< verbosity: level [noreply]
  words,      ///< stats, watch: any words, in `words`
};

/// One parsed request. Which members are set depends on the shape; the others keep their defaults.
struct TextRequest {
  std::string_view key;    ///< the key; of a retrieval the first. 1 to kMaxKeyBytes bytes once parsed
  std::string_view words;  ///< retrieval, gat: all keys, each checked, for Words. words: everything
  uint64_t cas = 0;
  uint64_t number = 0;       ///< delta of incr and decr; level of verbosity
  int64_t exptime = 0;       ///< as sent: exptime of storage, gat, touch; delay of flush_all. Not interpreted
  uint32_t flags = 0;        ///< client flags
  uint32_t value_bytes = 0;  ///< announced length, up to kMaxAnnouncedBytes; the "\r\n" behind it not counted
  bool noreply = false;      ///< set on malformed lines too, where memcached sees it there
  bool has_exptime = false;  ///< flush: a delay was given
};

enum class TextStatus : uint8_t {
  ok,
  wrong_word_count,   ///< ERROR; noreply is not looked for
  bad_format,         ///< a number that is none, a length that is negative or too large, a key too long
  bad_exptime,        ///< of touch, gat, flush_all
  bad_delta,          ///< of incr, decr
  bad_delete_format,  ///< delete with a number that is not 0
};

/// Parses what follows the verb. On an error nothing but `noreply` of `request` means anything, and the line
/// is all that is consumed: as in memcached a malformed storage line announces no value, so what follows it
/// is read as the next line. (A well-formed one whose value is unwanted, too large say, has `value_bytes` to
/// swallow.)
TextStatus parse_text(Shape shape, std::string_view arguments, TextRequest& request);

/// The line that reports `status`, with its "\r\n". Not for ok.
std::string_view text_error(TextStatus status);

}  // namespace bobbin::wire
