#pragma once

#include <span>
#include <string_view>

#include "serve/roles.h"
#include "wire/meta.h"
#include "wire/text.h"

namespace bobbin::serve {

class Session;

/// A command of the text protocol, as a row of its table (text_commands.cc). Everything there is to know of
/// it: the shape is what the codec checks before the handler is called.
struct TextCommand {
  std::string_view verb;
  wire::Shape shape;
  void (*handle)(Session& session, const wire::TextRequest& request);
  Privileges needs;       ///< what the user has to be allowed; kRead, in this protocol, at least
  std::string_view help;  ///< one line for docs/protocols.md
};

/// A meta command, as a row of its table (meta_commands.cc).
struct MetaCommandRow {
  std::string_view verb;
  wire::MetaShape shape;
  void (*handle)(Session& session, const wire::MetaShape& shape, const wire::MetaRequest& request);
  Privileges needs;
  std::string_view help;
};

std::span<const TextCommand> text_commands();
std::span<const MetaCommandRow> meta_commands();

/// Handles one line; what follows it is in session.following().
void run_text_command(Session& session, std::string_view line);
/// The same for a line whose verb is in meta_commands().
void run_meta_command(Session& session, const MetaCommandRow& row, std::string_view arguments);

/// Answers request.words from its first key on, as far as the client takes the replies.
void retrieve(Session& session, const wire::TextRequest& request, bool with_cas, bool touch);

// Storage commands: text_storage.cc.
void handle_set(Session& session, const wire::TextRequest& request);
void handle_add(Session& session, const wire::TextRequest& request);
void handle_replace(Session& session, const wire::TextRequest& request);
void handle_append(Session& session, const wire::TextRequest& request);
void handle_prepend(Session& session, const wire::TextRequest& request);
void handle_cas(Session& session, const wire::TextRequest& request);

}  // namespace bobbin::serve
