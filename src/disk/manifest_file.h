#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "disk/error.h"
#include "store/manifest.h"

namespace bobbin::disk {

/// What a data directory and a backup keep of a bucket's scopes and collections: a line with the manifest,
/// the ids that come next, and a checksum. A directory that has no such file never had any but the defaults.

/// The lines, for a file that has others, too.
void add_manifest(std::string& text, const store::Manifest& manifest);
[[nodiscard]] std::optional<store::Manifest> manifest_in(
    const std::multimap<std::string, std::string>& lines);

[[nodiscard]] std::string encode_manifest(const store::Manifest& manifest);
/// `path` names the file in an error.
[[nodiscard]] Result<store::Manifest> decode_manifest(std::string_view text, const std::string& path);

[[nodiscard]] std::string manifest_path(const std::string& directory);
/// That of the defaults when there is no file.
[[nodiscard]] Result<store::Manifest> read_manifest(const std::string& directory);
/// Is on disk when this returns.
[[nodiscard]] Result<void> write_manifest(const std::string& directory, const store::Manifest& manifest);

}  // namespace bobbin::disk
