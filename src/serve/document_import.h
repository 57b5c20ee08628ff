#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "base/clock.h"
#include "disk/error.h"
#include "disk/persistence.h"
#include "serve/served_bucket.h"
#include "store/doc_key.h"

namespace bobbin::serve {

/// Stores JSON documents where none of their keys is, the way a client's writes go: for whoever has many of
/// them and may wait, which no loop may. Waits for the disk where its bucket takes the disk to know whether a
/// key is there, where memory comes back with a commit, and where writers are to wait for one.
///
/// One thread. Ends before its bucket, which has been started.
class DocumentImport {
 public:
  /// As Couchbase's SDKs mark a JSON document, so that they read it as one.
  static constexpr uint32_t kJsonFlags = 0x02000006;

  enum class Outcome : uint8_t {
    added,
    kept,  ///< there was one: it stays as it is
  };

  DocumentImport(ServedBucket& bucket, const base::Clock& clock) : served_(bucket), clock_(clock) {}
  DocumentImport(const DocumentImport&) = delete;
  DocumentImport& operator=(const DocumentImport&) = delete;

  /// `key` is valid, `json` one JSON value. An error names no file; `config`: the document is too long, has
  /// no room in its bucket, or its collection is not there. The document is not there then.
  [[nodiscard]] disk::Result<Outcome> add(store::DocKey key, std::string_view json);
  /// What was added is on disk when this returns, if its bucket is.
  [[nodiscard]] disk::Result<void> finish();

 private:
  /// One attempt; `again` is set when it is to be made once more.
  [[nodiscard]] disk::Result<Outcome> try_add(store::DocKey key, std::string_view json, bool& again);
  [[nodiscard]] disk::Result<void> await_room();
  [[nodiscard]] disk::Result<void> read(store::DocKey key);

  ServedBucket& served_;
  const base::Clock& clock_;
  /// What was read for the attempt that comes next: it stays in memory until then.
  std::shared_ptr<disk::Fetching> read_;
};

}  // namespace bobbin::serve
