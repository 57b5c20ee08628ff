#pragma once

#include <string>
#include <utility>

#include "wire/binary_status.h"

namespace bobbin::serve {

/// What work that was done aside (Session::run_aside) says to the client that asked.
struct AsideAnswer {
  // NOLINTNEXTLINE(google-explicit-constructor): most have nothing else to say
  AsideAnswer(wire::BinaryStatus what, std::string said = {}) : status(what), text(std::move(said)) {}

  wire::BinaryStatus status;
  std::string text;  ///< the reply's value in JSON, or the context of its error; may be empty
};

}  // namespace bobbin::serve
