#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "cluster/greeting.h"
#include "cluster/source_link.h"

namespace bobbin::cluster {

/// What is said on a connection to the source: first a greeting, then what it was made for.
class GreetedTalk : public Talk {
 public:
  explicit GreetedTalk(GreetingOptions options) : greeting_(std::make_unique<Greeting>(std::move(options))) {}

  void begin(SteadyTime /*now*/, net::Output& out) override { greeting_->begin(out); }

  [[nodiscard]] TalkOutcome take(std::string_view frame, base::Now now, SteadyTime steady,
                                 net::Output& out) final {
    if (greeting_ == nullptr) return take_frame(frame, now, steady, out);
    switch (greeting_->take(frame, out)) {
      case GreetingOutcome::going_on:
        return TalkOutcome::taken;
      case GreetingOutcome::broken:
        return broken(greeting_->trouble());
      case GreetingOutcome::done:
        break;
    }
    greeting_.reset();
    let_in(steady, out);
    return TalkOutcome::taken;
  }

  [[nodiscard]] const std::string& trouble() const final { return trouble_; }
  [[nodiscard]] bool is_let_in() const final { return greeting_ == nullptr; }

 protected:
  /// The greeting is over; once.
  virtual void let_in(SteadyTime now, net::Output& out) = 0;
  /// As take(), behind the greeting.
  [[nodiscard]] virtual TalkOutcome take_frame(std::string_view frame, base::Now now, SteadyTime steady,
                                               net::Output& out) = 0;
  TalkOutcome broken(std::string why) {
    trouble_ = std::move(why);
    return TalkOutcome::broken;
  }

 private:
  std::unique_ptr<Greeting> greeting_;  // null: it is over
  std::string trouble_;
};

}  // namespace bobbin::cluster
