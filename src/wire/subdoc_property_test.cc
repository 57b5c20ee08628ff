#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "wire/subdoc_edit.h"
#include "wire/subdoc_test_support.h"

/// Random operations on random documents, held against a model that works on a tree of another library and
/// knows nothing of positions. BOBBIN_SUBDOC_SEED repeats a run.

namespace bobbin::wire {
namespace {

using Json = nlohmann::ordered_json;
using Op = SubdocOperation;
using Status = SubdocStatus;

struct Step {
  bool is_key = true;
  std::string key;
  int index = 0;  // -1 is the last
};

class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}
  size_t below(size_t limit) { return engine_() % limit; }
  bool one_in(size_t n) { return below(n) == 0; }

  std::string key() { return std::string(1, static_cast<char>('a' + below(5))); }

  Json scalar() {
    switch (below(6)) {
      case 0:
        return nullptr;
      case 1:
        return one_in(2);
      case 2:
        return 1.5;
      case 3:
        return "s" + std::to_string(below(3));
      default:
        return static_cast<int>(below(7)) - 3;
    }
  }

  Json value(size_t depth) {
    if (depth == 0 || one_in(3)) return scalar();
    Json out = one_in(2) ? Json::array() : Json::object();
    for (size_t i = below(5); i > 0; --i) {
      if (out.is_array()) {
        out.push_back(value(depth - 1));
      } else {
        out[key()] = value(depth - 1);
      }
    }
    return out;
  }

  Json container(size_t depth) {
    while (true) {
      Json out = value(depth);
      if (out.is_structured()) return out;
    }
  }

  /// Mostly one that leads somewhere.
  std::vector<Step> path(const Json& root) {
    std::vector<Step> steps;
    const Json* at = &root;
    while (steps.size() < 5 && !one_in(4)) {
      Step step;
      step.is_key = at != nullptr && at->is_structured() && !one_in(20) ? at->is_object() : one_in(2);
      step.key = key();
      step.index = static_cast<int>(below(6)) - 1;
      const Json* next = nullptr;
      if (at != nullptr && step.is_key && at->is_object() && at->contains(step.key)) next = &at->at(step.key);
      if (at != nullptr && !step.is_key && at->is_array() && !at->empty()) {
        const size_t index = step.index < 0 ? at->size() - 1 : static_cast<size_t>(step.index);
        if (index < at->size()) next = &at->at(index);
      }
      at = next;
      steps.push_back(step);
    }
    return steps;
  }

  /// The text with white space in it at random.
  std::string spaced(const Json& json) {
    std::string out;
    bool in_string = false;
    for (const char c : json.dump()) {
      if (c == '"') in_string = !in_string;
      const bool structural = !in_string && std::string_view("{}[],:").find(c) != std::string_view::npos;
      if (structural && one_in(4)) out += ' ';
      out += c;
      if (structural && one_in(4)) out += '\n';
    }
    return out;
  }

 private:
  std::mt19937_64 engine_;
};

std::string text_of(const std::vector<Step>& path) {
  std::string out;
  for (const Step& step : path) {
    if (step.is_key) {
      if (!out.empty()) out += '.';
      out += step.key;
    } else {
      out += '[' + std::to_string(step.index) + ']';
    }
  }
  return out;
}

struct Walked {
  Status status = Status::success;
  Json* at = nullptr;      ///< where the path leads, or as deep as it does
  Json* parent = nullptr;  ///< of `at`, when it leads there
  size_t matched = 0;
};

Walked walk(Json& root, const std::vector<Step>& path) {
  Walked walked;
  walked.at = &root;
  for (const Step& step : path) {
    Json& json = *walked.at;
    if (step.is_key ? !json.is_object() : !json.is_array()) {
      walked.status = Status::path_mismatch;
      return walked;
    }
    Json* next = nullptr;
    if (step.is_key && json.contains(step.key)) next = &json[step.key];
    if (!step.is_key && !json.empty()) {
      const size_t index = step.index < 0 ? json.size() - 1 : static_cast<size_t>(step.index);
      if (index < json.size()) next = &json[index];
    }
    if (next == nullptr) {
      walked.status = Status::path_missing;
      return walked;
    }
    walked.parent = walked.at;
    walked.at = next;
    ++walked.matched;
  }
  return walked;
}

/// What the documentation says that an operation does, on a tree.
class Model {
 public:
  Model(Json& root, const std::vector<Step>& path, bool create_parents)
      : path_(path), create_parents_(create_parents), walked_(walk(root, path)) {}

  Status store(Op operation, const Json& value) {
    if (path_.empty()) return Status::value_cannot_insert;
    if (walked_.status == Status::path_mismatch) return walked_.status;
    const bool there = walked_.status == Status::success;
    if (operation == Op::replace) {
      if (there) *walked_.at = value;
      return walked_.status;
    }
    if (!path_.back().is_key) return Status::path_invalid;
    if (there && operation == Op::dict_add) return Status::path_exists;
    if (!there) return create(value);
    *walked_.at = value;
    return Status::success;
  }

  Status remove() {
    if (path_.empty()) return Status::value_cannot_insert;
    if (walked_.status != Status::success) return walked_.status;
    if (path_.back().is_key) {
      walked_.parent->erase(path_.back().key);
    } else {
      const int index = path_.back().index;
      walked_.parent->erase(index < 0 ? walked_.parent->size() - 1 : static_cast<size_t>(index));
    }
    return Status::success;
  }

  Status push(bool first, const Json& values) {
    if (walked_.status == Status::path_missing && create_parents_) return create(values);
    if (walked_.status != Status::success) return walked_.status;
    if (!walked_.at->is_array()) return Status::path_mismatch;
    walked_.at->insert(first ? walked_.at->begin() : walked_.at->end(), values.begin(), values.end());
    return Status::success;
  }

  Status insert(const Json& values) {
    if (path_.empty() || path_.back().is_key || path_.back().index < 0) return Status::path_invalid;
    const bool parent_there = walked_.status == Status::success || walked_.matched + 1 == path_.size();
    if (walked_.status == Status::path_mismatch || !parent_there) return walked_.status;
    Json& array = walked_.status == Status::success ? *walked_.parent : *walked_.at;
    const auto index = static_cast<size_t>(path_.back().index);
    if (index > array.size()) return Status::path_missing;
    array.insert(array.begin() + static_cast<ptrdiff_t>(index), values.begin(), values.end());
    return Status::success;
  }

  Status add_unique(const Json& scalar) {
    if (walked_.status == Status::path_missing && create_parents_) return create(Json::array({scalar}));
    if (walked_.status != Status::success) return walked_.status;
    if (!walked_.at->is_array()) return Status::path_mismatch;
    for (const Json& element : *walked_.at) {
      if (element.is_structured()) return Status::path_mismatch;
      if (element.dump() == scalar.dump()) return Status::path_exists;
    }
    walked_.at->push_back(scalar);
    return Status::success;
  }

  Status counter(int delta) {
    if (walked_.status == Status::path_mismatch) return walked_.status;
    if (walked_.status == Status::success) {
      if (!walked_.at->is_number_integer()) return Status::path_mismatch;
      *walked_.at = walked_.at->get<int>() + delta;
      return Status::success;
    }
    if (!create_parents_ && walked_.matched + 1 != path_.size()) return Status::path_missing;
    if (!walked_.at->is_object()) return Status::path_missing;
    if (!path_.back().is_key) return Status::path_invalid;
    return create(delta);
  }

 private:
  Status create(const Json& value) {
    if (!create_parents_ && walked_.matched + 1 != path_.size()) return Status::path_missing;
    for (size_t i = walked_.matched; i < path_.size(); ++i) {
      if (!path_[i].is_key) return Status::path_missing;
    }
    Json* at = walked_.at;
    for (size_t i = walked_.matched; i < path_.size(); ++i) {
      (*at)[path_[i].key] = Json::object();
      at = &(*at)[path_[i].key];
    }
    *at = value;
    return Status::success;
  }

  const std::vector<Step>& path_;
  bool create_parents_;
  Walked walked_;
};

std::string without_brackets(const std::string& array) {
  return array.substr(1, array.size() - 2);
}

/// Chooses a value for `operation`, runs the model on `root`; answers what it says and the value as text.
std::pair<Status, std::string> run_model(Random& random, Op operation, Model& model) {
  switch (operation) {
    case Op::dict_add:
    case Op::dict_upsert:
    case Op::replace: {
      const Json value = random.value(2);
      return {model.store(operation, value), random.spaced(value)};
    }
    case Op::remove:
      return {model.remove(), ""};
    case Op::array_push_first:
    case Op::array_push_last:
    case Op::array_insert: {
      Json values = Json::array({random.value(1)});
      while (random.one_in(2))
        values.push_back(random.value(1));
      const std::string text = without_brackets(values.dump());
      if (operation == Op::array_insert) return {model.insert(values), text};
      return {model.push(operation == Op::array_push_first, values), text};
    }
    case Op::array_add_unique: {
      const Json scalar = random.scalar();
      return {model.add_unique(scalar), scalar.dump()};
    }
    case Op::counter: {
      const int delta = static_cast<int>(random.below(9)) + 1;
      return {model.counter(delta), std::to_string(delta)};
    }
    default:
      return {Status::invalid_arguments, ""};
  }
}

/// What an edit did not touch is as it was: the new text begins and ends like the old one.
void expect_untouched(const std::string& before, const RanOperation& ran, size_t value_bytes,
                      size_t path_bytes) {
  size_t same_front = 0;
  while (same_front < std::min(before.size(), ran.text.size()) && before[same_front] == ran.text[same_front])
    ++same_front;
  size_t same_back = 0;
  while (same_back < std::min(before.size(), ran.text.size()) - same_front &&
         before[before.size() - 1 - same_back] == ran.text[ran.text.size() - 1 - same_back])
    ++same_back;
  // Each key that was made has quotes, a colon and braces.
  EXPECT_LE(ran.text.size() - same_front - same_back, value_bytes + 6 * path_bytes + 24) << before << "\n"
                                                                                         << ran.text;
}

uint64_t seed() {
  const char* const text = std::getenv("BOBBIN_SUBDOC_SEED");
  return text != nullptr ? std::strtoull(text, nullptr, 10) : 20261124;
}

TEST(SubdocProperty, MutationsAgreeWithAModelOnATree) {
  const uint64_t first = seed();
  constexpr Op kOperations[] = {Op::dict_add,     Op::dict_upsert,      Op::replace,
                                Op::remove,       Op::array_push_last,  Op::array_push_first,
                                Op::array_insert, Op::array_add_unique, Op::counter};
  size_t succeeded = 0;
  for (uint64_t round = 0; round < 4000; ++round) {
    Random random(first + round);
    Json root = random.container(4);
    std::string text = random.spaced(root);
    for (int i = 0; i < 10; ++i) {
      const Op operation = kOperations[random.below(std::size(kOperations))];
      const std::vector<Step> path = random.path(root);
      const bool create_parents = random.one_in(2);
      Json expected = root;
      Model model(expected, path, create_parents);
      const auto [status, value] = run_model(random, operation, model);
      const RanOperation ran = run_on(text, operation, text_of(path), value, create_parents);
      ASSERT_EQ(ran.status, status) << "seed " << first + round << ": " << static_cast<int>(operation) << " "
                                    << text_of(path) << " " << value << " in " << text;
      if (status != Status::success) continue;
      ++succeeded;
      ASSERT_EQ(Json::parse(ran.text, nullptr, false), expected)
          << "seed " << first + round << ": " << static_cast<int>(operation) << " " << text_of(path) << " "
          << value << " in " << text << "\ngave " << ran.text;
      expect_untouched(text, ran, value.size(), text_of(path).size());
      root = expected;
      text = ran.text;
    }
  }
  EXPECT_GT(succeeded, 4000U);
}

TEST(SubdocProperty, LookupsAgreeWithAModelOnATree) {
  const uint64_t first = seed();
  size_t found = 0;
  for (uint64_t round = 0; round < 10000; ++round) {
    Random random(first + round);
    Json root = random.container(5);
    const std::string text = random.spaced(root);
    const std::vector<Step> path = random.path(root);
    const Walked walked = walk(root, path);
    const RanOperation get = run_on(text, Op::get, text_of(path));
    ASSERT_EQ(get.status, walked.status)
        << "seed " << first + round << ": " << text_of(path) << " in " << text;
    ASSERT_EQ(run_on(text, Op::exists, text_of(path)).status, walked.status);
    if (walked.status != Status::success) continue;
    ++found;
    ASSERT_EQ(Json::parse(get.result, nullptr, false), *walked.at) << text_of(path) << " in " << text;
    const RanOperation count = run_on(text, Op::get_count, text_of(path));
    if (walked.at->is_structured()) {
      ASSERT_EQ(count.result, std::to_string(walked.at->size()));
    } else {
      ASSERT_EQ(count.status, Status::path_mismatch);
    }
  }
  EXPECT_GT(found, 3000U);
}

}  // namespace
}  // namespace bobbin::wire
