#pragma once

#include <cstdint>
#include <string_view>

#include "store/bucket_types.h"
#include "wire/binary.h"

namespace bobbin::serve {

class Session;
struct BinaryCommand;

// Replies of the binary protocol, as the client that is to have them has agreed to read them: with the time
// that its request took, with mutation tokens, with datatypes. All append to the session's output; opcode and
// opaque are those of the request.

/// Header, extras, key. The caller appends the value, reply.value_bytes long.
void answer(Session& session, const wire::BinaryHeader& request, const wire::BinaryReply& reply);
/// A whole reply with a value that is copied.
void answer_value(Session& session, const wire::BinaryHeader& request, std::string_view value,
                  wire::BinaryReply reply = {});
/// Nothing but success.
void answer_success(Session& session, const wire::BinaryHeader& request);
/// A document's value, with `key` if that is not empty; with no CAS that a change could name where somebody
/// has locked it.
void answer_document(Session& session, const wire::BinaryHeader& request, std::string_view key,
                     store::Fetched found);
/// A document's value with its attributes, with `key` if that is not empty.
void answer_whole_document(Session& session, const wire::BinaryHeader& request, store::Fetched found,
                           std::string_view key = {});
/// A change of a vbucket with this seqno was made. `value` is a counter's, or empty. `status` is a success.
void answer_mutation(Session& session, const wire::BinaryHeader& request, uint16_t vbucket, uint64_t seqno,
                     uint64_t cas, std::string_view value = {},
                     wire::BinaryStatus status = wire::BinaryStatus::success);
/// An error. Memcached's clients get its text for it, those of Couchbase nothing, or `context`, a JSON text.
/// Of an unknown collection or scope that is the uid of the manifest that does not have it.
void reply_binary_error(Session& session, const wire::BinaryHeader& request, wire::BinaryStatus status,
                        std::string_view context = {});

}  // namespace bobbin::serve
