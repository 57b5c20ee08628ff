// The binary protocol as a load generator speaks it: get, getq with noop behind them for several keys, and
// set. And MCBP, Couchbase's, which is the same behind a greeting, with a collection in front of each key,
// and has lookups of paths in documents.

#include <algorithm>

#include "cli/bench_dialects.h"
#include "wire/binary_header.h"
#include "wire/binary_reply.h"
#include "wire/feature.h"

namespace bobbin::cli {
namespace {

using wire::BinaryHeader;
using wire::BinaryOpcode;
using wire::BinaryStatus;
using wire::kBinaryHeaderBytes;

constexpr uint8_t number_of(BinaryOpcode opcode) {
  return static_cast<uint8_t>(opcode);
}

/// What an SDK asks for and has an effect on replies to gets and sets, and the bucket that it opens.
std::string mcbp_greeting() {
  using enum wire::Feature;
  std::string asked;
  for (const wire::Feature feature :
       {json, xerror, select_bucket, mutation_seqno, tracing, alt_request, collections})
    asked += {'\0', static_cast<char>(feature)};
  const auto frame = [](BinaryOpcode opcode, std::string_view key, std::string_view value) {
    BinaryHeader header;
    header.opcode = number_of(opcode);
    header.key_bytes = static_cast<uint16_t>(key.size());
    header.body_bytes = static_cast<uint32_t>(key.size() + value.size());
    std::string bytes(kBinaryHeaderBytes, '\0');
    wire::encode_header(bytes.data(), header);
    return bytes.append(key).append(value);
  };
  return frame(BinaryOpcode::hello, "bobbin bench", asked) +
         frame(BinaryOpcode::select_bucket, "default", {});
}

constexpr uint32_t kFirstPathNumber = 10'000;

std::string path_name(uint32_t path) {
  return "path" + std::to_string(path);
}

/// Of a lookup: for each path its operation, no flags, and the path (kv_engine docs/SubDocument.md).
std::string lookup_specs(uint32_t paths) {
  std::string specs;
  for (uint32_t path = 0; path < paths; ++path) {
    const std::string name = path_name(path);
    specs += {static_cast<char>(BinaryOpcode::subdoc_get), '\0', '\0', static_cast<char>(name.size())};
    specs += name;
  }
  return specs;
}

/// Of its reply: for each path a status, the length of what was found, and that.
uint32_t lookup_reply_bytes(uint32_t paths) {
  return paths * (2 + 4 + static_cast<uint32_t>(std::to_string(kFirstPathNumber).size()));
}

class BinaryWriter final : public BenchWriter {
 public:
  BinaryWriter(const BenchKeys& keys, bool is_mcbp, uint32_t paths)
      : keys_(keys),
        is_mcbp_(is_mcbp),
        greeting_(is_mcbp ? mcbp_greeting() : std::string()),
        specs_(lookup_specs(paths)) {}

  [[nodiscard]] size_t max_get_bytes(size_t keys) const noexcept override {
    return keys * (kBinaryHeaderBytes + key_bytes()) + kBinaryHeaderBytes + specs_.size();
  }
  [[nodiscard]] size_t max_set_head_bytes() const noexcept override {
    return kBinaryHeaderBytes + kStoreExtrasBytes + key_bytes();
  }
  [[nodiscard]] std::string_view greeting() const noexcept override { return greeting_; }
  char* write_get(char* out, std::span<const uint32_t> keys) const noexcept override {
    BinaryHeader header;
    header.opcode = number_of(keys.size() == 1 ? BinaryOpcode::get : BinaryOpcode::getq);
    header.key_bytes = static_cast<uint16_t>(key_bytes());
    header.body_bytes = header.key_bytes;
    if (!specs_.empty()) {
      header.opcode = number_of(BinaryOpcode::subdoc_multi_lookup);
      header.body_bytes += static_cast<uint32_t>(specs_.size());
      out = write_key(wire::encode_header(out, header), keys.front());
      return std::copy(specs_.begin(), specs_.end(), out);
    }
    for (const uint32_t key : keys) {
      out = write_key(wire::encode_header(out, header), key);
      ++header.opaque;
    }
    if (keys.size() == 1) return out;
    BinaryHeader noop;
    noop.opcode = number_of(BinaryOpcode::noop);
    return wire::encode_header(out, noop);
  }
  char* write_set_head(char* out, uint32_t key, uint32_t value_bytes) const noexcept override {
    BinaryHeader header;
    header.opcode = number_of(BinaryOpcode::set);
    header.key_bytes = static_cast<uint16_t>(key_bytes());
    header.extras_bytes = kStoreExtrasBytes;
    header.body_bytes = kStoreExtrasBytes + header.key_bytes + value_bytes;
    out = wire::encode_header(out, header);
    out = wire::store_big_endian(out, uint64_t{0});  // client flags and expiry
    return write_key(out, key);
  }
  [[nodiscard]] std::string_view set_tail() const noexcept override { return {}; }

 private:
  static constexpr uint8_t kStoreExtrasBytes = 8;

  [[nodiscard]] size_t key_bytes() const noexcept { return keys_.key_bytes() + (is_mcbp_ ? 1 : 0); }
  char* write_key(char* out, uint32_t key) const noexcept {
    if (is_mcbp_) *out++ = '\0';  // the default collection
    return keys_.write(out, key);
  }

  const BenchKeys& keys_;
  const bool is_mcbp_;
  const std::string greeting_;
  const std::string specs_;  // empty: gets are of whole documents
};

class BinaryReader final : public BenchReader {
 public:
  BinaryReader(const BenchValueSizes& sizes, uint32_t paths)
      : sizes_(sizes),
        get_(paths > 0 ? BinaryOpcode::subdoc_multi_lookup : BinaryOpcode::get),
        lookup_bytes_(lookup_reply_bytes(paths)) {}

  Progress read(std::string_view bytes, const BenchAsked& asked, BenchReplies& replies) override {
    const size_t size = bytes.size();
    for (;;) {
      if (in_body_) {
        if (!take_value(bytes)) return {State::more, size};
        in_body_ = false;
        if (last_) {
          answered_ = next_position_ = 0;
          return {State::done, size - bytes.size()};
        }
      }
      if (bytes.size() < kBinaryHeaderBytes) return {State::more, size - bytes.size()};
      const BinaryHeader header = wire::decode_header(bytes.data());
      bytes.remove_prefix(kBinaryHeaderBytes);
      if (!on_header(header, asked, replies)) return {State::broken, size};
      in_body_ = true;
      value_left_ = header.body_bytes;
    }
  }

 private:
  // False if it cannot be a part of the reply. Sets last_.
  bool on_header(const BinaryHeader& header, const BenchAsked& asked, BenchReplies& replies) {
    const uint32_t head_bytes = header.before_value();
    if (header.magic != wire::kBinaryReplyMagic && header.magic != wire::kFlexibleReplyMagic) return false;
    if (head_bytes > header.body_bytes) return false;
    last_ = false;
    if (header.opcode == number_of(BinaryOpcode::hello) ||
        header.opcode == number_of(BinaryOpcode::select_bucket))
      return header.vbucket_or_status == 0;
    const bool several = asked.keys.size() > 1;
    const auto status = static_cast<BinaryStatus>(header.vbucket_or_status);
    last_ = !several || header.opcode == number_of(BinaryOpcode::noop);
    if (several && last_) {
      replies.misses += asked.keys.size() - answered_;
      return true;
    }
    const BinaryOpcode expected = asked.is_set ? BinaryOpcode::set : (several ? BinaryOpcode::getq : get_);
    // Replies come in the order of the requests.
    if (header.opcode != number_of(expected) || header.opaque < next_position_ ||
        header.opaque >= asked.keys.size()) {
      return false;
    }
    next_position_ = header.opaque + 1;
    if (status == BinaryStatus::key_not_found && !asked.is_set) {
      ++replies.misses;
    } else if (status != BinaryStatus::success) {
      const std::string_view text = wire::binary_status_text(status);
      replies.refuse(text.empty() ? "status " + std::to_string(header.vbucket_or_status) : std::string(text));
    } else if (!asked.is_set) {
      ++replies.hits;
      const uint32_t value_bytes = header.body_bytes - head_bytes;
      const uint32_t wanted =
          get_ == BinaryOpcode::get ? sizes_.of(asked.keys[header.opaque]) : lookup_bytes_;
      if (value_bytes != wanted) replies.fail(BenchError::wrong_size);
    }
    ++answered_;
    return true;
  }

  const BenchValueSizes& sizes_;
  const BinaryOpcode get_;
  const uint32_t lookup_bytes_;
  // Of the reply being read:
  bool in_body_ = false;
  bool last_ = false;  ///< the frame whose body is being taken ends the reply
  size_t answered_ = 0;
  size_t next_position_ = 0;
};

}  // namespace

std::string bench_document(uint32_t bytes, uint32_t paths) {
  const uint32_t each = (bytes - 2) / paths;
  std::string text = "{";
  for (uint32_t path = 0; path < paths; ++path) {
    // What does not divide evenly is in the last filling.
    const size_t end = path + 1 == paths ? bytes - 1 : 1 + size_t{each} * (path + 1);
    text += "\"" + path_name(path) + "\":" + std::to_string(kFirstPathNumber + path) + ",\"f" +
            std::to_string(path) + "\":\"";
    text.append(end - text.size() - (path + 1 == paths ? 1 : 2), 'x');
    text += path + 1 == paths ? "\"" : "\",";
  }
  return text + "}";
}

std::unique_ptr<BenchWriter> make_binary_writer(const BenchKeys& keys) {
  return std::make_unique<BinaryWriter>(keys, false, 0);
}

std::unique_ptr<BenchWriter> make_mcbp_writer(const BenchKeys& keys, uint32_t paths) {
  return std::make_unique<BinaryWriter>(keys, true, paths);
}

std::unique_ptr<BenchReader> make_binary_reader(const BenchValueSizes& sizes, uint32_t paths) {
  return std::make_unique<BinaryReader>(sizes, paths);
}

}  // namespace bobbin::cli
