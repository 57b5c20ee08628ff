#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "disk/persistence_fixture.h"
#include "feed/scan.h"
#include "net/front_end.h"
#include "net/test_socket.h"
#include "wire/base64.h"

namespace bobbin::feed {

using namespace std::chrono_literals;
using wire::BinaryStatus;

inline constexpr uint16_t kVBucket = 3;

// Hands out the spool of each new connection.
class SpoolingReceiver final : public net::Receiver {
 public:
  explicit SpoolingReceiver(std::promise<net::Spool>& spool) : spool_(spool) {}
  void on_open(net::Connection& connection) override { spool_.set_value(connection.spool()); }
  size_t on_bytes(net::Connection&, std::span<const char> unread, size_t) override { return unread.size(); }

 private:
  std::promise<net::Spool>& spool_;
};

struct Reply {
  BinaryStatus status{};
  std::string extras;
  std::string value;
};

struct Client {
  explicit Client(const net::Address& address, int receive_buffer_bytes)
      : socket(address, receive_buffer_bytes) {}
  net::TestSocket socket;
  net::Spool spool;
  std::shared_ptr<FrameMemory::Connection> memory = std::make_shared<FrameMemory::Connection>();
  bool is_told_units = false;
  std::string framing;  // extras of the last reply

  Reply reply() {
    const std::string head = socket.receive(wire::kBinaryHeaderBytes);
    if (head.size() < wire::kBinaryHeaderBytes) return {};
    const wire::BinaryHeader header = wire::decode_header(head.data());
    const std::string body = socket.receive(header.body_bytes);
    EXPECT_EQ(header.opaque, 77U);
    framing = body.substr(0, header.framing_bytes);
    const std::string rest = body.substr(header.framing_bytes);
    return {static_cast<BinaryStatus>(header.vbucket_or_status), rest.substr(0, header.extras_bytes),
            rest.substr(header.extras_bytes)};
  }
};

inline std::string base64(std::string_view bytes) {
  std::string text(wire::base64_chars(bytes.size()), '\0');
  text.resize(wire::encode_base64(bytes, text.data()));
  return text;
}

inline wire::ScanCreate range(std::string_view start, std::string_view end, const std::string& more = "") {
  const std::string json = R"({"range":{"start":")" + base64(start) + R"(","end":")" + base64(end) + "\"}" +
                           (more.empty() ? "" : "," + more) + "}";
  const auto parsed = wire::parse_scan_create(json);
  EXPECT_TRUE(parsed) << parsed.error();
  return *parsed;
}

inline wire::ScanCreate all_keys(const std::string& more = R"("key_only":true)") {
  return range("", "\xff\xff", more);
}

/// Scans of one vbucket of a bucket on disk, through real sockets, with a pool. For tests only.
class ScanTest : public testing::Test {
 protected:
  ScanTest() {
    disk_.start_warm();
    start();
  }
  ~ScanTest() override {
    pool_.reset();
    EXPECT_EQ(keeper_.use_count(), 1);
  }

  void start(size_t spool_bytes = 1 << 20) {
    net::FrontEndOptions options;
    options.listen.push_back(*net::Address::parse("127.0.0.1:0", 0));
    options.limits.spool_bytes = spool_bytes;
    front_ = std::move(*net::FrontEnd::start(
        options, [this](size_t) { return std::make_unique<SpoolingReceiver>(spools_); }));
  }
  std::unique_ptr<Client> connect(int receive_buffer_bytes = 0) {
    spools_ = {};
    auto client = std::make_unique<Client>(front_->addresses()[0], receive_buffer_bytes);
    client->spool = spools_.get_future().get();
    return client;
  }
  Asker asker(Client& client, wire::BinaryOpcode opcode) {
    return {client.spool,
            {.opcode = static_cast<uint8_t>(opcode), .opaque = 77},
            0,
            nullptr,
            client.memory,
            client.is_told_units};
  }
  std::shared_ptr<Scan> make(Client& client, wire::ScanCreate what, ScanView view = {true, true, true},
                             const std::string& user = {}) {
    EXPECT_TRUE(mine_->enter());
    ScanOptions options{{disk_.bucket(), disk_.there(), keeper_}, kVBucket, std::move(what), view, user};
    auto scan = std::make_shared<Scan>(
        std::move(options), asker(client, wire::BinaryOpcode::range_scan_create), *scans_, disk_.clock());
    mine_->add(scan);
    pool_->spawn(scan);
    return scan;
  }
  /// Null with the status where there is none.
  std::shared_ptr<Scan> create(Client& client, wire::ScanCreate what, BinaryStatus expected = {}) {
    auto scan = make(client, std::move(what));
    const Reply reply = client.reply();
    EXPECT_EQ(reply.status, expected);
    if (reply.status != BinaryStatus::success) return nullptr;
    EXPECT_EQ(reply.value, std::string_view(scan->id().data(), 16));
    EXPECT_EQ(scans_->find(scan->id()), scan);
    return scan;
  }
  Scan::Continued go_on(Client& client, Scan& scan, uint32_t items = 0, uint32_t bytes = 0) {
    return scan.continue_for({scan.id(), items, 0, bytes},
                             asker(client, wire::BinaryOpcode::range_scan_continue));
  }
  /// What the continue that is under way answers: keys, with "=value" of documents, and the last status.
  static std::string items(Client& client, BinaryStatus& last) {
    std::string text;
    for (;;) {
      const Reply reply = client.reply();
      last = reply.status;
      std::string_view rest = reply.value;
      const auto content = reply.extras == std::string("\0\0\0\1", 4) ? wire::ScanFrame::Content::documents
                                                                      : wire::ScanFrame::Content::keys;
      while (const auto item = wire::take_scan_item(rest, content)) {
        text += (text.empty() ? "" : " ") + std::string(item->key);
        if (content == wire::ScanFrame::Content::documents) text += "=" + std::string(item->value);
      }
      EXPECT_TRUE(rest.empty());
      if (last != BinaryStatus::success) return text;
    }
  }
  std::string continued(Client& client, Scan& scan, BinaryStatus expected, uint32_t limit = 0,
                        uint32_t bytes = 0) {
    const auto begun = go_on(client, scan, limit, bytes);
    EXPECT_EQ(begun, Scan::Continued::started);
    if (begun != Scan::Continued::started) return "not begun";
    BinaryStatus last{};
    std::string text = items(client, last);
    EXPECT_EQ(last, expected);
    return text;
  }
  /// Who goes on with it is told why it ended, unless it has come to know by itself, which it tries once a
  /// second.
  void expect_ended(Client& client, Scan& scan, BinaryStatus expected) {
    if (go_on(client, scan) == Scan::Continued::started) {
      BinaryStatus last{};
      EXPECT_EQ(items(client, last), "");
      EXPECT_EQ(last, expected);
    }
    EXPECT_EQ(go_on(client, scan), Scan::Continued::gone);
  }
  std::string scanned(wire::ScanCreate what) {
    const auto client = connect();
    const auto scan = create(*client, std::move(what));
    return scan == nullptr ? "none" : continued(*client, *scan, BinaryStatus::range_scan_complete);
  }

  /// Keys that lie in the vbucket that is scanned, in order.
  std::vector<std::string> keys(size_t count) {
    std::set<std::string> found;
    for (int i = 0; found.size() < count; ++i) {
      std::string key = "key-" + std::to_string(100'000'000 + i);
      if (disk_.bucket().vbucket_of(key) == kVBucket) found.insert(std::move(key));
    }
    return {found.begin(), found.end()};
  }
  std::vector<std::string> fill(size_t count, const std::string& value = "value") {
    auto made = keys(count);
    for (const std::string& key : made)
      EXPECT_TRUE(disk_.set(key, value).ok());
    disk_.flush_to_disk();
    return made;
  }
  template <typename Condition>
  static void wait_for(Condition condition) {
    while (!condition())
      std::this_thread::sleep_for(1ms);
  }
  /// Until no task has anything to do before a client does something.
  void wait_until_all_wait() {
    wait_for([&] {
      const PoolNumbers numbers = pool_->numbers();
      return numbers.runnable == 0 && numbers.running == 0;
    });
  }
  void limit(const ScanLimits& limits) {
    mine_.reset();
    pool_.reset();
    scans_ = std::make_unique<Scans>(limits);
    pool_ = std::make_unique<Pool>(2);
    mine_ = std::make_unique<ConnectionScans>(*scans_);
  }
  [[nodiscard]] uint64_t open() const { return scans_->statistics().open; }

  std::shared_ptr<const int> keeper_ = std::make_shared<int>(0);
  disk::PersistenceFixture disk_;
  std::promise<net::Spool> spools_;
  std::unique_ptr<net::FrontEnd> front_;
  std::unique_ptr<Scans> scans_ = std::make_unique<Scans>(ScanLimits{});
  std::unique_ptr<Pool> pool_ = std::make_unique<Pool>(2);
  std::unique_ptr<ConnectionScans> mine_ = std::make_unique<ConnectionScans>(*scans_);
};

inline std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words)
    text += (text.empty() ? "" : " ") + word;
  return text;
}

}  // namespace bobbin::feed
