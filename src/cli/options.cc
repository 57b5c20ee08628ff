#include "cli/options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <iterator>
#include <utility>

#include "cli/quantity.h"

namespace bobbin::cli {
namespace {

constexpr uint64_t kKiB = 1ull << 10;
constexpr uint64_t kMiB = 1ull << 20;
constexpr uint64_t kTiB = 1ull << 40;
constexpr uint64_t kGiB = 1ull << 30;
constexpr uint64_t kMonthMs = 30ull * 86'400'000;

constexpr std::string_view kWhere = "Where it listens";
constexpr std::string_view kTls = "TLS";
constexpr std::string_view kCache = "What it stores";
constexpr std::string_view kData = "How it survives";
constexpr std::string_view kFollow = "Whose copy it is";
constexpr std::string_view kSeed = "What it begins with";
constexpr std::string_view kConnections = "What connections may cost";
constexpr std::string_view kProcess = "The process";

constexpr std::string_view kDurabilities[] = {"memory", "disk"};
constexpr std::string_view kEvictions[] = {"value", "full"};
constexpr std::string_view kClientCertificates[] = {"off", "optional", "required"};

// clang-format off
constexpr std::array kOptions = {
  Option{"listen", OptionType::addresses, kWhere, 0, 0,
         "Listen on this address: a host, host:port, [v6]:port or unix:/path. May be given several times; "
         "\"none\" stands for no TCP at all",
         [](ServeConfig& c) -> Field { return &c.listen; }},
  Option{"port", OptionType::port, kWhere, 0, 65'535,
         "TCP port of every address that names none; 0 takes any free port and prints it",
         [](ServeConfig& c) -> Field { return &c.port; }},
  Option{"mcbp_port", OptionType::port, kWhere, 0, 65'535,
         "The same addresses listen on this port too, where Couchbase's clients look; every port takes every protocol. "
         "0, as where --port is given without this: only on --port",
         [](ServeConfig& c) -> Field { return &c.mcbp_port; }},
  Option{"http_port", OptionType::port, kWhere, 0, 65'535,
         "TCP port of the same addresses for management by HTTP: the calls that Couchbase's clients make, health checks, "
         "metrics. 0, as where --port is given without this: none",
         [](ServeConfig& c) -> Field { return &c.http_port; }},
  Option{"advertise", OptionType::path, kWhere, 0, 0,
         "host or host:port at which Couchbase's clients reach this server, where that is not the host that they dial "
         "and the port that it listens on (port mapping, tunnels)",
         [](ServeConfig& c) -> Field { return &c.advertise; }, {}, "ADDRESS"},
  Option{"external", OptionType::path, kWhere, 0, 0,
         "A second place, host or host:port, for Couchbase's clients that ask for network=external, or have dialled it: "
         "an alternate address. Without a port, the ports are those of the first",
         [](ServeConfig& c) -> Field { return &c.external; }, {}, "ADDRESS"},
  Option{"external_http_port", OptionType::port, kWhere, 0, 65'535,
         "Where HTTP is reached there; 0: nowhere. Only where --external has a port",
         [](ServeConfig& c) -> Field { return &c.external_http_port; }},
  Option{"external_tls_port", OptionType::port, kWhere, 0, 65'535,
         "Where clients by TLS reach the data there; 0: nowhere. Only where --external has a port, and there is TLS",
         [](ServeConfig& c) -> Field { return &c.external_tls_port; }},
  Option{"external_tls_http_port", OptionType::port, kWhere, 0, 65'535,
         "Where HTTP through TLS is reached there; 0: nowhere. Only where --external has a port, and there is TLS",
         [](ServeConfig& c) -> Field { return &c.external_tls_http_port; }},
  Option{"dev", OptionType::boolean, kWhere, 0, 0,
         "For development, on loopback addresses only: there is a user Administrator with the password \"password\", "
         "and who does not log in may do everything, too",
         [](ServeConfig& c) -> Field { return &c.dev; }},
  Option{"unix_socket", OptionType::path, kWhere, 0, 0,
         "Listen on this Unix socket too",
         [](ServeConfig& c) -> Field { return &c.unix_socket; }},
  Option{"unix_mode", OptionType::mode, kWhere, 0, 0777,
         "Permissions of the Unix socket, in octal",
         [](ServeConfig& c) -> Field { return &c.unix_mode; }},
  Option{"force_public", OptionType::boolean, kWhere, 0, 0,
         "Listen on addresses that other machines can reach, although nobody has to log in: whoever reaches the "
         "port can read, change and delete everything",
         [](ServeConfig& c) -> Field { return &c.force_public; }},
  Option{"backlog", OptionType::count, kWhere, 1, 65'535,
         "Connections that the kernel may hold before they are accepted",
         [](ServeConfig& c) -> Field { return &c.limits.backlog; }},

  Option{"tls_cert", OptionType::path, kTls, 0, 0,
         "Speak TLS on two more ports, with the certificate in this file (PEM, with those that signed it behind it). "
         "SIGHUP has this and the other files read again",
         [](ServeConfig& c) -> Field { return &c.tls_cert; }},
  Option{"tls_key", OptionType::path, kTls, 0, 0,
         "The certificate's key (PEM, without a password)",
         [](ServeConfig& c) -> Field { return &c.tls_key; }},
  Option{"tls_client_ca", OptionType::path, kTls, 0, 0,
         "Who signs the certificates of clients (PEM): a client with one whose common name is a user's is that user",
         [](ServeConfig& c) -> Field { return &c.tls_client_ca; }},
  Option{"tls_client_certificates", OptionType::choice, kTls, 0, 0,
         "Whether clients show certificates: off, nobody is asked for one; optional, as where --tls-client-ca is given "
         "without this; required, nobody connects without",
         [](ServeConfig& c) -> Field { return &c.tls_client_certificates; }, kClientCertificates},
  Option{"tls_port", OptionType::port, kTls, 0, 65'535,
         "TCP port of the same addresses for every protocol through TLS. 0, as where --port is given without this: none",
         [](ServeConfig& c) -> Field { return &c.tls_port; }},
  Option{"tls_http_port", OptionType::port, kTls, 0, 65'535,
         "TCP port of the same addresses for management by HTTP through TLS. 0, as where --port is given without this: "
         "none",
         [](ServeConfig& c) -> Field { return &c.tls_http_port; }},
  Option{"tls_handshake_timeout", OptionType::duration, kTls, 100, 3'600'000,
         "Close a connection whose TLS handshake is not done by then",
         [](ServeConfig& c) -> Field { return &c.limits.handshake_timeout; }},

  Option{"memory", OptionType::size, kCache, kMiB, 1ull << 50,
         "Memory for documents, the tables that find them and the disk's caches; the process needs some on top for "
         "connections. Given without --data, it is a cache: nothing is kept on disk, and when memory is used up, old "
         "documents are evicted; without a size it is one of 64M. With --data, and where neither is given, the default is "
         "1G, or a quarter of the machine's memory if that is less",
         [](ServeConfig& c) -> Field { return &c.memory_bytes; }},
  Option{"max_item_size", OptionType::size, kCache, kKiB, 20 * kMiB,
         "The longest value that is accepted",
         [](ServeConfig& c) -> Field { return &c.max_item_bytes; }},
  Option{"disable_evictions", OptionType::boolean, kCache, 0, 0,
         "When the memory of a cache is used up, refuse new documents instead of evicting old ones",
         [](ServeConfig& c) -> Field { return &c.disable_evictions; }},

  Option{"data", OptionType::path, kData, 0, 0,
         "Keep everything in this directory, which is made if it is not there; one server at a time can have it",
         [](ServeConfig& c) -> Field { return &c.data; }},
  Option{"durability", OptionType::choice, kData, 0, 0,
         "When a write is acknowledged: when it is in memory (a crash may lose the last of them, see "
         "docs/durability.md), or when it is on disk",
         [](ServeConfig& c) -> Field { return &c.durability; }, kDurabilities},
  Option{"eviction", OptionType::choice, kData, 0, 0,
         "What leaves memory when it is used up, and is read from disk when it is asked for: values (all keys stay in "
         "memory, so that a miss is known at once), or full documents (for more keys than fit into memory)",
         [](ServeConfig& c) -> Field { return &c.eviction; }, kEvictions},
  Option{"max_unsaved", OptionType::size, kData, 64 * kKiB, 64 * kGiB,
         "Bytes of changes that may wait for the disk, at most a quarter of the memory for documents; above it, writers "
         "wait for the disk too",
         [](ServeConfig& c) -> Field { return &c.max_unsaved_bytes; }},
  Option{"flush_linger", OptionType::duration, kData, 0, 60'000,
         "How long a change may wait for others before it is written, so that they share a commit; not with "
         "durability = disk",
         [](ServeConfig& c) -> Field { return &c.flush_linger; }},
  Option{"disk_memory", OptionType::size, kData, 0, 64 * kGiB,
         "The part of --memory that is for the disk's caches and write buffers; 0 takes an eighth, from 8M to 128M",
         [](ServeConfig& c) -> Field { return &c.disk_memory_bytes; }},
  Option{"disk_shards", OptionType::count, kData, 0, 64,
         "Parts of a new data directory, each with a thread that writes; 0 takes 2, or what the directory has",
         [](ServeConfig& c) -> Field { return &c.disk_shards; }},
  Option{"disk_readers", OptionType::count, kData, 1, 256,
         "Threads that read from disk what is not in memory",
         [](ServeConfig& c) -> Field { return &c.disk_readers; }},
  Option{"history", OptionType::size, kData, 0, 1024 * kGiB,
         "Bytes of changes to keep on disk until a backup takes them, at most half of what is free: bobbin restore "
         "--until then restores any moment between two backups",
         [](ServeConfig& c) -> Field { return &c.history_bytes; }},

  Option{"follow", OptionType::path, kFollow, 0, 0,
         "Be a copy of the server at this host or host:port (11210 where none is named), whose buckets on disk are copied: "
         "take its changes as they are made, serve reads, and refuse changes of clients (docs/following.md). Started "
         "again without this, the server takes changes",
         [](ServeConfig& c) -> Field { return &c.follow; }, {}, "ADDRESS"},
  Option{"follow_user", OptionType::path, kFollow, 0, 0,
         "The user that this server logs in as there",
         [](ServeConfig& c) -> Field { return &c.follow_user; }, {}, "NAME"},
  Option{"follow_password", OptionType::path, kFollow, 0, 0,
         "That user's password; others on this machine can see arguments, so better give it in the environment or in a "
         "file",
         [](ServeConfig& c) -> Field { return &c.follow_password; }, {}, "TEXT"},
  Option{"follow_password_file", OptionType::path, kFollow, 0, 0,
         "A file whose first line is that password",
         [](ServeConfig& c) -> Field { return &c.follow_password_file; }},
  Option{"follow_buckets", OptionType::path, kFollow, 0, 0,
         "Which of the source's buckets to copy, with commas between their names. Without this: all that --follow-user "
         "may select, also those that come later",
         [](ServeConfig& c) -> Field { return &c.follow_buckets; }, {}, "NAMES"},
  Option{"follow_tls", OptionType::boolean, kFollow, 0, 0,
         "Speak TLS with the source: --follow then names a port that does (11207 where none is named), and the host that "
         "its certificate is for",
         [](ServeConfig& c) -> Field { return &c.follow_tls; }},
  Option{"follow_cafile", OptionType::path, kFollow, 0, 0,
         "Who may sign the source's certificate, in PEM; with --follow-tls. Without this: whom this machine trusts",
         [](ServeConfig& c) -> Field { return &c.follow_cafile; }},
  Option{"follow_insecure", OptionType::boolean, kFollow, 0, 0,
         "Take any certificate of the source; with --follow-tls, and not with --follow-cafile",
         [](ServeConfig& c) -> Field { return &c.follow_insecure; }},

  Option{"admin", OptionType::path, kSeed, 0, 0,
         "Where there are no users yet, make an administrator of this name before the first client is served; not with --dev. Without "
         "--admin-password its password is made up, and printed once",
         [](ServeConfig& c) -> Field { return &c.admin; }, {}, "NAME"},
  Option{"admin_password", OptionType::path, kSeed, 0, 0,
         "That administrator's password, of Administrator where --admin names none; better given in the environment",
         [](ServeConfig& c) -> Field { return &c.admin_password; }, {}, "TEXT"},
  Option{"seed", OptionType::path, kSeed, 0, 0,
         "A folder, or a file *.toml, with buckets, collections, users and documents that are made before the first "
         "client is served, where they are not there yet (docs/seed.md)",
         [](ServeConfig& c) -> Field { return &c.seed; }},

  Option{"max_connections", OptionType::count, kConnections, 1, 1'000'000,
         "Connections open at once; further ones wait in the backlog until one closes",
         [](ServeConfig& c) -> Field { return &c.limits.max_connections; }},
  Option{"max_unread", OptionType::size, kConnections, 64 * kKiB, kGiB,
         "Bytes of an incomplete request that a connection may hold before it is closed; values do not count",
         [](ServeConfig& c) -> Field { return &c.limits.max_unread_bytes; }},
  Option{"max_unsent", OptionType::size, kConnections, 16 * kKiB, kGiB,
         "Bytes of replies the client has not taken; above it no further request of that connection is answered "
         "until half of them are gone",
         [](ServeConfig& c) -> Field { return &c.limits.max_unsent_bytes; }},
  Option{"spool_bytes", OptionType::size, kConnections, 16 * kKiB, kGiB,
         "Bytes that other threads may have queued for one connection, such as lines of the live log",
         [](ServeConfig& c) -> Field { return &c.limits.spool_bytes; }},
  Option{"idle_timeout", OptionType::duration, kConnections, 0, kMonthMs,
         "Close a connection that has sent nothing for so long; 0 never does",
         [](ServeConfig& c) -> Field { return &c.limits.idle_timeout; }},
  Option{"login_timeout", OptionType::duration, kConnections, 0, 3'600'000,
         "Close a connection that has to log in and has not for so long, and one of HTTP whose request takes so "
         "long to come; 0 never does",
         [](ServeConfig& c) -> Field { return &c.limits.expect_timeout; }},
  Option{"stall_timeout", OptionType::duration, kConnections, 0, kMonthMs,
         "Close a connection whose client takes nothing for so long while replies wait for it; 0 never does",
         [](ServeConfig& c) -> Field { return &c.limits.stall_timeout; }},
  Option{"drain_timeout", OptionType::duration, kConnections, 0, 3'600'000,
         "How long the end of the server waits for clients to take their last replies",
         [](ServeConfig& c) -> Field { return &c.limits.drain_timeout; }},

  Option{"scans", OptionType::count, kConnections, 1, 100'000,
         "Range scans that may be open at once, each of which keeps a moment of the disk",
         [](ServeConfig& c) -> Field { return &c.scans.scans; }},
  Option{"scans_per_connection", OptionType::count, kConnections, 1, 100'000,
         "Of these, those that one connection may have made",
         [](ServeConfig& c) -> Field { return &c.scans.scans_per_connection; }},
  Option{"scan_idle_timeout", OptionType::duration, kConnections, 1, kMonthMs,
         "Drop a range scan that nobody has continued for so long",
         [](ServeConfig& c) -> Field { return &c.scans.idle_timeout; }},
  Option{"scan_memory", OptionType::size, kConnections, kMiB, kTiB,
         "Bytes of documents of 32 KiB and more that range scans may have read and not sent; a user who has logged in gets a quarter",
         [](ServeConfig& c) -> Field { return &c.scans.memory.bytes; }},
  Option{"scan_memory_per_connection", OptionType::size, kConnections, kMiB, kTiB,
         "Of these, those for one connection; one document is let through alone, whatever its size",
         [](ServeConfig& c) -> Field { return &c.scans.memory.connection_bytes; }},

  Option{"threads", OptionType::count, kProcess, 0, 1024,
         "Threads that serve connections; 0 takes one per core",
         [](ServeConfig& c) -> Field { return &c.threads; }},
  Option{"feed_threads", OptionType::count, kProcess, 1, 256,
         "Threads that produce range scans and change streams",
         [](ServeConfig& c) -> Field { return &c.feed_threads; }},
  Option{"max_backfills", OptionType::count, kProcess, 1, 1024,
         "Change streams of a bucket that read its disk at once; others wait for their turn",
         [](ServeConfig& c) -> Field { return &c.max_backfills; }},
  Option{"log_level", OptionType::log_level, kProcess, 0, 0,
         "The least important lines that are logged: error, warning, info or debug",
         [](ServeConfig& c) -> Field { return &c.log_level; }},
  Option{"pid_file", OptionType::path, kProcess, 0, 0,
         "Write the process id to this file once the server listens, and remove it at the end",
         [](ServeConfig& c) -> Field { return &c.pid_file; }},
};
// clang-format on

struct LevelName {
  std::string_view name;
  base::LogLevel level;
};
constexpr std::array kLevels = {
    LevelName{"error", base::LogLevel::error},
    LevelName{"warning", base::LogLevel::warning},
    LevelName{"info", base::LogLevel::info},
    LevelName{"debug", base::LogLevel::debug},
};

std::optional<uint64_t> parse_bool(std::string_view text) {
  for (const std::string_view yes : {"true", "1", "yes", "on"}) {
    if (text == yes) return 1;
  }
  for (const std::string_view no : {"false", "0", "no", "off"}) {
    if (text == no) return 0;
  }
  return std::nullopt;
}

std::optional<uint64_t> parse_log_level(std::string_view text) {
  for (const LevelName& known : kLevels) {
    if (known.name == text) return static_cast<uint64_t>(known.level);
  }
  return std::nullopt;
}

/// What a text of that type is called, and examples of it.
struct Wording {
  std::string_view kind;
  std::string_view examples;
};

Wording wording(OptionType type) {
  switch (type) {
    case OptionType::port:
      return {"a port", "a number from 0 to 65535"};
    case OptionType::size:
      return {"a size", "examples: 512M, 4GiB"};
    case OptionType::duration:
      return {"a duration", "examples: 30s, 500ms, 5m"};
    case OptionType::count:
      return {"a number", "digits only"};
    case OptionType::boolean:
      return {"true or false", "also accepted: yes, no, on, off, 1, 0"};
    case OptionType::mode:
      return {"a file mode", "octal digits, for example 0770"};
    case OptionType::log_level:
      return {"a log level", "error, warning, info or debug"};
    case OptionType::addresses:
      return {"an address", "examples: 127.0.0.1, [::1]:11212, unix:/run/bobbin.sock"};
    case OptionType::path:
      return {"a path", "at least one character"};
    case OptionType::choice:
      break;  // named by the option
  }
  return {};
}

std::optional<uint64_t> parse_number(OptionType type, std::string_view text) {
  switch (type) {
    case OptionType::size:
      return parse_size(text);
    case OptionType::duration:
      return parse_duration_ms(text);
    case OptionType::boolean:
      return parse_bool(text);
    case OptionType::mode:
      return parse_mode(text);
    case OptionType::log_level:
      return parse_log_level(text);
    default:
      return parse_count(text);
  }
}

std::string format_number(OptionType type, uint64_t number) {
  switch (type) {
    case OptionType::size:
      return format_size(number);
    case OptionType::duration:
      return format_duration(number);
    case OptionType::boolean:
      return number != 0 ? "true" : "false";
    case OptionType::mode:
      return format_mode(number);
    case OptionType::log_level:
      return std::string(kLevels.at(number).name);
    default:
      return std::to_string(number);
  }
}

/// Writes a number that is known to fit into whatever numeric field there is.
struct StoreNumber {
  uint64_t number;
  void operator()(std::string*) const {}
  void operator()(std::vector<std::string>*) const {}
  void operator()(std::chrono::milliseconds* field) const { *field = std::chrono::milliseconds(number); }
  template <typename Number>
  void operator()(Number* field) const {  // enumerations too
    *field = static_cast<Number>(number);
  }
};

/// The position of a choice.
struct ChoiceNumber {
  size_t operator()(const Durability* field) const { return static_cast<size_t>(*field); }
  size_t operator()(const Eviction* field) const { return static_cast<size_t>(*field); }
  size_t operator()(const net::ClientCertificates* field) const { return static_cast<size_t>(*field); }
  template <typename Other>
  size_t operator()(const Other* /*field*/) const {
    return 0;
  }
};

struct FieldText {
  OptionType type;
  std::string operator()(const std::string* field) const { return *field; }
  std::string operator()(const std::vector<std::string>* field) const {
    return fmt::format("{}", fmt::join(*field, ", "));
  }
  std::string operator()(const std::chrono::milliseconds* field) const {
    return format_number(type, static_cast<uint64_t>(field->count()));
  }
  template <typename Number>
  std::string operator()(const Number* field) const {
    return format_number(type, static_cast<uint64_t>(*field));
  }
};

base::Result<void, base::Error> not_a(const Option& option, std::string_view text) {
  const auto [kind, examples] = wording(option.type);
  return base::fail(base::Error{fmt::format("\"{}\" is not {} ({})", text, kind, examples)});
}

base::Result<void, base::Error> set_addresses(std::vector<std::string>& field,
                                              std::span<const std::string> texts) {
  for (const std::string& text : texts) {
    if (text == "none" && texts.size() == 1) break;
    if (text == "none") {
      return base::fail(base::Error{"\"none\" stands for no address at all and must be the only entry"});
    }
    const auto address = net::Address::parse(text, 0);
    if (!address) return base::fail(address.error());
  }
  field.assign(texts.begin(), texts.end());
  if (field.empty()) field = {"none"};
  return {};
}

base::Result<void, base::Error> set_choice(const Field& field, const Option& option, std::string_view text) {
  const auto found = std::find(option.choices.begin(), option.choices.end(), text);
  if (found == option.choices.end()) {
    return base::fail(
        base::Error{fmt::format("\"{}\" is not one of {}", text, fmt::join(option.choices, ", "))});
  }
  std::visit(StoreNumber{static_cast<uint64_t>(found - option.choices.begin())}, field);
  return {};
}

base::Result<void, base::Error> set_path(std::string& field, const Option& option, const std::string& text) {
  if (text.empty()) return not_a(option, text);
  field = text;
  return {};
}

}  // namespace

std::span<const Option> serve_options() {
  return kOptions;
}

std::string flag_name(const Option& option) {
  std::string name = "--" + std::string(option.key);
  std::replace(name.begin(), name.end(), '_', '-');
  return name;
}

std::string environment_name(const Option& option) {
  std::string name = "BOBBIN_" + std::string(option.key);
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::toupper(c); });
  return name;
}

std::string_view value_name(const Option& option) {
  if (!option.value.empty()) return option.value;
  using enum OptionType;
  static constexpr std::pair<OptionType, std::string_view> kNames[] = {
      {port, "PORT"}, {addresses, "ADDRESS"}, {size, "SIZE"},       {duration, "DURATION"}, {count, "N"},
      {path, "PATH"}, {mode, "MODE"},         {log_level, "LEVEL"}, {choice, "NAME"},       {boolean, ""}};
  const auto* const found = std::find_if(std::begin(kNames), std::end(kNames),
                                         [&option](const auto& name) { return name.first == option.type; });
  return found == std::end(kNames) ? "" : found->second;
}

std::string current_text(const Option& option, const ServeConfig& config) {
  ServeConfig copy = config;
  if (option.type == OptionType::choice) {
    return std::string(option.choices[std::visit(ChoiceNumber{}, option.field(copy))]);
  }
  return std::visit(FieldText{option.type}, option.field(copy));
}

std::string range_text(const Option& option) {
  if (!option.choices.empty()) return fmt::format("{}", fmt::join(option.choices, ", "));
  const bool no_number = option.min == 0 && option.max == 0;
  if (no_number || option.type == OptionType::mode) return "";
  return fmt::format("{} to {}", format_number(option.type, option.min),
                     format_number(option.type, option.max));
}

base::Result<void, base::Error> set_option(ServeConfig& config, const Option& option,
                                           std::span<const std::string> texts) {
  const Field field = option.field(config);
  if (option.type == OptionType::addresses) {
    return set_addresses(*std::get<std::vector<std::string>*>(field), texts);
  }
  const std::string& text = texts.front();
  if (option.type == OptionType::path) return set_path(*std::get<std::string*>(field), option, text);
  if (option.type == OptionType::choice) return set_choice(field, option, text);
  const auto number = parse_number(option.type, text);
  if (!number) return not_a(option, text);
  const bool ranged = option.min != 0 || option.max != 0;
  if (ranged && (*number < option.min || *number > option.max)) {
    if (option.type == OptionType::port || option.type == OptionType::mode) return not_a(option, text);
    return base::fail(base::Error{fmt::format("{} is too {} ({})", text,
                                              *number < option.min ? "small" : "large", range_text(option))});
  }
  std::visit(StoreNumber{*number}, field);
  return {};
}

}  // namespace bobbin::cli
