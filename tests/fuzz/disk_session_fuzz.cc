#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "fuzz_check.h"
#include "mcbp_frames.h"
#include "net/blocking_stream.h"
#include "serve/server.h"

/// The same conversations with a bucket on disk, over a socket: range scans, change streams and what waits
/// for the disk. One server takes all inputs, and what they leave in it; whatever a client says, the next one
/// is served.

namespace bobbin::fuzz {
namespace {

class DiskServer {
 public:
  DiskServer() {
    std::string name = (std::filesystem::temp_directory_path() / "bobbin-fuzz-XXXXXX").string();
    BOBBIN_FUZZ_CHECK(mkdtemp(name.data()) != nullptr);
    folder_ = name;
    disk::PersistenceOptions persistence;
    persistence.directory.path = folder_;
    persistence.directory.shards = 1;
    persistence.directory.vbuckets = 4;
    persistence.directory.memory_bytes = 8 << 20;
    persistence.bucket.type = store::BucketType::persistent;
    persistence.bucket.quota_bytes = 64 << 20;
    persistence.linger = std::chrono::milliseconds(1);
    persistence.clock = &clock_;
    auto disk = disk::Persistence::open(std::move(persistence));
    BOBBIN_FUZZ_CHECK(disk);
    serve::ServerOptions options;
    net::Address any;
    any.host = "127.0.0.1";
    options.front_end.listen = {any};
    options.bucket.disk = std::move(*disk);
    auto server = serve::Server::start(std::move(options));
    BOBBIN_FUZZ_CHECK(server);
    server_ = std::move(*server);
  }
  ~DiskServer() {
    server_->drain();
    BOBBIN_FUZZ_CHECK(server_->close());
    server_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  DiskServer(const DiskServer&) = delete;
  DiskServer& operator=(const DiskServer&) = delete;

  /// Sends all of it while the answers are read, until the server closes.
  void converse(const std::string& requests) {
    auto connected = net::BlockingStream::connect(server_->addresses()[0], std::chrono::seconds(10));
    BOBBIN_FUZZ_CHECK(connected);
    net::BlockingStream& stream = *connected;
    // quit ends it, if nothing before does; a server that is stuck, the timeout, and that is a finding.
    std::string all = requests;
    std::string quit(wire::kBinaryHeaderBytes, '\0');
    wire::encode_header(quit.data(), {.opcode = static_cast<uint8_t>(wire::BinaryOpcode::quit)});
    all += quit;
    const auto sent = stream.write_all(all);
    std::string answers(1 << 16, '\0');
    while (sent) {
      const auto readable = stream.wait_readable(std::chrono::seconds(10));
      BOBBIN_FUZZ_CHECK(!readable || *readable);
      const auto n = stream.read_some(answers);
      if (!n || *n == 0) break;
    }
  }

 private:
  std::string folder_;
  base::SystemClock clock_;
  std::unique_ptr<serve::Server> server_;
};

}  // namespace
}  // namespace bobbin::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static bobbin::fuzz::DiskServer server;
  server.converse(bobbin::fuzz::McbpFrames({reinterpret_cast<const char*>(data), size}).conversation());
  return 0;
}
