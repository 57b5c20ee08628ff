#include "wire/meta.h"
#include "wire/numbers.h"

namespace bobbin::wire {
namespace {

std::string_view code_text(MetaCode code) {
  switch (code) {
    case MetaCode::value:
      return "VA";
    case MetaCode::header:
      return "HD";
    case MetaCode::miss:
      return "EN";
    case MetaCode::not_stored:
      return "NS";
    case MetaCode::exists:
      return "EX";
    case MetaCode::not_found:
      return "NF";
  }
  return "EN";
}

char* put_return_flag(char* out, char letter, const MetaRequest& request, const MetaItem& item) {
  *out++ = ' ';
  *out++ = letter;
  switch (letter) {
    case 'k':
      // Says how the key behind k is written; on its own it is not echoed.
      return put_bytes(put_bytes(out, request.sent_key), request.has('b') ? " b" : "");
    case 'O':
      return put_bytes(out, request.opaque);
    case 'c':
      return put_number(out, item.cas);
    case 'f':
      return put_number(out, item.client_flags);
    case 'h':
      *out++ = item.hit_before ? '1' : '0';
      return out;
    case 'l':
      return put_number(out, item.last_access_s);
    case 's':
      return put_number(out, item.value_bytes);
    case 't':
      return put_number(out, item.ttl_s);
    default:
      return out;
  }
}

}  // namespace

bool quiet_hides(MetaCommand command, MetaCode code) {
  switch (command) {
    case MetaCommand::get:
      return code == MetaCode::miss;
    case MetaCommand::set:
    case MetaCommand::remove:
    case MetaCommand::arithmetic:
      return code == MetaCode::header || code == MetaCode::value;
    case MetaCommand::noop:
    case MetaCommand::debug:
      return false;
  }
  return false;
}

size_t write_meta_reply(char* out, const MetaShape& shape, MetaCode code, const MetaRequest& request,
                        const MetaItem& item) {
  char* const begin = out;
  const bool hit = code == MetaCode::value || code == MetaCode::header;
  out = put_bytes(out, code_text(code));
  if (code == MetaCode::value) {
    *out++ = ' ';
    out = put_number(out, item.value_bytes);
  }
  const FlagSet& echoed = hit ? shape.echoed_on_hit : shape.echoed_on_miss;
  for (size_t i = 0; i < request.flag_count; ++i) {
    const char letter = request.order[i];
    if (echoed.has(letter)) out = put_return_flag(out, letter, request, item);
  }
  if (hit && item.win_sent) out = put_bytes(out, " Z");
  if (hit && item.stale) out = put_bytes(out, " X");
  if (hit && item.won) out = put_bytes(out, " W");
  return static_cast<size_t>(put_bytes(out, kLineEnd) - begin);
}

size_t write_meta_debug(char* out, const MetaRequest& request, const MetaDebugItem& item) {
  char* const begin = out;
  out = put_bytes(put_bytes(out, "ME "), request.sent_key);
  out = put_number(put_bytes(out, " exp="), item.ttl_s);
  out = put_number(put_bytes(out, " la="), item.last_access_s);
  out = put_number(put_bytes(out, " cas="), item.cas);
  out = put_bytes(out, item.fetched ? " fetch=yes" : " fetch=no");
  out = put_number(put_bytes(out, " cls="), item.size_class);
  out = put_number(put_bytes(out, " size="), item.item_bytes);
  return static_cast<size_t>(put_bytes(out, kLineEnd) - begin);
}

}  // namespace bobbin::wire
