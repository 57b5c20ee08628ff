#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "admin/json_writer.h"
#include "admin/route.h"
#include "net/address.h"
#include "serve/served_bucket.h"

namespace bobbin::admin {

/// The version of Couchbase's REST interface whose shapes these are; tools parse it.
inline constexpr std::string_view kRestVersion = "7.6.0-0000-community";

/// Where the caller reaches the data: what is advertised, or the host that it has asked for.
[[nodiscard]] net::Address place_of(const Call& call);
/// The same of this server's HTTP.
[[nodiscard]] net::Address managed_at(const Call& call);

/// Null when there is none of that name.
[[nodiscard]] std::shared_ptr<serve::ServedBucket> find_bucket(const serve::Engine& engine,
                                                               std::string_view name);
/// The configuration that clients of the data read, with "$HOST"; empty when the bucket is not there.
[[nodiscard]] std::string terse_text(const serve::Engine& engine, std::string_view name, net::Address place);
/// The bucket as GET /pools/default/buckets/B shows it.
void write_bucket(JsonWriter& json, const Call& call, const serve::ServedBucket& bucket);
/// This server, as an element of "nodes".
void write_node(JsonWriter& json, const Call& call);

/// Resident memory of this process, and its processor time so far.
struct ProcessUse {
  uint64_t resident_bytes = 0;
  double cpu_s = 0;
};
[[nodiscard]] ProcessUse process_use();

}  // namespace bobbin::admin
