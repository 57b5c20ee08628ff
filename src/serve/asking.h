#pragma once

#include <string>
#include <string_view>

#include "serve/session.h"

namespace bobbin::serve {

/// Who asks for something that stands in the audit log: of what may be done after the session has gone. Made
/// on the session's loop; note() on any thread, as long as there is the server.
struct Asking {
  explicit Asking(Session& session)
      : audit(session.engine().audit), user(session.user()), peer(session.connection().status().peer) {}
  void note(std::string_view action, std::string_view object, bool succeeded, std::string_view detail = {},
            AdminEvent::Pace pace = AdminEvent::Pace::none) const {
    audit.admin({user, peer, action, object, succeeded, detail, pace});
  }

  AuditLog& audit;
  std::string user;
  std::string peer;
};

}  // namespace bobbin::serve
