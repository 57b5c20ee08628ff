#include "serve/binary_reply.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "serve/access_context.h"
#include "serve/session.h"
#include "wire/datatype.h"
#include "wire/subdoc_status.h"

namespace bobbin::serve {
namespace {

using wire::BinaryHeader;
using wire::BinaryReply;
using wire::BinaryStatus;
using wire::Feature;
using wire::SubdocStatus;

// What costs: of the sub-document API, what has failed in parts, too.
bool is_success(BinaryStatus status) {
  switch (static_cast<SubdocStatus>(status)) {
    case SubdocStatus::success:
    case SubdocStatus::multi_path_failure:
    case SubdocStatus::success_deleted:
    case SubdocStatus::multi_path_failure_deleted:
      return true;
    default:
      return false;
  }
}

// What is made in well under a microsecond, and of which a pipeline holds many.
enum class Work : uint8_t { small_document, any };
constexpr size_t kSmallDocumentBytes = 4096;

// How long the server had the request.
const std::array<char, wire::kTraceBytes>& trace(const Session& session, Client& client, Work work) {
  Client::Told& told = client.told;
  if (work == Work::small_document && told.reuses_left > 0 && told.received_ns == client.received_ns) {
    --told.reuses_left;
    return told.trace;
  }
  const uint64_t now = session.engine().clock.now().unix_ns;
  const uint64_t took = now - std::min(now, client.received_ns);  // the wall clock may be set back
  told = {.received_ns = client.received_ns,
          .trace = wire::trace_of(took / 1000),
          .reuses_left = Client::Told::kReuses};
  return told.trace;
}

// The framing extras of a reply; empty for who did not ask for them.
class Framing {
 public:
  Framing(const Session& session, BinaryStatus status, Work work) {
    Client* client = session.client();
    if (client == nullptr) [[likely]]
      return;
    if (client->received_ns != 0) {
      const auto& told = trace(session, *client, work);
      std::copy(told.begin(), told.end(), bytes_.begin());
      size_ = told.size();
    }
    if (!client->features.has(Feature::report_unit_usage)) [[likely]]
      return;
    const wire::Moved moved = std::exchange(client->moved, {});
    const bool durable = client->frame.durability != wire::DurabilityLevel::none;
    if (is_success(status)) size_ += wire::write_units(bytes_.data() + size_, moved, durable);
  }
  [[nodiscard]] std::string_view view() const { return {bytes_.data(), size_}; }

 private:
  std::array<char, wire::kMaxReplyFramingBytes> bytes_{};
  size_t size_ = 0;
};

void count_response(Session& session, BinaryStatus status) {
  session.counters().responses[static_cast<size_t>(status) % CommandCounters::kStatuses].add(1);
}

void write_head(Session& session, const BinaryHeader& request, BinaryReply reply, Work work = Work::any) {
  count_response(session, reply.status);
  const Framing framing(session, reply.status, work);
  reply.framing = framing.view();
  const size_t most =
      wire::kBinaryHeaderBytes + reply.framing.size() + reply.extras.size() + reply.key.size();
  char* out = session.out().reserve(most);
  session.out().commit(wire::write_binary_head(out, request, reply));
}

// What is told who has not asked for newer statuses (kv_engine docs/ErrorHandling.md): that a document is
// locked is another CAS to who changes it, and to who locks or unlocks something that passes.
BinaryStatus known_status(const BinaryHeader& request, BinaryStatus status) {
  if (status != BinaryStatus::locked && status != BinaryStatus::not_locked) return status;
  const auto opcode = static_cast<wire::BinaryOpcode>(request.opcode);
  const bool of_locks = opcode == wire::BinaryOpcode::get_locked || opcode == wire::BinaryOpcode::unlock_key;
  return of_locks ? BinaryStatus::temporary_failure : BinaryStatus::key_exists;
}

// What a document's datatype is to this client.
uint8_t shown_datatype(const Session& session, uint8_t datatype) {
  uint8_t shown = 0;
  if (session.has(Feature::json)) shown |= wire::kDatatypeJson;
  if (session.has(Feature::snappy)) shown |= wire::kDatatypeSnappy;
  return datatype & shown;
}

}  // namespace

void answer(Session& session, const BinaryHeader& request, const BinaryReply& reply) {
  write_head(session, request, reply);
}

void answer_value(Session& session, const BinaryHeader& request, std::string_view value, BinaryReply reply) {
  reply.value_bytes = static_cast<uint32_t>(value.size());
  write_head(session, request, reply);
  session.reply(value);
}

void answer_success(Session& session, const BinaryHeader& request) {
  write_head(session, request, {});
}

void answer_document(Session& session, const BinaryHeader& request, std::string_view key,
                     store::Fetched found) {
  store::DocumentRef document = std::move(found.doc);
  session.note_read(document->doc_key(), document->value_size());
  std::array<char, 4> flags;
  wire::store_big_endian(flags.data(), document->flags());
  const size_t bytes = document->body().size();
  write_head(session, request,
             {.cas = found.shown_cas(),
              .extras = {flags.data(), flags.size()},
              .key = key,
              .value_bytes = static_cast<uint32_t>(bytes),
              .datatype = shown_datatype(session, document->datatype())},
             bytes < kSmallDocumentBytes ? Work::small_document : Work::any);
  session.reply_value(std::move(document));
}

void answer_whole_document(Session& session, const BinaryHeader& request, store::Fetched found,
                           std::string_view key) {
  session.note_read(found.doc->doc_key(), found.doc->value_size());
  std::array<char, 4> flags;
  wire::store_big_endian(flags.data(), found.doc->flags());
  const uint8_t datatype = shown_datatype(session, found.doc->datatype());
  write_head(session, request,
             {.cas = found.shown_cas(),
              .extras = {flags.data(), flags.size()},
              .key = key,
              .value_bytes = found.doc->value_size(),
              .datatype = static_cast<uint8_t>(datatype | (found.doc->datatype() & wire::kDatatypeXattr))});
  session.out().append(store::pin(std::move(found.doc)));
}

void answer_mutation(Session& session, const BinaryHeader& request, uint16_t vbucket, uint64_t seqno,
                     uint64_t cas, std::string_view value, wire::BinaryStatus status) {
  std::array<char, 16> token;
  BinaryReply reply{.status = status, .cas = cas, .value_bytes = static_cast<uint32_t>(value.size())};
  if (session.has(Feature::mutation_seqno)) {
    wire::store_big_endian(token.data(), session.bucket().vbucket_uuid(vbucket));
    wire::store_big_endian(token.data() + 8, seqno);
    reply.extras = {token.data(), token.size()};
  }
  write_head(session, request, reply);
  session.reply(value);
}

void reply_binary_error(Session& session, const BinaryHeader& request, wire::BinaryStatus status,
                        std::string_view context) {
  if (!session.has(Feature::xerror)) status = known_status(request, status);
  std::string made;
  if (status == wire::BinaryStatus::unknown_collection || status == wire::BinaryStatus::unknown_scope) {
    made = R"({"manifest_uid":")" + store::manifest_number(session.manifest().uid()) + R"("})";
    context = made;
  }
  if (status == wire::BinaryStatus::no_access && context.empty()) {
    made = refuse_access(session, request);
    if (session.has(Feature::xerror)) context = made;
  }
  if (session.client() != nullptr) {
    const uint8_t datatype = !context.empty() && session.has(Feature::json) ? wire::kDatatypeJson : 0;
    return answer_value(session, request, context, {.status = status, .datatype = datatype});
  }
  count_response(session, status);
  char* out = session.out().reserve(wire::kMaxBinaryErrorBytes);
  session.out().commit(wire::write_binary_error(out, request, status));
}

}  // namespace bobbin::serve
