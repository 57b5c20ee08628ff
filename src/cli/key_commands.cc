// bobbin get, set and del.

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <ctime>
#include <limits>

#include "cli/client_command.h"
#include "cli/quantity.h"

namespace bobbin::cli {
namespace {

/// An expiry above this is taken for an absolute time (memcached, doc/protocol.txt, "Expiration times").
constexpr uint64_t kMaxRelativeExpiryS = 30ull * 86'400;

CommandLine get_line() {
  CommandLine line;
  line.usage = "get KEY... [options]";
  line.summary = "Prints the values of keys.";
  line.details =
      "Values are written as they are stored, one after the other; on a terminal each is followed by a line "
      "break. Ends with 1 if a key is missing, with 3 if the server cannot be asked.";
  line.min_positionals = 1;
  line.max_positionals = std::numeric_limits<size_t>::max();
  line.examples =
      "bobbin get hello\n"
      "bobbin get --server /run/bobbin.sock picture > picture.png\n"
      "bobbin get 'a key with spaces'";
  add_client_flags(line);
  return line;
}

CommandLine set_line() {
  CommandLine line;
  line.usage = "set KEY [VALUE | -] [options]";
  line.summary = "Stores a value. Without VALUE, or with -, the value is read from standard input.";
  line.details =
      "Says nothing when the value was stored. Ends with 1 if a condition such as --add was not met, with 3 "
      "if "
      "the server refused.";
  line.flags = {
      {"--ttl", 't', "DURATION", "Expire after this time, in whole seconds", "Options", "default 0, never"},
      {"--flags", 'f', "N", "The 32-bit number that clients keep beside the value", "Options", "default 0"},
      {"--add", 0, "", "Only if the key does not exist", "Conditions"},
      {"--replace", 0, "", "Only if the key exists", "Conditions"},
      {"--append", 0, "", "Add to the end of the value that exists", "Conditions"},
      {"--prepend", 0, "", "Add to the beginning of the value that exists", "Conditions"},
  };
  line.min_positionals = 1;
  line.max_positionals = 2;
  line.examples =
      "bobbin set hello world\n"
      "bobbin set picture --ttl 1h < picture.png\n"
      "bobbin set lock me --add --ttl 30s || echo 'somebody else has it'\n"
      "bobbin set temperature -- -5";
  add_client_flags(line);
  return line;
}

CommandLine del_line() {
  CommandLine line;
  line.usage = "del KEY... [options]";
  line.summary = "Deletes keys.";
  line.details = "Ends with 1 if a key was not there, with 3 if the server cannot be asked.";
  line.min_positionals = 1;
  line.max_positionals = std::numeric_limits<size_t>::max();
  line.examples = "bobbin del hello\nbobbin del old-1 old-2";
  add_client_flags(line);
  return line;
}

/// Zero, or the exit code after saying which key cannot be sent.
int check_keys(const std::vector<std::string>& keys) {
  for (const std::string& key : keys) {
    if (const std::string problem = key_problem(key); !problem.empty()) return complain(problem, kExitUsage);
  }
  return kExitOk;
}

std::string read_standard_input() {
  std::string all;
  std::array<char, 64 << 10> chunk;
  size_t n = 0;
  while ((n = std::fread(chunk.data(), 1, chunk.size(), stdin)) > 0)
    all.append(chunk.data(), n);
  return all;
}

base::Result<MetaMode, base::Error> mode_of(const Arguments& arguments) {
  struct Named {
    const char* flag;
    MetaMode mode;
  };
  constexpr std::array kModes = {Named{"--add", MetaMode::add}, Named{"--replace", MetaMode::replace},
                                 Named{"--append", MetaMode::append}, Named{"--prepend", MetaMode::prepend}};
  const Named* chosen = nullptr;
  for (const Named& named : kModes) {
    if (!arguments.has(named.flag)) continue;
    if (chosen != nullptr) {
      return base::fail(base::Error{fmt::format("{} and {} exclude each other", chosen->flag, named.flag)});
    }
    chosen = &named;
  }
  return chosen == nullptr ? MetaMode::set : chosen->mode;
}

base::Result<uint64_t, base::Error> expiry_of(const std::string& ttl) {
  const auto ms = parse_duration_ms(ttl);
  if (!ms || *ms % 1000 != 0) {
    return base::fail(
        base::Error{fmt::format("--ttl: \"{}\" is not a duration in whole seconds (examples: 30s, "
                                "5m, 12h)",
                                ttl)});
  }
  const uint64_t seconds = *ms / 1000;
  const uint64_t expiry =
      seconds > kMaxRelativeExpiryS ? static_cast<uint64_t>(std::time(nullptr)) + seconds : seconds;
  if (expiry > std::numeric_limits<uint32_t>::max()) {
    return base::fail(base::Error{fmt::format("--ttl: {} is too far in the future", ttl)});
  }
  return expiry;
}

base::Result<MetaSet, base::Error> set_options(const Arguments& arguments) {
  MetaSet how;
  const auto mode = mode_of(arguments);
  if (!mode) return base::fail(mode.error());
  how.mode = *mode;
  const std::string flags_text = arguments.last("--flags", "0");
  const auto flags = parse_count(flags_text);
  if (!flags || *flags > std::numeric_limits<uint32_t>::max()) {
    return base::fail(base::Error{fmt::format("--flags: \"{}\" is not a number of 32 bits", flags_text)});
  }
  how.client_flags = static_cast<uint32_t>(*flags);
  const auto expiry = expiry_of(arguments.last("--ttl", "0"));
  if (!expiry) return base::fail(expiry.error());
  how.expiry = *expiry;
  return how;
}

std::string refusal(MetaMode mode, const std::string& key) {
  return mode == MetaMode::add ? printable(key) + ": exists already" : printable(key) + ": not found";
}

}  // namespace

int get_command(int argc, char** argv) {
  int exit_code = kExitOk;
  const auto arguments = begin_client_command(get_line(), argc, argv, exit_code);
  if (!arguments) return exit_code;
  const std::vector<std::string>& keys = arguments->positionals();
  if (const int wrong = check_keys(keys); wrong != kExitOk) return wrong;
  auto client = connect_client(*arguments);
  if (!client) return complain(client.error().message, kExitFailed);
  const auto values = client->get(keys);
  if (!values) return complain(values.error().message, kExitFailed);
  const bool terminal = isatty(STDOUT_FILENO) != 0;
  for (size_t i = 0; i < keys.size(); ++i) {
    const auto& value = (*values)[i];
    if (!value) {
      exit_code = complain(printable(keys[i]) + ": not found", kExitNo);
      continue;
    }
    print(*value);
    if (terminal) print("\n");
  }
  if (std::fflush(stdout) != 0) return complain("cannot write to standard output", kExitFailed);
  return exit_code;
}

int set_command(int argc, char** argv) {
  int exit_code = kExitOk;
  const auto arguments = begin_client_command(set_line(), argc, argv, exit_code);
  if (!arguments) return exit_code;
  const std::string& key = arguments->positionals().front();
  if (const int wrong = check_keys({key}); wrong != kExitOk) return wrong;
  const auto how = set_options(*arguments);
  if (!how) return complain(how.error().message, kExitUsage);
  const bool from_input = arguments->positionals().size() == 1 || arguments->positionals()[1] == "-";
  const std::string value = from_input ? read_standard_input() : arguments->positionals()[1];
  auto client = connect_client(*arguments);
  if (!client) return complain(client.error().message, kExitFailed);
  const auto stored = client->set(key, value, *how);
  if (!stored) return complain(stored.error().message, kExitFailed);
  return *stored ? kExitOk : complain(refusal(how->mode, key), kExitNo);
}

int del_command(int argc, char** argv) {
  int exit_code = kExitOk;
  const auto arguments = begin_client_command(del_line(), argc, argv, exit_code);
  if (!arguments) return exit_code;
  const std::vector<std::string>& keys = arguments->positionals();
  if (const int wrong = check_keys(keys); wrong != kExitOk) return wrong;
  auto client = connect_client(*arguments);
  if (!client) return complain(client.error().message, kExitFailed);
  const auto removed = client->remove(keys);
  if (!removed) return complain(removed.error().message, kExitFailed);
  for (size_t i = 0; i < keys.size(); ++i) {
    if (!(*removed)[i]) exit_code = complain(printable(keys[i]) + ": not found", kExitNo);
  }
  return exit_code;
}

}  // namespace bobbin::cli
