#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/running_server.h"
#include "cli/seed_documents.h"
#include "cli/serve_config.h"
#include "serve/engine.h"

namespace bobbin::cli {

/// All that a server begins with, read and checked, but for the documents, which stay in their files.
struct Seed {
  SeedTables tables;
  std::vector<SeedDocuments> files;  ///< with those that stand in tables
  uint64_t documents = 0;
  /// SHA-256 in hexadecimal of all of it but the passwords.
  std::string fingerprint;

  [[nodiscard]] bool empty() const noexcept { return tables.empty() && files.empty(); }
};

/// Reads what the configuration names, each document too. Fails with every error found, up to some dozens.
[[nodiscard]] base::Result<Seed, std::vector<base::Error>> read_seed(const ServeConfig& config);

/// Brings a seed into a server, before anybody is served. What is there already is left as it is. When all of
/// a seed is on disk its fingerprint is kept, in the data directory's file `seeded`: the next start with the
/// same seed touches nothing that is on disk, so what was deleted since stays deleted; what is in memory only
/// is made again. On a thread that may wait; the buckets have been started.
class Seeding {
 public:
  Seeding(const Seed& seed, const ServeConfig& config, const serve::Engine& engine);
  Seeding(const Seeding&) = delete;
  Seeding& operator=(const Seeding&) = delete;

  using Done = base::Result<void, StartError>;
  /// Groups, users, buckets, scopes and collections.
  [[nodiscard]] Done make_places();
  /// After make_places(). Brings everything to disk.
  [[nodiscard]] Done store_documents();

 private:
  [[nodiscard]] Done make_users();
  [[nodiscard]] Done make_bucket(const SeedBucket& described);
  [[nodiscard]] Done make_collections(const SeedBucket& described, serve::ServedBucket& bucket);
  [[nodiscard]] Done store_file(const SeedDocuments& file);
  /// What is in this bucket has been seeded, and was the users' to change since.
  [[nodiscard]] bool is_settled(std::string_view name) const;
  void note(std::string_view action, const std::string& object) const;

  const Seed& seed_;
  const ServeConfig& config_;
  const serve::Engine& engine_;
  const std::string marker_path_;  ///< empty: nothing is kept
  bool was_done_ = false;          ///< with this seed, by an earlier start
  uint64_t added_ = 0;
  uint64_t kept_ = 0;
};

}  // namespace bobbin::cli
