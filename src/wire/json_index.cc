#include "wire/json_index.h"

#include <simdjson.h>

#include <algorithm>

namespace bobbin::wire {
namespace {

/// Below this the room is made once: most values fit, and it costs 64 KiB a thread.
constexpr size_t kFirstTextBytes = 16 * 1024;

}  // namespace

struct JsonIndex::Stage {
  std::unique_ptr<simdjson::internal::dom_parser_implementation> parser;
  size_t capacity_bytes = 0;
};

JsonIndex::JsonIndex() : stage_(std::make_unique<Stage>()) {}
JsonIndex::~JsonIndex() = default;

bool JsonIndex::make_room(size_t bytes) {
  if (bytes <= stage_->capacity_bytes) return true;
  const size_t capacity = std::max({bytes, kFirstTextBytes, std::min(2 * bytes, kKeptTextBytes)});
  stage_->parser.reset();
  stage_->capacity_bytes = 0;
  // The depth is that of simdjson's second stage, which is not used: 1 keeps its room small.
  const simdjson::error_code problem =
      simdjson::get_active_implementation()->create_dom_parser_implementation(capacity, 1, stage_->parser);
  if (problem != simdjson::SUCCESS) return false;
  stage_->capacity_bytes = capacity;
  return true;
}

bool JsonIndex::build(std::string_view text) {
  text_ = text;
  tokens_ = {};
  if (text.empty() || text.size() > kMaxTextBytes || !make_room(text.size())) return false;
  simdjson::internal::dom_parser_implementation& parser = *stage_->parser;
  const simdjson::error_code problem = parser.stage1(reinterpret_cast<const uint8_t*>(text.data()),
                                                     text.size(), simdjson::stage1_mode::regular);
  if (problem != simdjson::SUCCESS) return false;
  tokens_ = {parser.structural_indexes.get(), parser.n_structural_indexes};
  return true;
}

void JsonIndex::release() {
  text_ = {};
  tokens_ = {};
  if (stage_->capacity_bytes <= kKeptTextBytes) return;
  stage_->parser.reset();
  stage_->capacity_bytes = 0;
}

bool valid_utf8(std::string_view bytes) {
  return simdjson::validate_utf8(bytes.data(), bytes.size());
}

}  // namespace bobbin::wire
