#pragma once

#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "wire/subdoc_edit.h"

/// What the tests of the sub-document API share.

namespace bobbin::wire {

inline void PrintTo(SubdocStatus status, std::ostream* out) {
  *out << "status 0x" << std::hex << static_cast<int>(status) << std::dec;
}

/// One operation on one document, with both in memory of their own.
struct RanOperation {
  SubdocStatus status = SubdocStatus::success;
  std::string result;  ///< what it gives back: a value or a number; empty otherwise
  std::string text;    ///< the document afterwards
};

inline RanOperation run_on(std::string_view text, SubdocOperation operation, std::string_view path_text,
                           std::string_view value = {}, bool create_parents = false) {
  const std::vector<char> bytes(text.begin(), text.end());
  const std::string_view own(bytes.data(), bytes.size());
  RanOperation ran{.status = SubdocStatus::success, .result = {}, .text = std::string(text)};
  SubdocPath path;
  ran.status = path.parse(path_text);
  if (ran.status != SubdocStatus::success) return ran;
  JsonIndex document;
  JsonIndex scratch;
  document.build(own);
  const SubdocOutcome outcome =
      run_operation(operation, create_parents, document, path.components(), value, scratch);
  ran.status = outcome.status;
  if (ran.status != SubdocStatus::success) return ran;
  switch (operation) {
    case SubdocOperation::get:
      ran.result = outcome.found.of(own);
      return ran;
    case SubdocOperation::exists:
      return ran;
    case SubdocOperation::get_count:
      ran.result = outcome.number();
      return ran;
    default:
      ran.result = outcome.number();
  }
  ran.text.assign(outcome.edit.size_after(own.size()), '\0');
  outcome.edit.write(ran.text.data(), own);
  return ran;
}

}  // namespace bobbin::wire
