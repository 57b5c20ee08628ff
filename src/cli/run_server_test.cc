#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <functional>
#include <future>
#include <string>

#include "cli/config_test_support.h"
#include "cli/quantity.h"
#include "cli/serve_command.h"

namespace bobbin::cli {
namespace {

using testing::HasSubstr;

/// Signals are a process's own: each case plays in a child, and this is the parent's side of it.
class Child {
 public:
  explicit Child(const std::function<int()>& body) {
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    std::fflush(nullptr);
    pid_ = fork();
    if (pid_ == 0) {
      dup2(ends[1], STDOUT_FILENO);
      dup2(ends[1], STDERR_FILENO);
      const int code = body();
      std::fflush(nullptr);
      _exit(code);
    }
    close(ends[1]);
    output_ = ends[0];
  }
  ~Child() { close(output_); }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  /// What it has printed up to and including `text`; all there is if it ends before.
  std::string read_until(const std::string& text) {
    std::string all;
    char c = 0;
    while (all.find(text) == std::string::npos && read(output_, &c, 1) == 1)
      all += c;
    return all;
  }
  void signal(int number) const { kill(pid_, number); }
  int exit_code() const {
    int status = 0;
    waitpid(pid_, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

 private:
  pid_t pid_ = 0;
  int output_ = -1;
};

void say(const char* line) {
  std::fputs(line, stdout);
  std::fflush(stdout);
}

/// Listens nowhere; draining ends at once or, if told so, never.
class FakeServer final : public RunningServer {
 public:
  explicit FakeServer(bool drains, bool closes = true, bool has_tls = false)
      : drains_(drains), closes_(closes), has_tls_(has_tls) {}
  [[nodiscard]] std::vector<net::Address> addresses() const override { return {{"127.0.0.1", 4711, ""}}; }
  [[nodiscard]] bool has_tls() const override { return has_tls_; }
  base::Result<void, base::Error> reload_tls() override {
    say("reloaded\n");
    return {};
  }
  void drain() override {
    say("draining\n");
    if (!drains_) std::promise<void>().get_future().wait();
    say("drained\n");
  }
  disk::Result<void> close() override {
    if (closes_) return {};
    return base::fail(disk::Error{disk::ErrorKind::no_space, "shard-0", "shard-0: no space left"});
  }

 private:
  const bool drains_;
  const bool closes_;
  const bool has_tls_;
};

StartServer fake(bool drains) {
  return [drains](const ServeConfig& config) -> base::Result<std::unique_ptr<RunningServer>, StartError> {
    return std::make_unique<FakeServer>(drains, true, !config.tls_cert.empty());
  };
}

TEST(RunServer, SaysWhereItListensAndDrainsOnASignal) {
  for (const int number : {SIGTERM, SIGINT}) {
    Child child([] { return run_server({}, fake(true)); });
    EXPECT_THAT(child.read_until("nc "), HasSubstr("\nlistening on 127.0.0.1:4711\n"));
    child.signal(number);
    EXPECT_THAT(child.read_until("drained\n"), HasSubstr("draining\n"));
    EXPECT_EQ(child.exit_code(), 0);
  }
}

TEST(RunServer, ASecondSignalEndsItAtOnce) {
  Child child([] { return run_server({}, fake(false)); });
  child.read_until("nc ");
  child.signal(SIGTERM);
  child.read_until("draining\n");
  child.signal(SIGINT);
  EXPECT_EQ(child.exit_code(), 128 + SIGINT);
}

TEST(RunServer, ReadsTheCertificateAgainWhenItsTerminalHangsUp) {
  ServeConfig config;
  config.tls_cert = "server.pem";
  Child child([&] { return run_server(config, fake(true)); });
  child.read_until("nc ");
  child.signal(SIGHUP);
  child.read_until("reloaded\n");
  child.signal(SIGHUP);
  child.read_until("reloaded\n");
  child.signal(SIGTERM);
  EXPECT_THAT(child.read_until("drained\n"), HasSubstr("draining\n"));
  EXPECT_EQ(child.exit_code(), 0);
}

TEST(RunServer, ATerminalThatHangsUpEndsItWithoutOne) {
  Child child([] { return run_server({}, fake(true)); });
  child.read_until("nc ");
  child.signal(SIGHUP);
  EXPECT_THAT(child.read_until("drained\n"), HasSubstr("draining\n"));
  EXPECT_EQ(child.exit_code(), 0);
}

TEST(RunServer, AHangUpDoesNotCutADrainShort) {
  ServeConfig config;
  config.tls_cert = "server.pem";
  Child child([&] { return run_server(config, fake(false)); });
  child.read_until("nc ");
  child.signal(SIGTERM);
  child.read_until("draining\n");
  child.signal(SIGHUP);
  child.signal(SIGTERM);
  EXPECT_EQ(child.exit_code(), 128 + SIGTERM);
}

TEST(RunServer, TellsWhatIsNotOnDiskWhenItEnds) {
  Child child([] {
    return run_server({}, [](const ServeConfig&) -> base::Result<std::unique_ptr<RunningServer>, StartError> {
      return std::make_unique<FakeServer>(true, false);
    });
  });
  child.read_until("nc ");
  child.signal(SIGTERM);
  child.read_until("drained\n");
  EXPECT_EQ(child.exit_code(), 5);
}

TEST(RunServer, EndsWithTheCodeOfWhatItCouldNotHave) {
  EXPECT_EQ(exit_code_of(disk::ErrorKind::config), 2);
  EXPECT_EQ(exit_code_of(disk::ErrorKind::corrupt), 4);
  EXPECT_EQ(exit_code_of(disk::ErrorKind::no_space), 5);
  EXPECT_EQ(exit_code_of(disk::ErrorKind::locked), 5);
}

TEST(RunServer, TellsWhyItCouldNotStart) {
  Child child([] {
    return run_server({}, [](const ServeConfig&) -> base::Result<std::unique_ptr<RunningServer>, StartError> {
      return base::fail(StartError{"127.0.0.1:11211: address in use"});
    });
  });
  EXPECT_EQ(child.read_until("\n"), "bobbin: 127.0.0.1:11211: address in use\n");
  EXPECT_EQ(child.exit_code(), 1);
}

TEST(RunServer, KeepsThePidFileWhileItRuns) {
  const TemporaryFile file("");
  ServeConfig config;
  config.pid_file = file.path();
  Child child([&] { return run_server(config, fake(true)); });
  child.read_until("nc ");
  std::string pid;
  std::getline(std::ifstream(file.path()), pid);
  EXPECT_GT(parse_count(pid).value_or(0), 1U) << pid;
  child.signal(SIGTERM);
  EXPECT_EQ(child.exit_code(), 0);
  EXPECT_FALSE(std::filesystem::exists(file.path()));
}

TEST(RunServer, APidFileThatCannotBeWrittenIsAFailure) {
  ServeConfig config;
  config.pid_file = "/no/such/folder/pid";
  Child child([&] { return run_server(config, fake(true)); });
  EXPECT_THAT(child.read_until("\n"), HasSubstr("cannot write /no/such/folder/pid"));
  EXPECT_EQ(child.exit_code(), 1);
}

TEST(Greeting, ShowsHowToTryIt) {
  ServeConfig config;
  config.threads = 2;
  const std::string tcp = greeting(config, {{"127.0.0.1", 11211, ""}, {"::1", 11211, ""}});
  EXPECT_THAT(tcp, HasSubstr("listening on 127.0.0.1:11211\nlistening on [::1]:11211\n"));
  EXPECT_THAT(tcp, HasSubstr("bobbin set hello world && bobbin get hello\n"));
  EXPECT_THAT(tcp, HasSubstr("nc 127.0.0.1 11211\n"));
  const std::string other = greeting(config, {{"127.0.0.1", 4711, ""}});
  EXPECT_THAT(other, HasSubstr("bobbin get hello --server 127.0.0.1:4711\n"));
  const std::string local = greeting(config, {{"", 0, "/run/b.sock"}});
  EXPECT_THAT(local, HasSubstr("bobbin get hello --server /run/b.sock\n"));
  EXPECT_THAT(local, HasSubstr("nc -U /run/b.sock\n"));
  const std::string closed =
      greeting(config, {{"127.0.0.1", 11211, ""}}, {{"127.0.0.1", 8091, ""}}, {}, {}, /*wants_login=*/true);
  EXPECT_THAT(closed, HasSubstr("curl -u NAME http://127.0.0.1:8091/pools/default/buckets"));
  EXPECT_THAT(closed, testing::Not(HasSubstr("bobbin get")));
}

}  // namespace
}  // namespace bobbin::cli
