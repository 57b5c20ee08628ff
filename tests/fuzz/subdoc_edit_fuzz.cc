#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "fuzz_check.h"
#include "wire/json_check.h"
#include "wire/json_find.h"
#include "wire/subdoc_edit.h"

/// One path operation on arbitrary bytes: one byte says which, then path, value and document, a newline
/// behind the first two. What is found lies in the document; a change of JSON gives JSON that is no deeper
/// than allowed.

namespace bobbin::fuzz {
namespace {

using namespace wire;  // NOLINT(google-build-using-namespace): this file is about nothing else

constexpr int kOperations = static_cast<int>(SubdocOperation::counter) + 1;

std::string_view take_line(std::string_view& rest) {
  const std::string_view line = rest.substr(0, rest.find('\n'));
  rest.remove_prefix(line.size() == rest.size() ? line.size() : line.size() + 1);
  return line;
}

void check_edit(const TextEdit& edit, std::string_view before, bool was_json, JsonIndex& scratch) {
  BOBBIN_FUZZ_CHECK(edit.cut.begin <= edit.cut.end && edit.cut.end <= before.size());
  std::string written(edit.size_after(before.size()), '\0');
  edit.write(written.data(), before);
  std::string applied(before);
  edit.apply(applied);
  BOBBIN_FUZZ_CHECK(written == applied);
  BOBBIN_FUZZ_CHECK(!was_json || check_json(written, scratch, kMaxJsonLevels) == JsonVerdict::valid);
}

void run(std::string_view input) {
  const auto first = static_cast<unsigned char>(input[0]);
  const auto operation = static_cast<SubdocOperation>(first % kOperations);
  const bool create_parents = first / kOperations % 2 != 0;
  input.remove_prefix(1);
  const std::string_view path_text = take_line(input);
  const std::string_view value = take_line(input);

  JsonIndex document;
  JsonIndex scratch;
  const bool is_json = check_json(input, scratch, kMaxJsonLevels) == JsonVerdict::valid;
  document.build(input);
  SubdocPath path;
  if (path.parse(path_text) != SubdocStatus::success) return;
  const SubdocOutcome outcome =
      run_operation(operation, create_parents, document, path.components(), value, scratch);
  const bool container = is_json && (document.text()[document.tokens()[0]] == '{' ||
                                     document.text()[document.tokens()[0]] == '[');
  BOBBIN_FUZZ_CHECK(!container || outcome.status != SubdocStatus::document_not_json);
  BOBBIN_FUZZ_CHECK(!is_json || outcome.status != SubdocStatus::document_too_deep);
  if (outcome.status != SubdocStatus::success) return;
  switch (operation) {
    case SubdocOperation::get:
      BOBBIN_FUZZ_CHECK(outcome.found.begin < outcome.found.end && outcome.found.end <= input.size());
      BOBBIN_FUZZ_CHECK(!is_json || check_json(outcome.found.of(input), scratch) == JsonVerdict::valid);
      break;
    case SubdocOperation::exists:
    case SubdocOperation::get_count:
      break;
    default:
      check_edit(outcome.edit, input, is_json, scratch);
  }
}

}  // namespace
}  // namespace bobbin::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size != 0) bobbin::fuzz::run({reinterpret_cast<const char*>(data), size});
  return 0;
}
