#include "feed/change_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>

#include "store/manifest.h"
#include "wire/base64.h"
#include "wire/datatype.h"
#include "wire/json_text.h"
#include "wire/utf8.h"

namespace bobbin::feed {

using wire::json_string;

// ---- names

bool CollectionNames::read(std::string_view manifest) {
  const store::Manifest::Changed read = store::Manifest::parse(manifest);
  if (!read) return false;
  scopes_.clear();
  collections_.clear();
  for (const store::Scope& scope : read->scopes())
    scopes_[scope.id] = scope.name;
  for (const store::Collection& collection : read->collections())
    collections_[collection.id] = {collection.scope, collection.name};
  return true;
}

// What is dropped keeps its name: changes of it may still come, of other vbuckets.
void CollectionNames::apply(const wire::DcpSystemEvent& event) {
  if (event.event == wire::DcpEvent::scope_created) scopes_[event.scope] = event.name;
  if (event.event == wire::DcpEvent::collection_created)
    collections_[event.collection] = {event.scope, std::string(event.name)};
}

std::string CollectionNames::scope(uint32_t id) const {
  const auto found = scopes_.find(id);
  return found == scopes_.end() ? fmt::format("0x{:x}", id) : found->second;
}

CollectionNames::Names CollectionNames::of(uint32_t collection) const {
  const auto found = collections_.find(collection);
  if (found == collections_.end()) return {"?", fmt::format("0x{:x}", collection)};
  return {scope(found->second.scope), found->second.name};
}

// ---- lines

std::string cas_time(uint64_t cas) {
  const auto seconds = static_cast<std::time_t>(cas / 1'000'000'000);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", parts.tm_year + 1900, parts.tm_mon + 1,
                     parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, cas / 1'000'000 % 1000);
}

namespace {

std::string base64(std::string_view bytes) {
  std::string text(wire::base64_chars(bytes.size()), '\0');
  text.resize(wire::encode_base64(bytes, text.data()));
  return text;
}

// "name":"text", or "name_base64":"..." where it is no text.
std::string text_member(std::string_view name, std::string_view bytes) {
  if (wire::is_utf8(bytes)) return fmt::format("\"{}\":{}", name, json_string(bytes));
  return fmt::format("\"{}_base64\":\"{}\"", name, base64(bytes));
}

// The server has looked at it: it is JSON, in which line ends are white space.
std::string on_one_line(std::string_view json) {
  std::string line(json);
  std::replace_if(
      line.begin(), line.end(), [](char c) { return c == '\n' || c == '\r'; }, ' ');
  return line;
}

// Without quotes; what a terminal could obey is escaped.
std::string bare(std::string_view text) {
  const std::string quoted = json_string(text);
  return quoted.size() == text.size() + 2 ? std::string(text) : quoted;
}

std::string_view word(wire::DcpEvent event) {
  switch (event) {
    case wire::DcpEvent::collection_created:
      return "collection-created";
    case wire::DcpEvent::collection_dropped:
      return "collection-dropped";
    case wire::DcpEvent::collection_changed:
      return "collection-changed";
    case wire::DcpEvent::scope_created:
      return "scope-created";
    case wire::DcpEvent::scope_dropped:
      return "scope-dropped";
  }
  return "event";
}

}  // namespace

struct WatchLines::Change {
  std::string_view event;
  uint16_t vbucket = 0;
  uint64_t seqno = 0;
  uint64_t revision = 0;
  uint64_t cas = 0;
  wire::DcpKey key;
  const wire::DcpMutation* stored = nullptr;  ///< null of what is gone
};

std::string WatchLines::json(const Change& change) const {
  const CollectionNames::Names names = names_.of(change.key.collection);
  std::string line = fmt::format(
      "{{\"event\":\"{}\",\"time\":\"{}\",\"scope\":{},\"collection\":{},{},\"vbucket\":{},\"seqno\":{},"
      "\"revision\":{},\"cas\":\"{}\"",
      change.event, cas_time(change.cas), json_string(names.scope), json_string(names.collection),
      text_member("key", change.key.name), change.vbucket, change.seqno, change.revision, change.cas);
  if (change.stored == nullptr) return line + '}';
  line += fmt::format(",\"flags\":{},\"expiry\":{}", change.stored->flags, change.stored->expiry_s);
  if (options_.values) {
    const std::string_view value = change.stored->value;
    const bool is_json = (change.stored->datatype & wire::kDatatypeJson) != 0 && wire::is_utf8(value);
    line += ',';
    line += is_json ? "\"value\":" + on_one_line(value) : text_member("value", value);
  }
  return line + '}';
}

std::string WatchLines::people(const Change& change) const {
  const CollectionNames::Names names = names_.of(change.key.collection);
  const std::string where =
      change.key.collection == 0 ? "" : fmt::format("{}.{} ", bare(names.scope), bare(names.collection));
  std::string line =
      fmt::format("{}  {:<6} {}{}", cas_time(change.cas), change.event, where, bare(change.key.name));
  if (change.stored == nullptr || !options_.values) return line;
  const std::string_view value = change.stored->value;
  line += fmt::format("  {}", bare(value.substr(0, options_.max_value_bytes)));
  if (value.size() > options_.max_value_bytes) line += fmt::format("... ({} bytes)", value.size());
  return line;
}

std::string WatchLines::line(uint16_t vbucket, const wire::DcpMutation& mutation) const {
  const Change change{"set",        vbucket,      mutation.seqno, mutation.revision,
                      mutation.cas, mutation.key, &mutation};
  return options_.format == WatchFormat::json ? json(change) : people(change);
}

std::string WatchLines::line(uint16_t vbucket, const wire::DcpRemoval& removal) const {
  const std::string_view event = removal.kind == wire::DcpRemovalKind::expiration ? "expire" : "delete";
  const Change change{event, vbucket, removal.seqno, removal.revision, removal.cas, removal.key, nullptr};
  return options_.format == WatchFormat::json ? json(change) : people(change);
}

std::string WatchLines::line(uint16_t vbucket, const wire::DcpSystemEvent& event) const {
  const bool is_scope =
      event.event == wire::DcpEvent::scope_created || event.event == wire::DcpEvent::scope_dropped;
  const CollectionNames::Names names = names_.of(event.collection);
  const std::string scope = names_.scope(event.scope);
  if (options_.format == WatchFormat::people)
    return fmt::format("{:<24}  {} {}{}", fmt::format("vbucket {}", vbucket), word(event.event), bare(scope),
                       is_scope ? "" : "." + bare(names.collection));
  std::string line = fmt::format("{{\"event\":\"{}\",\"scope\":{}", word(event.event), json_string(scope));
  if (!is_scope) line += fmt::format(",\"collection\":{}", json_string(names.collection));
  if (event.max_ttl_s) line += fmt::format(",\"max_ttl\":{}", *event.max_ttl_s);
  return line + fmt::format(",\"manifest\":\"{:x}\",\"vbucket\":{},\"seqno\":{}}}", event.manifest_uid,
                            vbucket, event.seqno);
}

std::string WatchLines::rollback(uint16_t vbucket, uint64_t seqno) const {
  if (options_.format == WatchFormat::json)
    return fmt::format("{{\"event\":\"rollback\",\"vbucket\":{},\"seqno\":{}}}", vbucket, seqno);
  return fmt::format("{:<24}  rollback to seqno {}: later changes of this vbucket did not stay",
                     fmt::format("vbucket {}", vbucket), seqno);
}

}  // namespace bobbin::feed
