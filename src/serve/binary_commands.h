#pragma once

#include <span>
#include <string_view>

#include "wire/binary.h"

namespace bobbin::serve {

class Session;

/// A command of the binary protocol, as a row of its table (binary_commands.cc). The shape is checked before
/// the handler is called; `quiet` forms share the handler of the loud ones.
struct BinaryCommand {
  wire::BinaryOpcode opcode;
  std::string_view name;
  wire::BinaryShape shape;
  bool quiet;     ///< get forms: a miss is not answered; others: a success is not
  bool with_key;  ///< get and gat: the answer holds the key
  bool uploads;   ///< the handler is called before the value has arrived
  bool writes;    ///< changes what is stored
  void (*handle)(Session& session, const BinaryCommand& row, const wire::BinaryRequest& request);
};

std::span<const BinaryCommand> binary_commands();

/// Handles the request that session.following() begins with, if it is there.
void run_binary_command(Session& session);

/// Answers an error with memcached's text for it.
void reply_binary_error(Session& session, const wire::BinaryHeader& header, wire::BinaryStatus status);

// Storage commands: binary_storage.cc.
void handle_binary_store(Session& session, const BinaryCommand& row, const wire::BinaryRequest& request);

}  // namespace bobbin::serve
