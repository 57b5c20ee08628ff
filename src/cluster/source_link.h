#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "net/address.h"
#include "net/loop.h"
#include "net/output.h"
#include "net/tls_client.h"

namespace bobbin::cluster {

using SteadyTime = std::chrono::steady_clock::time_point;

/// Where the source is, and who this server says that it is.
struct SourceOptions {
  net::Address address;
  std::string user = {};  ///< empty: nobody logs in
  std::string password = {};
  std::string name;  ///< of this server, which tells it from others that follow the same source
  std::unique_ptr<net::TlsClientContext> tls = {};  ///< null: what is said is not encrypted
};

/// What came of a frame of the source's.
enum class TalkOutcome : uint8_t {
  taken,
  wait,    ///< nothing was done: it is shown again after a while, and until then nothing is read
  broken,  ///< the connection is of no further use; trouble() says why
};

/// What is said on one connection to the source, from its beginning to its end. Frames in, frames out; the
/// loop's thread.
class Talk {
 public:
  virtual ~Talk() = default;
  virtual void begin(SteadyTime now, net::Output& out) = 0;
  /// One whole frame, whose lengths fit it.
  [[nodiscard]] virtual TalkOutcome take(std::string_view frame, base::Now now, SteadyTime steady,
                                         net::Output& out) = 0;
  /// For a person; after `broken`.
  [[nodiscard]] virtual const std::string& trouble() const = 0;
  /// The source has let it in: from now on it may take its time between two answers.
  [[nodiscard]] virtual bool is_let_in() const = 0;
  /// Every few tens of milliseconds, while nothing waits.
  virtual void tick(SteadyTime now, net::Output& out) = 0;
  /// The same, while a frame waits.
  virtual void tick_while_waiting(SteadyTime /*now*/) {}
  /// What has arrived in this tick was taken.
  virtual void pause() {}
};

/// A connection to the source that is made again when it has failed, after a pause of a second at most. One
/// of them holds a window of flow control, where its talk has one, and a frame. Everything on the loop's
/// thread; it is destroyed after the loop, or when it is over.
class SourceLink {
 public:
  /// Who wants it.
  class Owner {
   public:
    virtual ~Owner() = default;
    /// Of a connection that is dialled now.
    [[nodiscard]] virtual std::unique_ptr<Talk> new_talk() = 0;
    virtual void connecting() = 0;
    /// It was not made, or has ended; it is tried again.
    virtual void failed(std::string why) = 0;
  };

  /// What loops of such connections have to allow.
  [[nodiscard]] static net::Limits limits();

  /// All of these outlive it.
  SourceLink(net::Loop& loop, const base::Clock& clock, const SourceOptions& source, Owner& owner);
  SourceLink(const SourceLink&) = delete;
  SourceLink& operator=(const SourceLink&) = delete;

  /// Every few tens of milliseconds: dials when that is due, and lets the talk do the same.
  void tick(SteadyTime now);
  [[nodiscard]] bool is_connected() const noexcept { return connection_ != nullptr; }
  /// Neither connected nor dialling: without tick() nothing begins.
  [[nodiscard]] bool is_idle() const noexcept { return connection_ == nullptr && !is_dialling_; }
  /// Closes it, or gives up the dialling; its owner is told of nothing. Without tick() it is never dialled
  /// again.
  void end();
  /// What was begun has ended, also what was given up: some milliseconds later it may be destroyed, though
  /// the loop runs.
  [[nodiscard]] bool is_over() const noexcept { return is_idle() && pending_ == 0; }

 private:
  class Connection;

  void dial(SteadyTime now);
  void opened(Connection& connection);
  void failed(std::string why);

  net::Loop& loop_;
  const base::Clock& clock_;
  const SourceOptions& source_;
  Owner& owner_;
  Connection* connection_ = nullptr;  // owned by the loop; null: there is none
  uint64_t attempt_ = 0;              // the one that counts: what an older one says is too late
  bool is_dialling_ = false;
  uint32_t pending_ = 0;  // attempts of which nothing was heard yet, also those that count no more
  SteadyTime began_{};    // the attempt
  SteadyTime next_try_{};
  std::chrono::milliseconds pause_;
};

}  // namespace bobbin::cluster
