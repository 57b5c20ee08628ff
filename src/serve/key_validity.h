#pragma once

#include <string_view>

#include "disk/record.h"
#include "store/document.h"

namespace bobbin::serve {

/// How what memory has of a key compares with what is on disk under it, in upstream's words (stats.org,
/// `key_valid`): valid, dirty, ram_but_not_disk, flags_mismatch, length_mismatch, or data_mismatch, which is
/// also what differs otherwise. `record`: null where the disk has nothing. Of a document without its value
/// only what is there is compared.
[[nodiscard]] inline std::string_view validity_of(const store::Document& document, bool is_dirty,
                                                  const disk::Record* record) {
  if (record == nullptr || record->seqno != document.seqno()) {
    if (is_dirty) return "dirty";
    return record == nullptr ? "ram_but_not_disk" : "data_mismatch";
  }
  if (record->kind != disk::RecordKind::document) return "data_mismatch";
  if (document.flags() != record->flags) return "flags_mismatch";
  if (document.value_size() != record->value.size()) return "length_mismatch";
  const bool differs = document.cas() != record->cas || document.datatype() != record->datatype ||
                       (document.resident() && document.value() != record->value);
  return differs ? "data_mismatch" : "valid";
}

}  // namespace bobbin::serve
