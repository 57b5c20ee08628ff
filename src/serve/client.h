#pragma once

#include <array>
#include <cstdint>

#include "wire/feature.h"
#include "wire/frame_info.h"

namespace bobbin::serve {

/// What a client that said HELLO and the server have agreed on, and what its current request says beside the
/// command. A session of memcached's protocols has none. Owned by its session.
struct Client {
  wire::FeatureSet features;
  wire::FrameInfo frame;  ///< of the request that is being handled; its views end with it
  /// When the bytes of the current request were looked at; 0 where nobody asked how long it takes.
  uint64_t received_ns = 0;
  /// The duration that was told last, of requests of the same bytes (`received_ns`), and of how many small
  /// documents that follow it may be told, too: reading the clock for each costs a twentieth of a small get.
  struct Told {
    static constexpr uint8_t kReuses = 7;
    uint64_t received_ns = 0;
    std::array<char, wire::kTraceBytes> trace{};
    uint8_t reuses_left = 0;
  } told;
  /// Of a request that runs again, and has waited meanwhile.
  void restart_clock(uint64_t received) {
    received_ns = received;
    told.reuses_left = 0;
  }
  /// What the request that is being handled has moved, until it is answered; nothing where nobody asked.
  wire::Moved moved;
  /// The revision of its bucket's configuration that it was last sent as an answer; 0: none yet.
  int64_t known_config = 0;
};

}  // namespace bobbin::serve
