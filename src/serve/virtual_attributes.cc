#include "serve/virtual_attributes.h"

#include <fmt/format.h>

#include "serve/session.h"
#include "wire/crc32c.h"
#include "wire/datatype.h"
#include "wire/json_text.h"
#include "wire/xattr.h"

namespace bobbin::serve {
namespace {

std::string datatypes(uint8_t datatype) {
  std::string names = (datatype & wire::kDatatypeJson) != 0 ? R"("json")" : R"("raw")";
  if ((datatype & wire::kDatatypeXattr) != 0) names += R"(,"xattr")";
  return names;
}

}  // namespace

std::string VirtualAttributes::document() const {
  if (!found_) return "{}";
  const store::Document& doc = *found_.doc;
  return fmt::format(
      R"({{"CAS":"0x{:016x}","datatype":[{}],"deleted":{},"exptime":{},"flags":{},"last_modified":"{}",)"
      R"("revid":"{}","seqno":"0x{:016x}","value_bytes":{},"value_crc32c":"0x{:08x}",)"
      R"("vbucket_uuid":"0x{:016x}"}})",
      found_.shown_cas(), datatypes(doc.datatype()), found_.deleted, found_.expiry, doc.flags(),
      doc.cas() / 1'000'000'000, doc.revision(), doc.seqno(), doc.body().size(), wire::crc32c(doc.body()),
      session_.bucket().vbucket_uuid(session_.bucket().vbucket_of(request_.key)));
}

std::string VirtualAttributes::table_of_contents() const {
  std::string keys;
  wire::XattrReader reader(found_ ? found_.doc->attributes() : std::string_view());
  const bool all = session_.may(kSystemXattrRead);
  while (const auto pair = reader.next()) {
    if (!all && wire::is_system_xattr(pair->key)) continue;
    keys += keys.empty() ? '[' : ',';
    keys += wire::json_string(pair->key);
  }
  return keys.empty() ? "[]" : keys + "]";
}

std::optional<std::string> VirtualAttributes::value(std::string_view key) const {
  if (key == "$document") return document();
  if (key == "$vbucket") {
    return fmt::format(R"({{"HLC":{{"mode":"logical","now":"{}"}}}})", session_.now().unix_s());
  }
  if (key == "$XTOC") return table_of_contents();
  return std::nullopt;
}

}  // namespace bobbin::serve
