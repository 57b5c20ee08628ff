#include "admin/http_session.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <ctime>
#include <iterator>
#include <utility>

#include "admin/admission.h"
#include "admin/bucket_text.h"
#include "admin/config_streams.h"
#include "net/connection.h"
#include "net/tls.h"

namespace bobbin::admin {
namespace {

std::string_view reason_of(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 202:
      return "Accepted";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 409:
      return "Conflict";
    case 413:
      return "Content Too Large";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 503:
      return "Service Unavailable";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Answer";
  }
}

std::string date_text(base::Now now) {
  const std::time_t seconds = now.unix_s();
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  return fmt::format("{:%a, %d %b %Y %H:%M:%S} GMT", parts);
}

std::string head_of(const HttpResponse& response, base::Now now) {
  std::string head = fmt::format(
      "HTTP/1.1 {} {}\r\nServer: bobbin\r\nDate: {}\r\nContent-Type: {}\r\nCache-Control: no-store\r\n"
      "X-Content-Type-Options: nosniff\r\n",
      response.status, reason_of(response.status), date_text(now), response.content_type);
  for (const auto& [name, value] : response.headers)
    fmt::format_to(std::back_inserter(head), "{}: {}\r\n", name, value);
  return head;
}

}  // namespace

struct HttpSession::Errand {
  Admin& admin;
  HttpRequest request;
  Call call;
  HttpResponse response = {};
  std::atomic<bool> is_done{false};

  Errand(Admin& shared, HttpRequest asked, const Call& from)
      : admin(shared), request(std::move(asked)), call{shared,    request,   from.names,
                                                       from.user, from.peer, from.local} {}
};

size_t HttpSession::on_bytes(net::Connection& connection, std::span<const char> unread, size_t) {
  const std::string_view bytes(unread.data(), unread.size());
  size_t consumed = 0;
  while (phase_ == Phase::reading && !connection.congested()) {
    size_t taken = 0;
    const bool goes_on = step(connection, bytes.substr(consumed), taken);
    consumed += taken;
    if (!goes_on) break;
  }
  // The rest of a request that has begun.
  connection.expect(phase_ == Phase::reading && !connection.congested() &&
                    (reader_.has_begun() || consumed < bytes.size()));
  return phase_ == Phase::streaming || phase_ == Phase::closing ? bytes.size() : consumed;
}

/// False: more bytes are needed.
bool HttpSession::step(net::Connection& connection, std::string_view bytes, size_t& taken) {
  if (bytes.empty() && call_ == nullptr) return false;
  switch (reader_.read(bytes, taken)) {
    case HttpReader::Step::more:
      return false;
    case HttpReader::Step::bad:
      answer_and_close(connection,
                       text_answer(std::string(reason_of(reader_.status())) + "\n", reader_.status()));
      return false;
    case HttpReader::Step::head:
      begin(connection);
      return true;
    case HttpReader::Step::complete:
      run(connection);
      return true;
  }
  return false;
}

/// Whoever may not do this is told so before the body is read.
void HttpSession::begin(net::Connection& connection) {
  const HttpRequest& request = reader_.request();
  net::ConnectionStatus status = connection.status();
  call_ =
      std::make_unique<Call>(Call{admin_, request, {}, {}, std::move(status.peer), std::move(status.local)});
  if (const net::TlsPeer* peer = connection.tls(); peer != nullptr && peer->is_certified)
    call_->certified = peer->common_name;
  route_ = nullptr;
  if (const auto refused = admit(*call_, route_)) {
    if (request.has_body) return answer_and_close(connection, *refused);
    return answer(connection, *refused);
  }
  if (request.expects_continue) connection.out().append("HTTP/1.1 100 Continue\r\n\r\n");
}

void HttpSession::run(net::Connection& connection) {
  if (!route_->waits) return answer(connection, route_->handle(*call_));
  errand_ = std::make_shared<Errand>(admin_, reader_.request(), *call_);
  const auto task = [errand = errand_, handle = route_->handle, spool = connection.spool()]() mutable {
    errand->response = handle(errand->call);
    errand->is_done.store(true, std::memory_order_release);
    spool.resume();
  };
  if (!admin_.post(task)) {
    errand_.reset();
    return answer(connection, text_answer("Too many changes are waiting.\n", 503));
  }
  phase_ = Phase::away;
  connection.suspend(net::Hold::nothing);
}

void HttpSession::on_resumed(net::Connection& connection) {
  if (live_ != nullptr && live_->is_over()) {
    live_.reset();
    phase_ = Phase::closing;
    return connection.close_when_sent();
  }
  if (errand_ == nullptr) return;
  if (!errand_->is_done.load(std::memory_order_acquire)) return connection.suspend(net::Hold::nothing);
  phase_ = Phase::reading;
  const auto done = std::exchange(errand_, nullptr);
  answer(connection, done->response);
}

void HttpSession::answer(net::Connection& connection, const HttpResponse& response) {
  if (response.streamed != nullptr) return stream(connection, response);
  if (response.live != nullptr) return live(connection, response);
  const HttpRequest& request = reader_.request();
  std::string head = head_of(response, admin_.engine.clock.now());
  fmt::format_to(std::back_inserter(head), "Content-Length: {}\r\n", response.body.size());
  if (!request.keep_alive)
    head += "Connection: close\r\n";
  else if (request.is_http_1_0)
    head += "Connection: keep-alive\r\n";
  head += "\r\n";
  connection.out().append(head);
  if (!request.is_head()) connection.out().append(response.body);
  admin_.counters.answers[static_cast<size_t>(response.status) / 100].add(1);
  if (!request.keep_alive) {
    phase_ = Phase::closing;
    connection.close_when_sent();
  }
  call_.reset();
  reader_.next();
  connection.expect(false);  // the next request has its own time
}

void HttpSession::answer_and_close(net::Connection& connection, const HttpResponse& response) {
  reader_.request().keep_alive = false;
  answer(connection, response);
}

/// Of an answer that never ends. False: the head was all that was asked for.
bool HttpSession::send_head(net::Connection& connection, const HttpResponse& response) {
  const HttpRequest& request = reader_.request();
  std::string head = head_of(response, admin_.engine.clock.now());
  head += request.is_http_1_0 ? "Connection: close\r\n\r\n" : "Transfer-Encoding: chunked\r\n\r\n";
  connection.out().append(head);
  admin_.counters.answers[2].add(1);
  if (request.is_head()) {
    phase_ = Phase::closing;
    connection.close_when_sent();
    return false;
  }
  phase_ = Phase::streaming;
  connection.never_idle();
  return true;
}

void HttpSession::stream(net::Connection& connection, const HttpResponse& response) {
  if (!send_head(connection, response)) return;
  admin_.streams.add(connection.spool(), response.streamed, !reader_.request().is_http_1_0);
  call_.reset();
}

void HttpSession::live(net::Connection& connection, const HttpResponse& response) {
  if (!send_head(connection, response)) return;
  live_ = response.live(connection.spool(), !reader_.request().is_http_1_0);
  call_.reset();
  if (live_ != nullptr) return;
  phase_ = Phase::closing;
  connection.close_when_sent();
}

}  // namespace bobbin::admin
