#pragma once

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "base/pinned_bytes.h"

namespace bobbin::stress {

constexpr size_t kProducers = 4;
constexpr uint32_t kReply = kProducers;  // the connection's own replies, among the frames
constexpr uint32_t kMaxPayload = 20'000;

/// What a frame begins with. Its payload is one letter, as often as `size` says: a torn frame shows.
struct FrameHeader {
  uint32_t producer;
  uint32_t sequence;
  uint32_t size;

  [[nodiscard]] char letter() const { return static_cast<char>('a' + (producer + sequence) % 26); }
  [[nodiscard]] std::string_view bytes() const { return {reinterpret_cast<const char*>(this), sizeof *this}; }
};

/// Reads a stream of frames: each must be whole, and those of a producer complete and in order.
class FrameChecker {
 public:
  void feed(std::string_view bytes) {
    unread_ += bytes;
    size_t at = 0;
    while (unread_.size() - at >= sizeof(FrameHeader)) {
      FrameHeader header{};
      std::memcpy(&header, unread_.data() + at, sizeof header);
      if (header.producer > kReply || header.size > kMaxPayload) {
        ADD_FAILURE() << "no frame begins here";
        at = unread_.size();
        break;
      }
      if (unread_.size() - at < sizeof header + header.size) break;
      const std::string_view payload(unread_.data() + at + sizeof header, header.size);
      EXPECT_EQ(header.sequence, next_.at(header.producer)++) << "of producer " << header.producer;
      EXPECT_EQ(payload.find_first_not_of(header.letter()), std::string_view::npos);
      at += sizeof header + header.size;
    }
    unread_.erase(0, at);
  }
  /// Frames seen whole.
  [[nodiscard]] uint32_t seen(size_t producer) const { return next_.at(producer); }
  [[nodiscard]] bool between_frames() const { return unread_.empty(); }

 private:
  std::string unread_;
  std::array<uint32_t, kProducers + 1> next_{};
};

/// Payloads that are counted when they are made and when they are let go of.
class Payloads {
 public:
  base::PinnedBytes make(const FrameHeader& header) {
    made_.fetch_add(1);
    auto* payload = new Payload{std::string(header.size, header.letter()), *this};  // deleted by release()
    return {payload->bytes, payload, &release};
  }
  [[nodiscard]] uint64_t made() const { return made_.load(); }
  [[nodiscard]] uint64_t released() const { return released_.load(); }

 private:
  struct Payload {
    std::string bytes;
    Payloads& all;
  };
  static void release(void* owner) noexcept {
    auto* payload = static_cast<Payload*>(owner);
    payload->all.released_.fetch_add(1);
    delete payload;
  }

  std::atomic<uint64_t> made_{0};
  std::atomic<uint64_t> released_{0};
};

}  // namespace bobbin::stress
