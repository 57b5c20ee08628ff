#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "net/output.h"
#include "wire/binary_header.h"
#include "wire/scram_client.h"

namespace bobbin::cluster {

struct GreetingOptions {
  std::string agent;      ///< who the source is told this is
  std::string user = {};  ///< empty: nobody logs in
  std::string password = {};
  std::string bucket = "default";  ///< empty: none is selected
};

enum class GreetingOutcome : uint8_t {
  going_on,  ///< the next reply is waited for
  done,      ///< logged in, with the bucket selected
  broken,    ///< the source said no, or something strange: trouble() says which
};

/// The beginning of a connection to another server, as Couchbase's clients make it: HELLO, the login by the
/// strongest mechanism that both know, the bucket. Takes replies and writes requests; one thread, which no
/// client waits for: SCRAM hashes the password.
class Greeting {
 public:
  explicit Greeting(GreetingOptions options);
  ~Greeting();
  Greeting(const Greeting&) = delete;
  Greeting& operator=(const Greeting&) = delete;

  void begin(net::Output& out);
  /// One whole frame, whose lengths fit it.
  [[nodiscard]] GreetingOutcome take(std::string_view frame, net::Output& out);
  /// For a person; after `broken`.
  [[nodiscard]] const std::string& trouble() const noexcept { return trouble_; }

 private:
  struct Reply {
    wire::BinaryStatus status;
    std::string_view value;
  };
  void ask(wire::BinaryOpcode opcode, std::string_view key, std::string_view value, net::Output& out);
  GreetingOutcome take_hello(const Reply& reply, net::Output& out);
  GreetingOutcome take_mechanisms(const Reply& reply, net::Output& out);
  GreetingOutcome take_challenge(const Reply& reply, net::Output& out);
  GreetingOutcome take_login(const Reply& reply, net::Output& out);
  GreetingOutcome select(net::Output& out);
  GreetingOutcome take_bucket(const Reply& reply);
  GreetingOutcome broken(std::string why);

  GreetingOptions options_;
  std::string trouble_;
  wire::BinaryOpcode asked_{};
  std::string mechanism_;
  std::unique_ptr<wire::ScramClient> scram_;
};

}  // namespace bobbin::cluster
