#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "fuzz_check.h"
#include "readers.h"
#include "wire/text.h"

/// The text codec on arbitrary bytes: views lie in the input, limits hold, what was parsed can be written,
/// and it does not matter where the bytes were split.

namespace bobbin::fuzz {
namespace {

using namespace wire;  // NOLINT(google-build-using-namespace): this file is about nothing else

constexpr Shape kShapes[] = {Shape::nothing, Shape::retrieval, Shape::gat,   Shape::storage,
                             Shape::cas,     Shape::deletion,  Shape::delta, Shape::touch,
                             Shape::flush,   Shape::verbosity, Shape::words};

void check_keys(const TextRequest& request, std::string_view arguments) {
  BOBBIN_FUZZ_CHECK(lies_in(request.words, arguments));
  Words words(request.words);
  for (std::string_view key = words.next(); !key.empty(); key = words.next()) {
    BOBBIN_FUZZ_CHECK(lies_in(key, arguments));
    BOBBIN_FUZZ_CHECK(key.size() <= kMaxKeyBytes);
    BOBBIN_FUZZ_CHECK(key.find(' ') == std::string_view::npos);
  }
}

/// What is written for a stored request reads back as the same key, flags and length.
void check_value_line(const TextRequest& request) {
  std::array<char, kMaxValueLineBytes> line;
  const size_t size =
      write_value_line(line.data(), request.key, request.flags, request.value_bytes, request.cas);
  BOBBIN_FUZZ_CHECK(size <= line.size());
  const VerbAndArguments written = split_verb({line.data(), size - 2});
  BOBBIN_FUZZ_CHECK(written.verb == "VALUE");
  Words words(written.arguments);
  BOBBIN_FUZZ_CHECK(words.next() == request.key);
  BOBBIN_FUZZ_CHECK(parse_number<uint32_t>(words.next()) == request.flags);
  BOBBIN_FUZZ_CHECK(parse_number<uint32_t>(words.next()) == request.value_bytes);
  BOBBIN_FUZZ_CHECK(parse_number<uint64_t>(words.next()) == request.cas);
}

void check_request(Shape shape, std::string_view arguments) {
  TextRequest request;
  const TextStatus status = parse_text(shape, arguments, request);
  if (status != TextStatus::ok) {
    BOBBIN_FUZZ_CHECK(text_error(status).ends_with("\r\n"));
    return;
  }
  BOBBIN_FUZZ_CHECK(lies_in(request.key, arguments));
  BOBBIN_FUZZ_CHECK(request.key.size() <= kMaxKeyBytes);
  BOBBIN_FUZZ_CHECK(request.value_bytes <= kMaxAnnouncedBytes);
  if (shape == Shape::retrieval || shape == Shape::gat) check_keys(request, arguments);
  if (shape == Shape::storage || shape == Shape::cas) {
    BOBBIN_FUZZ_CHECK(!request.key.empty());
    check_value_line(request);
  }
}

void check_lines(std::string_view input) {
  std::string_view rest = input;
  while (true) {
    const LineCut cut = cut_line(rest);
    if (cut.state != LineState::complete) {
      BOBBIN_FUZZ_CHECK(cut.consumed == 0 && cut.scanned <= rest.size());
      return;
    }
    BOBBIN_FUZZ_CHECK(cut.consumed > 0 && cut.consumed <= rest.size());
    BOBBIN_FUZZ_CHECK(lies_in(cut.line, rest) && cut.line.size() < cut.consumed);
    BOBBIN_FUZZ_CHECK(rest[cut.consumed - 1] == '\n');
    BOBBIN_FUZZ_CHECK(cut.line.find('\n') == std::string_view::npos);
    const VerbAndArguments words = split_verb(cut.line);
    BOBBIN_FUZZ_CHECK(lies_in(words.verb, cut.line) && lies_in(words.arguments, cut.line));
    for (const Shape shape : kShapes)
      check_request(shape, words.arguments);
    rest.remove_prefix(cut.consumed);
  }
}

void check_split(std::string_view input, size_t at) {
  wire_tests::TextReader whole;
  whole.feed(input);
  wire_tests::TextReader split;
  split.feed(input.substr(0, at));
  split.feed(input.substr(at));
  BOBBIN_FUZZ_CHECK(whole.events() == split.events());
  BOBBIN_FUZZ_CHECK(whole.closed() == split.closed());
}

}  // namespace
}  // namespace bobbin::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  bobbin::fuzz::check_lines(input);
  // The last byte also says where to split.
  bobbin::fuzz::check_split(input, data[size - 1] * size / 256);
  return 0;
}
