#include "serve/document_import.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <span>
#include <utility>

#include "store/expiry.h"
#include "wire/datatype.h"

namespace bobbin::serve {
namespace {

using store::StoreStatus;

disk::Result<DocumentImport::Outcome> refuse(std::string message) {
  return base::fail(disk::Error{disk::ErrorKind::config, {}, std::move(message)});
}

/// Told by a thread that reads the disk, which may do so after nobody waits any more.
struct Told {
  std::mutex mutex;
  std::condition_variable changed;
  bool is_told = false;

  void tell() {
    const std::lock_guard lock(mutex);
    is_told = true;
    changed.notify_all();
  }
  void wait() {
    std::unique_lock lock(mutex);
    changed.wait(lock, [this] { return is_told; });
  }
};

}  // namespace

disk::Result<DocumentImport::Outcome> DocumentImport::add(store::DocKey key, std::string_view json) {
  // Others may take the memory that a commit has given back.
  constexpr int kTries = 50;
  for (int tries = 0; tries < kTries; ++tries) {
    bool again = false;
    auto outcome = try_add(key, json, again);
    if (again) continue;
    read_.reset();
    if (outcome && served_.disk() != nullptr && served_.disk()->over_dirty_limit()) {
      if (auto written = finish(); !written) return base::fail(std::move(written.error()));
    }
    return outcome;
  }
  read_.reset();
  return refuse("there is no room for it: others take what memory there is");
}

disk::Result<DocumentImport::Outcome> DocumentImport::try_add(store::DocKey key, std::string_view json,
                                                              bool& again) {
  store::Bucket& bucket = served_.bucket();
  const base::Now now = clock_.now();
  if (json.size() > bucket.max_value_bytes())
    return refuse(
        fmt::format("{} bytes are more than --max-item-size, {}", json.size(), bucket.max_value_bytes()));
  auto draft = bucket.draft(key, kJsonFlags, store::kNeverExpires, static_cast<uint32_t>(json.size()), now);
  store::StoreResult result{.status = StoreStatus::no_memory};
  if (draft) {
    std::copy(json.begin(), json.end(), draft->value().begin());
    draft->set_datatype(wire::kDatatypeJson);
    result = bucket.store(*draft, store::StoreMode::add, {}, now);
  }
  switch (result.status) {
    case StoreStatus::stored:
      return Outcome::added;
    case StoreStatus::no_memory:
      if (auto room = await_room(); !room) return base::fail(std::move(room.error()));
      break;
    case StoreStatus::would_block:
      if (auto done = read(key); !done) return base::fail(std::move(done.error()));
      break;
    case StoreStatus::unknown_collection:
      return refuse("its collection is not there");
    case StoreStatus::too_large:
      return refuse("it is too long");
    case StoreStatus::not_stored:
    case StoreStatus::exists:
    case StoreStatus::locked:
    case StoreStatus::not_found:
      return Outcome::kept;
  }
  again = true;
  return Outcome::kept;
}

disk::Result<void> DocumentImport::await_room() {
  disk::Persistence* const disk = served_.disk();
  if (disk != nullptr) {
    if (auto failure = disk->failure()) return base::fail(std::move(*failure));
    if (disk->has_uncommitted()) return disk->bring_to_disk();
  }
  return base::fail(disk::Error{disk::ErrorKind::config,
                                {},
                                fmt::format("there is no room for it in the memory of bucket {}, {} bytes",
                                            served_.name(), served_.bucket().quota_bytes())});
}

disk::Result<void> DocumentImport::read(store::DocKey key) {
  const auto told = std::make_shared<Told>();
  read_ = served_.disk()->fetch(std::span(&key, 1), [told] { told->tell(); });
  told->wait();
  if (!read_->failed()) return {};
  return base::fail(disk::Error{disk::ErrorKind::io, {}, "the disk could not be read: the log says why"});
}

disk::Result<void> DocumentImport::finish() {
  return served_.disk() == nullptr ? disk::Result<void>() : served_.disk()->bring_to_disk();
}

}  // namespace bobbin::serve
