#include "wire/range_scan.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <utility>

#include "wire/base64.h"
#include "wire/json_value.h"
#include "wire/leb128.h"

namespace bobbin::wire {
namespace {

using Why = std::string_view;

constexpr size_t kFixedBytes = 25;  // flags, expiry, seqno, CAS, datatype

char* put_leb128(char* out, size_t number) {
  for (; number >= 0x80; number >>= 7)
    *out++ = static_cast<char>(number | 0x80);
  *out++ = static_cast<char>(number);
  return out;
}

char* put_bytes(char* out, std::string_view bytes) {
  std::memcpy(out, bytes.data(), bytes.size());
  return out + bytes.size();
}

template <typename Number>
std::optional<Number> number_in(std::string_view digits, int base) {
  Number value{};
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return value;
}

/// Reads members of an object, and keeps the first thing that is wrong.
class Members {
 public:
  explicit Members(const JsonValue& object, Why& wrong) : object_(object), wrong_(wrong) {}

  void boolean(std::string_view name, bool& out, Why complaint) const {
    const JsonValue* const found = object_.member(name);
    if (found == nullptr) return;
    if (const auto value = found->boolean())
      out = *value;
    else
      complain(complaint);
  }
  /// False: it is not there.
  bool number(std::string_view name, uint64_t& out, Why complaint) const {
    const JsonValue* const found = object_.member(name);
    if (found == nullptr) return false;
    if (const auto value = found->number())
      out = *value;
    else
      complain(complaint);
    return true;
  }
  bool string(std::string_view name, std::string& out, Why complaint) const {
    const JsonValue* const found = object_.member(name);
    if (found == nullptr) return false;
    if (const std::string* const value = found->string())
      out = *value;
    else
      complain(complaint);
    return true;
  }
  /// Null: it is not there, or no object.
  [[nodiscard]] const JsonValue* object(std::string_view name, Why complaint) const {
    const JsonValue* const found = object_.member(name);
    if (found != nullptr && found->object() == nullptr) complain(complaint);
    return found != nullptr && found->object() != nullptr ? found : nullptr;
  }
  void complain(Why complaint) const {
    if (wrong_.empty()) wrong_ = complaint;
  }

 private:
  const JsonValue& object_;
  Why& wrong_;
};

bool decode_key(const std::string& text, std::string& key) {
  key.assign(text.size(), '\0');
  const auto size = text.empty() ? std::optional<size_t>(0) : decode_base64(text, key.data());
  if (!size || *size > kMaxBinaryKeyBytes) return false;
  key.resize(*size);
  return true;
}

// One of two names, of which one is for keys that do not belong to the range themselves.
void read_bound(const Members& range, std::string_view included, std::string_view excluded, std::string& key,
                bool& excludes) {
  constexpr Why kNotBase64 = "a key of the range is not base64 of at most 250 bytes";
  std::string text;
  const bool includes = range.string(included, text, kNotBase64);
  excludes = range.string(excluded, text, kNotBase64);
  if (includes && excludes) return range.complain("the range has an end twice");
  if (!includes && !excludes) return range.complain("the range needs a start and an end");
  if (!decode_key(text, key)) range.complain(kNotBase64);
}

void read_range(const JsonValue& object, ScanRange& range, Why& wrong) {
  const Members members(object, wrong);
  read_bound(members, "start", "excl_start", range.start, range.excludes_start);
  read_bound(members, "end", "excl_end", range.end, range.excludes_end);
}

ScanSampling read_sampling(const JsonValue& object, Why& wrong) {
  const Members members(object, wrong);
  ScanSampling sampling;
  members.number("seed", sampling.seed, "seed is not a number");
  if (!members.number("samples", sampling.samples, "samples is not a number") || sampling.samples == 0)
    members.complain("sampling needs samples, at least 1");
  return sampling;
}

ScanSnapshot read_snapshot(const JsonValue& object, Why& wrong) {
  const Members members(object, wrong);
  ScanSnapshot snapshot;
  std::string uuid;
  if (!members.string("vb_uuid", uuid, "vb_uuid is not a string"))
    members.complain("snapshot_requirements needs vb_uuid");
  if (const auto number = number_in<uint64_t>(uuid, 10))
    snapshot.vbucket_uuid = *number;
  else
    members.complain("vb_uuid is not a decimal number");
  if (!members.number("seqno", snapshot.seqno, "seqno is not a number"))
    members.complain("snapshot_requirements needs seqno");
  members.boolean("seqno_exists", snapshot.seqno_exists, "seqno_exists is not true or false");
  members.number("timeout_ms", snapshot.timeout_ms, "timeout_ms is not a number");
  return snapshot;
}

void read_collection(const Members& members, uint32_t& collection) {
  constexpr Why kNoId = "collection is not a hexadecimal number of 32 bits";
  std::string text;
  if (!members.string("collection", text, kNoId)) return;
  std::string_view digits = text;
  if (digits.starts_with("0x")) digits.remove_prefix(2);
  if (const auto id = number_in<uint32_t>(digits, 16))
    collection = *id;
  else
    members.complain(kNoId);
}

}  // namespace

base::Result<ScanCreate, std::string_view> parse_scan_create(std::string_view json) {
  const auto root = JsonValue::parse(json);
  if (!root || root->object() == nullptr) return base::fail(Why("the body is not a JSON object"));
  Why wrong;
  const Members members(*root, wrong);
  ScanCreate create;
  read_collection(members, create.collection);
  members.boolean("key_only", create.key_only, "key_only is not true or false");
  members.boolean("include_xattrs", create.include_xattrs, "include_xattrs is not true or false");
  members.string("name", create.name, "name is not a string");
  if (create.name.size() > kMaxScanNameBytes) members.complain("name has more than 50 bytes");
  const JsonValue* const range = members.object("range", "range is not an object");
  const JsonValue* const sampling = members.object("sampling", "sampling is not an object");
  if ((range == nullptr) == (sampling == nullptr)) members.complain("it needs either range or sampling");
  if (range != nullptr) {
    read_range(*range, create.range, wrong);
  } else {
    create.range.end.assign(kMaxBinaryKeyBytes + 1, '\xff');  // behind every key that there can be
  }
  if (sampling != nullptr) create.sampling = read_sampling(*sampling, wrong);
  const JsonValue* const snapshot =
      members.object("snapshot_requirements", "snapshot_requirements is not an object");
  if (snapshot != nullptr) create.snapshot = read_snapshot(*snapshot, wrong);
  if (!wrong.empty()) return base::fail(wrong);
  return create;
}

ScanId read_scan_id(std::string_view extras) {
  ScanId id;
  std::copy_n(extras.begin(), id.size(), id.begin());
  return id;
}

ScanContinue read_scan_continue(std::string_view extras) {
  const char* const limits = extras.data() + sizeof(ScanId);
  return {read_scan_id(extras), load_big_endian<uint32_t>(limits), load_big_endian<uint32_t>(limits + 4),
          load_big_endian<uint32_t>(limits + 8)};
}

char* ScanFrame::reserve(size_t n) {
  if (memory_.size() - end_ < n) memory_.resize(std::max(2 * memory_.size(), end_ + n));
  return memory_.data() + end_;
}

void ScanFrame::add_key(std::string_view key) {
  char* const begin = reserve(kMaxLeb128Bytes + key.size());
  end_ += static_cast<size_t>(put_bytes(put_leb128(begin, key.size()), key) - begin);
}

void ScanFrame::add_document(const ScanItem& item) {
  char* const begin = reserve(kFixedBytes + 2 * kMaxLeb128Bytes + item.key.size() + item.value.size());
  char* out = store_big_endian(begin, item.flags);
  out = store_big_endian(out, item.expiry);
  out = store_big_endian(out, item.seqno);
  out = store_big_endian(out, item.cas);
  *out++ = static_cast<char>(item.datatype);
  out = put_bytes(put_leb128(out, item.key.size()), item.key);
  out = put_bytes(put_leb128(out, item.value.size()), item.value);
  end_ += static_cast<size_t>(out - begin);
}

std::string_view ScanFrame::finish(const BinaryHeader& request, BinaryStatus status,
                                   std::string_view framing) {
  std::array<char, kExtrasBytes> extras;
  store_big_endian(extras.data(), static_cast<uint32_t>(content_));
  // Right in front of the items.
  begin_ = kMaxReplyFramingBytes - framing.size();
  write_binary_head(memory_.data() + begin_, request,
                    {.status = status,
                     .framing = framing,
                     .extras = {extras.data(), extras.size()},
                     .value_bytes = static_cast<uint32_t>(bytes())});
  return {memory_.data() + begin_, end_ - begin_};
}

std::vector<char> ScanFrame::take() {
  clear();
  return std::exchange(memory_, std::vector<char>(kHeadBytes));
}

std::optional<ScanItem> take_scan_item(std::string_view& items, ScanFrame::Content content) {
  ScanItem item;
  std::string_view rest = items;
  if (content == ScanFrame::Content::documents) {
    if (rest.size() < kFixedBytes) return std::nullopt;
    item.flags = load_big_endian<uint32_t>(rest.data());
    item.expiry = load_big_endian<uint32_t>(rest.data() + 4);
    item.seqno = load_big_endian<uint64_t>(rest.data() + 8);
    item.cas = load_big_endian<uint64_t>(rest.data() + 16);
    item.datatype = static_cast<uint8_t>(rest[kFixedBytes - 1]);
    rest.remove_prefix(kFixedBytes);
  }
  const auto take_text = [&rest](std::string_view& text) {
    const auto size = take_leb128(rest);
    if (!size || *size > rest.size()) return false;
    text = rest.substr(0, *size);
    rest.remove_prefix(*size);
    return true;
  };
  if (!take_text(item.key)) return std::nullopt;
  if (content == ScanFrame::Content::documents && !take_text(item.value)) return std::nullopt;
  items = rest;
  return item;
}

}  // namespace bobbin::wire
