#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>

#include "serve/binary_reply.h"
#include "serve/roles.h"
#include "store/doc_key.h"
#include "wire/binary.h"

namespace bobbin::serve {

class Session;

/// Which clients find a row under its opcode.
enum class Audience : uint8_t {
  everybody,
  memcached,  ///< who has not said HELLO
  couchbase,  ///< who has
};

/// What a request's key is.
enum class KeyKind : uint8_t {
  document,  ///< with its collection's id in front, where the client has agreed on that
  name,      ///< of something else, or there is none
};

/// A command of the binary protocol, as a row of a table. Shape, bucket, vbucket and collection are checked
/// before the handler is called; `quiet` forms share the handler of the loud ones.
struct BinaryCommand {
  wire::BinaryOpcode opcode;
  std::string_view name;
  wire::BinaryShape shape;
  void (*handle)(Session& session, const BinaryCommand& row, const wire::BinaryRequest& request);
  bool quiet = false;         ///< get forms: a miss is not answered; others: a success is not
  bool with_key = false;      ///< get and gat: the answer holds the key
  bool uploads = false;       ///< the handler is called before the value has arrived
  bool writes = false;        ///< changes what is stored
  bool sets_states = false;   ///< changes the states of vbuckets: those of a copy are its source's business
  bool locks = false;         ///< is in the way of those who change a document: not on a copy either
  bool keeps_expiry = false;  ///< knows what to do when it is asked to keep the document's expiry
  bool needs_bucket = true;
  /// Where the client takes replies in any order, those to the requests behind need not wait for its own, nor
  /// it for those before. As upstream's list (kv_engine docs/UnorderedExecution.md), and what takes long.
  bool reorders = false;
  bool awaits_disk = false;  ///< the answer is that something is on disk
  /// Memcached's clients find it only where there are users, as in memcached.
  bool needs_users = false;
  /// Of a command that is looked at as a whole, with its value, before it is handled.
  uint32_t max_value_bytes = 64 << 10;
  Privileges needs = kRead;  ///< what the user has to be allowed
  KeyKind key = KeyKind::document;
  Audience audience = Audience::everybody;

  /// The value may come compressed by Snappy.
  [[nodiscard]] constexpr bool takes_compressed() const {
    return (shape.datatypes & wire::kDatatypeSnappy) != 0;
  }
};

/// The same, and others need not wait for it.
constexpr BinaryCommand reorders(BinaryCommand row) {
  row.reorders = true;
  return row;
}

/// The key of a request that names a document.
inline store::DocKey key_of(const wire::BinaryRequest& request) {
  return {request.collection, request.key};
}

/// Calls `visit` for every row of every table.
void for_each_binary_command(const std::function<void(const BinaryCommand&)>& visit);

/// Handles the request that session.following() begins with, if it is there.
void run_binary_command(Session& session);

// The tables, and a handler that stands in another file than its rows.

std::span<const BinaryCommand> classic_commands();  ///< binary_commands.cc: memcached's
std::span<const BinaryCommand>
connection_commands();                            ///< connection_commands.cc: how client and server speak
std::span<const BinaryCommand> login_commands();  ///< login_commands.cc: who is speaking
std::span<const BinaryCommand> collection_commands();  ///< collection_commands.cc
std::span<const BinaryCommand> subdoc_commands();      ///< subdoc_commands.cc
std::span<const BinaryCommand> metadata_commands();    ///< metadata_commands.cc: about documents and vbuckets
std::span<const BinaryCommand> lock_commands();        ///< lock_commands.cc: get and lock, unlock
std::span<const BinaryCommand> with_meta_commands();   ///< with_meta_commands.cc: changes made elsewhere
std::span<const BinaryCommand> document_commands();    ///< document_commands.cc: what tools ask
std::span<const BinaryCommand> node_commands();        ///< node_commands.cc: what operators tell
std::span<const BinaryCommand> interface_commands();   ///< interface_commands.cc: where to listen
std::span<const BinaryCommand> range_scan_commands();  ///< range_scan_commands.cc
std::span<const BinaryCommand> dcp_commands();         ///< dcp_commands.cc: change streams

/// Takes what a consumer of change streams answers, if session.following() begins with that.
[[nodiscard]] bool take_consumer_reply(Session& session);

void handle_binary_store(Session& session, const BinaryCommand& row, const wire::BinaryRequest& request);

}  // namespace bobbin::serve
