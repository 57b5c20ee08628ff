#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "admin/config_streams.h"
#include "admin/http_session.h"
#include "serve/test_session.h"
#include "wire/base64.h"

namespace bobbin::admin {

/// HTTP without a socket: requests in, answers out. What would go to the worker is done at once, and answered
/// when resume() is called.
class TestHttp {
 public:
  explicit TestHttp(net::Loop& loop, uint64_t quota_bytes = store::kDefaultQuotaBytes)
      : loop_(loop), server_(loop, {.quota_bytes = quota_bytes, .vbuckets = 4}) {
    server_.node().data_port = 11210;
    server_.node().management_port = 8091;
  }

  [[nodiscard]] std::unique_ptr<serve::TestConnection> connect() {
    return std::make_unique<serve::TestConnection>(loop_, std::make_unique<HttpSession>(admin_), tls);
  }
  std::optional<net::TlsPeer> tls;  ///< of the connections that follow
  /// Everything that a client that sends this, and takes what comes, is sent.
  [[nodiscard]] std::string ask(std::string_view requests) {
    const auto connection = connect();
    connection->feed(requests);
    while (connection->suspended())
      connection->resume();
    return connection->replies();
  }
  [[nodiscard]] std::string get(std::string_view target, std::string_view more = {}) {
    return ask("GET " + std::string(target) + " HTTP/1.1\r\nHost: b\r\n" + std::string(more) + "\r\n");
  }
  /// With a form, as `user`; its password is "secret".
  [[nodiscard]] std::string send(std::string_view method, std::string_view target, std::string_view form,
                                 std::string_view more = {}) {
    return ask(std::string(method) + " " + std::string(target) + " HTTP/1.1\r\nHost: b\r\nContent-Length: " +
               std::to_string(form.size()) + "\r\n" + std::string(more) + "\r\n" + std::string(form));
  }
  [[nodiscard]] const serve::Engine& engine() const noexcept { return server_.engine(); }
  void add_user(const std::string& name, const std::string& roles) {
    serve::UserChange change;
    change.name = name;
    change.password = "secret";
    change.roles = *serve::parse_roles(roles);
    (void)server_.users().add(change);
  }
  [[nodiscard]] serve::TestEngine& server() noexcept { return server_; }
  [[nodiscard]] Admin& admin() noexcept { return admin_; }

 private:
  net::Loop& loop_;
  serve::TestEngine server_;
  ConfigStreams streams_;
  HttpCounters counters_;
  Admin admin_{server_.engine(), streams_, counters_, [](const std::function<void()>& task) {
                 task();
                 return true;
               }};
};

inline std::string basic(std::string_view user, std::string_view password) {
  const std::string text = std::string(user) + ":" + std::string(password);
  std::string encoded(wire::base64_chars(text.size()), '\0');
  encoded.resize(wire::encode_base64(text, encoded.data()));
  return "Authorization: Basic " + encoded + "\r\n";
}

inline std::string_view body_of(std::string_view answer) {
  const size_t end = answer.find("\r\n\r\n");
  return end == std::string_view::npos ? "" : answer.substr(end + 4);
}

}  // namespace bobbin::admin
