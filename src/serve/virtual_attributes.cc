#include "serve/virtual_attributes.h"

#include <fmt/format.h>

#include "serve/session.h"
#include "wire/crc32c.h"
#include "wire/datatype.h"

namespace bobbin::serve {
std::string VirtualAttributes::document() const {
  if (!found_) return "{}";
  const store::Document& doc = *found_.doc;
  const bool json = (doc.datatype() & wire::kDatatypeJson) != 0;
  return fmt::format(
      R"({{"CAS":"0x{:016x}","datatype":["{}"],"deleted":false,"exptime":{},"flags":{},"last_modified":"{}",)"
      R"("revid":"{}","seqno":"0x{:016x}","value_bytes":{},"value_crc32c":"0x{:08x}",)"
      R"("vbucket_uuid":"0x{:016x}"}})",
      found_.shown_cas(), json ? "json" : "raw", found_.expiry, doc.flags(), doc.cas() / 1'000'000'000,
      doc.revision(), doc.seqno(), doc.value().size(), wire::crc32c(doc.value()),
      session_.bucket().vbucket_uuid(session_.bucket().vbucket_of(request_.key)));
}

std::optional<std::string> VirtualAttributes::value(std::string_view key) const {
  if (key == "$document") return document();
  if (key == "$vbucket") {
    return fmt::format(R"({{"HLC":{{"mode":"logical","now":"{}"}}}})", session_.now().unix_s());
  }
  if (key == "$XTOC") return "[]";
  return std::nullopt;
}

}  // namespace bobbin::serve
