// How fast change streams are: one connection, all vbuckets, from memory, from the disk in the order of
// seqnos, and out of order.
//
//   change_streams [ITEMS [VALUE_BYTES [VBUCKETS]]]      1,000,000, 100 and 64 unless it says otherwise

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "net/blocking_stream.h"
#include "serve/server.h"
#include "wire/dcp.h"
#include "wire/feature.h"

namespace {

using namespace bobbin;

struct Size {
  uint64_t items = 1'000'000;
  uint32_t value_bytes = 100;
  uint32_t vbuckets = 64;
};

std::unique_ptr<serve::Server> start(const std::string& folder, const Size& size, const base::Clock& clock) {
  disk::PersistenceOptions persistence;
  persistence.directory.path = folder;
  persistence.directory.shards = 2;
  persistence.directory.vbuckets = size.vbuckets;
  persistence.directory.memory_bytes = 64 << 20;
  persistence.bucket.type = store::BucketType::persistent;
  persistence.bucket.quota_bytes = uint64_t{4} << 30;
  // Nothing goes to the disk before it is asked to: the change logs hold all of it.
  persistence.linger = std::chrono::hours(1);
  persistence.max_dirty_bytes = uint64_t{4} << 30;
  persistence.clock = &clock;
  auto disk = disk::Persistence::open(std::move(persistence));
  if (!disk) {
    std::fprintf(stderr, "%s\n", disk.error().message.c_str());
    std::exit(1);
  }
  serve::ServerOptions options;
  net::Address any;
  any.host = "127.0.0.1";
  options.front_end.listen = {any};
  options.front_end.threads = 1;
  options.feed_threads = 1;
  options.bucket.disk = std::move(*disk);
  auto server = serve::Server::start(std::move(options));
  if (!server) {
    std::fprintf(stderr, "%s\n", server.error().message.c_str());
    std::exit(1);
  }
  while (!(*server)->disk()->warmup().finished)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  return std::move(*server);
}

void fill(store::Bucket& bucket, const Size& size, const base::Clock& clock) {
  for (uint64_t i = 0; i < size.items; ++i) {
    const std::string key = "key-" + std::to_string(i);
    auto draft = bucket.draft(store::DocKey(key), 0, 0, size.value_bytes, clock.now());
    if (!draft) std::abort();
    std::memset(draft->value().data(), static_cast<int>('a' + i % 26), size.value_bytes);
    if (!bucket.store(*draft, store::StoreMode::set, {}, clock.now()).ok()) std::abort();
  }
}

std::string request(wire::BinaryOpcode opcode, std::string_view extras, std::string_view key = {},
                    std::string_view value = {}, uint16_t vbucket = 0) {
  std::string bytes(wire::kBinaryHeaderBytes, '\0');
  wire::encode_header(bytes.data(),
                      {.opcode = static_cast<uint8_t>(opcode),
                       .key_bytes = static_cast<uint16_t>(key.size()),
                       .extras_bytes = static_cast<uint8_t>(extras.size()),
                       .vbucket_or_status = vbucket,
                       .body_bytes = static_cast<uint32_t>(extras.size() + key.size() + value.size())});
  return bytes.append(extras).append(key).append(value);
}

// Asks for all vbuckets, and counts mutations until there are as many as items.
void measure(const char* what, const net::Address& address, const Size& size, bool out_of_order) {
  auto stream = *net::BlockingStream::connect(address, std::chrono::seconds(60));
  std::string all = request(wire::BinaryOpcode::hello, {}, "bench", std::string("\0\x12\0\x08", 4)) +
                    request(wire::BinaryOpcode::select_bucket, {}, "default") +
                    request(wire::BinaryOpcode::dcp_open, std::string("\0\0\0\0\0\0\0\x01", 8), what);
  if (out_of_order)
    all += request(wire::BinaryOpcode::dcp_control, {}, "enable_out_of_order_snapshots", "true");
  for (uint32_t vbucket = 0; vbucket < size.vbuckets; ++vbucket) {
    std::array<char, wire::kMaxDcpHeadBytes> head;
    char* const end =
        wire::write_dcp_stream_request(head.data(), {.vbucket = static_cast<uint16_t>(vbucket)}, {});
    all.append(head.data(), end);
  }
  const auto began = std::chrono::steady_clock::now();
  if (!stream.write_all(all)) std::abort();
  std::vector<char> buffer(1 << 20);
  size_t have = 0;
  uint64_t items = 0;
  uint64_t bytes = 0;
  while (items < size.items) {
    const auto got = stream.read_some(std::span(buffer).subspan(have));
    if (!got || *got == 0) std::abort();
    have += *got;
    bytes += *got;
    size_t at = 0;
    while (have - at >= wire::kBinaryHeaderBytes) {
      const wire::BinaryHeader header = wire::decode_header(buffer.data() + at);
      const size_t frame = wire::kBinaryHeaderBytes + header.body_bytes;
      if (have - at < frame) break;
      items += header.opcode == static_cast<uint8_t>(wire::BinaryOpcode::dcp_mutation) ? 1 : 0;
      at += frame;
    }
    std::memmove(buffer.data(), buffer.data() + at, have - at);
    have -= at;
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  std::printf("%-24s %8.3f million items/s  %8.1f MB/s\n", what,
              static_cast<double>(items) / took.count() / 1e6,
              static_cast<double>(bytes) / took.count() / 1e6);
}

}  // namespace

int main(int argc, char** argv) {
  Size size;
  if (argc > 1) size.items = std::strtoull(argv[1], nullptr, 10);
  if (argc > 2) size.value_bytes = static_cast<uint32_t>(std::strtoul(argv[2], nullptr, 10));
  if (argc > 3) size.vbuckets = static_cast<uint32_t>(std::strtoul(argv[3], nullptr, 10));
  const base::SystemClock clock;
  std::string folder = (std::filesystem::temp_directory_path() / "bobbin-streams-XXXXXX").string();
  if (mkdtemp(folder.data()) == nullptr) return 1;
  {
    auto server = start(folder, size, clock);
    fill(server->bucket(), size, clock);
    for (int i = 0; i < 3; ++i)
      measure("memory", server->addresses()[0], size, false);
    server->drain();
    if (!server->close()) return 1;
  }
  {
    auto server = start(folder, size, clock);
    for (int i = 0; i < 3; ++i)
      measure("disk, by seqno", server->addresses()[0], size, false);
    for (int i = 0; i < 3; ++i)
      measure("disk, out of order", server->addresses()[0], size, true);
    server->drain();
    if (!server->close()) return 1;
  }
  std::filesystem::remove_all(folder);
}
