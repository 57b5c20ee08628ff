#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "base/result.h"
#include "cli/arguments.h"
#include "cli/bench_protocol.h"
#include "net/address.h"
#include "net/tls_client.h"

namespace bobbin::cli {

/// What `bobbin bench` was asked to do. The initial values are the defaults that the help names.
struct BenchOptions {
  net::Address server;
  std::optional<net::TlsTrust> tls;  ///< none: bytes go as they are
  BenchProtocol protocol = BenchProtocol::text;
  uint32_t connections = 50;  ///< over all threads; at least as many as threads
  uint32_t in_flight = 1;     ///< requests per connection that wait for their answers
  uint32_t threads = 1;       ///< loops

  uint32_t sets = 0;  ///< of sets + gets requests, so many are sets
  uint32_t gets = 1;
  uint32_t multi_get = 1;  ///< keys of one get
  uint32_t paths = 0;      ///< a get is a lookup of so many paths in a JSON document; 0: of the whole value
  uint32_t keys = 10'000;
  uint32_t key_bytes = 16;
  std::optional<double> zipf_theta;  ///< none: every key is as likely as another
  uint32_t min_value_bytes = 100;
  uint32_t max_value_bytes = 100;

  std::chrono::milliseconds duration{10'000};  ///< zero: until `requests` were sent
  std::chrono::milliseconds warmup{1'000};
  uint64_t requests = 0;  ///< after the warm-up; 0: until the duration is over
  uint64_t rate = 0;      ///< requests a second over all connections; 0: as fast as answers come
  std::chrono::milliseconds timeout{10'000};  ///< for an answer; zero waits for ever

  bool fill = true;
  uint64_t seed = 0;
  bool json = false;
  bool quiet = false;
};

/// Flags and help of `bobbin bench`.
[[nodiscard]] CommandLine bench_line();

/// The error says which flag is wrong and how it should look. `seed` is used if none was given.
base::Result<BenchOptions, base::Error> parse_bench_options(const Arguments& arguments, uint64_t seed);

}  // namespace bobbin::cli
