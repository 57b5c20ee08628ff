#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "net/spool.h"

namespace bobbin::admin {

/// The connections that are told a bucket's configuration whenever it changes. Any thread; its owner outlives
/// neither the loop nor what the texts are made of.
class ConfigStreams {
 public:
  /// Writes the text as it is now; empty: there is nothing any more, and the stream goes quiet.
  using Text = std::function<std::string()>;

  /// Sends the text at once, and again when changed() finds it to be another. Each goes as one chunk of
  /// HTTP/1.1, or with `is_chunked` false as it is; behind each stand four line feeds, as clients expect.
  void add(net::Spool spool, Text text, bool is_chunked) EXCLUDES(mutex_);
  /// Something that configurations tell may have changed.
  void changed() EXCLUDES(mutex_);
  /// Now; those whose connections have closed are counted until the next change.
  [[nodiscard]] size_t size() const EXCLUDES(mutex_);

 private:
  struct Stream {
    net::Spool spool;
    Text text;
    bool is_chunked;
    std::string told;
  };
  static void tell(Stream& stream);

  mutable base::Mutex mutex_;
  std::vector<Stream> streams_ GUARDED_BY(mutex_);
};

}  // namespace bobbin::admin
