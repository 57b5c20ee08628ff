#include "cli/load_config.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "cli/config_file.h"
#include "cli/options.h"
#include "cli/quantity.h"
#include "cli/server_users.h"
#include "cli/suggestion.h"
#include "serve/bucket_settings.h"

namespace bobbin::cli {
namespace {

constexpr const char* kConfigVariable = "BOBBIN_CONFIG";
constexpr const char* kSeedVariable = "BOBBIN_SEED_TOML";

/// Whether a value of that kind in the file can stand for an option of that type, and what is expected if
/// not.
bool kind_fits(OptionType type, FileValueKind kind) {
  switch (type) {
    case OptionType::port:
    case OptionType::count:
      return kind == FileValueKind::integer;
    case OptionType::size:
    case OptionType::duration:
      return kind == FileValueKind::integer || kind == FileValueKind::text;
    case OptionType::boolean:
      return kind == FileValueKind::boolean;
    default:
      return kind == FileValueKind::text;
  }
}

std::string_view expected_kind(OptionType type) {
  switch (type) {
    case OptionType::port:
    case OptionType::count:
      return "a number";
    case OptionType::size:
      return "a size (examples: \"512M\", \"4GiB\", or a number of bytes)";
    case OptionType::duration:
      return "a duration (examples: \"30s\", \"500ms\", or a number of seconds)";
    case OptionType::boolean:
      return "true or false";
    case OptionType::mode:
      return "a file mode in quotes (example: \"0770\")";
    case OptionType::addresses:
      return "a list of addresses in quotes (example: [\"127.0.0.1\"])";
    default:
      return "a text in quotes";
  }
}

std::vector<std::string> split_at_commas(std::string_view text) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const size_t end = std::min(text.find(','), text.size());
    std::string_view part = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    while (part.starts_with(' '))
      part.remove_prefix(1);
    while (part.ends_with(' '))
      part.remove_suffix(1);
    parts.emplace_back(part);
  }
  return parts;
}

/// The folder that a file lies in; of the working directory it is empty.
std::string folder_of(const std::string& path) {
  return std::filesystem::path(path).parent_path().string();
}

class Loader {
 public:
  explicit Loader(Environment environment) : environment_(std::move(environment)) {}

  void from_file(const std::string& path) {
    const auto entries = read_config_file(path);
    if (!entries) {
      errors_.push_back(entries.error());
      return;
    }
    std::vector<FileEntry> tables;
    for (const FileEntry& entry : *entries) {
      if (is_seed_key(entry.key))
        tables.push_back(entry);
      else
        apply(path, entry);
    }
    read_seed_tables(tables, {path, folder_of(path), environment_}, config_.seed_tables, errors_);
  }

  void from_environment() {
    for (const Option& option : serve_options()) {
      const std::string name = environment_name(option);
      const char* text = environment_(name.c_str());
      // An empty variable is how a shell says "not set".
      if (text == nullptr || *text == '\0') continue;
      const bool list = option.type == OptionType::addresses;
      set(option, list ? split_at_commas(text) : std::vector<std::string>{text},
          "environment variable " + name);
    }
  }

  /// After the options, which name its place.
  void read_seed() {
    const char* const text = environment_(kSeedVariable);
    if (text != nullptr && *text != '\0')
      add_seed(parse_config_text(text, kSeedVariable), {kSeedVariable, {}, environment_});
    if (config_.seed.empty()) return;
    std::error_code error;
    const bool is_file = config_.seed.ends_with(".toml");
    if (!is_file && !std::filesystem::is_directory(config_.seed, error)) {
      errors_.push_back({fmt::format("{}{} is no folder, and no file *.toml", where("seed"), config_.seed)});
      return;
    }
    const std::string path = is_file ? config_.seed : config_.seed + "/seed.toml";
    if (is_file || std::filesystem::exists(path, error))
      add_seed(read_config_file(path), {path, folder_of(path), environment_});
  }

  void from_flags(const Arguments& arguments) {
    for (const Option& option : serve_options()) {
      const std::string name = flag_name(option);
      if (!arguments.has(name)) continue;
      std::vector<std::string> texts = arguments.all(name);
      if (option.type != OptionType::addresses) texts = {texts.back()};
      set(option, texts, name);
    }
  }

  /// What no single option can tell. To be called last.
  void check_together() {
    settle_memory();
    read_seed();
    if (given("port") && !given("mcbp_port")) config_.mcbp_port = 0;
    if (given("port") && !given("http_port")) config_.http_port = 0;
    settle_tls();
    if (!errors_.empty()) return;
    const auto addresses = listen_addresses(config_);
    if (!addresses) {
      errors_.push_back({where("unix_socket") + addresses.error().message});
      return;
    }
    if (addresses->empty()) {
      errors_.push_back({where("listen") + "there is nothing to listen on: no address and no Unix socket"});
    }
    settle_admin();
    std::set<std::string> hosts;  // one may listen on two ports
    for (const net::Address& address : *addresses)
      if (hosts.insert(address.host).second) check_reach(address);
    settle_follow();
    check_place("advertise", config_.advertise);
    check_place("external", config_.external);
    check_external_ports();
  }

  base::Result<ServeConfig, std::vector<base::Error>> result() && {
    if (!errors_.empty()) return base::fail(std::move(errors_));
    return std::move(config_);
  }

 private:
  void add_seed(const base::Result<std::vector<FileEntry>, base::Error>& entries, const SeedText& text) {
    if (entries)
      read_seed_tables(*entries, text, config_.seed_tables, errors_);
    else
      errors_.push_back(entries.error());
  }

  void check_external_ports() {
    const auto external = net::Address::parse(config_.external, 0);
    const bool has_port = external && external->port != 0;
    const auto check = [&](std::string_view key, uint16_t port, bool is_tls) {
      if (port != 0 && !has_port)
        errors_.push_back({where(key) + "this is for an --external that has a port"});
      else if (port != 0 && is_tls && config_.tls_cert.empty())
        errors_.push_back({where(key) + "there is no certificate (--tls-cert), and without one no TLS"});
    };
    check("external_http_port", config_.external_http_port, false);
    check("external_tls_port", config_.external_tls_port, true);
    check("external_tls_http_port", config_.external_tls_http_port, true);
  }

  void settle_tls() {
    if (given("port") && !given("tls_port")) config_.tls_port = 0;
    if (given("port") && !given("tls_http_port")) config_.tls_http_port = 0;
    using net::ClientCertificates;
    const auto refuse = [this](std::string_view key, const char* why) {
      errors_.push_back({where(key) + why});
    };
    if (config_.tls_cert.empty()) {
      for (const std::string_view key : {"tls_key", "tls_client_ca"})
        if (given(key)) refuse(key, "there is no certificate (--tls-cert), and without one no TLS");
      return;
    }
    if (config_.tls_key.empty()) refuse("tls_cert", "the certificate's key is missing (--tls-key)");
    if (!config_.tls_client_ca.empty() && !given("tls_client_certificates"))
      config_.tls_client_certificates = ClientCertificates::optional;
    if (config_.tls_client_certificates != ClientCertificates::off && config_.tls_client_ca.empty())
      refuse("tls_client_certificates", "it is not told who signs them (--tls-client-ca)");
    if (config_.tls_port == 0 && config_.tls_http_port == 0)
      refuse("tls_cert", "there is no port for TLS (--tls-port, --tls-http-port)");
  }

  void settle_follow() {
    const auto refuse = [this](std::string_view key, const std::string& why) {
      errors_.push_back({where(key) + why});
    };
    if (config_.follow.empty()) {
      for (const std::string_view key : {"follow_user", "follow_password", "follow_password_file",
                                         "follow_buckets", "follow_tls", "follow_cafile", "follow_insecure"})
        if (given(key)) refuse(key, "this is for a server that follows another (--follow)");
      return;
    }
    const auto source = source_address(config_);
    if (!source) return refuse("follow", source.error().message);
    if (!config_.persistent)
      refuse("follow", "a cache, which --memory without --data asks for, keeps no history that could go on");
    if (given("seed") || !config_.seed_tables.buckets.empty())
      refuse("follow", "what the server begins with (--seed) is its source's");
    check_followed_buckets();
    if (!config_.follow_tls) {
      for (const std::string_view key : {"follow_cafile", "follow_insecure"})
        if (given(key)) refuse(key, "this is for a source that is spoken to through TLS (--follow-tls)");
    } else if (source->is_unix()) {
      refuse("follow_tls", "not on a Unix socket, which has no name to be certified");
    } else if (config_.follow_insecure && !config_.follow_cafile.empty()) {
      refuse("follow_insecure",
             "any certificate will do then, and nobody is asked who signed it (--follow-cafile)");
    }
    if (given("follow_password") && given("follow_password_file"))
      refuse("follow_password_file", "the password is given already (--follow-password)");
    if ((given("follow_password") || given("follow_password_file")) && config_.follow_user.empty())
      refuse(given("follow_password") ? "follow_password" : "follow_password_file",
             "whose password this is is missing (--follow-user)");
    if (!config_.follow_password_file.empty()) read_follow_password();
  }

  void settle_admin() {
    for (const std::string_view key : {"admin", "admin_password"})
      if (given(key) && config_.dev)
        errors_.push_back(
            {where(key) + "with --dev there is an administrator, and anybody may do everything"});
    if (!config_.admin_password.empty() && config_.admin.empty()) config_.admin = "Administrator";
  }

  void check_followed_buckets() {
    std::set<std::string> seen;
    for (const std::string& name : followed_buckets(config_)) {
      if (!serve::is_bucket_name(name))
        errors_.push_back({fmt::format("{}\"{}\" is no name of a bucket", where("follow_buckets"), name)});
      else if (!seen.insert(name).second)
        errors_.push_back({fmt::format("{}{} is named twice", where("follow_buckets"), name)});
    }
  }

  void read_follow_password() {
    std::ifstream file(config_.follow_password_file);
    if (!std::getline(file, config_.follow_password))
      errors_.push_back(
          {fmt::format("{}{} cannot be read", where("follow_password_file"), config_.follow_password_file)});
    if (config_.follow_password.ends_with('\r')) config_.follow_password.pop_back();
  }

  /// It stands in configurations as it is, which are JSON.
  void check_place(std::string_view key, const std::string& text) {
    if (text.empty()) return;
    const auto address = net::Address::parse(text, 0);
    if (!address) {
      errors_.push_back({where(key) + address.error().message});
      return;
    }
    const auto fits = [](char c) {
      return std::isalnum(static_cast<unsigned char>(c)) != 0 || std::strchr(".:-_%", c) != nullptr;
    };
    if (address->is_unix() || !std::all_of(address->host.begin(), address->host.end(), fits))
      errors_.push_back({fmt::format("{}\"{}\" is no host, and no host with a port", where(key), text)});
  }

  /// Whether other machines may be let in.
  void check_reach(const net::Address& address) {
    if (net::is_loopback(address)) return;
    if (config_.dev) {
      errors_.push_back({fmt::format("{}--dev lets everybody in, and is for loopback addresses: not for {}",
                                     where("listen"), address.text())});
      return;
    }
    if (config_.force_public || has_users(config_) || !config_.seed_tables.users.empty() ||
        !config_.admin.empty())
      return;
    errors_.push_back(
        {fmt::format("{}refusing to listen on {}, which other machines may reach: there are no users and "
                     "passwords, so whoever reaches that address could read, change and delete everything. "
                     "Listen on 127.0.0.1, or add users first (--admin, bobbin user add, --seed), or, if "
                     "your network keeps others away, add --force-public (force_public = true in the file)",
                     where("listen"), address.text())});
  }

  void apply(const std::string& path, const FileEntry& entry) {
    const auto options = serve_options();
    const auto option =
        std::find_if(options.begin(), options.end(), [&](const Option& row) { return row.key == entry.key; });
    const auto origin = [&](size_t line) { return fmt::format("{}:{}", path, line); };
    if (option == options.end()) {
      std::vector<std::string> known;
      for (const Option& row : options)
        known.emplace_back(row.key);
      errors_.push_back({fmt::format("{}: unknown key \"{}\"{}", origin(entry.line), entry.key,
                                     did_you_mean(entry.key, known))});
      return;
    }
    const bool takes_list = option->type == OptionType::addresses;
    if (entry.is_list && !takes_list) {
      errors_.push_back({fmt::format("{}: {}: expected {}, found a list", origin(entry.line), entry.key,
                                     expected_kind(option->type))});
      return;
    }
    std::vector<std::string> texts;
    for (const FileValue& value : entry.values) {
      const std::string at = origin(value.line);
      if (!kind_fits(option->type, value.kind)) {
        errors_.push_back({fmt::format("{}: {}: expected {}, found {}", at, entry.key,
                                       expected_kind(option->type), found_kind(value))});
        return;
      }
      // Each element is checked where it stands; the last call sets the whole list.
      texts.push_back(value.text);
      if (!set(*option, texts, at + ": " + entry.key)) return;
    }
    if (entry.values.empty()) set(*option, {}, origin(entry.line) + ": " + entry.key);
  }

  bool set(const Option& option, const std::vector<std::string>& texts, const std::string& prefix) {
    const auto done = set_option(config_, option, texts);
    if (!done) {
      errors_.push_back({prefix + ": " + done.error().message});
      return false;
    }
    prefixes_[option.key] = prefix;
    return true;
  }

  [[nodiscard]] bool given(std::string_view key) const { return prefixes_.contains(key); }

  // Memory alone asks for a cache; a directory, or nothing at all, for a store that survives.
  void settle_memory() {
    config_.persistent = given("data") || !given("memory");
    if (config_.persistent) {
      if (given("disable_evictions") && config_.disable_evictions && given("data")) {
        errors_.push_back({where("disable_evictions") +
                           "this is for a cache: with a data directory nothing is lost by eviction"});
      }
      if (!given("memory")) config_.memory_bytes = default_memory();
      const size_t disk = disk_memory(config_);
      if (disk > config_.memory_bytes / 2) {
        errors_.push_back({fmt::format("{}the disk's part of the memory, {}, would be more than half of {}",
                                       where(given("memory") ? "memory" : "disk_memory"), format_size(disk),
                                       format_size(config_.memory_bytes))});
      }
      return;
    }
    for (const std::string_view key : {"durability", "eviction", "max_unsaved", "flush_linger", "disk_memory",
                                       "disk_shards", "disk_readers", "history"}) {
      if (!given(key)) continue;
      errors_.push_back({where(key) + "a cache, which --memory without --data asks for, has no disk"});
    }
  }

  static size_t default_memory() {
    const auto machine =
        static_cast<size_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<size_t>(sysconf(_SC_PAGE_SIZE));
    return std::clamp(machine / 4, size_t{64} << 20, size_t{1} << 30);
  }

  std::string where(std::string_view key) const {
    const auto found = prefixes_.find(key);
    return (found == prefixes_.end() ? std::string(key) : found->second) + ": ";
  }

  const Environment environment_;
  ServeConfig config_;
  std::map<std::string_view, std::string> prefixes_;  ///< of messages about an option that was set
  std::vector<base::Error> errors_;
};

}  // namespace

std::vector<Flag> serve_flags() {
  const ServeConfig defaults;
  std::vector<Flag> flags;
  for (const Option& option : serve_options()) {
    Flag flag;
    flag.name = flag_name(option);
    flag.value_name = value_name(option);
    flag.help = option.help;
    flag.group = option.group;
    const std::string value = current_text(option, defaults);
    if (option.type != OptionType::boolean && !value.empty()) flag.note = "default " + value;
    flags.push_back(std::move(flag));
  }
  return flags;
}

base::Result<ServeConfig, std::vector<base::Error>> load_config(const Arguments& arguments,
                                                                const Environment& environment) {
  Loader loader(environment);
  std::string path = arguments.last("--config");
  if (const char* named = environment(kConfigVariable); path.empty() && named != nullptr) path = named;
  if (!path.empty()) loader.from_file(path);
  loader.from_environment();
  loader.from_flags(arguments);
  loader.check_together();
  return std::move(loader).result();
}

}  // namespace bobbin::cli
