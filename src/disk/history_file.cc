#include "disk/history_file.h"

#include <array>
#include <fstream>

#include "disk/bytes.h"

namespace bobbin::disk {

namespace {

constexpr size_t kHeaderBytes = 32;

}  // namespace

void append_commit_header(std::string& out, const HistoryCommit& commit) {
  for (const uint64_t number : {commit.sequence, commit.writes, commit.as_of_ns, commit.bytes.size()})
    put_number(out, number, 8);
}

Result<void> read_history_file(const std::string& path, uint64_t bytes, const VisitCommit& visit) {
  const auto damaged =
      base::fail(Error{ErrorKind::corrupt, path, path + ": damaged: it ends in the middle of a commit"});
  std::ifstream file(path, std::ios::binary);
  std::array<char, kHeaderBytes> header{};
  std::string body;
  while (bytes > 0) {
    if (bytes < header.size() || !file.read(header.data(), header.size())) return damaged;
    bytes -= header.size();
    ByteReader numbers(std::string_view(header.data(), header.size()));
    HistoryCommit commit;
    commit.sequence = numbers.number(8);
    commit.writes = numbers.number(8);
    commit.as_of_ns = numbers.number(8);
    const uint64_t length = numbers.number(8);
    if (length > bytes) return damaged;
    body.resize(length);
    if (!file.read(body.data(), static_cast<std::streamsize>(length))) return damaged;
    bytes -= length;
    commit.bytes = body;
    if (auto visited = visit(commit); !visited) return visited;
  }
  return {};
}

}  // namespace bobbin::disk
