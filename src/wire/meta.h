#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "wire/base64.h"
#include "wire/text.h"

/// The meta commands: mn, mg, ms, md, ma, me (memcached doc/protocol.txt, "Meta Commands"; texts of errors
/// and the treatment of flags that a command has no use for as memcached 1.6.18). They are lines of the text
/// protocol: cut them with cut_line and split_verb. Pure functions; views point into the line.

namespace bobbin::wire {

/// A set of single-letter flags, one bit a letter: a to z, then A to Z.
class FlagSet {
 public:
  constexpr FlagSet() = default;
  explicit constexpr FlagSet(std::string_view letters) {
    for (const char letter : letters)
      insert(letter);
  }
  static constexpr bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
  [[nodiscard]] constexpr bool has(char letter) const { return (bits_ & bit(letter)) != 0; }
  constexpr void insert(char letter) { bits_ |= bit(letter); }

 private:
  static constexpr uint64_t bit(char letter) {
    return letter >= 'a' ? uint64_t{1} << (letter - 'a') : uint64_t{1} << (26 + letter - 'A');
  }
  uint64_t bits_ = 0;
};

/// Words that may follow the key, the length in ms among them; one more is an error, as in memcached.
inline constexpr size_t kMaxMetaFlags = 17;
/// The opaque token behind O, in bytes.
inline constexpr size_t kMaxOpaqueBytes = 32;
/// A base64 key of kMaxKeyBytes bytes, as it stands in the line.
inline constexpr size_t kMaxEncodedKeyBytes = base64_chars(kMaxKeyBytes);

enum class MetaCommand : uint8_t { noop, get, set, remove, arithmetic, debug };

/// What a command-table row says about a meta command. Any flag that is known anywhere is accepted
/// everywhere, as in memcached; `used` are those that mean something to this command and so are checked and
/// documented.
struct MetaShape {
  MetaCommand command;
  FlagSet used;
  FlagSet echoed_on_hit;   ///< written back in reply codes HD and VA
  FlagSet echoed_on_miss;  ///< written back in every other reply code
};

namespace meta_shapes {
inline constexpr FlagSet kIdentity{"kO"};
inline constexpr MetaShape kNoop{MetaCommand::noop, FlagSet(), FlagSet(), FlagSet()};
inline constexpr MetaShape kGet{MetaCommand::get, FlagSet("bcfhklqstuvENORT"), FlagSet("cfhklstO"),
                                kIdentity};
inline constexpr MetaShape kSet{MetaCommand::set, FlagSet("bckqsCEFIMNOT"), FlagSet("cksO"),
                                FlagSet("ckO")};  // c of what was not stored is 0
inline constexpr MetaShape kDelete{MetaCommand::remove, FlagSet("bkqxCEIOT"), kIdentity, kIdentity};
inline constexpr MetaShape kArithmetic{MetaCommand::arithmetic, FlagSet("bckqtvCDEJMNOT"), FlagSet("cktO"),
                                       kIdentity};
inline constexpr MetaShape kDebug{MetaCommand::debug, FlagSet("b"), FlagSet(), FlagSet()};
}  // namespace meta_shapes

/// M of ms and ma.
enum class MetaMode : uint8_t {
  set,        ///< ms S, and when there is no M
  add,        ///< ms E
  append,     ///< ms A
  prepend,    ///< ms P
  replace,    ///< ms R
  increment,  ///< ma I or +, and when there is no M
  decrement,  ///< ma D or -
};

struct MetaRequest {
  std::string_view key;       ///< decoded if the flag b was given; then it lies in the caller's MetaKeyBuffer
  std::string_view sent_key;  ///< as it stands in the line: what k returns
  FlagSet flags;              ///< every flag that was given
  std::array<char, kMaxMetaFlags> order{};  ///< the flags as they came, `flag_count` of them
  uint8_t flag_count = 0;
  MetaMode mode = MetaMode::set;
  uint32_t client_flags = 0;   ///< F
  uint32_t value_bytes = 0;    ///< ms: announced length, up to kMaxAnnouncedBytes, "\r\n" not counted
  std::string_view opaque;     ///< O, up to kMaxOpaqueBytes; empty is allowed
  int64_t ttl = 0;             ///< T, as sent
  int64_t vivify_ttl = 0;      ///< N, as sent
  int64_t recache_ttl = 0;     ///< R, as sent
  uint64_t compare_cas = 0;    ///< C
  uint64_t new_cas = 0;        ///< E
  uint64_t delta = 1;          ///< D
  uint64_t initial = 0;        ///< J
  bool swallow_value = false;  ///< on an error: value_bytes and its "\r\n" follow and must be skipped

  [[nodiscard]] bool has(char flag) const { return flags.has(flag); }
  [[nodiscard]] bool quiet() const { return flags.has('q'); }
};

/// Where a base64 key is decoded to. Must live as long as MetaRequest::key is used.
using MetaKeyBuffer = std::array<char, kMaxEncodedKeyBytes / 4 * 3>;

enum class MetaStatus : uint8_t {
  ok,
  no_key,          ///< ERROR; me: bad_format
  bad_format,      ///< key too long, bad length of the value
  too_many_flags,  ///< more than kMaxMetaFlags
  invalid_flag,
  duplicate_flag,
  bad_token,         ///< T, N, R, C, E that are no number
  bad_client_flags,  ///< F
  bad_delta,         ///< D
  bad_initial,       ///< J
  opaque_too_long,
  mode_length,
  bad_set_mode,
  bad_arithmetic_mode,
  bad_key_encoding,
};

/// Parses what follows the verb of a meta command. `request` is overwritten. When the status is not ok, only
/// swallow_value and value_bytes mean anything: a malformed ms is followed by its value all the same, unless
/// its key or its length are what is wrong (then the next line is a command, as in memcached). Errors are
/// answered also when q was given.
MetaStatus parse_meta(const MetaShape& shape, std::string_view arguments, MetaKeyBuffer& key_buffer,
                      MetaRequest& request);

/// The line that reports `status`, with its "\r\n". Not for ok. md and ma have one text for nearly all wrong
/// flags.
std::string_view meta_error(MetaCommand command, MetaStatus status);

// ---- replies

enum class MetaCode : uint8_t {
  value,       ///< VA: a value follows
  header,      ///< HD: success
  miss,        ///< EN: mg and me found nothing
  not_stored,  ///< NS
  exists,      ///< EX: the CAS did not match
  not_found,   ///< NF
};

/// What the return flags ask for. Set what the request's flags name; the rest is not looked at.
struct MetaItem {
  uint32_t client_flags = 0;   ///< f
  uint32_t value_bytes = 0;    ///< s, and the length that VA announces
  uint64_t cas = 0;            ///< c
  int64_t ttl_s = -1;          ///< t: seconds left, -1 for never
  uint64_t last_access_s = 0;  ///< l: seconds since
  bool hit_before = false;     ///< h
  bool won = false;            ///< W: this client may recache
  bool stale = false;          ///< X
  bool win_sent = false;       ///< Z: another client has won before
};

/// Whether q hides a reply of this code: mg hides EN; ms, md and ma hide HD and VA.
bool quiet_hides(MetaCommand command, MetaCode code);

/// The most that write_meta_reply writes: code and length, key, opaque, the numbers, W X Z, line end.
inline constexpr size_t kMaxMetaReplyBytes = 512 + kMaxEncodedKeyBytes;

/// "HD c12 kfoo O7 W\r\n": the code, for VA the length of the value, the return flags in the order in which
/// the request had them, then Z, X, W. `out` has room for kMaxMetaReplyBytes. A value and kLineEnd follow VA.
size_t write_meta_reply(char* out, const MetaShape& shape, MetaCode code, const MetaRequest& request,
                        const MetaItem& item);

inline constexpr std::string_view kMetaNoop = "MN\r\n";
inline constexpr std::string_view kMetaMiss = "EN\r\n";

/// What me tells about an item.
struct MetaDebugItem {
  int64_t ttl_s = -1;          ///< -1 for never
  uint64_t last_access_s = 0;  ///< seconds since
  uint64_t cas = 0;
  bool fetched = false;
  uint32_t size_class = 0;
  uint64_t item_bytes = 0;  ///< all the memory it takes
};

/// "ME key exp=-1 la=2 cas=80 fetch=no cls=1 size=61\r\n". Room for kMaxMetaReplyBytes.
size_t write_meta_debug(char* out, const MetaRequest& request, const MetaDebugItem& item);

}  // namespace bobbin::wire
