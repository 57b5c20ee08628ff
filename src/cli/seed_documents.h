#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cli/seed.h"

namespace bobbin::cli {

/// The longest line of a file with many documents, over the longest value.
inline constexpr size_t kSeedLineBytes = 4096;

/// What lies in a seed folder, FOLDER/bucket/scope/collection/file, in the order of the names. Buckets,
/// scopes and collections that have a folder are added to the tables. Names that begin with a dot are passed
/// over; anything else that is not expected is an error.
[[nodiscard]] std::vector<SeedDocuments> find_documents(const std::string& folder, SeedTables& tables,
                                                        std::vector<base::Error>& errors);

/// Given a document as it stands in its file; valid during the call. An error of it ends the reading.
using OnDocument = std::function<base::Result<void, base::Error>(std::string_view key, std::string_view json,
                                                                 const std::string& origin)>;

/// Shows the documents, one after the other: keys are 1 to 250 bytes, and values are JSON. A file `*.json` is
/// one document with the file's name as its key, `*.jsonl` has one a line, {"key":"…","value":…}. Holds one
/// document at a time. Errors name file and line.
[[nodiscard]] base::Result<void, base::Error> read_documents(const SeedDocuments& file,
                                                             size_t max_value_bytes,
                                                             const OnDocument& on_document);

}  // namespace bobbin::cli
