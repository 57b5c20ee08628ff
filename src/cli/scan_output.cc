#include "cli/scan_output.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "cli/client_command.h"
#include "cli/json.h"
#include "wire/base64.h"
#include "wire/datatype.h"
#include "wire/json_check.h"
#include "wire/utf8.h"

namespace bobbin::cli {
namespace {

// A line each, so a JSON text with line breaks is written as text.
bool fits_as_json(const wire::ScanItem& item) {
  if ((item.datatype & wire::kDatatypeJson) == 0) return false;
  static thread_local wire::JsonIndex index;
  return item.value.find_first_of("\r\n") == std::string_view::npos &&
         wire::check_json(item.value, index) == wire::JsonVerdict::valid;
}

void append_value(std::string& out, const wire::ScanItem& item) {
  if (fits_as_json(item)) {
    out.append(",\"value\":").append(item.value);
  } else if (wire::is_utf8(item.value)) {
    out += ",\"value\":" + json_string(item.value);
  } else {
    std::string text(wire::base64_chars(item.value.size()), '\0');
    text.resize(wire::encode_base64(item.value, text.data()));
    out += ",\"value_base64\":\"" + text + "\"";
  }
}

// A key that is not UTF-8 could not be told from another by its text.
void append_key(std::string& out, std::string_view key) {
  if (wire::is_utf8(key)) {
    out += "{\"key\":" + json_string(key);
    return;
  }
  std::string text(wire::base64_chars(key.size()), '\0');
  text.resize(wire::encode_base64(key, text.data()));
  out += "{\"key_base64\":\"" + text + "\"";
}

}  // namespace

void append_scan_line(std::string& out, const ScanFormat& format, const wire::ScanItem& item,
                      uint16_t vbucket) {
  if (!format.json) {
    out += printable(item.key);
    if (format.values) out += "\t" + printable(item.value);
    out += '\n';
    return;
  }
  append_key(out, item.key);
  if (format.values) {
    append_value(out, item);
    fmt::format_to(std::back_inserter(out), R"(,"flags":{},"expiry":{},"cas":"{}","seqno":{},"datatype":{})",
                   item.flags, item.expiry, item.cas, item.seqno, item.datatype);
  }
  fmt::format_to(std::back_inserter(out), ",\"vbucket\":{}}}\n", vbucket);
}

}  // namespace bobbin::cli
