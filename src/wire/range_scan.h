#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "wire/binary_reply.h"

/// RANGE_SCAN_CREATE, CONTINUE and CANCEL (kv_engine docs/range_scans): requests taken apart, and the frames
/// in which keys and documents go out, many in each. No I/O.

namespace bobbin::wire {

/// Keys of one collection in the order of their bytes, as memcmp has it.
struct ScanRange {
  std::string start;
  std::string end;
  bool excludes_start = false;
  bool excludes_end = false;
};

/// Each key on its own, with the probability that gives about so many in all.
struct ScanSampling {
  uint64_t samples = 0;
  uint64_t seed = 0;
};

/// What has to hold of the snapshot that is scanned.
struct ScanSnapshot {
  uint64_t vbucket_uuid = 0;
  uint64_t seqno = 0;         ///< everything up to there has to be on disk
  bool seqno_exists = false;  ///< and the change with this very seqno still be there
  uint64_t timeout_ms = 0;    ///< how long to wait for that; 0: not at all
};

struct ScanCreate {
  uint32_t collection = 0;
  bool key_only = false;
  bool include_xattrs = false;
  std::string name;  ///< for people; may be empty
  ScanRange range;   ///< all keys, where it is a sampling
  std::optional<ScanSampling> sampling;
  std::optional<ScanSnapshot> snapshot;
};

inline constexpr size_t kMaxScanNameBytes = 50;

/// The body of a RANGE_SCAN_CREATE. The error says what is wrong with it, in a few words.
[[nodiscard]] base::Result<ScanCreate, std::string_view> parse_scan_create(std::string_view json);

using ScanId = std::array<char, 16>;

/// The extras of a RANGE_SCAN_CONTINUE. A limit of 0 is none.
struct ScanContinue {
  static constexpr size_t kBytes = 28;

  ScanId id{};
  uint32_t items = 0;
  uint32_t time_ms = 0;
  uint32_t bytes = 0;
};
/// `extras` has ScanContinue::kBytes.
[[nodiscard]] ScanContinue read_scan_continue(std::string_view extras);
/// `extras` has 16 bytes or more.
[[nodiscard]] ScanId read_scan_id(std::string_view extras);

/// A document as a scan shows it.
struct ScanItem {
  uint32_t flags = 0;
  uint32_t expiry = 0;
  uint64_t seqno = 0;
  uint64_t cas = 0;
  uint8_t datatype = 0;
  std::string_view key;
  std::string_view value;
};

/// One reply to a RANGE_SCAN_CONTINUE while it fills. Keeps its memory from one to the next.
class ScanFrame {
 public:
  // What the extras say is in it.
  enum class Content : uint32_t { keys = 0, documents = 1 };

  explicit ScanFrame(Content content) : content_(content) {}

  void add_key(std::string_view key);
  void add_document(const ScanItem& item);
  /// Of the items in it.
  [[nodiscard]] size_t bytes() const noexcept { return end_ - kHeadBytes; }

  /// Header and extras in front of the items. `framing`: at most kMaxReplyFramingBytes. Valid until the next
  /// call.
  [[nodiscard]] std::string_view finish(const BinaryHeader& request, BinaryStatus status,
                                        std::string_view framing);
  void clear() noexcept { end_ = kHeadBytes; }
  /// Its memory, in which what finish() has answered stays where it is, at begin(); the frame begins anew.
  [[nodiscard]] std::vector<char> take();
  [[nodiscard]] size_t begin() const noexcept { return begin_; }

 private:
  static constexpr size_t kExtrasBytes = 4;
  static constexpr size_t kHeadBytes = kBinaryHeaderBytes + kMaxReplyFramingBytes + kExtrasBytes;

  [[nodiscard]] char* reserve(size_t n);

  const Content content_;
  std::vector<char> memory_ = std::vector<char>(kHeadBytes);
  size_t begin_ = 0;
  size_t end_ = kHeadBytes;
};

/// Takes one item off `items`, the value of such a reply. Nothing at its end, and where it is damaged.
[[nodiscard]] std::optional<ScanItem> take_scan_item(std::string_view& items, ScanFrame::Content content);

}  // namespace bobbin::wire
