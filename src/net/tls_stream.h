#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "net/output.h"
#include "net/receiver.h"
#include "net/tls_loaded.h"

namespace bobbin::net {

class Loop;

/// What a connection that was dialled knows besides.
struct TlsDial {
  std::string host;                         ///< a name or an address, which the certificate has to have
  std::function<void(base::Error)> failed;  ///< called if there is no handshake
};

/// The TLS of one connection. It receives from the socket by itself, as much as it was allowed to, because a
/// record can only be opened as a whole; it never sends: what has to go out, handshake included, lies in
/// sealed() until the connection has sent it. Private to `net`; the thread of its loop only.
///
/// Bounds: nothing of OpenSSL is held before the first 9 bytes have come and are those of a ClientHello of at
/// most kMaxHelloBytes. Afterwards one record of at most 16 KiB while it arrives, and what is sealed:
/// kMaxSealedBytes, which only a peer reaches that makes the protocol itself answer and takes nothing.
class TlsStream {
 public:
  static constexpr size_t kMaxHelloBytes = 16 << 10;
  static constexpr size_t kMaxSealedBytes = 256 << 10;

  /// The accepting side. `context` outlives the handshake, `descriptor` and `loop` outlive this. `receiver`
  /// is kept until the handshake is done: take_receiver().
  TlsStream(const TlsContext& context, Loop& loop, int descriptor, int64_t now_ms,
            std::unique_ptr<Receiver> receiver);
  /// The dialling side: shake_hands() begins at once.
  TlsStream(const TlsClientContext& context, TlsDial dial, Loop& loop, int descriptor, int64_t now_ms,
            std::unique_ptr<Receiver> receiver);
  ~TlsStream();
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;

  /// What the connection has received. Must stay valid for as long as has_more(). `exhausted`: the socket has
  /// nothing more.
  void feed(std::span<const char> encrypted, bool exhausted) noexcept;
  /// So many bytes may be received from the socket besides those that are fed.
  void allow(size_t bytes) noexcept { allowed_ = bytes; }
  [[nodiscard]] size_t allowed() const noexcept { return allowed_; }
  /// There may be something to read without receiving anything; feed() nothing before that is read.
  [[nodiscard]] bool has_more() const noexcept { return !hungry_ && !broken_; }

  enum class Handshake { waiting, done, failed };
  Handshake shake_hands();
  [[nodiscard]] std::unique_ptr<Receiver> take_receiver() noexcept { return std::move(receiver_); }
  /// The connection ends. Who has dialled it is told if that is before the handshake was done.
  void tell_dialler();
  [[nodiscard]] const TlsPeer& peer() const noexcept { return peer_; }
  /// When the connection was accepted, in milliseconds of the steady clock.
  [[nodiscard]] int64_t began_ms() const noexcept { return began_ms_; }

  /// Fills `target` as far as bytes are there; 0 where has_more() is false afterwards.
  size_t read(std::span<char> target);
  /// The peer has ended its side, in the way of TLS or only its socket, and all before that was read.
  [[nodiscard]] bool has_ended() const noexcept { return ended_ && hungry_; }
  /// The peer has violated the protocol, or its connection was reset: nothing can be read or sealed any more.
  [[nodiscard]] bool is_broken() const noexcept { return broken_; }

  /// Takes up to `max_bytes` from the front of `plain`; returns how many. 0: is_broken().
  size_t seal(Output& plain, size_t max_bytes);
  /// Tells the peer that nothing follows. Once; nothing where there has been no handshake.
  void seal_end();
  [[nodiscard]] size_t sealed_bytes() const noexcept { return sealed_ == nullptr ? 0 : sealed_->size(); }
  /// Only while sealed_bytes() > 0.
  [[nodiscard]] const Output& sealed() const noexcept { return *sealed_; }
  void sent(size_t n);
  /// The rest has to wait for the peer: in no more memory than it needs.
  void keep_sealed();
  void drop_sealed();

 private:
  struct Bio;  ///< what OpenSSL reads from and writes to
  friend struct Bio;
  [[nodiscard]] bool is_client() const noexcept { return server_ == nullptr; }
  [[nodiscard]] bool set_wanted_host();
  [[nodiscard]] bool take_hello();
  [[nodiscard]] bool is_begun_right() const noexcept;
  void begin();
  void learn_peer();
  void note_trouble(int result);
  int receive(char* data, size_t size);
  [[nodiscard]] bool append_sealed(std::span<const char> bytes);

  const TlsContext* const server_ = nullptr;  // one of the two
  const TlsClientContext* const client_ = nullptr;
  TlsDial dial_;
  std::string refusal_;  // of the dialling side: why there was no handshake
  Loop& loop_;
  const int descriptor_;
  const int64_t began_ms_;
  std::unique_ptr<Receiver> receiver_;
  std::unique_ptr<SSL, FreeSsl> ssl_;  // null until a ClientHello has begun
  TlsPeer peer_;
  std::unique_ptr<Output> sealed_;  // lent by the loop; null while there is nothing to send

  std::span<const char> fed_;
  std::array<char, 9> hello_{};  // the heads of the first record and message
  uint8_t hello_size_ = 0;
  uint8_t hello_taken_ = 0;
  size_t allowed_ = 0;
  bool exhausted_ = false;  // the socket has nothing, as of the last receive
  bool hungry_ = true;      // nothing can be read before more is fed or may be received
  bool ended_ = false;
  bool broken_ = false;
  bool end_sealed_ = false;
};

}  // namespace bobbin::net
