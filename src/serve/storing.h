#pragma once

#include <cstdint>
#include <string_view>

#include "serve/session.h"
#include "store/bucket.h"
#include "wire/binary_header.h"

namespace bobbin::serve {

// What the storage commands of all protocols share, so that they count and log alike.

/// What keeps a command from its result.
enum class Trouble : uint8_t {
  none,
  again,  ///< it runs again by itself: return at once
  no_memory,
  unreadable,          ///< the disk
  unwritable,          ///< the disk: see Session::is_writable
  locked,              ///< somebody has locked the document
  unknown_collection,  ///< the key's was dropped just now
  crowded,             ///< see store::Fetched
};

/// There was no memory for a change of the vbucket.
[[nodiscard]] Trouble trouble_without_memory(Session& session, uint16_t vbucket);

/// Of the store's statuses, those that say what is there, or is not.
template <typename Status>
[[nodiscard]] constexpr bool is_refusal(Status status) {
  if constexpr (requires { Status::exists; }) {
    if (status == Status::exists) return true;
  }
  if constexpr (requires { Status::not_stored; }) {
    if (status == Status::not_stored) return true;
  }
  if constexpr (requires { Status::not_a_number; }) {
    if (status == Status::not_a_number) return true;
  }
  return status == Status::not_found;
}

/// Asked first for each answer of the bucket, before anything is counted: `status` is one of the store's.
template <typename Status>
[[nodiscard]] Trouble trouble_of(Session& session, Status status, store::DocKey key) {
  if (status == Status::would_block) [[unlikely]]
    return session.retry_after_reading(key) ? Trouble::again : Trouble::unreadable;
  if (status == Status::no_memory) [[unlikely]]
    return trouble_without_memory(session, session.vbucket_of(key));
  if (status == Status::locked) [[unlikely]]
    return Trouble::locked;
  if (status == Status::unknown_collection) [[unlikely]]
    return Trouble::unknown_collection;
  if (is_refusal(status)) session.refused(key);
  return Trouble::none;
}
/// The same for a store, which may have taken the draft, and the key with it.
[[nodiscard]] Trouble trouble_of(Session& session, const store::StoreResult& result,
                                 const store::Draft& draft, uint16_t vbucket);
/// The same for a fetch.
[[nodiscard]] Trouble trouble_of(Session& session, const store::Fetched& found, store::DocKey key);

/// The texts of what cannot be helped; not for none and again.
[[nodiscard]] std::string_view text_of(Trouble trouble);
[[nodiscard]] wire::BinaryStatus status_of(Trouble trouble);

/// The verb of a mode, as the live log names it: the same for every protocol.
std::string_view verb_of(store::StoreMode mode);

/// The length of a value as it is without compression, wherever it is; 0 where it is damaged. Of a document,
/// without its attributes. With these, and compressed, it takes the value to know.
[[nodiscard]] uint32_t plain_bytes(store::Draft& draft);
[[nodiscard]] uint32_t plain_bytes(const store::Document& document);

/// Counts one storage command and what became of it, and tells the live log. `command` is the verb.
void count_store(Session& session, std::string_view command, std::string_view key, bool compares_cas,
                 const store::StoreResult& result, uint32_t value_bytes);

/// Counts one incr or decr.
void count_arithmetic(Session& session, store::Direction direction, store::ArithmeticStatus status);

/// Memory for the value of a storage command; `arrived` says whether the value is in the read buffer as a
/// whole. With `may_be_longer` it begins with attributes, or comes compressed (Bucket::draft). When there is
/// none, the refusal is counted (a value that is too large as Trouble::none: it is no trouble of the
/// server's); with `invalidate` the old document of a cache goes, as in memcached: a client whose set failed
/// must not go on reading what it meant to replace.
base::Result<Placed, Trouble> place_value(Session& session, store::DocKey key, uint32_t flags,
                                          uint32_t expiry, uint32_t value_bytes, bool arrived,
                                          bool invalidate, bool may_be_longer = false);

/// A value that has come compressed: puts the value itself into `whole`, a document that is like `given`.
/// False: the request was refused, or runs again; return at once.
[[nodiscard]] bool inflate_value(Session& session, const wire::BinaryHeader& header, store::Draft& given,
                                 store::Draft& whole);

/// Which of the two is to be stored: what has come compressed, `given`, if the bucket keeps such values and
/// it is shorter, has no attributes; or else the value itself, whose datatype was set. `given` gets that
/// one's then, and `whole` is dropped.
[[nodiscard]] store::Draft& chosen_form(const Session& session, store::Draft& given, store::Draft& whole);

/// flush_all with its delay: none, seconds from now, or a unix time. Negative is now. False, and nothing is
/// done, where a part of the bucket cannot be written.
[[nodiscard]] bool flush(Session& session, int64_t delay);

/// Counts a value that was not followed by a line end, where the protocol wants one, and answers that.
void refuse_chunk(Session& session, bool noreply);

/// Seconds until `expiry` for replies: -1 for never, 0 when it is over.
int64_t ttl_of(uint32_t expiry, base::Now now);

/// Seconds since `moment`, which may be later than `now`: another loop may have read its requests later.
uint32_t age_of(uint32_t moment, base::Now now);

}  // namespace bobbin::serve
