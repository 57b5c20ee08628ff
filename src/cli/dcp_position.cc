#include "cli/dcp_position.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <limits>

#include "cli/json.h"
#include "wire/json_value.h"

namespace bobbin::cli {
namespace {

using wire::JsonValue;

std::optional<uint64_t> hex(const JsonValue& value) {
  const std::string* const text = value.string();
  if (text == nullptr) return std::nullopt;
  uint64_t number = 0;
  const char* const end = text->data() + text->size();
  const auto [rest, problem] = std::from_chars(text->data(), end, number, 16);
  if (problem != std::errc{} || rest != end) return std::nullopt;
  return number;
}

std::optional<DcpPosition> read_position(const JsonValue& value) {
  const JsonValue::Array* const parts = value.array();
  if (parts == nullptr || parts->size() != 4) return std::nullopt;
  const auto uuid = hex((*parts)[0]);
  const auto seqno = (*parts)[1].number();
  const auto start = (*parts)[2].number();
  const auto end = (*parts)[3].number();
  if (!uuid || !seqno || !start || !end) return std::nullopt;
  if (*start > *seqno || *seqno > *end) return std::nullopt;
  return DcpPosition(*uuid, *seqno, *start, *end);
}

base::Error system_error(const std::string& path, const char* doing) {
  return {fmt::format("{}: cannot {}: {}", path, doing, std::strerror(errno))};
}

// Closes it, whatever happens.
class OpenFile {
 public:
  explicit OpenFile(int descriptor) : descriptor_(descriptor) {}
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  ~OpenFile() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  [[nodiscard]] bool is_open() const { return descriptor_ >= 0; }
  [[nodiscard]] bool write_synced(std::string_view text) const {
    while (!text.empty()) {
      const ssize_t written = ::write(descriptor_, text.data(), text.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return false;
      text.remove_prefix(static_cast<size_t>(written));
    }
    return sync();
  }
  [[nodiscard]] bool sync() const { return ::fsync(descriptor_) == 0; }

 private:
  const int descriptor_;
};

}  // namespace

// ---- one

DcpPosition::DcpPosition(uint64_t uuid, uint64_t seqno, uint64_t snapshot_start, uint64_t snapshot_end)
    : uuid_(uuid), seqno_(seqno), snapshot_start_(snapshot_start), snapshot_end_(snapshot_end) {}

wire::DcpStreamRequest DcpPosition::request(uint64_t end_seqno) const {
  wire::DcpStreamRequest request{.start_seqno = seqno_,
                                 .end_seqno = end_seqno,
                                 .uuid = uuid_,
                                 .snapshot_start = snapshot_start_,
                                 .snapshot_end = snapshot_end_};
  // A snapshot of which nothing has come, or all of it, is none. A marker may begin behind what is there.
  if (seqno_ < snapshot_start_ || seqno_ >= snapshot_end_)
    request.snapshot_start = request.snapshot_end = seqno_;
  return request;
}

void DcpPosition::choose_branch() {
  for (const wire::DcpFailoverEntry& entry : log_) {
    uuid_ = entry.uuid;
    if (entry.seqno <= seqno_) return;
  }
}

void DcpPosition::accepted(const std::vector<wire::DcpFailoverEntry>& log) {
  log_ = log;
  is_out_of_order_ = false;
  choose_branch();
}

void DcpPosition::roll_back(uint64_t seqno) {
  is_out_of_order_ = false;
  if (seqno == 0 || seqno >= seqno_) {
    *this = DcpPosition();
    return;
  }
  seqno_ = snapshot_start_ = snapshot_end_ = seqno;
  choose_branch();
}

void DcpPosition::reached(uint64_t seqno) {
  if (is_out_of_order_) {
    highest_ = std::max(highest_, seqno);
    return;
  }
  seqno_ = seqno;
  choose_branch();
}

void DcpPosition::snapshot(const wire::DcpSnapshotMarker& marker) {
  snapshot_start_ = marker.start_seqno;
  snapshot_end_ = marker.end_seqno;
}

void DcpPosition::out_of_order(const wire::DcpOsoSnapshot& mark) {
  if (mark.flags == wire::dcp_oso_flags::kStart) {
    is_out_of_order_ = true;
    highest_ = seqno_;
    return;
  }
  if (!is_out_of_order_) return;
  is_out_of_order_ = false;
  snapshot_start_ = snapshot_end_ = highest_;
  reached(highest_);
}

// ---- a file of them

std::string position_text(const PositionFile& file) {
  std::string text = fmt::format("{{\"bobbin\":\"position\",\"bucket\":{},\"what\":{},\"vbuckets\":{{",
                                 json_string(file.bucket), json_string(file.what));
  bool first = true;
  for (const auto& [vbucket, position] : file.positions) {
    const wire::DcpStreamRequest request = position.request();
    text += fmt::format("{}\n\"{}\":[\"{:x}\",{},{},{}]", first ? "" : ",", vbucket, request.uuid,
                        request.start_seqno, request.snapshot_start, request.snapshot_end);
    first = false;
  }
  return text + "}}\n";
}

base::Result<PositionFile, base::Error> parse_position(std::string_view text) {
  const base::Error damaged{"this is no position file"};
  const auto object = JsonValue::parse(text);
  if (!object || object->object() == nullptr) return base::fail(damaged);
  const auto text_of = [&](std::string_view name) -> const std::string* {
    const JsonValue* const member = object->member(name);
    return member == nullptr ? nullptr : member->string();
  };
  const std::string* const kind = text_of("bobbin");
  const std::string* const bucket = text_of("bucket");
  const std::string* const what = text_of("what");
  const JsonValue* const vbuckets = object->member("vbuckets");
  if (kind == nullptr || *kind != "position" || bucket == nullptr || what == nullptr || vbuckets == nullptr ||
      vbuckets->object() == nullptr)
    return base::fail(damaged);
  PositionFile file{.bucket = *bucket, .what = *what, .positions = {}};
  for (const auto& [name, value] : *vbuckets->object()) {
    uint16_t vbucket = 0;
    const auto [rest, problem] = std::from_chars(name.data(), name.data() + name.size(), vbucket);
    const auto position = read_position(value);
    if (problem != std::errc{} || rest != name.data() + name.size() || !position) return base::fail(damaged);
    file.positions[vbucket] = *position;
  }
  return file;
}

base::Result<PositionFile, base::Error> load_position(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in.is_open()) {
    if (errno == ENOENT) return PositionFile{};
    return base::fail(system_error(path, "read"));
  }
  const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  auto file = parse_position(text);
  if (!file) return base::fail(base::Error{path + ": " + file.error().message});
  return file;
}

base::Result<void, base::Error> save_position(const std::string& path, const PositionFile& file) {
  const std::string beside = path + ".new";
  {
    const OpenFile out(::open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!out.is_open() || !out.write_synced(position_text(file)))
      return base::fail(system_error(beside, "write"));
  }
  if (std::rename(beside.c_str(), path.c_str()) != 0) return base::fail(system_error(path, "replace"));
  const size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const OpenFile opened(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!opened.is_open() || !opened.sync()) return base::fail(system_error(folder, "sync"));
  return {};
}

}  // namespace bobbin::cli
