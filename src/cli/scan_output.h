#pragma once

#include <cstdint>
#include <string>

#include "wire/range_scan.h"

namespace bobbin::cli {

struct ScanFormat {
  bool values = false;
  bool json = false;
};

/// Appends a line for a person or a program: the key; the key, a tab and the value; or a JSON object, in
/// which a value that is JSON stands as it is, one that is text as a string, and any other as "value_base64".
void append_scan_line(std::string& out, const ScanFormat& format, const wire::ScanItem& item,
                      uint16_t vbucket);

}  // namespace bobbin::cli
