#include "wire/text.h"

#include <array>
#include <optional>

#include "wire/numbers.h"

namespace bobbin::wire {
namespace {

constexpr std::string_view kNoreply = "noreply";

/// The most words that any shape but the retrievals takes: cas.
constexpr size_t kMaxWords = 6;

/// Up to kMaxWords words; a count of kMaxWords + 1 means that there are more.
struct FewWords {
  std::array<std::string_view, kMaxWords> word;
  size_t count = 0;

  explicit FewWords(std::string_view text) {
    Words words(text);
    for (std::string_view next = words.next(); !next.empty(); next = words.next()) {
      if (count == kMaxWords) {
        ++count;
        return;
      }
      word[count++] = next;
    }
  }

  [[nodiscard]] bool between(size_t least, size_t most) const { return count >= least && count <= most; }
  [[nodiscard]] bool ends_with_noreply() const { return word[count - 1] == kNoreply; }
};

/// None of the words is longer than a key may be.
bool all_are_keys(std::string_view keys) {
  if (keys.size() <= kMaxKeyBytes) return true;
  Words words(keys);
  for (std::string_view key = words.next(); !key.empty(); key = words.next()) {
    if (key.size() > kMaxKeyBytes) return false;
  }
  return true;
}

template <typename Number>
bool read(std::string_view word, Number& into) {
  const std::optional<Number> number = parse_number<Number>(word);
  if (number) into = *number;
  return number.has_value();
}

TextStatus parse_retrieval(std::string_view arguments, TextRequest& request) {
  request.key = Words(arguments).next();
  if (request.key.empty()) return TextStatus::wrong_word_count;
  request.words = arguments;
  return all_are_keys(arguments) ? TextStatus::ok : TextStatus::bad_format;
}

/// Without a key it is answered like a get that found nothing, so the list may be empty.
TextStatus parse_gat(std::string_view arguments, TextRequest& request) {
  Words words(arguments);
  const std::string_view exptime = words.next();
  if (exptime.empty()) return TextStatus::wrong_word_count;
  if (!read(exptime, request.exptime)) return TextStatus::bad_exptime;
  request.has_exptime = true;
  request.words = words.rest();
  request.key = words.next();
  return all_are_keys(request.words) ? TextStatus::ok : TextStatus::bad_format;
}

TextStatus parse_storage(std::string_view arguments, bool with_cas, TextRequest& request) {
  const FewWords words(arguments);
  const size_t least = with_cas ? 5 : 4;
  if (!words.between(least, least + 1)) return TextStatus::wrong_word_count;
  request.noreply = words.ends_with_noreply();
  request.key = words.word[0];
  const bool fine = request.key.size() <= kMaxKeyBytes && read(words.word[1], request.flags) &&
                    read(words.word[2], request.exptime) && read(words.word[3], request.value_bytes) &&
                    request.value_bytes <= kMaxAnnouncedBytes &&
                    (!with_cas || read(words.word[4], request.cas));
  request.has_exptime = true;
  return fine ? TextStatus::ok : TextStatus::bad_format;
}

/// A time was once allowed behind the key; clients that still send it send 0.
TextStatus parse_deletion(std::string_view arguments, TextRequest& request) {
  const FewWords words(arguments);
  if (!words.between(1, 3)) return TextStatus::wrong_word_count;
  request.key = words.word[0];
  if (words.count > 1) {
    request.noreply = words.ends_with_noreply();
    const bool zero = words.word[1] == "0";
    const bool fine = words.count == 2 ? zero || request.noreply : zero && request.noreply;
    if (!fine) return TextStatus::bad_delete_format;
  }
  return request.key.size() <= kMaxKeyBytes ? TextStatus::ok : TextStatus::bad_format;
}

/// incr, decr and touch: a key and one number.
template <typename Number>
TextStatus parse_key_and_number(std::string_view arguments, Number& number, TextStatus bad_number,
                                TextRequest& request) {
  const FewWords words(arguments);
  if (!words.between(2, 3)) return TextStatus::wrong_word_count;
  request.noreply = words.ends_with_noreply();
  request.key = words.word[0];
  if (request.key.size() > kMaxKeyBytes) return TextStatus::bad_format;
  return read(words.word[1], number) ? TextStatus::ok : bad_number;
}

TextStatus parse_flush(std::string_view arguments, TextRequest& request) {
  const FewWords words(arguments);
  if (!words.between(0, 2)) return TextStatus::wrong_word_count;
  if (words.count == 0) return TextStatus::ok;
  request.noreply = words.ends_with_noreply();
  if (words.count == 1 && request.noreply) return TextStatus::ok;
  request.has_exptime = true;
  return read(words.word[0], request.exptime) ? TextStatus::ok : TextStatus::bad_exptime;
}

TextStatus parse_verbosity(std::string_view arguments, TextRequest& request) {
  const FewWords words(arguments);
  if (!words.between(1, 2)) return TextStatus::wrong_word_count;
  request.noreply = words.ends_with_noreply();
  if (words.count == 1 && request.noreply) return TextStatus::ok;
  return read(words.word[0], request.number) ? TextStatus::ok : TextStatus::bad_format;
}

}  // namespace

bool begins_retrieval(std::string_view unread) {
  const size_t start = unread.find_first_not_of(' ');
  if (start == std::string_view::npos) return false;
  unread.remove_prefix(start);
  return unread.starts_with("get ") || unread.starts_with("gets ") || unread.starts_with("gat ") ||
         unread.starts_with("gats ");
}

TextStatus parse_text(Shape shape, std::string_view arguments, TextRequest& request) {
  request = TextRequest{};
  switch (shape) {
    case Shape::nothing:
      return TextStatus::ok;
    case Shape::retrieval:
      return parse_retrieval(arguments, request);
    case Shape::gat:
      return parse_gat(arguments, request);
    case Shape::storage:
      return parse_storage(arguments, false, request);
    case Shape::cas:
      return parse_storage(arguments, true, request);
    case Shape::deletion:
      return parse_deletion(arguments, request);
    case Shape::delta:
      return parse_key_and_number(arguments, request.number, TextStatus::bad_delta, request);
    case Shape::touch:
      request.has_exptime = true;
      return parse_key_and_number(arguments, request.exptime, TextStatus::bad_exptime, request);
    case Shape::flush:
      return parse_flush(arguments, request);
    case Shape::verbosity:
      return parse_verbosity(arguments, request);
    case Shape::words:
      request.words = arguments;
      return TextStatus::ok;
  }
  return TextStatus::wrong_word_count;
}

std::string_view text_error(TextStatus status) {
  switch (status) {
    case TextStatus::ok:
      return {};
    case TextStatus::wrong_word_count:
      return kError;
    case TextStatus::bad_format:
      return kBadFormat;
    case TextStatus::bad_exptime:
      return kBadExptime;
    case TextStatus::bad_delta:
      return kBadDelta;
    case TextStatus::bad_delete_format:
      return kBadDelete;
  }
  return kError;
}

}  // namespace bobbin::wire
