#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace bobbin::admin {

inline constexpr size_t kMaxHeadBytes = 16 << 10;
inline constexpr size_t kMaxBodyBytes = 1 << 20;

/// A request of HTTP/1.0 or 1.1, as far as this server looks at it. Owns its texts.
struct HttpRequest {
  std::string method;         ///< "GET": methods are told apart by case
  std::string target;         ///< as it was sent
  std::string host;           ///< the header; empty: none
  std::string origin;         ///< as above: a browser's page from somewhere
  std::string authorization;  ///< as above
  std::string last_event_id;  ///< as above
  std::string body;
  bool keep_alive = false;
  bool has_body = false;          ///< one was announced
  bool expects_continue = false;  ///< the client waits with its body until it is told to go on
  bool is_http_1_0 = false;

  [[nodiscard]] bool is_head() const noexcept { return method == "HEAD"; }
  /// Whether what is answered is only looked at: nothing may change for it.
  [[nodiscard]] bool is_safe() const noexcept { return method == "GET" || is_head(); }
};

/// Cuts requests out of a connection's bytes: pure, of one connection. Boost.Beast parses; it is named in no
/// other file.
class HttpReader {
 public:
  enum class Step : uint8_t {
    more,      ///< what there is was taken, or is too little of a line
    head,      ///< once a request: all but the body is in request()
    complete,  ///< all of it is
    bad,       ///< not HTTP, or too large: status() says which. Nothing after it can be understood
  };

  HttpReader();
  ~HttpReader();
  HttpReader(const HttpReader&) = delete;
  HttpReader& operator=(const HttpReader&) = delete;

  /// Takes a prefix of `bytes`, which are not empty, and says in `taken` how long it was; the rest is to be
  /// shown again. After `head` of a request without a body, it may take nothing.
  [[nodiscard]] Step read(std::string_view bytes, size_t& taken);
  /// Of a request that is not complete, something has been taken.
  [[nodiscard]] bool has_begun() const noexcept { return parser_ != nullptr; }
  /// The answer to what is bad: 400, 413, 431 or 505.
  [[nodiscard]] int status() const noexcept { return status_; }
  [[nodiscard]] HttpRequest& request() noexcept { return request_; }
  /// The next request begins.
  void next();

 private:
  struct Parser;

  Step refuse(int status);

  std::unique_ptr<Parser> parser_;  // null between requests
  HttpRequest request_;
  size_t read_bytes_ = 0;  // of this request
  int status_ = 0;
};

/// "a=1&b=%20" (application/x-www-form-urlencoded, of a body or behind a target's "?"), decoded. A name that
/// comes twice is there twice. Nothing when an escape is none, a name or value is not UTF-8 or has a NUL, or
/// there are more than 256.
using Form = std::vector<std::pair<std::string, std::string>>;
[[nodiscard]] std::optional<Form> parse_form(std::string_view text);
/// The last value of that name; null when there is none.
[[nodiscard]] const std::string* form_value(const Form& form, std::string_view name);

/// The segments of a target's path, each with its escapes decoded; of "/" none. Nothing when it does not
/// begin with "/", an escape is none, or a segment is not UTF-8 or has a NUL. A slash at the end does not
/// count.
[[nodiscard]] std::optional<std::vector<std::string>> path_segments(std::string_view target);
/// What follows the target's "?".
[[nodiscard]] std::string_view query_of(std::string_view target);

/// A name and a password.
struct BasicLogin {
  std::string user;
  std::string password;
};
/// The value of an Authorization header (RFC 7617); nothing when it is no such one.
[[nodiscard]] std::optional<BasicLogin> parse_basic_login(std::string_view header);

}  // namespace bobbin::admin
