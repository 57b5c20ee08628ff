#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "fuzz_check.h"
#include "wire/json_check.h"
#include "wire/subdoc_run.h"
#include "wire/xattr.h"

/// Arbitrary requests of the sub-document API on one document: opcode, number of bytes of extras, extras,
/// value. What is parsed lies in the request; a change that succeeds leaves sound attributes, and JSON where
/// it says so.

namespace bobbin::fuzz {
namespace {

using namespace wire;  // NOLINT(google-build-using-namespace): this file is about nothing else

constexpr std::string_view kBody = R"({"a":[1,2,{"b":"text"}],"n":41,"o":{"x":null}})";

std::optional<std::string> virtual_attribute(std::string_view key) {
  if (key != "$document") return std::nullopt;
  return R"({"CAS":"0x1","exptime":0})";
}

std::string attributes() {
  std::string block;
  set_xattr(block, "u", R"({"a":[1]})");
  set_xattr(block, "_s", R"({"n":1})");
  return block;
}

void check_change(const SubdocRun& run) {
  JsonIndex scratch;
  BOBBIN_FUZZ_CHECK(run.xattrs().empty() || check_xattrs(run.xattrs(), scratch));
  std::string body;
  for (const std::string_view piece : run.body_pieces())
    body += piece;
  BOBBIN_FUZZ_CHECK(body.size() == run.body_bytes());
  BOBBIN_FUZZ_CHECK(run.body_is_json() == (check_json(body, scratch) == JsonVerdict::valid));
  BOBBIN_FUZZ_CHECK(!run.deletes() || body.empty());
  for (const SubdocRun::MacroSpot& spot : run.macros())
    BOBBIN_FUZZ_CHECK(run.xattrs().substr(spot.offset, 2) == "0x");
}

void run_request(std::string_view input) {
  const size_t extras_bytes = static_cast<unsigned char>(input[1]);
  if (extras_bytes > input.size() - 2) return;
  const SubdocFrame frame{.opcode = static_cast<uint8_t>(input[0]),
                          .extras = input.substr(2, extras_bytes),
                          .value = input.substr(2 + extras_bytes),
                          .cas = 0,
                          .xattrs_agreed = true};
  SubdocRequest request;
  if (parse_subdoc(frame, request) != SubdocStatus::success) return;
  for (const SubdocSpec& spec : request.specs())
    BOBBIN_FUZZ_CHECK(lies_in(spec.path, frame.value) && lies_in(spec.value, frame.value));

  static const std::string block = attributes();
  static SubdocRun run;  // as a server has it: used again and again
  const SubdocStatus status = run.run(request, {.xattrs = block, .body = kBody}, virtual_attribute, 7);
  std::string reply(run.reply_bytes(), '\0');
  run.write_reply(reply.data());
  BOBBIN_FUZZ_CHECK(request.mutates || run.results().size() == request.specs().size());
  if (request.mutates && SubdocRun::is_success(status)) check_change(run);
}

}  // namespace
}  // namespace bobbin::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size >= 2) bobbin::fuzz::run_request({reinterpret_cast<const char*>(data), size});
  return 0;
}
