#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/result.h"
#include "disk/error.h"
#include "serve/access.h"
#include "serve/user.h"

namespace bobbin::serve {

inline constexpr uint32_t kDefaultPasswordIterations = 15'000;
/// The official client runs them twice to connect, 45 ms each with the default: too much while developing.
inline constexpr uint32_t kDevPasswordIterations = 1'000;

struct UsersOptions {
  /// Empty: they are in memory only, and gone at the end.
  std::string path;
  /// Of PBKDF2, for passwords that are set from now on; 1 to kMaxPasswordIterations. Those that are set keep
  /// theirs until they change.
  uint32_t iterations = kDefaultPasswordIterations;
  const base::Clock* clock = nullptr;  ///< outlives the users
};

/// Why users were not changed.
struct UsersError {
  enum class Kind : uint8_t {
    invalid,  ///< the name, the password or something else that was asked for
    exists,
    missing,
    disk,  ///< it could not be written: nothing has changed
  };
  Kind kind = Kind::invalid;
  std::string message;
};

/// What is to become of a user.
struct UserChange {
  std::string name;
  std::optional<std::string> password;  ///< a new user needs one
  std::optional<std::string> full_name;
  std::optional<std::vector<Role>> roles;
  std::optional<std::vector<std::string>> groups = {};  ///< that there are
};

/// The keys that a login is checked with. Of a user that does not exist they are made up, the same each time.
struct LoginKeys {
  wire::ScramKeys keys;
  bool is_known = false;
};

/// The users of the data service, and their file. Any thread.
///
/// What there is at a moment is an immutable table behind a shared_ptr: readers, which are all the loops,
/// copy the pointer and then need no lock, and what a session holds stays whole while somebody else changes
/// users. A session asks for generation(), then works out its Access, and keeps both; when the number differs
/// it does so again, and a user that is gone may do nothing any more.
class Users {
 public:
  /// A file that is not there means that there are no users; one that is damaged is an error that names it.
  [[nodiscard]] static disk::Result<std::unique_ptr<Users>> open(UsersOptions options);

  /// None, in memory only.
  [[nodiscard]] static std::unique_ptr<Users> nobody(const base::Clock& clock);

  /// Rises with every change; never 0. Cheap enough for each request.
  [[nodiscard]] uint64_t generation() const noexcept { return generation_.load(std::memory_order_acquire); }

  // Of the table at this moment.
  [[nodiscard]] bool empty() const { return table()->users.empty(); }
  /// Null when there is none. Stays what it is while it is held.
  [[nodiscard]] std::shared_ptr<const User> find(std::string_view name) const;
  /// In the order of their names.
  [[nodiscard]] std::shared_ptr<const UserTable> table() const;
  /// What a user may do in a bucket; nothing, when there is no such user.
  [[nodiscard]] Access access(std::string_view name, std::string_view bucket, const CollectionIds& ids) const;

  /// For SCRAM. In the same time for every name, whether there is such a user or not.
  [[nodiscard]] LoginKeys login_keys(wire::Hash hash, std::string_view name) const;
  /// For PLAIN and HTTP. Costs what the user's iterations cost, 15 ms or so, the first time; a password that
  /// was right is recognised in microseconds the next time.
  [[nodiscard]] bool is_password(std::string_view name, std::string_view password) EXCLUDES(mutex_);
  /// Whether it is one of those, and right.
  [[nodiscard]] bool recognises(std::string_view name, std::string_view password) const EXCLUDES(mutex_);

  // Changes. When they return they are in the file and everybody sees them, or nobody does (after an error of
  // the disk the next start may find either). They wait for the disk, and a new password costs its iterations
  // three times: not on a loop.
  [[nodiscard]] base::Result<void, UsersError> add(const UserChange& change);
  /// Of a user that is there.
  [[nodiscard]] base::Result<void, UsersError> change(const UserChange& change);
  /// Whether it is there or not; `was_there` tells.
  [[nodiscard]] base::Result<void, UsersError> put(const UserChange& change, bool* was_there = nullptr);
  [[nodiscard]] base::Result<void, UsersError> remove(std::string_view name);
  /// Whether it is there or not.
  [[nodiscard]] base::Result<void, UsersError> put_group(const UserGroup& group);
  /// Who was in it no longer is.
  [[nodiscard]] base::Result<void, UsersError> remove_group(std::string_view name);

 private:
  using Done = base::Result<void, UsersError>;

  /// A table, and what is worked out of it once.
  struct Snapshot {
    UserTable table;
    std::vector<uint32_t> iterations;  ///< each number that users have, once, rising
  };

  explicit Users(UsersOptions options) : options_(std::move(options)) {}
  Done apply(const UserChange& change, bool may_exist, bool may_be_new, bool* was_there);
  Done replace(UserTable table);
  [[nodiscard]] std::shared_ptr<const Snapshot> snapshot() const EXCLUDES(mutex_);
  [[nodiscard]] static std::shared_ptr<const Snapshot> make_snapshot(UserTable table);
  [[nodiscard]] wire::ScramKeys decoy_keys(const Snapshot& snapshot, wire::Hash hash,
                                           std::string_view name) const;

  const UsersOptions options_;
  /// Held by one change from its reading to its writing, over the file's sync; readers do not take it.
  std::mutex changing_;
  std::atomic<uint64_t> generation_{1};
  mutable base::Mutex mutex_;
  std::shared_ptr<const Snapshot> snapshot_ GUARDED_BY(mutex_);

  // What is_password() has seen to be right: HMAC of it under a key of this process, by user, and the keys
  // that it was compared with. As many as there are users.
  struct Recognised {
    wire::Digest stored_key;
    wire::Digest password;
  };
  const std::string recognition_key_ = wire::random_bytes(32);
  std::map<std::string, Recognised, std::less<>> recognised_ GUARDED_BY(mutex_);
};

}  // namespace bobbin::serve
