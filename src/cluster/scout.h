#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/greeted_talk.h"
#include "cluster/source_settings.h"
#include "wire/binary_header.h"

namespace bobbin::cluster {

/// What the source tells of a bucket, as far as this server's user may ask.
struct SourceBucket {
  std::string name;
  SourceSettings settings = {};
  bool has_history = true;  ///< false: it is a cache, and gives out no change streams
};

/// Asks the source which buckets it has, once a second, and what those are whose settings are wanted. No
/// number, name or length that it answers is trusted.
class Scout final : public GreetedTalk {
 public:
  /// Who wants to know. Called by take().
  class Owner {
   public:
    virtual ~Owner() = default;
    /// The buckets that the user may select, each once, in the source's order; serve::Buckets::kMost at most.
    /// Returns those that described() is wanted of.
    [[nodiscard]] virtual std::vector<std::string> listed(const std::vector<std::string>& names) = 0;
    virtual void described(const SourceBucket& bucket) = 0;
    /// The source would not say what the bucket is, and may the next time.
    virtual void not_described(const std::string& name, std::string why) = 0;
  };

  /// `options` name no bucket. The owner lives longer.
  Scout(GreetingOptions options, Owner& owner);

  void tick(SteadyTime now, net::Output& out) override;

 private:
  struct Reply {
    wire::BinaryStatus status;
    std::string_view key;
    std::string_view value;
  };
  void let_in(SteadyTime now, net::Output& out) override { ask_list(now, out); }
  [[nodiscard]] TalkOutcome take_frame(std::string_view frame, base::Now now, SteadyTime steady,
                                       net::Output& out) override;
  void ask(wire::BinaryOpcode opcode, std::string_view key, net::Output& out);
  void ask_list(SteadyTime now, net::Output& out);
  TalkOutcome take_list(const Reply& reply, net::Output& out);
  void ask_next(net::Output& out);
  TalkOutcome pass_over(const Reply& reply, net::Output& out);
  void take_config(std::string_view json);

  Owner& owner_;
  bool is_asking_ = false;
  wire::BinaryOpcode asked_{};
  SteadyTime asked_at_{};         // for the list
  std::deque<std::string> open_;  // to be described
  SourceBucket found_;            // the one that is asked about
};

}  // namespace bobbin::cluster
