#include "feed/event_text.h"

#include <fmt/format.h>

#include <utility>

#include "wire/base64.h"

namespace bobbin::feed {
namespace {

void append_varint(std::string& bytes, uint64_t number) {
  for (; number >= 0x80; number >>= 7)
    bytes += static_cast<char>(number | 0x80);
  bytes += static_cast<char>(number);
}

std::optional<uint64_t> take_varint(std::string_view& bytes) {
  uint64_t number = 0;
  for (size_t i = 0; i < bytes.size() && i < 10; ++i) {
    const auto byte = static_cast<uint8_t>(bytes[i]);
    if (i == 9 && byte > 1) return std::nullopt;
    number |= uint64_t{byte & 0x7fU} << (7 * i);
    if ((byte & 0x80) != 0) continue;
    bytes.remove_prefix(i + 1);
    return number;
  }
  return std::nullopt;
}

}  // namespace

std::string encode_marks(const std::vector<EventMark>& marks) {
  std::string bytes = "\1";  // of this layout
  for (const EventMark& mark : marks) {
    append_varint(bytes, mark.seqno);
    if (mark.seqno == 0) continue;
    bytes += static_cast<char>(mark.branch >> 8);
    bytes += static_cast<char>(mark.branch);
  }
  std::string id(wire::base64_chars(bytes.size()), '\0');
  id.resize(wire::encode_base64(bytes, id.data()));
  return id;
}

std::optional<std::vector<EventMark>> decode_marks(std::string_view id, size_t vbuckets) {
  std::string text(id.size() / 4 * 3, '\0');
  const std::optional<size_t> size = wire::decode_base64(id, text.data());
  if (!size || *size == 0) return std::nullopt;
  std::string_view bytes(text.data(), *size);
  if (bytes[0] != '\1') return std::nullopt;
  bytes.remove_prefix(1);
  std::vector<EventMark> marks(vbuckets);
  for (EventMark& mark : marks) {
    const std::optional<uint64_t> seqno = take_varint(bytes);
    if (!seqno) return std::nullopt;
    mark.seqno = *seqno;
    if (mark.seqno == 0) continue;
    if (bytes.size() < 2) return std::nullopt;
    mark.branch = wire::load_big_endian<uint16_t>(bytes.data());
    bytes.remove_prefix(2);
  }
  if (!bytes.empty()) return std::nullopt;
  return marks;
}

EventText::EventText(CollectionNames names, Options options, const std::vector<Begin>& begins)
    : options_(std::move(options)),
      names_(std::move(names)),
      lines_({.format = WatchFormat::json, .values = options_.values}, names_) {
  for (const Begin& begin : begins)
    places_.push_back({begin.mark, 0, begin.newest_start, begin.newest_branch});
}

void EventText::put(std::string_view event, std::string& out) const {
  if (options_.is_chunked) {
    fmt::format_to(std::back_inserter(out), "{:x}\r\n{}\r\n", event.size(), event);
  } else {
    out += event;
  }
}

void EventText::write_event(std::string_view event, std::string_view data, std::string& out) const {
  put(fmt::format("event: {}\ndata: {}\n\n", event, data), out);
}

void EventText::show(const std::string& json, std::string& out) const {
  put(fmt::format("data: {}\n\n", json), out);
}

void EventText::reach(uint16_t vbucket, uint64_t seqno) {
  Place& place = places_[vbucket];
  if (seqno < place.snapshot_end) return;
  place.mark.seqno = seqno;
  if (seqno >= place.newest_start) place.mark.branch = place.newest_branch;
  moved_ = true;
}

void EventText::roll_back(uint16_t vbucket, uint64_t seqno, std::string& out) {
  Place& place = places_[vbucket];
  place.mark = {seqno, seqno == 0 ? uint16_t{0} : place.mark.branch};
  moved_ = true;
  write_event("rollback", lines_.rollback(vbucket, seqno), out);
}

// A comment keeps the connection alive where there is nothing to tell.
void EventText::write_id(bool is_idle, std::string& out) {
  const auto now = std::chrono::steady_clock::now();
  if (!moved_ || (!is_idle && now - told_ < options_.id_interval)) {
    if (is_idle) put(":\n\n", out);
    return;
  }
  moved_ = false;
  told_ = now;
  std::vector<EventMark> marks;
  for (const Place& place : places_)
    marks.push_back(place.mark);
  put(fmt::format("id: {}\n\n", encode_marks(marks)), out);
}

void EventText::write(std::string_view message, std::string& out) {
  wire::BinaryRequest request;
  if (wire::cut_frame(message, request, true) != wire::FrameState::complete) return;
  const auto read = wire::read_dcp_message(request, true);
  const uint16_t vbucket = request.header.vbucket_or_status;
  if (!read || vbucket >= places_.size()) return;
  if (const auto* mutation = std::get_if<wire::DcpMutation>(&*read)) {
    if (mutation->key.name.starts_with(options_.prefix)) show(lines_.line(vbucket, *mutation), out);
    reach(vbucket, mutation->seqno);
  } else if (const auto* removal = std::get_if<wire::DcpRemoval>(&*read)) {
    if (removal->key.name.starts_with(options_.prefix)) show(lines_.line(vbucket, *removal), out);
    reach(vbucket, removal->seqno);
  } else if (const auto* event = std::get_if<wire::DcpSystemEvent>(&*read)) {
    names_.apply(*event);
    if (options_.prefix.empty()) show(lines_.line(vbucket, *event), out);
    reach(vbucket, event->seqno);
  } else if (const auto* marker = std::get_if<wire::DcpSnapshotMarker>(&*read)) {
    places_[vbucket].snapshot_end = marker->end_seqno;
  } else if (const auto* advanced = std::get_if<wire::DcpSeqnoAdvanced>(&*read)) {
    reach(vbucket, advanced->seqno);
  } else if (const auto* reason = std::get_if<wire::DcpEnd>(&*read)) {
    if (*reason != wire::DcpEnd::filter_empty && *reason != wire::DcpEnd::lost_privileges)
      is_cut_ = true;
    else if (!std::exchange(has_ended_, true))  // of all vbuckets alike
      write_event("end", fmt::format("{{\"reason\":{}}}", static_cast<uint32_t>(*reason)), out);
  }
  write_id(std::holds_alternative<wire::DcpNoop>(*read), out);
}

}  // namespace bobbin::feed
