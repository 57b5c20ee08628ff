#include "admin/config_streams.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace bobbin::admin {

void ConfigStreams::tell(Stream& stream) {
  std::string text = stream.text();
  if (text.empty() || text == stream.told) return;
  const std::string framed =
      stream.is_chunked ? fmt::format("{:x}\r\n{}\n\n\n\n\r\n", text.size() + 4, text) : text + "\n\n\n\n";
  // Who does not read misses this one, and is told of the next change.
  if (stream.spool.append(framed) == net::Append::accepted) stream.told = std::move(text);
}

void ConfigStreams::add(net::Spool spool, Text text, bool is_chunked) {
  const base::MutexLock lock(mutex_);
  std::erase_if(streams_, [](const Stream& stream) { return stream.spool.closed(); });
  tell(streams_.emplace_back(Stream{std::move(spool), std::move(text), is_chunked, {}}));
}

void ConfigStreams::changed() {
  const base::MutexLock lock(mutex_);
  std::erase_if(streams_, [](const Stream& stream) { return stream.spool.closed(); });
  std::for_each(streams_.begin(), streams_.end(), tell);
}

size_t ConfigStreams::size() const {
  const base::MutexLock lock(mutex_);
  return streams_.size();
}

}  // namespace bobbin::admin
