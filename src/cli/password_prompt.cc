#include "cli/password_prompt.h"

#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <optional>
#include <string_view>

#include "serve/user_names.h"

namespace bobbin::cli {
namespace {

constexpr const char* kVariable = "BOBBIN_PASSWORD";
constexpr std::array kEndingSignals = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

// What the terminal was like, for the handler: written before it is installed.
termios terminal_before;

/// Puts the terminal right, and lets the signal do what it does without a handler. (Both are safe in one.)
void on_ending_signal(int number) {
  ::tcsetattr(STDIN_FILENO, TCSANOW, &terminal_before);
  ::signal(number, SIG_DFL);
  ::raise(number);
}

/// Standard input, a terminal, shows nothing of what is typed as long as this lives.
class SilentTerminal {
 public:
  SilentTerminal() : is_silent_(::tcgetattr(STDIN_FILENO, &terminal_before) == 0) {
    if (!is_silent_) return;
    struct sigaction action {};
    action.sa_handler = on_ending_signal;
    for (size_t i = 0; i < kEndingSignals.size(); ++i) {
      ::sigaction(kEndingSignals[i], &action, &actions_[i]);
      // One that is ignored (nohup) stays so.
      if (actions_[i].sa_handler == SIG_IGN) ::sigaction(kEndingSignals[i], &actions_[i], nullptr);
    }
    termios silent = terminal_before;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
  }
  SilentTerminal(const SilentTerminal&) = delete;
  SilentTerminal& operator=(const SilentTerminal&) = delete;
  ~SilentTerminal() {
    if (!is_silent_) return;
    ::tcsetattr(STDIN_FILENO, TCSANOW, &terminal_before);
    for (size_t i = 0; i < kEndingSignals.size(); ++i)
      ::sigaction(kEndingSignals[i], &actions_[i], nullptr);
  }

 private:
  bool is_silent_;
  std::array<struct sigaction, kEndingSignals.size()> actions_{};
};

/// Of standard input, without its end; nothing when there is none, or when it is too long.
std::optional<std::string> read_line() {
  std::string line;
  char c = 0;
  while (line.size() <= serve::kMaxPasswordBytes) {
    const ssize_t got = ::read(STDIN_FILENO, &c, 1);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 || (got == 0 && line.empty())) return std::nullopt;
    if (got == 0 || c == '\n') return line;
    line += c;
  }
  return std::nullopt;
}

std::optional<std::string> ask(std::string_view question) {
  const SilentTerminal silence;
  // To the terminal, so that what the command prints can go elsewhere.
  (void)!::write(STDERR_FILENO, question.data(), question.size());
  auto line = read_line();
  (void)!::write(STDERR_FILENO, "\n", 1);
  return line;
}

}  // namespace

base::Result<std::string, base::Error> read_new_password() {
  if (const char* const text = std::getenv(kVariable)) return std::string(text);
  const auto none = base::fail(base::Error{"no password was given"});
  if (::isatty(STDIN_FILENO) == 0) {
    const auto line = read_line();
    if (!line)
      return base::fail(
          base::Error{"no password: neither $BOBBIN_PASSWORD nor a line of at most 512 bytes on "
                      "standard input"});
    return *line;
  }
  const auto first = ask("New password: ");
  if (!first || first->empty()) return none;
  const auto second = ask("The same again: ");
  if (!second) return none;
  if (*first != *second) return base::fail(base::Error{"these were two different passwords"});
  return *first;
}

}  // namespace bobbin::cli
