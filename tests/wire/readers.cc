#include "readers.h"

#include <algorithm>
#include <cstdio>
#include <optional>

#include "wire/binary.h"
#include "wire/meta.h"
#include "wire/text.h"

namespace bobbin::wire_tests {

using namespace wire;  // NOLINT(google-build-using-namespace): this file is about nothing else

namespace {

struct TextRow {
  std::string_view verb;
  Shape shape;
};
constexpr TextRow kTextRows[] = {
    {"get", Shape::retrieval},   {"gets", Shape::retrieval},  {"gat", Shape::gat},
    {"gats", Shape::gat},        {"set", Shape::storage},     {"add", Shape::storage},
    {"replace", Shape::storage}, {"append", Shape::storage},  {"prepend", Shape::storage},
    {"cas", Shape::cas},         {"delete", Shape::deletion}, {"incr", Shape::delta},
    {"decr", Shape::delta},      {"touch", Shape::touch},     {"flush_all", Shape::flush},
    {"version", Shape::nothing}, {"quit", Shape::nothing},    {"verbosity", Shape::verbosity},
    {"stats", Shape::words},     {"watch", Shape::words},
};

struct MetaRow {
  std::string_view verb;
  const MetaShape& shape;
};
constexpr MetaRow kMetaRows[] = {{"mn", meta_shapes::kNoop},       {"mg", meta_shapes::kGet},
                                 {"ms", meta_shapes::kSet},        {"md", meta_shapes::kDelete},
                                 {"ma", meta_shapes::kArithmetic}, {"me", meta_shapes::kDebug}};

/// `line` ends in "\r\n".
std::string error_event(std::string_view line) {
  return std::string("! ").append(line.substr(0, line.size() - 2));
}

std::string joined_words(std::string_view text) {
  std::string joined;
  Words words(text);
  for (std::string_view word = words.next(); !word.empty(); word = words.next()) {
    if (!joined.empty()) joined += ',';
    joined += word;
  }
  return joined;
}

std::string describe(std::string_view verb, Shape shape, const TextRequest& request) {
  std::string text(verb);
  const auto add = [&text](std::string_view name, const std::string& value) {
    text.append(" ").append(name).append("=").append(value);
  };
  switch (shape) {
    case Shape::nothing:
      break;
    case Shape::retrieval:
    case Shape::words:
      add("words", joined_words(request.words));
      break;
    case Shape::gat:
      add("x", std::to_string(request.exptime));
      add("words", joined_words(request.words));
      break;
    case Shape::storage:
    case Shape::cas:
      add("k", std::string(request.key));
      add("f", std::to_string(request.flags));
      add("x", std::to_string(request.exptime));
      add("n", std::to_string(request.value_bytes));
      if (shape == Shape::cas) add("cas", std::to_string(request.cas));
      break;
    case Shape::deletion:
      add("k", std::string(request.key));
      break;
    case Shape::delta:
      add("k", std::string(request.key));
      add("by", std::to_string(request.number));
      break;
    case Shape::touch:
      add("k", std::string(request.key));
      add("x", std::to_string(request.exptime));
      break;
    case Shape::flush:
      if (request.has_exptime) add("x", std::to_string(request.exptime));
      break;
    case Shape::verbosity:
      add("level", std::to_string(request.number));
      break;
  }
  if (request.noreply) text += " noreply";
  return text;
}

std::string hex(std::string_view bytes) {
  std::string out;
  for (const char byte : bytes) {
    char digits[3];
    std::snprintf(digits, sizeof(digits), "%02x", static_cast<unsigned>(static_cast<uint8_t>(byte)));
    out += digits;
  }
  return out;
}

}  // namespace

void TextReader::feed(std::string_view bytes) {
  unread_ += bytes;
  while (!closed_ && step()) {
  }
}

bool TextReader::step() {
  if (to_skip_ > 0) {
    const size_t skipped = static_cast<size_t>(std::min<uint64_t>(to_skip_, unread_.size()));
    unread_.erase(0, skipped);
    to_skip_ -= skipped;
    if (to_skip_ > 0) return false;
  }
  const LineCut cut = cut_line(unread_, scanned_);
  scanned_ = cut.scanned;
  if (cut.state == LineState::too_long) {
    events_.push_back(error_event(kLineTooLong));
    closed_ = true;
  }
  if (cut.state != LineState::complete) return false;
  read_line(cut.line);
  unread_.erase(0, cut.consumed);
  return true;
}

void TextReader::read_line(std::string_view line) {
  const auto [verb, arguments] = split_verb(line);
  if (std::any_of(std::begin(kMetaRows), std::end(kMetaRows),
                  [v = verb](const MetaRow& row) { return row.verb == v; })) {
    read_meta(verb, arguments);
  } else {
    read_text(verb, arguments);
  }
}

void TextReader::read_text(std::string_view verb, std::string_view arguments) {
  for (const TextRow& row : kTextRows) {
    if (row.verb != verb) continue;
    TextRequest request;
    const TextStatus status = parse_text(row.shape, arguments, request);
    if (status != TextStatus::ok) {
      events_.push_back(error_event(text_error(status)).append(request.noreply ? " noreply" : ""));
      return;
    }
    events_.push_back(describe(verb, row.shape, request));
    if (row.shape == Shape::storage || row.shape == Shape::cas) to_skip_ = uint64_t{request.value_bytes} + 2;
    return;
  }
  events_.push_back("! ERROR");
}

void TextReader::read_meta(std::string_view verb, std::string_view arguments) {
  for (const MetaRow& row : kMetaRows) {
    if (row.verb != verb) continue;
    MetaKeyBuffer key_buffer;
    MetaRequest request;
    const MetaStatus status = parse_meta(row.shape, arguments, key_buffer, request);
    const bool value_follows =
        row.shape.command == MetaCommand::set && (status == MetaStatus::ok || request.swallow_value);
    if (value_follows) to_skip_ = uint64_t{request.value_bytes} + 2;
    if (status != MetaStatus::ok) {
      events_.push_back(error_event(meta_error(row.shape.command, status)));
      return;
    }
    std::string text(verb);
    if (row.shape.command != MetaCommand::noop) text.append(" k=").append(request.key);
    if (row.shape.command == MetaCommand::set) text.append(" n=").append(std::to_string(request.value_bytes));
    if (request.flag_count > 0) text.append(" ").append(request.order.data(), request.flag_count);
    if (request.has('O')) text.append(" O=").append(request.opaque);
    events_.push_back(text);
  }
}

namespace {

std::optional<BinaryShape> shape_of(uint8_t opcode) {
  using namespace binary_shapes;  // NOLINT(google-build-using-namespace)
  switch (static_cast<BinaryOpcode>(opcode)) {
    case BinaryOpcode::get:
    case BinaryOpcode::getq:
    case BinaryOpcode::getk:
    case BinaryOpcode::getkq:
    case BinaryOpcode::remove:
    case BinaryOpcode::removeq:
      return kKey;
    case BinaryOpcode::set:
    case BinaryOpcode::setq:
    case BinaryOpcode::add:
    case BinaryOpcode::addq:
    case BinaryOpcode::replace:
    case BinaryOpcode::replaceq:
      return kStore;
    case BinaryOpcode::append:
    case BinaryOpcode::appendq:
    case BinaryOpcode::prepend:
    case BinaryOpcode::prependq:
      return kAppend;
    case BinaryOpcode::increment:
    case BinaryOpcode::incrementq:
    case BinaryOpcode::decrement:
    case BinaryOpcode::decrementq:
      return kArithmetic;
    case BinaryOpcode::touch:
    case BinaryOpcode::gat:
    case BinaryOpcode::gatq:
    case BinaryOpcode::gatk:
    case BinaryOpcode::gatkq:
      return kTouch;
    case BinaryOpcode::flush:
    case BinaryOpcode::flushq:
      return kFlush;
    case BinaryOpcode::quit:
    case BinaryOpcode::quitq:
    case BinaryOpcode::noop:
    case BinaryOpcode::version:
    case BinaryOpcode::sasl_list_mechs:
      return kNothing;
    case BinaryOpcode::stat:
      return kStat;
    case BinaryOpcode::verbosity:
      return kVerbosity;
    case BinaryOpcode::sasl_auth:
    case BinaryOpcode::sasl_step:
      return kSasl;
    default:
      return std::nullopt;  // of Couchbase's clients
  }
}

std::string error_event(BinaryStatus status) {
  char code[16];
  std::snprintf(code, sizeof(code), "! %04x ", static_cast<unsigned>(status));
  return code + std::string(binary_status_text(status));
}

}  // namespace

void BinaryReader::feed(std::string_view bytes) {
  unread_ += bytes;
  while (!closed_ && step()) {
  }
}

bool BinaryReader::step() {
  BinaryRequest request;
  const FrameState state = cut_frame(unread_, request);
  if (state == FrameState::incomplete) return false;
  if (state == FrameState::bad_magic) {
    events_.emplace_back("! magic");
    closed_ = true;
    return false;
  }
  const std::optional<BinaryShape> shape = shape_of(request.header.opcode);
  const bool invalid = state == FrameState::bad_lengths ||
                       (shape && check_shape(request.header, *shape) != BinaryStatus::success);
  if (invalid) {
    events_.push_back(error_event(BinaryStatus::invalid_arguments));
    closed_ = true;
    return false;
  }
  if (state != FrameState::complete) return false;
  if (shape) {
    char begin[64];
    std::snprintf(begin, sizeof(begin), "%02x opaque=%x cas=%llx", request.header.opcode,
                  request.header.opaque, static_cast<unsigned long long>(request.header.cas));
    events_.push_back(std::string(begin) + " extras=" + hex(request.extras) +
                      " key=" + std::string(request.key) + " value=" + std::string(request.value));
  } else {
    events_.push_back(error_event(BinaryStatus::unknown_command));
  }
  unread_.erase(0, static_cast<size_t>(request.frame_bytes()));
  return true;
}

}  // namespace bobbin::wire_tests
