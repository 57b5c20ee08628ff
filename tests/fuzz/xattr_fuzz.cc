#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "fuzz_check.h"
#include "wire/xattr.h"

/// Arbitrary bytes as a value with attributes: whatever its lengths say, nothing is read beyond it; a block
/// that is sound stays so when its keys are set and removed.

namespace bobbin::fuzz {
namespace {

using namespace wire;  // NOLINT(google-build-using-namespace): this file is about nothing else

void check_changes(std::string_view block, JsonIndex& scratch) {
  std::string changed(block);
  XattrReader reader(block);
  size_t count = 0;
  while (const std::optional<XattrPair> pair = reader.next()) {
    ++count;
    BOBBIN_FUZZ_CHECK(find_xattr(block, pair->key) == pair->value);
    set_xattr(changed, pair->key, "[\"other\"]");
  }
  BOBBIN_FUZZ_CHECK(count == 0 || check_xattrs(changed, scratch));
  BOBBIN_FUZZ_CHECK(system_xattr_bytes(changed) <= changed.size());
  remove_user_xattrs(changed);
  BOBBIN_FUZZ_CHECK(changed.empty() || check_xattrs(changed, scratch));
  XattrReader again(block);
  while (const std::optional<XattrPair> pair = again.next())
    remove_xattr(changed, pair->key);
  BOBBIN_FUZZ_CHECK(changed.empty());
}

void run(std::string_view input) {
  const std::optional<XattrValue> value = split_xattr_value(input);
  if (!value) return;
  BOBBIN_FUZZ_CHECK(lies_in(value->block, input) && lies_in(value->body, input));
  BOBBIN_FUZZ_CHECK(value->block.size() + value->body.size() == input.size());
  XattrReader reader(value->block);
  while (const std::optional<XattrPair> pair = reader.next())
    BOBBIN_FUZZ_CHECK(lies_in(pair->key, value->block) && lies_in(pair->value, value->block));
  JsonIndex scratch;
  const bool sound = check_xattrs(value->block, scratch);
  BOBBIN_FUZZ_CHECK(!sound || !reader.damaged());
  if (sound) check_changes(value->block, scratch);
}

}  // namespace
}  // namespace bobbin::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  bobbin::fuzz::run({reinterpret_cast<const char*>(data), size});
  return 0;
}
