#include "wire/subdoc_edit.h"

#include <charconv>
#include <limits>
#include <optional>

#include "wire/json_check.h"
#include "wire/json_tokens.h"
#include "wire/numbers.h"

namespace bobbin::wire {
namespace {

SubdocStatus status_of(FindState state) {
  switch (state) {
    case FindState::found:
      return SubdocStatus::success;
    case FindState::missing:
      return SubdocStatus::path_missing;
    case FindState::mismatch:
      return SubdocStatus::path_mismatch;
    case FindState::too_deep:
      return SubdocStatus::document_too_deep;
    case FindState::not_json:
      return SubdocStatus::document_not_json;
  }
  return SubdocStatus::document_not_json;
}

/// A whole number in a document: none if it is no number or not a whole one.
struct DocumentNumber {
  SubdocStatus status = SubdocStatus::path_mismatch;
  int64_t value = 0;
};

DocumentNumber read_number(std::string_view text) {
  DocumentNumber number;
  const size_t digits = text.starts_with('-') ? 1 : 0;
  if (text.size() == digits || text.find_first_not_of("0123456789", digits) != std::string_view::npos)
    return number;
  const auto [rest, problem] = std::from_chars(text.data(), text.data() + text.size(), number.value);
  number.status = problem == std::errc{} ? SubdocStatus::success : SubdocStatus::number_out_of_range;
  return number;
}

/// The delta of a counter: a JSON integer other than 0, nothing around it.
std::optional<int64_t> read_delta(std::string_view text) {
  const std::string_view digits = text.substr(text.starts_with('-') ? 1 : 0);
  if (digits.empty() || digits[0] == '0') return std::nullopt;
  int64_t delta = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, problem] = std::from_chars(text.data(), end, delta);
  if (problem != std::errc{} || rest != end) return std::nullopt;
  return delta;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_json_space(text.front()))
    text.remove_prefix(1);
  while (!text.empty() && is_json_space(text.back()))
    text.remove_suffix(1);
  return text;
}

class Runner {
 public:
  Runner(bool create_parents, const JsonIndex& document, std::span<const PathComponent> path,
         std::string_view value, JsonIndex& scratch)
      : create_parents_(create_parents), document_(document), path_(path), value_(value), scratch_(scratch) {}

  SubdocOutcome run(SubdocOperation operation) {
    outcome_.status = dispatch(operation);
    return std::move(outcome_);
  }

 private:
  SubdocStatus dispatch(SubdocOperation operation) {
    switch (operation) {
      case SubdocOperation::get:
      case SubdocOperation::exists:
        return get();
      case SubdocOperation::get_count:
        return count();
      case SubdocOperation::dict_add:
      case SubdocOperation::dict_upsert:
      case SubdocOperation::replace:
        return store(operation);
      case SubdocOperation::remove:
        return remove();
      case SubdocOperation::array_push_last:
      case SubdocOperation::array_push_first:
        return push(operation == SubdocOperation::array_push_first);
      case SubdocOperation::array_insert:
        return insert();
      case SubdocOperation::array_add_unique:
        return add_unique();
      case SubdocOperation::counter:
        return counter();
    }
    return SubdocStatus::invalid_arguments;
  }

  // ---- looking

  SubdocStatus find() {
    place_ = find_json(document_, path_);
    return status_of(place_.state);
  }

  SubdocStatus get() {
    const SubdocStatus status = find();
    outcome_.found = place_.value;
    return status;
  }

  SubdocStatus count() {
    const SubdocStatus status = find();
    if (status != SubdocStatus::success) return status;
    if (place_.kind != '{' && place_.kind != '[') return SubdocStatus::path_mismatch;
    set_number(place_.entries);
    return status;
  }

  template <typename Number>
  void set_number(Number number) {
    outcome_.digit_count =
        static_cast<uint8_t>(put_number(outcome_.digits.data(), number) - outcome_.digits.data());
  }

  // ---- the value

  enum class ValueShape : uint8_t { one, several, one_scalar };

  /// `level` is where the value comes to lie.
  SubdocStatus check_value(ValueShape shape, size_t level) {
    if (value_.empty()) return SubdocStatus::invalid_arguments;
    const size_t levels = level > kMaxJsonLevels ? 0 : kMaxJsonLevels - level + 1;
    const JsonValues values = check_json_values(value_, scratch_, levels);
    scratch_.release();
    if (values.verdict == JsonVerdict::too_deep) return SubdocStatus::value_too_deep;
    if (values.verdict != JsonVerdict::valid) return SubdocStatus::value_cannot_insert;
    if (shape != ValueShape::several && values.count != 1) return SubdocStatus::value_cannot_insert;
    if (shape == ValueShape::one_scalar && values.has_containers) return SubdocStatus::value_cannot_insert;
    return SubdocStatus::success;
  }

  // ---- dictionaries

  SubdocStatus store(SubdocOperation operation) {
    if (path_.empty()) return SubdocStatus::value_cannot_insert;
    SubdocStatus status = check_value(ValueShape::one, path_.size() + 1);
    if (status != SubdocStatus::success) return status;
    status = find();
    if (status != SubdocStatus::success && status != SubdocStatus::path_missing) return status;
    if (operation == SubdocOperation::replace) {
      if (status == SubdocStatus::success) replace_with_value();
      return status;
    }
    if (!path_.back().is_key()) return SubdocStatus::path_invalid;
    if (status == SubdocStatus::path_missing) return add_missing({}, value_, {});
    if (operation == SubdocOperation::dict_add) return SubdocStatus::path_exists;
    replace_with_value();
    return status;
  }

  void replace_with_value() {
    outcome_.edit.cut = place_.value;
    outcome_.edit.value = value_;
  }

  SubdocStatus remove() {
    if (path_.empty()) return SubdocStatus::value_cannot_insert;
    const SubdocStatus status = find();
    if (status != SubdocStatus::success) return status;
    // One of the commas beside it goes too.
    JsonRange& cut = outcome_.edit.cut;
    cut = place_.entry;
    if (place_.has_comma_after) {
      cut.end = place_.comma_after + 1;
    } else if (place_.has_comma_before) {
      cut.begin = place_.comma_before;
    }
    return status;
  }

  /// Puts `value`, between `before` and `behind`, under the keys of the path that are missing. Without
  /// create_parents only the last may be.
  SubdocStatus add_missing(std::string_view before, std::string_view value, std::string_view behind) {
    if (!create_parents_ && place_.matched + 1 != path_.size()) return SubdocStatus::path_missing;
    for (const PathComponent& component : path_.subspan(place_.matched)) {
      if (!component.is_key()) return SubdocStatus::path_missing;
    }
    TextEdit& edit = outcome_.edit;
    edit.cut = {place_.container.end - 1, place_.container.end - 1};
    edit.head.assign(place_.container_entries != 0 ? "," : "");
    for (size_t i = place_.matched; i < path_.size(); ++i) {
      if (i != place_.matched) edit.head += '{';
      edit.head += '"';
      edit.head += path_[i].key;
      edit.head += "\":";
    }
    edit.head += before;
    edit.value = value;
    edit.tail = behind;
    edit.tail.append(path_.size() - place_.matched - 1, '}');
    return SubdocStatus::success;
  }

  // ---- arrays

  /// Finds the array that the path names.
  SubdocStatus find_array() {
    const SubdocStatus status = find();
    return status == SubdocStatus::success && place_.kind != '[' ? SubdocStatus::path_mismatch : status;
  }

  SubdocStatus push(bool first) {
    SubdocStatus status = check_value(ValueShape::several, path_.size() + 2);
    if (status != SubdocStatus::success) return status;
    status = find_array();
    if (status == SubdocStatus::path_missing && create_parents_) return add_missing("[", value_, "]");
    if (status != SubdocStatus::success) return status;
    put_into_array(place_.value, place_.entries, first);
    return status;
  }

  void put_into_array(JsonRange array, size_t elements, bool first) {
    TextEdit& edit = outcome_.edit;
    edit.value = value_;
    if (elements == 0) {
      // White space between the brackets goes.
      edit.cut = {array.begin + 1, array.end - 1};
    } else if (first) {
      edit.cut = {array.begin + 1, array.begin + 1};
      edit.tail = ",";
    } else {
      edit.cut = {array.end - 1, array.end - 1};
      edit.head = ",";
    }
  }

  SubdocStatus insert() {
    SubdocStatus status = check_value(ValueShape::several, path_.size() + 1);
    if (status != SubdocStatus::success) return status;
    if (path_.empty() || path_.back().kind != PathComponent::Kind::index) return SubdocStatus::path_invalid;
    status = find();
    if (status == SubdocStatus::success) {
      outcome_.edit.cut = {place_.value.begin, place_.value.begin};
      outcome_.edit.value = value_;
      outcome_.edit.tail = ",";
      return status;
    }
    const bool behind_last = status == SubdocStatus::path_missing && place_.matched + 1 == path_.size() &&
                             place_.container_entries == path_.back().index;
    if (!behind_last) return status;
    put_into_array(place_.container, place_.container_entries, false);
    return SubdocStatus::success;
  }

  SubdocStatus add_unique() {
    SubdocStatus status = check_value(ValueShape::one_scalar, path_.size() + 2);
    if (status != SubdocStatus::success) return status;
    status = find_array();
    if (status == SubdocStatus::path_missing && create_parents_) return add_missing("[", value_, "]");
    if (status != SubdocStatus::success) return status;
    switch (find_element(document_, place_.value, trimmed(value_))) {
      case Membership::absent:
        put_into_array(place_.value, place_.entries, false);
        return SubdocStatus::success;
      case Membership::present:
        return SubdocStatus::path_exists;
      case Membership::has_containers:
        return SubdocStatus::path_mismatch;
      case Membership::not_json:
        return SubdocStatus::document_not_json;
    }
    return SubdocStatus::document_not_json;
  }

  // ---- numbers

  SubdocStatus counter() {
    const std::optional<int64_t> delta = read_delta(value_);
    if (!delta) return SubdocStatus::delta_invalid;
    const SubdocStatus status = find();
    if (status == SubdocStatus::path_missing) return start_counter(*delta);
    if (status != SubdocStatus::success) return status;
    const DocumentNumber old = read_number(place_.value.of(document_.text()));
    if (old.status != SubdocStatus::success) return old.status;
    int64_t sum = 0;
    if (__builtin_add_overflow(old.value, *delta, &sum)) return SubdocStatus::value_cannot_insert;
    set_number(sum);
    outcome_.edit.cut = place_.value;
    outcome_.edit.head = outcome_.number();
    return status;
  }

  SubdocStatus start_counter(int64_t delta) {
    const bool only_last = place_.matched + 1 == path_.size();
    if ((!create_parents_ && !only_last) || place_.container_kind != '{') return SubdocStatus::path_missing;
    if (!path_.back().is_key()) return SubdocStatus::path_invalid;
    set_number(delta);
    return add_missing(outcome_.number(), {}, {});
  }

  bool create_parents_;
  const JsonIndex& document_;
  std::span<const PathComponent> path_;
  std::string_view value_;
  JsonIndex& scratch_;
  JsonPlace place_;
  SubdocOutcome outcome_;
};

}  // namespace

void TextEdit::write(char* out, std::string_view old) const {
  out = put_bytes(out, old.substr(0, cut.begin));
  out = put_bytes(out, head);
  out = put_bytes(out, value);
  out = put_bytes(out, tail);
  put_bytes(out, old.substr(cut.end));
}

void TextEdit::apply(std::string& text) const {
  const size_t old_size = text.size();
  const size_t new_size = size_after(old_size);
  const size_t behind = old_size - cut.end;
  if (new_size > old_size) text.resize(new_size);
  char* const at = text.data() + cut.begin;
  std::memmove(at + inserted_bytes(), text.data() + cut.end, behind);
  put_bytes(put_bytes(put_bytes(at, head), value), tail);
  text.resize(new_size);
}

SubdocOutcome run_operation(SubdocOperation operation, bool create_parents, const JsonIndex& document,
                            std::span<const PathComponent> path, std::string_view value, JsonIndex& scratch) {
  return Runner(create_parents, document, path, value, scratch).run(operation);
}

}  // namespace bobbin::wire
