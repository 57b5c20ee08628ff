#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "serve/roles.h"

namespace bobbin::serve {

/// What a check says. `hidden`: nothing at all is allowed there, so it must look as if it were not there:
/// "unknown collection", not "no access".
enum class Verdict : uint8_t { granted, refused, hidden };

/// The ids of a bucket's scopes and collections, by name, at one moment. A name that is not there has none,
/// and roles that name it grant nothing.
struct CollectionIds {
  std::function<std::optional<uint32_t>(std::string_view scope)> scope;
  std::function<std::optional<uint32_t>(std::string_view scope, std::string_view collection)> collection;

  /// As if every name were there: for what may be known of a bucket by a role for one of its collections,
  /// whether or not the collection is there.
  [[nodiscard]] static CollectionIds of_any_name();
};

/// What one user may do in one bucket: its roles, worked out once, so that a request costs one comparison
/// where whole buckets are meant, which is nearly always. A value; whoever has it uses it on one thread. It
/// is made anew when Users::generation() has changed, and when the bucket's collections have.
class Access {
 public:
  /// Nothing is allowed: nobody has logged in.
  Access() = default;
  Access(const std::vector<Role>& roles, std::string_view bucket, const CollectionIds& ids);
  /// Everything is allowed: a server without users.
  [[nodiscard]] static Access unlimited();

  /// All of `needed`, in the whole bucket or of the server.
  [[nodiscard]] bool may(Privileges needed) const noexcept { return (everywhere_ & needed) == needed; }

  /// All of `needed`, in a collection.
  [[nodiscard]] Verdict may(Privileges needed, uint32_t scope, uint32_t collection) const noexcept {
    if (may(needed)) return Verdict::granted;
    return look_up(needed, scope, collection);
  }

  /// One of the bits of `wanted` somewhere in the bucket: whether a command can have any sense at all.
  [[nodiscard]] bool may_somewhere(Privileges wanted) const noexcept { return (anywhere_ & wanted) != 0; }

  /// The bucket may be selected, and its configuration read: something in it is allowed.
  [[nodiscard]] bool may_select() const noexcept { return (anywhere_ & kOfBuckets) != 0; }

 private:
  static constexpr Privileges kOfBuckets = (1U << 13) - 1;

  struct Part {
    uint32_t scope;
    std::optional<uint32_t> collection;
    Privileges privileges;
  };

  [[nodiscard]] Verdict look_up(Privileges needed, uint32_t scope, uint32_t collection) const noexcept;

  Privileges everywhere_ = 0;
  Privileges anywhere_ = 0;
  std::vector<Part> parts_;
};

/// Of the server alone, whatever the bucket.
[[nodiscard]] Privileges server_privileges(const std::vector<Role>& roles);

}  // namespace bobbin::serve
