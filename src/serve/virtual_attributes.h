#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "store/bucket_types.h"
#include "wire/binary.h"

namespace bobbin::serve {

class Session;

/// What a sub-document request can ask about a document beside what is stored in it: `$document`, `$vbucket`
/// and `$XTOC` (kv_engine docs/VirtualXattrs.md). Lives as long as what it was made of.
class VirtualAttributes {
 public:
  VirtualAttributes(Session& session, const wire::BinaryRequest& request, const store::Fetched& found)
      : session_(session), request_(request), found_(found) {}

  /// JSON; nothing when there is no such attribute. `key` is with its '$'.
  [[nodiscard]] std::optional<std::string> value(std::string_view key) const;

 private:
  [[nodiscard]] std::string document() const;
  [[nodiscard]] std::string table_of_contents() const;

  Session& session_;
  const wire::BinaryRequest& request_;
  const store::Fetched& found_;
};

}  // namespace bobbin::serve
