#include "disk/manifest_file.h"

#include "disk/sealed_text.h"
#include "disk/system_file.h"

namespace bobbin::disk {

namespace {

constexpr std::string_view kTitle = "bobbin collections 1\n";

}  // namespace

void add_manifest(std::string& text, const store::Manifest& manifest) {
  text.append("manifest ").append(manifest.json()).append("\n");
  add_line(text, "next_scope", manifest.next_scope());
  add_line(text, "next_collection", manifest.next_collection());
}

std::optional<store::Manifest> manifest_in(const std::multimap<std::string, std::string>& lines) {
  const auto json = lines.find("manifest");
  const auto scope = lines.find("next_scope");
  const auto collection = lines.find("next_collection");
  if (json == lines.end() || scope == lines.end() || collection == lines.end()) return std::nullopt;
  auto manifest = store::Manifest::parse(json->second);
  const auto next_scope = number_in(scope->second);
  const auto next_collection = number_in(collection->second);
  if (!manifest || !next_scope || !next_collection) return std::nullopt;
  if (!manifest->set_next_ids(*next_scope, *next_collection)) return std::nullopt;
  return std::move(*manifest);
}

std::string encode_manifest(const store::Manifest& manifest) {
  std::string text(kTitle);
  add_manifest(text, manifest);
  seal(text);
  return text;
}

Result<store::Manifest> decode_manifest(std::string_view text, const std::string& path) {
  const auto lines = sealed_lines(text, kTitle);
  auto manifest = lines ? manifest_in(*lines) : std::nullopt;
  if (manifest) return std::move(*manifest);
  return base::fail(Error{ErrorKind::corrupt, path,
                          path + ": damaged: the names of scopes and collections cannot be read; restore it "
                                 "from a backup"});
}

std::string manifest_path(const std::string& directory) {
  return directory + "/collections";
}

Result<store::Manifest> read_manifest(const std::string& directory) {
  const std::string path = manifest_path(directory);
  auto text = read_file(path);
  if (!text) return base::fail(std::move(text.error()));
  return *text ? decode_manifest(**text, path) : store::Manifest();
}

Result<void> write_manifest(const std::string& directory, const store::Manifest& manifest) {
  return replace_file(manifest_path(directory), encode_manifest(manifest));
}

}  // namespace bobbin::disk
