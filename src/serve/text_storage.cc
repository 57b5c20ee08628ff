// set, add, replace, append, prepend and cas of the text protocol.

#include <utility>

#include "serve/storing.h"
#include "serve/text_commands.h"
#include "store/expiry.h"

namespace bobbin::serve {
namespace {

using store::StoreMode;
using wire::TextRequest;

std::string_view reply_for(store::StoreStatus status) {
  switch (status) {
    case store::StoreStatus::stored:
      return wire::kStored;
    case store::StoreStatus::not_stored:
      return wire::kNotStored;
    case store::StoreStatus::exists:
      return wire::kExists;
    case store::StoreStatus::not_found:
      return wire::kNotFound;
    case store::StoreStatus::too_large:
      return wire::kTooLarge;
    case store::StoreStatus::unknown_collection:
    case store::StoreStatus::would_block:
    case store::StoreStatus::locked:
    case store::StoreStatus::no_memory:
      break;  // a trouble
  }
  return wire::kOutOfMemory;
}

// Leaves the draft as it was when it is to run again.
void finish_store(Session& session, store::Draft& draft, StoreMode mode, uint64_t cas, bool noreply) {
  store::StoreOptions options;
  if (mode == StoreMode::cas) options.cas_compare = cas;
  const auto value_bytes = static_cast<uint32_t>(draft.value().size());
  // The log names the key, which the draft takes along.
  const std::string logged(session.log().wants(kWatchMutations) ? draft.key() : std::string_view());
  const uint16_t vbucket = session.vbucket_of(draft.doc_key());
  const auto result = session.bucket().store(draft, mode, options, session.now());
  const Trouble trouble = trouble_of(session, result, draft, vbucket);
  if (trouble == Trouble::again) return;
  if (result.ok()) session.changed(vbucket, result.seqno);
  count_store(session, verb_of(mode), logged, mode == StoreMode::cas, result, value_bytes);
  if (noreply) return;
  // Only who has locked it knows the CAS.
  if (trouble == Trouble::locked && mode == StoreMode::cas) return session.reply(wire::kExists);
  session.reply(trouble == Trouble::none ? reply_for(result.status) : text_of(trouble));
}

class TextUpload final : public Upload {
 public:
  TextUpload(Placed placed, StoreMode mode, uint64_t cas, bool noreply)
      : Upload(std::move(placed)), mode_(mode), noreply_(noreply), cas_(cas) {}
  void finish(Session& session) override { finish_store(session, draft(), mode_, cas_, noreply_); }
  void malformed(Session& session) override { refuse_chunk(session, noreply_); }

 private:
  StoreMode mode_;
  bool noreply_;
  uint64_t cas_;
};

void start_store(Session& session, const TextRequest& request, StoreMode mode) {
  const uint32_t size = request.value_bytes;
  const std::string_view following = session.following();
  const bool arrived = following.size() >= size + wire::kLineEnd.size();
  auto placed =
      place_value(session, request.key, request.flags, store::absolute_expiry(request.exptime, session.now()),
                  size, arrived, mode == StoreMode::set);
  if (!placed) {
    if (placed.error() == Trouble::again) return;
    if (!request.noreply) {
      session.reply(placed.error() == Trouble::none ? wire::kTooLarge : text_of(placed.error()));
    }
    return session.swallow(uint64_t{size} + wire::kLineEnd.size());
  }
  if (!arrived) {
    return session.receive(
        std::make_unique<TextUpload>(std::move(*placed), mode, request.cas, request.noreply), true);
  }
  session.take(size + wire::kLineEnd.size());
  if (following.substr(size, wire::kLineEnd.size()) != wire::kLineEnd) {
    return refuse_chunk(session, request.noreply);
  }
  following.copy(placed->draft.value().data(), size);
  finish_store(session, placed->draft, mode, request.cas, request.noreply);
}

}  // namespace

void handle_set(Session& session, const TextRequest& request) {
  start_store(session, request, StoreMode::set);
}
void handle_add(Session& session, const TextRequest& request) {
  start_store(session, request, StoreMode::add);
}
void handle_replace(Session& session, const TextRequest& request) {
  start_store(session, request, StoreMode::replace);
}
void handle_append(Session& session, const TextRequest& request) {
  start_store(session, request, StoreMode::append);
}
void handle_prepend(Session& session, const TextRequest& request) {
  start_store(session, request, StoreMode::prepend);
}
void handle_cas(Session& session, const TextRequest& request) {
  start_store(session, request, StoreMode::cas);
}

}  // namespace bobbin::serve
