#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "serve/binary_commands.h"
#include "wire/binary_header.h"
#include "wire/feature.h"

namespace bobbin::fuzz {

/// Conversations of Couchbase's protocol from the bytes of a fuzzer: each frame is of a row of the command
/// tables, mostly of that row's shape, so that every handler is reached and not only the checks before it. A
/// row that is added is among them.
///
/// A frame's bytes: which row; how it is made (the bits below); lengths and contents as these ask for.
class McbpFrames {
 public:
  explicit McbpFrames(std::string_view input) : input_(input) {
    serve::for_each_binary_command([this](const serve::BinaryCommand& row) {
      if (row.audience != serve::Audience::memcached) rows_.push_back(&row);
    });
  }

  /// All of it: HELLO with features, a bucket, then the frames.
  std::string conversation() {
    std::string bytes = hello();
    append(bytes, {.opcode = static_cast<uint8_t>(wire::BinaryOpcode::select_bucket)}, {}, "default", {});
    while (!input_.empty())
      append_frame(bytes);
    return bytes;
  }
  /// No answer depends on chance or the moment.
  [[nodiscard]] bool is_repeatable() const noexcept { return repeatable_; }

 private:
  // How a frame is made.
  static constexpr uint8_t kOddExtras = 0x01;      // of any length
  static constexpr uint8_t kOwnKey = 0x02;         // its bytes follow; otherwise a word's number
  static constexpr uint8_t kOwnValue = 0x04;       // the same
  static constexpr uint8_t kOtherPresence = 0x08;  // a key or a value where there should be none
  static constexpr uint8_t kDatatype = 0x10;
  static constexpr uint8_t kFraming = 0x20;
  static constexpr uint8_t kVbucket = 0x40;
  static constexpr uint8_t kLies = 0x80;  // about the key's length

  uint8_t byte() {
    if (input_.empty()) return 0;
    const auto taken = static_cast<uint8_t>(input_.front());
    input_.remove_prefix(1);
    return taken;
  }
  std::string bytes(size_t count) {
    std::string taken(input_.substr(0, count));
    input_.remove_prefix(taken.size());
    taken.resize(count);
    return taken;
  }

  std::string hello() {
    constexpr std::array<uint8_t, 24> kFeatures{0x03, 0x04, 0x06, 0x07, 0x08, 0x0a, 0x0b, 0x0c,
                                                0x0d, 0x0e, 0x0f, 0x10, 0x11, 0x12, 0x14, 0x15,
                                                0x17, 0x1c, 0x1e, 0x21, 0x22, 0x13, 0x1d, 0x1f};
    // A 1 leaves one out: of nothing, all are asked for.
    uint32_t without = byte() | uint32_t{byte()} << 8U | uint32_t{byte()} << 16U;
    std::string asked;
    for (const uint8_t feature : kFeatures) {
      if ((without & 1U) == 0) asked += {'\0', static_cast<char>(feature)};
      without >>= 1U;
    }
    std::string out;
    append(out, {.opcode = static_cast<uint8_t>(wire::BinaryOpcode::hello)}, {}, "fuzz", asked);
    return out;
  }

  static void append(std::string& out, wire::BinaryHeader header, std::string_view extras,
                     std::string_view key, std::string_view value, std::string_view framing = {}) {
    if (!framing.empty()) {
      header.magic = wire::kFlexibleRequestMagic;
      header.framing_bytes = static_cast<uint8_t>(framing.size());
    }
    if (header.key_bytes == 0) header.key_bytes = static_cast<uint16_t>(key.size());
    header.extras_bytes = static_cast<uint8_t>(extras.size());
    header.body_bytes = static_cast<uint32_t>(framing.size() + extras.size() + key.size() + value.size());
    std::string head(wire::kBinaryHeaderBytes, '\0');
    wire::encode_header(head.data(), header);
    out.append(head).append(framing).append(extras).append(key).append(value);
  }

  void append_frame(std::string& out) {
    using wire::BinaryOpcode;
    const serve::BinaryCommand& row = *rows_[byte() % rows_.size()];
    const uint8_t how = byte();
    repeatable_ = repeatable_ && row.opcode != BinaryOpcode::sasl_auth &&
                  row.opcode != BinaryOpcode::sasl_step && row.opcode != BinaryOpcode::get_random_key &&
                  row.opcode != BinaryOpcode::stat;
    const std::string extras = bytes(extras_length(row, how));
    const bool odd = (how & kOtherPresence) != 0;
    std::string key;
    if ((row.shape.key == wire::Presence::forbidden) == odd)
      key = (how & kOwnKey) != 0 ? bytes(byte()) : std::string(word_of_key(row));
    std::string value;
    if ((row.shape.value == wire::Presence::forbidden) == odd)
      value = (how & kOwnValue) != 0 ? bytes(byte()) : std::string(word_of_value());
    wire::BinaryHeader header{.opcode = static_cast<uint8_t>(row.opcode)};
    if ((how & kDatatype) != 0) header.datatype = byte() & 0x0fU;
    if ((how & kVbucket) != 0) header.vbucket_or_status = byte() % 8U;
    if ((how & kLies) != 0) header.key_bytes = static_cast<uint16_t>(key.size() + byte());
    append(out, header, extras, key, value, (how & kFraming) != 0 ? bytes(byte() % 8U) : std::string());
  }

  size_t extras_length(const serve::BinaryCommand& row, uint8_t how) {
    if ((how & kOddExtras) != 0) return byte() % 64U;
    std::vector<uint8_t> lengths;
    for (uint8_t length = 0; length < 64; ++length)
      if (row.shape.extras.has(length)) lengths.push_back(length);
    return lengths.size() == 1 ? lengths[0] : lengths[byte() % lengths.size()];
  }

  // Documents of the default collection, one of others, and the names that commands know.
  std::string_view word_of_key(const serve::BinaryCommand& row) {
    using namespace std::string_view_literals;
    static constexpr std::array kDocuments{"\0k"sv, "\0g"sv, "\x08k"sv, "\x09g"sv, "\0_sys"sv, "k"sv};
    static constexpr std::array kNames{"default"sv,
                                       "list"sv,
                                       "define"sv,
                                       "delete"sv,
                                       "tls"sv,
                                       "PLAIN"sv,
                                       "SCRAM-SHA1"sv,
                                       "trace.status"sv,
                                       "vbucket-details"sv,
                                       "collections"sv,
                                       "range-scans"sv,
                                       "dcp"sv,
                                       "enable_noop"sv,
                                       "connection_buffer_size"sv,
                                       "set_priority"sv,
                                       "fuzz"sv};
    const uint8_t choice = byte();
    return row.key == serve::KeyKind::document ? kDocuments[choice % kDocuments.size()]
                                               : kNames[choice % kNames.size()];
  }

  std::string_view word_of_value() {
    using namespace std::string_view_literals;
    static constexpr std::array kValues{
        R"({"a":1,"l":[1,{"b":null}]})"sv,
        "5"sv,
        "true"sv,
        "65536"sv,
        "_default._default"sv,
        "_default.c"sv,
        R"({"uid":"1","scopes":[{"name":"_default","uid":"0","collections":[{"name":"_default","uid":"0"},{"name":"c","uid":"8"}]}]})"sv,
        R"({"range":{"start":"AA==","end":"/w=="}})"sv,
        R"({"key_only":true,"range":{"start":"AA==","end":"/w=="},"snapshot_requirements":{"vb_uuid":"1","seqno":1,"timeout_ms":1}})"sv,
        R"({"sampling":{"samples":2,"seed":1}})"sv,
        R"({"collections":["0","8"]})"sv,
        R"({"uid":"0"})"sv,
        "\xc5\0\0\1a\xc6\4\0\2_s"sv,
        "\xc8\0\0\1\0\0\0\1a1\xc9\0\0\1\0\0\0\0l"sv,
        "\0\0\0\x09\0\0\0\x05_s\0001\0{}"sv,
        "\x05\x10hello"sv,
        "\0user\0password"sv,
        "n,,n=user,r=nonce"sv,
        R"({"family":"inet","host":"127.0.0.1"})"sv,
        "\0\1"sv,
        "\0\2"sv,
        "\0\0\0\1k"sv};
    return kValues[byte() % kValues.size()];
  }

  std::string_view input_;
  std::vector<const serve::BinaryCommand*> rows_;
  bool repeatable_ = true;
};

}  // namespace bobbin::fuzz
