// The one place where Boost.Beast is named: its parser, on bytes that somebody else has read.

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/optional/optional.hpp>

#include "admin/http_request.h"

namespace bobbin::admin {
namespace {

namespace http = boost::beast::http;

// A body in chunks of one byte has six times as much around it: nobody needs that.
constexpr size_t kMaxRequestBytes = kMaxHeadBytes + 2 * kMaxBodyBytes;

std::string text_of(boost::beast::string_view view) {
  return {view.data(), view.size()};
}

int status_of(const boost::beast::error_code& error) {
  if (error == http::error::header_limit || error == http::error::buffer_overflow) return 431;
  if (error == http::error::body_limit) return 413;
  if (error == http::error::bad_version) return 505;
  return 400;
}

}  // namespace

struct HttpReader::Parser {
  Parser() {
    parser.header_limit(kMaxHeadBytes);
    parser.body_limit(kMaxBodyBytes);
  }
  http::request_parser<http::string_body> parser;
  bool told_head = false;
};

HttpReader::HttpReader() = default;
HttpReader::~HttpReader() = default;

void HttpReader::next() {
  parser_.reset();
  request_ = {};
  read_bytes_ = 0;
}

HttpReader::Step HttpReader::refuse(int status) {
  status_ = status;
  return Step::bad;
}

HttpReader::Step HttpReader::read(std::string_view bytes, size_t& taken) {
  taken = 0;
  if (parser_ == nullptr) {
    // Empty lines before a request are let pass (RFC 9112, section 2.2).
    while (taken < bytes.size() && (bytes[taken] == '\r' || bytes[taken] == '\n'))
      ++taken;
    if (taken == bytes.size()) return Step::more;
    parser_ = std::make_unique<Parser>();
  }
  auto& parser = parser_->parser;
  while (!parser.is_done()) {
    if (taken == bytes.size()) return Step::more;
    boost::beast::error_code error;
    const size_t n = parser.put(boost::asio::const_buffer(bytes.data() + taken, bytes.size() - taken), error);
    taken += n;
    read_bytes_ += n;
    if (read_bytes_ > kMaxRequestBytes) return refuse(413);
    if (error && error != http::error::need_more) return refuse(status_of(error));
    if (parser.is_header_done() && !parser_->told_head) break;
    if (error == http::error::need_more) {
      // A line that is not there as a whole yet: of a request, or of a chunk.
      if (bytes.size() - taken > kMaxHeadBytes) return refuse(431);
      return Step::more;
    }
  }
  if (!parser_->told_head) {
    parser_->told_head = true;
    const auto& message = parser.get();
    if (message.version() != 10 && message.version() != 11) return refuse(505);
    request_.method = text_of(message.method_string());
    request_.target = text_of(message.target());
    request_.host = text_of(message[http::field::host]);
    request_.origin = text_of(message[http::field::origin]);
    request_.authorization = text_of(message[http::field::authorization]);
    request_.last_event_id = text_of(message["Last-Event-ID"]);
    request_.keep_alive = parser.keep_alive();
    request_.is_http_1_0 = message.version() == 10;
    request_.has_body = !parser.is_done();
    request_.expects_continue =
        request_.has_body && boost::beast::iequals(message[http::field::expect], "100-continue");
    return Step::head;
  }
  request_.body = std::move(parser.get().body());
  return Step::complete;
}

}  // namespace bobbin::admin
