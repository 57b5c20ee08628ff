// The ceiling: what any server with one thread and epoll could do at most on this machine.
//
//   ceiling --port PORT [--value-size BYTES]
//
// It cuts requests of the text protocol at their end and answers what a real server would, with the request's
// own keys and one constant value; it looks nothing up and keeps nothing. One read and one write for each
// event. Listens on 127.0.0.1, port 0 is any free one, and prints "listening on 127.0.0.1:PORT".

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr size_t kReadBytes = 64 << 10;
constexpr size_t kCopyBelowBytes = 4 << 10;  // larger answers are sent from where they lie
constexpr size_t kMaxRuns = 64;
constexpr std::string_view kValue = "VALUE ";
constexpr std::string_view kEnd = "END\r\n";
constexpr std::string_view kStored = "STORED\r\n";
constexpr std::string_view kVersion = "VERSION ceiling\r\n";

struct Connection {
  int descriptor = -1;
  std::string unread;             // half a request
  uint64_t skip = 0;              // bytes of a data block that have not arrived
  std::vector<iovec> unsent;      // what the kernel has not taken; empty while it takes everything
  std::string unsent_copy;        // where copied answers wait
  std::deque<std::string> heads;  // what stands before values that are sent from where they lie
  uint32_t waits_for = EPOLLIN;
};

class Ceiling {
 public:
  Ceiling(int listener, size_t value_bytes)
      : listener_(listener),
        epoll_(epoll_create1(0)),
        references_(value_bytes >= kCopyBelowBytes),
        size_(fmt::format(" 0 {}\r\n", value_bytes)),
        value_(std::string(value_bytes, 'v') + "\r\n") {
    watch(listener_, nullptr, EPOLL_CTL_ADD, EPOLLIN);
  }

  [[noreturn]] void run() {
    std::array<epoll_event, 256> events;
    for (;;) {
      const int n = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), -1);
      for (int i = 0; i < n; ++i) {
        auto* connection = static_cast<Connection*>(events[static_cast<size_t>(i)].data.ptr);
        if (connection == nullptr) {
          accept_one();
        } else if (!(connection->unsent.empty() ? on_readable(*connection) : on_writable(*connection))) {
          close(connection->descriptor);
          delete connection;
        }
      }
    }
  }

 private:
  void watch(int descriptor, Connection* connection, int operation, uint32_t what) const {
    epoll_event event{};
    event.events = what;
    event.data.ptr = connection;
    if (epoll_ctl(epoll_, operation, descriptor, &event) != 0) {
      std::perror("epoll_ctl");
      std::exit(1);
    }
  }

  void accept_one() const {
    const int descriptor = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK);
    if (descriptor < 0) return;
    const int on = 1;
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    auto* connection = new Connection;
    connection->descriptor = descriptor;
    watch(descriptor, connection, EPOLL_CTL_ADD, EPOLLIN);
  }

  bool on_readable(Connection& connection) {
    const size_t kept = connection.unread.size();
    std::memcpy(read_.data(), connection.unread.data(), kept);
    const ssize_t n = recv(connection.descriptor, read_.data() + kept, kReadBytes, 0);
    if (n < 0) return errno == EAGAIN;
    if (n == 0) return false;
    const std::string_view unread(read_.data(), kept + static_cast<size_t>(n));
    const size_t used = cut(connection, unread);
    if (unread.size() - used > kReadBytes) return false;
    connection.unread.assign(unread.substr(used));
    return flush(connection);
  }

  bool on_writable(Connection& connection) { return flush(connection); }

  // Answers each whole request; returns how many bytes they had.
  size_t cut(Connection& connection, std::string_view unread) {
    size_t used = 0;
    for (;;) {
      const auto skipped = static_cast<size_t>(std::min<uint64_t>(connection.skip, unread.size() - used));
      connection.skip -= skipped;
      used += skipped;
      if (connection.skip > 0) return used;
      const size_t end = unread.find('\n', used);
      if (end == std::string_view::npos) return used;
      answer(connection, unread.substr(used, end - used));
      used = end + 1;
    }
  }

  // `line` ends with \r. The answer to a set goes out before its data block has arrived: nobody can tell.
  void answer(Connection& connection, std::string_view line) {
    if (line.starts_with("get ")) return answer_get(connection, line.substr(4, line.size() - 5));
    if (line.starts_with("set ")) {
      uint64_t bytes = 0;
      std::from_chars(line.data() + line.rfind(' ') + 1, line.data() + line.size(), bytes);
      connection.skip = bytes + 2;
      return add(kStored);
    }
    add(line.starts_with("version") ? kVersion : std::string_view("ERROR\r\n"));
  }

  void answer_get(Connection& connection, std::string_view keys) {
    for (size_t begin = 0; begin <= keys.size();) {
      const size_t space = std::min(keys.find(' ', begin), keys.size());
      const std::string_view key = keys.substr(begin, space - begin);
      if (references_) {
        std::string& head = connection.heads.emplace_back(kValue);
        head.append(key).append(size_);
        add(head);
        add(value_);
      } else {
        copies_.append(kValue).append(key).append(size_).append(value_);
      }
      begin = space + 1;
    }
    add(kEnd);
  }

  // What is added lives until it has been sent.
  void add(std::string_view constant) {
    if (references_) {
      runs_.push_back({const_cast<char*>(constant.data()), constant.size()});
    } else {
      copies_.append(constant);
    }
  }

  // Sends what was added, or what waits: never both, as nothing is read while something waits.
  bool flush(Connection& connection) {
    std::vector<iovec>& runs = connection.unsent.empty() ? runs_ : connection.unsent;
    if (!copies_.empty()) runs_.push_back({copies_.data(), copies_.size()});
    if (runs.empty()) return true;
    msghdr message{};
    message.msg_iov = runs.data();
    message.msg_iovlen = std::min(runs.size(), kMaxRuns);
    const ssize_t n = sendmsg(connection.descriptor, &message, MSG_NOSIGNAL);
    const bool alive = n >= 0 || errno == EAGAIN;
    drop(runs, n < 0 ? 0 : static_cast<size_t>(n));
    if (alive && &runs == &runs_ && !runs_.empty()) keep(connection);
    runs_.clear();
    copies_.clear();
    if (!alive) return false;
    if (connection.unsent.empty()) connection.heads.clear();
    const uint32_t wanted = connection.unsent.empty() ? EPOLLIN : EPOLLOUT;
    if (wanted != connection.waits_for) {
      watch(connection.descriptor, &connection, EPOLL_CTL_MOD, wanted);
      connection.waits_for = wanted;
    }
    return true;
  }

  // What was just added and not taken waits on the connection.
  void keep(Connection& connection) {
    if (!references_) {
      connection.unsent_copy.assign(static_cast<const char*>(runs_[0].iov_base), runs_[0].iov_len);
      runs_[0].iov_base = connection.unsent_copy.data();
    }
    connection.unsent = runs_;
  }

  static void drop(std::vector<iovec>& runs, size_t bytes) {
    size_t whole = 0;
    while (whole < runs.size() && bytes >= runs[whole].iov_len)
      bytes -= runs[whole++].iov_len;
    runs.erase(runs.begin(), runs.begin() + static_cast<ptrdiff_t>(whole));
    if (runs.empty()) return;
    runs[0].iov_base = static_cast<char*>(runs[0].iov_base) + bytes;
    runs[0].iov_len -= bytes;
  }

  const int listener_;
  const int epoll_;
  const bool references_;
  const std::string size_;   // what stands between key and value
  const std::string value_;  // and its end of line
  std::array<char, 2 * kReadBytes> read_;
  std::vector<iovec> runs_;  // the answers of this event
  std::string copies_;       // the same while they are small
};

int listen_on(uint16_t port) {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  const int on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_port = htons(port);
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof name;
  if (bind(listener, reinterpret_cast<sockaddr*>(&name), size) != 0 || listen(listener, 1024) != 0 ||
      getsockname(listener, reinterpret_cast<sockaddr*>(&name), &size) != 0) {
    std::perror("ceiling: cannot listen");
    std::exit(1);
  }
  fmt::print("listening on 127.0.0.1:{}\n", ntohs(name.sin_port));
  std::fflush(stdout);
  return listener;
}

}  // namespace

int main(int argc, char** argv) {
  size_t port = 0;
  size_t value_bytes = 100;
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    size_t* number = name == "--port" ? &port : (name == "--value-size" ? &value_bytes : nullptr);
    if (number == nullptr || ++i == argc) {
      fmt::print(stderr, "usage: ceiling --port PORT [--value-size BYTES]\n");
      return 2;
    }
    *number = std::strtoull(argv[i], nullptr, 10);
  }
  std::signal(SIGPIPE, SIG_IGN);
  Ceiling(listen_on(static_cast<uint16_t>(port)), value_bytes).run();
}
