#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

/// Feeds bytes to the codecs as a session would and writes down what each request is, one string a request,
/// so that a test can compare requests with text and one way of delivery with another. For tests: it
/// allocates.

namespace bobbin::wire_tests {

/// Text and meta commands. "set k=a f=0 x=0 n=1", "! ERROR"; the value behind a storage line is skipped.
class TextReader {
 public:
  void feed(std::string_view bytes);
  [[nodiscard]] const std::vector<std::string>& events() const { return events_; }
  /// Nothing is read behind a line that was too long.
  [[nodiscard]] bool closed() const { return closed_; }

 private:
  bool step();
  void read_line(std::string_view line);
  void read_text(std::string_view verb, std::string_view arguments);
  void read_meta(std::string_view verb, std::string_view arguments);

  std::string unread_;
  size_t scanned_ = 0;
  uint64_t to_skip_ = 0;
  bool closed_ = false;
  std::vector<std::string> events_;
};

/// The binary protocol. "01 opaque=7 cas=0 extras=0000000000000000 key=a value=x", "! 0004 Invalid
/// arguments".
class BinaryReader {
 public:
  void feed(std::string_view bytes);
  [[nodiscard]] const std::vector<std::string>& events() const { return events_; }
  /// Nothing is read behind what cannot be trusted.
  [[nodiscard]] bool closed() const { return closed_; }

 private:
  bool step();

  std::string unread_;
  bool closed_ = false;
  std::vector<std::string> events_;
};

/// Whole, then split in two at every point, then byte by byte: the events must be the same. The first
/// difference is described; empty when there is none.
template <typename Reader>
std::string first_split_difference(std::string_view bytes) {
  Reader whole;
  whole.feed(bytes);
  for (size_t at = 0; at <= bytes.size(); ++at) {
    Reader split;
    split.feed(bytes.substr(0, at));
    split.feed(bytes.substr(at));
    if (split.events() != whole.events() || split.closed() != whole.closed()) {
      return "split at " + std::to_string(at);
    }
  }
  Reader dripped;
  for (const char byte : bytes)
    dripped.feed({&byte, 1});
  return dripped.events() == whole.events() ? "" : "byte by byte";
}

}  // namespace bobbin::wire_tests
