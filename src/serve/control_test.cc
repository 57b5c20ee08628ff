// The control socket of a server with a data directory, and the backups that it makes: what hostile bytes do,
// two backups at once, and ends in the middle of one.

#include "serve/control.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <random>
#include <string>
#include <thread>

#include "disk/persistence_fixture.h"
#include "net/blocking_stream.h"
#include "net/test_socket.h"
#include "serve/backup_job.h"

namespace bobbin::serve {
namespace {

constexpr std::chrono::seconds kPatience{60};

/// The first look at it waits, when it is held: that is where a backup begins.
class HeldClock final : public base::Clock {
 public:
  [[nodiscard]] base::Now now() const noexcept override {
    if (held_.exchange(false)) {
      entered_.set_value();
      released_.wait();
    }
    return {uint64_t{1'700'000'000} * 1'000'000'000};
  }
  void hold() { held_.store(true); }
  void wait_until_entered() { entered_.get_future().wait(); }
  void release() { release_.set_value(); }

 private:
  mutable std::atomic<bool> held_{false};
  mutable std::promise<void> entered_;
  std::promise<void> release_;
  std::shared_future<void> released_ = release_.get_future().share();
};

class ControlTest : public testing::Test {
 protected:
  void SetUp() override {
    disk_.start_warm();
    for (int i = 0; i < 200; ++i)
      (void)disk_.set("key" + std::to_string(i), std::string(500, 'x'));
    backups_ = std::make_unique<BackupJob>(disk_.there(), buckets_, clock_);
    auto opened = open_control(socket_path(), *backups_);
    ASSERT_TRUE(opened) << opened.error().message;
    control_ = std::move(*opened);
  }
  void TearDown() override {
    backups_->stop();
    control_.reset();
    disk_.close();
  }

  net::BlockingStream connect() {
    auto stream = net::BlockingStream::connect(control_->addresses()[0], kPatience);
    EXPECT_TRUE(stream);
    return std::move(*stream);
  }
  /// The last line of an answer.
  static std::string answer(net::BlockingStream& client) {
    for (;;) {
      const auto line = client.read_line();
      if (!line) return "lost: " + line.error().message;
      if (!line->starts_with("progress ") && !line->starts_with("bucket ")) return *line;
    }
  }
  std::string ask(std::string_view request) {
    net::BlockingStream client = connect();
    EXPECT_TRUE(client.write_all(request));
    return answer(client);
  }
  [[nodiscard]] std::string command(const std::string& words = "-") const {
    return "backup " + words + " " + folder() + "\n";
  }
  /// Asks until no other backup is being made.
  std::string ask_when_free() {
    for (;;) {
      std::string reply = ask(command());
      if (!reply.starts_with("error locked ")) return reply;
      std::this_thread::yield();
    }
  }
  [[nodiscard]] std::string socket_path() const { return folder_.path() + "/control"; }
  [[nodiscard]] std::string folder() const { return folder_.path() + "/backups"; }

  disk::TemporaryFolder folder_;
  disk::PersistenceFixture disk_;
  HeldClock clock_;
  Buckets buckets_{std::make_shared<ServedBucket>(ServedBucketOptions{}, clock_), {}, clock_};
  std::unique_ptr<BackupJob> backups_;
  std::unique_ptr<net::FrontEnd> control_;
};

TEST_F(ControlTest, MakesBackupsAndTellsHowFarItIs) {
  net::BlockingStream client = connect();
  ASSERT_TRUE(client.write_all(command("verify")));
  EXPECT_EQ(*client.read_line(), "progress save 0 0 default");
  bool verified = false;
  std::string line = *client.read_line();
  for (; !line.starts_with("done "); line = *client.read_line())
    verified = verified || line.starts_with("progress verify ");
  EXPECT_TRUE(verified);
  EXPECT_TRUE(line.starts_with("done 1 1700000000000000000 200 ")) << line;
  const auto there = disk::list_backups(folder());
  ASSERT_TRUE(there);
  EXPECT_TRUE(disk::verify_backup(folder(), there->at(0)));
  // On the same connection, and only a look.
  ASSERT_TRUE(client.write_all(command("dry-run,verify")));
  EXPECT_TRUE(answer(client).starts_with("done 2 "));
  EXPECT_EQ(disk::list_backups(folder())->size(), 1U);
}

TEST_F(ControlTest, RefusesWhatIsNoCommand) {
  for (const char* line : {"", "\r", " ", "backup", "backup ", "backup -", "BACKUP - /x", "flush_all",
                           "get k", "backup-", "\x80\x01\x02"})
    EXPECT_EQ(ask(std::string(line) + "\n"), "error config unknown command") << line;
  for (const std::string& folder : {std::string(), std::string("here"), std::string("../up"),
                                    std::string(" /x"), "/tmp/a" + std::string(1, '\0') + "b"})
    EXPECT_EQ(ask("backup - " + folder + "\n"), "error config the folder has to be an absolute path")
        << folder;
  EXPECT_TRUE(ask("backup - /proc/none/of/this\n").starts_with("error ")) << "a folder that cannot be made";
  EXPECT_TRUE(ask("backup - " + folder_.path() + "\n").starts_with("error config "))
      << "one that is not empty";
  EXPECT_TRUE(ask("backup - /" + std::string(10'000, 'x') + "\n").starts_with("error ")) << "a long name";
  EXPECT_TRUE(ask(command()).starts_with("done 1 "));
}

TEST_F(ControlTest, ClosesOnALineWithoutAnEnd) {
  net::TestSocket client(control_->addresses()[0]);
  const std::string piece(8192, 'x');
  int sent = 0;
  while (sent < 1000 && client.send_all(piece))
    ++sent;
  EXPECT_LT(sent, 1000);
  EXPECT_TRUE(ask(command()).starts_with("done 1 "));
}

TEST_F(ControlTest, TakesRandomBytesInRandomPieces) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 50; ++round) {
    std::string bytes = round % 2 == 0 ? "backup " : "";
    for (size_t i = random() % 300; i > 0; --i)
      bytes.push_back(static_cast<char>(random() % 4 == 0 ? '\n' : random()));
    // No path that could be made.
    std::replace(bytes.begin(), bytes.end(), '/', '|');
    net::TestSocket client(control_->addresses()[0]);
    for (size_t at = 0; at < bytes.size();) {
      const size_t size = std::min<size_t>(1 + random() % 40, bytes.size() - at);
      ASSERT_TRUE(client.send_all(std::string_view(bytes).substr(at, size)));
      at += size;
    }
    client.end();
    const std::string replies = client.receive_to_end();
    size_t lines = 0;
    for (size_t at = 0; at < replies.size(); at = replies.find('\n', at) + 1, ++lines)
      ASSERT_EQ(replies.compare(at, 13, "error config "), 0) << replies;
    EXPECT_EQ(lines, static_cast<size_t>(std::count(bytes.begin(), bytes.end(), '\n')));
  }
  EXPECT_TRUE(ask(command()).starts_with("done 1 "));
}

TEST_F(ControlTest, MakesOneBackupAtATime) {
  clock_.hold();
  net::BlockingStream first = connect();
  ASSERT_TRUE(first.write_all(command()));
  clock_.wait_until_entered();
  EXPECT_EQ(ask(command()), "error locked another backup of this server is being made");
  // Nor on the connection that has one on its way; its answer comes at once.
  ASSERT_TRUE(first.write_all(command()));
  EXPECT_EQ(answer(first), "error locked another backup of this server is being made");
  clock_.release();
  EXPECT_TRUE(answer(first).starts_with("done 1 "));
  EXPECT_TRUE(ask(command()).starts_with("done 2 ")) << "who has heard the end can begin";
}

TEST_F(ControlTest, StopsABackupWhoseClientHasGone) {
  clock_.hold();
  {
    net::BlockingStream client = connect();
    ASSERT_TRUE(client.write_all(command()));
    clock_.wait_until_entered();
  }
  while (control_->connection_count() != 0)
    std::this_thread::yield();
  clock_.release();
  const std::string next = ask_when_free();
  EXPECT_TRUE(next.starts_with("done 1 ")) << next;
  EXPECT_EQ(disk::backup_numbers(folder()).size(), 1U);
}

TEST_F(ControlTest, EndsABackupWithTheServer) {
  clock_.hold();
  net::BlockingStream client = connect();
  ASSERT_TRUE(client.write_all(command()));
  clock_.wait_until_entered();
  std::thread ending([&] { backups_->stop(); });
  clock_.release();
  ending.join();
  // It was stopped, or through already; whatever it was, it is over, and half a backup is none.
  const std::string reply = answer(client);
  const auto there = disk::list_backups(folder());
  if (reply.starts_with("done 1 ")) {
    ASSERT_TRUE(there);
    EXPECT_TRUE(disk::verify_backup(folder(), there->at(0)));
  } else {
    EXPECT_EQ(reply, "error io it was stopped");
    EXPECT_FALSE(there);
  }
  EXPECT_EQ(ask(command()), "error locked another backup of this server is being made");
}

}  // namespace
}  // namespace bobbin::serve
