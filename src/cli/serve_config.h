#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/result.h"
#include "cli/seed.h"
#include "feed/scans.h"
#include "net/address.h"
#include "net/limits.h"
#include "net/tls.h"

namespace bobbin::cli {

/// When a write is acknowledged. The values are positions in the option's choices.
enum class Durability : uint8_t { memory, disk };
/// What goes when memory is used up: store::EvictionPolicy, as an option.
enum class Eviction : uint8_t { value, full };

/// Everything that `bobbin serve` can be told. The initial values are the defaults: help and documentation
/// read them from here. Each field has a row in the table of options.cc that says how it is written.
struct ServeConfig {
  /// Hosts, "host:port", "[v6]:port" or "unix:/path"; the single word "none" stands for no TCP at all.
  std::vector<std::string> listen = {"127.0.0.1", "::1"};
  uint16_t port = 11211;  ///< for every entry of `listen` that names none; 0: the kernel chooses
  /// Of the same entries, besides: where Couchbase's clients look. 0: none, as where `port` is given alone.
  uint16_t mcbp_port = 11210;
  /// Of the same entries, besides: management by HTTP. 0: none, as where `port` is given alone.
  uint16_t http_port = 8091;
  std::string tls_cert;  ///< the server's certificate, a file; empty: no TLS
  std::string tls_key;
  std::string tls_client_ca;
  net::ClientCertificates tls_client_certificates = net::ClientCertificates::off;
  /// Every host of `listen`, with a certificate: where the same is spoken through TLS. 0: nowhere, as where
  /// `port` is given alone.
  uint16_t tls_port = 11207;
  uint16_t tls_http_port = 18091;
  /// "host" or "host:port" that configurations for Couchbase's clients name; empty: what each has dialled.
  std::string advertise;
  /// The same for clients that ask for the network "external"; empty: there is no such one.
  std::string external;
  uint16_t external_http_port = 0;  ///< with a port of `external`: where HTTP is reached there; 0: nowhere
  // The same for TLS, the data and HTTP.
  uint16_t external_tls_port = 0;
  uint16_t external_tls_http_port = 0;
  bool dev = false;  ///< a user Administrator with the password "password", and anybody else as well
  std::string unix_socket;
  uint32_t unix_mode = 0700;
  bool force_public = false;

  size_t memory_bytes = size_t{64} << 20;  ///< where none is given, of a cache; see load_config
  size_t max_item_bytes = size_t{1} << 20;
  bool disable_evictions = false;

  /// Whether what is stored is kept in `data`. Not an option: follows from which of `data` and `memory` were
  /// given.
  bool persistent = true;
  std::string data = "bobbin-data";
  Durability durability = Durability::memory;
  Eviction eviction = Eviction::value;
  size_t max_unsaved_bytes = size_t{64} << 20;
  std::chrono::milliseconds flush_linger{200};
  size_t disk_memory_bytes = 0;  ///< 0: a share of memory_bytes
  size_t disk_shards = 0;        ///< 0: those that the directory has
  size_t disk_readers = 4;
  size_t history_bytes = size_t{64} << 20;

  /// "host" or "host:port" of the server whose copy this one is; empty: of nobody.
  std::string follow;
  std::string follow_user;           ///< empty: nobody logs in there
  std::string follow_password;       ///< that of the file, where there is one (load_config)
  std::string follow_password_file;  ///< empty: none
  std::string follow_buckets;        ///< names, with commas between them; empty: all
  bool follow_tls = false;           ///< the source is spoken to through TLS
  std::string follow_cafile;         ///< who may sign its certificate; empty: whom this machine trusts
  bool follow_insecure = false;      ///< any certificate will do

  /// Who is made an administrator where there are no users; empty: nobody.
  std::string admin;
  std::string admin_password;  ///< empty: one is made up, and printed

  std::string seed;        ///< a folder, or a file *.toml, with what the server begins with; empty: none
  SeedTables seed_tables;  ///< of that, of the configuration file and of the environment

  size_t threads = 0;  ///< 0: one per core
  size_t feed_threads = 2;
  feed::ScanLimits scans;
  size_t max_backfills = 4;
  net::Limits limits;

  base::LogLevel log_level = base::LogLevel::info;
  std::string pid_file;
};

/// The part of memory_bytes that RocksDB's caches and memtables may take.
[[nodiscard]] size_t disk_memory(const ServeConfig& config);

/// Where Couchbase's clients look: the port of a source that names none.
inline constexpr uint16_t kSourcePort = 11210;
inline constexpr uint16_t kSourceTlsPort = 11207;

/// `follow_buckets`, each by itself.
[[nodiscard]] std::vector<std::string> followed_buckets(const ServeConfig& config);

/// `follow` as an address, whose port is the usual one where it names none.
[[nodiscard]] base::Result<net::Address, base::Error> source_address(const ServeConfig& config);

/// `listen` with `port`, then with `mcbp_port`, then the Unix socket. Empty when there is nothing to listen
/// on. An error names the entry that is no address.
base::Result<std::vector<net::Address>, base::Error> listen_addresses(const ServeConfig& config);
/// `listen` with `http_port`; empty when there is no HTTP.
base::Result<std::vector<net::Address>, base::Error> http_addresses(const ServeConfig& config);
/// The same with `tls_port` and `tls_http_port`; empty without a certificate.
base::Result<std::vector<net::Address>, base::Error> tls_addresses(const ServeConfig& config);
base::Result<std::vector<net::Address>, base::Error> tls_http_addresses(const ServeConfig& config);

}  // namespace bobbin::cli
