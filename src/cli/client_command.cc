#include "cli/client_command.h"

#include <fmt/format.h>

#include <cstdlib>

#include "cli/json.h"
#include "cli/quantity.h"

namespace bobbin::cli {
namespace {

constexpr uint16_t kDefaultPort = 11211;
constexpr const char* kDefaultServer = "127.0.0.1:11211";
constexpr const char* kServerVariable = "BOBBIN_SERVER";
constexpr const char* kUserVariable = "BOBBIN_USER";
constexpr const char* kPasswordVariable = "BOBBIN_PASSWORD";

std::string variable(const char* name) {
  const char* const text = std::getenv(name);
  return text == nullptr ? std::string() : std::string(text);
}

}  // namespace

void add_client_flags(CommandLine& line) {
  line.flags.push_back({"--server", 's', "ADDRESS",
                        "Server to talk to: host:port, or the path of a Unix socket", "Connection",
                        fmt::format("default ${}, or {}", kServerVariable, kDefaultServer)});
  line.flags.push_back({"--timeout", 0, "DURATION", "How long to wait for an answer; 0 waits for ever",
                        "Connection", "default 10s"});
}

void add_bucket_flags(CommandLine& line) {
  line.flags.push_back({"--bucket", 'b', "NAME", "The bucket", "Connection", "default \"default\""});
  line.flags.push_back({"--user", 'u', "NAME", "Who logs in", "Connection",
                        fmt::format("default ${}, or nobody", kUserVariable)});
  line.flags.push_back({"--password", 0, "TEXT",
                        "The user's password; others on this machine can see arguments, so better give it as "
                        "the variable",
                        "Connection", fmt::format("default ${}", kPasswordVariable)});
}

std::optional<Arguments> begin_client_command(const CommandLine& line, int argc, char** argv,
                                              int& exit_code) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  auto arguments = parse_arguments(line, words);
  if (!arguments) {
    exit_code = complain(arguments.error().message, kExitUsage);
    return std::nullopt;
  }
  if (arguments->help()) {
    print(help_text(line));
    exit_code = kExitOk;
    return std::nullopt;
  }
  if (!parse_duration_ms(arguments->last("--timeout", "10s"))) {
    exit_code = complain(fmt::format("--timeout: \"{}\" is not a duration (examples: 30s, 500ms)",
                                     arguments->last("--timeout")),
                         kExitUsage);
    return std::nullopt;
  }
  return std::move(*arguments);
}

base::Result<net::Address, base::Error> server_address(const Arguments& arguments) {
  std::string text = arguments.last("--server");
  const char* variable = std::getenv(kServerVariable);
  if (text.empty() && variable != nullptr) text = variable;
  if (text.empty()) text = kDefaultServer;
  return net::Address::parse(text, kDefaultPort);
}

base::Result<MetaClient, base::Error> connect_client(const Arguments& arguments) {
  const auto address = server_address(arguments);
  if (!address) return base::fail(address.error());
  const uint64_t timeout_ms = parse_duration_ms(arguments.last("--timeout", "10s")).value_or(10'000);
  return MetaClient::connect(*address, std::chrono::milliseconds(timeout_ms));
}

base::Result<McbpOptions, base::Error> mcbp_options(const Arguments& arguments) {
  const auto address = server_address(arguments);
  if (!address) return base::fail(address.error());
  McbpOptions options;
  options.address = *address;
  options.timeout =
      std::chrono::milliseconds(parse_duration_ms(arguments.last("--timeout", "10s")).value_or(10'000));
  options.agent = "bobbin " BOBBIN_VERSION;
  options.bucket = arguments.last("--bucket", "default");
  options.user = arguments.last("--user", variable(kUserVariable));
  options.password = arguments.last("--password", variable(kPasswordVariable));
  if (options.user.empty() && arguments.has("--password"))
    return base::fail(base::Error{"--password needs a --user"});
  return options;
}

int complain(std::string_view message, int code) {
  fmt::print(stderr, "bobbin: {}\n", message);
  return code;
}

void print(std::string_view bytes) {
  std::fwrite(bytes.data(), 1, bytes.size(), stdout);
}

std::string printable(std::string_view bytes) {
  std::string quoted = json_string(bytes);
  const bool plain = bytes.find(' ') == std::string_view::npos && quoted.size() == bytes.size() + 2;
  return plain ? std::string(bytes) : quoted;
}

}  // namespace bobbin::cli
