#pragma once

#include <utility>

#include "store/bucket_types.h"
#include "store/document.h"

namespace bobbin::store {

/// A document to combine something with: itself, or where its value is compressed a copy that is not. Empty
/// where there can be none. Lives no longer than the document.
class PlainDocument {
 public:
  explicit PlainDocument(const Document& document) noexcept : document_(&document) {}
  PlainDocument(DocumentRef copy, bool damaged) noexcept
      : copy_(std::move(copy)), document_(copy_.get()), damaged_(damaged) {}

  explicit operator bool() const noexcept { return document_ != nullptr; }
  const Document* operator->() const noexcept { return document_; }
  /// Where it is empty: nothing can be added to what is damaged.
  [[nodiscard]] StoreStatus failure() const noexcept {
    return damaged_ ? StoreStatus::not_stored : StoreStatus::no_memory;
  }

 private:
  DocumentRef copy_;
  const Document* document_ = nullptr;
  bool damaged_ = false;
};

}  // namespace bobbin::store
