#pragma once

#include <optional>
#include <string>

#include "admin/route.h"
#include "serve/access.h"

namespace bobbin::admin {

/// What comes before a handler: the row is found, the caller logs in, and may do what the row needs. Costs
/// PBKDF2 when a password comes for the first time. Fills `call` in; the answer is why nothing is to be done,
/// or nothing. Only the request's head is looked at.
[[nodiscard]] std::optional<HttpResponse> admit(Call& call, const Route*& route);

/// The answer to what a server that follows another leaves to that one.
[[nodiscard]] HttpResponse refuse_as_follower(const Call& call);

/// What the caller may do in a bucket, and of the server; an empty name is no bucket's.
[[nodiscard]] serve::Access access_of(const Call& call, std::string_view bucket);

}  // namespace bobbin::admin
