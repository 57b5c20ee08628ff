// Requests of HTTP, cut out of bytes: framing, limits, and what must not be let through.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "admin/http_request.h"

namespace bobbin::admin {
namespace {

struct Seen {
  std::vector<HttpRequest> requests;
  int status = 0;  ///< why it ended; 0: it did not
};

/// The requests in `bytes`, shown in pieces of `piece`.
Seen read_all(std::string_view bytes, size_t piece = std::string_view::npos) {
  Seen seen;
  HttpReader reader;
  std::string unread;
  bool has_head = false;
  for (size_t at = 0; at < bytes.size(); at += std::min(piece, bytes.size() - at)) {
    unread += bytes.substr(at, piece);
    for (bool goes_on = true; goes_on && (!unread.empty() || has_head);) {
      size_t taken = 0;
      const HttpReader::Step step = reader.read(unread, taken);
      unread.erase(0, taken);
      if (step == HttpReader::Step::bad) {
        seen.status = reader.status();
        return seen;
      }
      goes_on = step != HttpReader::Step::more;
      has_head = step == HttpReader::Step::head || (has_head && step == HttpReader::Step::more);
      if (step != HttpReader::Step::complete) continue;
      seen.requests.push_back(reader.request());
      has_head = false;
      reader.next();
    }
  }
  return seen;
}

int status_of(std::string_view bytes) {
  return read_all(bytes).status;
}

TEST(HttpReaderTest, ReadsWhatIsLookedAt) {
  const Seen seen = read_all(
      "POST /a?b=c HTTP/1.1\r\nHost: h:1\r\nOrigin: http://o\r\nauthorization:  Basic eDp5 \r\n"
      "Content-Length: 3\r\n\r\nx=1");
  ASSERT_EQ(seen.requests.size(), 1U);
  const HttpRequest& request = seen.requests[0];
  EXPECT_EQ(request.method, "POST");
  EXPECT_EQ(request.target, "/a?b=c");
  EXPECT_EQ(request.host, "h:1");
  EXPECT_EQ(request.origin, "http://o");
  EXPECT_EQ(request.authorization, "Basic eDp5");
  EXPECT_EQ(request.body, "x=1");
  EXPECT_TRUE(request.has_body && request.keep_alive && !request.expects_continue && !request.is_http_1_0);
}

TEST(HttpReaderTest, CutsRequestsThatFollowEachOtherWhateverThePieces) {
  const std::string bytes =
      "GET /1 HTTP/1.1\r\n\r\n\r\nPUT /2 HTTP/1.1\r\nTransfer-Encoding: "
      "chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n"
      "0\r\n\r\nDELETE /3 HTTP/1.0\r\n\r\n";
  for (size_t piece = 1; piece <= bytes.size(); ++piece) {
    const Seen seen = read_all(bytes, piece);
    ASSERT_EQ(seen.requests.size(), 3U) << piece;
    EXPECT_EQ(seen.requests[0].target, "/1");
    EXPECT_EQ(seen.requests[1].body, "abcde");
    EXPECT_TRUE(seen.requests[1].keep_alive);
    EXPECT_EQ(seen.requests[2].method, "DELETE");
    EXPECT_FALSE(seen.requests[2].keep_alive);
    EXPECT_TRUE(seen.requests[2].is_http_1_0);
  }
}

TEST(HttpReaderTest, WhatIsNotHttpIsRefused) {
  for (const std::string_view bytes :
       {"\x80\x1f\x00", "get k\r\n", "GET /\r\n\r\n", "GET / HTTP/1.1\r\nno colon\r\n\r\n",
        "GET  / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\n folded: x\r\n\r\n",
        "GET / HTTP/1.1\r\nbad name: x\r\n\r\n", "GET / HTTP/2.0\r\n\r\n"}) {
    const int status = status_of(std::string(bytes) + "\r\n\r\n");
    EXPECT_TRUE(status == 400 || status == 505) << bytes << status;
  }
}

// Two ways to say where a body ends: what stands between them would be another request to one reader only.
TEST(HttpReaderTest, AmbiguousBodiesAreRefused) {
  EXPECT_EQ(status_of("POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n"), 400);
  EXPECT_EQ(status_of("POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"), 400);
  EXPECT_EQ(status_of("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n"), 400);
  EXPECT_EQ(status_of("POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n"), 400);
  EXPECT_EQ(status_of("POST / HTTP/1.1\r\nContent-Length: 18446744073709551617\r\n\r\n"), 400);
  EXPECT_EQ(status_of("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), 400);
}

TEST(HttpReaderTest, LimitsHold) {
  const std::string long_header = "X: " + std::string(kMaxHeadBytes, 'x');
  EXPECT_EQ(status_of("GET / HTTP/1.1\r\n" + long_header + "\r\n\r\n"), 431);
  EXPECT_EQ(status_of("GET /" + std::string(kMaxHeadBytes, 'x')), 431) << "a line that never ends";
  std::string many = "GET / HTTP/1.1\r\n";
  while (many.size() < 2 * kMaxHeadBytes)
    many += "A: b\r\n";
  EXPECT_EQ(status_of(many + "\r\n"), 431);
  EXPECT_EQ(status_of("PUT / HTTP/1.1\r\nContent-Length: 1048577\r\n\r\n"), 413);
  EXPECT_EQ(read_all("PUT / HTTP/1.1\r\nContent-Length: 1048576\r\n\r\n" + std::string(1048576, 'x')).status,
            0);
  std::string chunks = "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (int i = 0; i < 17; ++i)
    chunks += "10000\r\n" + std::string(0x10000, 'x') + "\r\n";
  EXPECT_EQ(status_of(chunks), 413);
  std::string crumbs = "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (int i = 0; i < 600'000; ++i)
    crumbs += "1\r\nx\r\n";
  EXPECT_EQ(status_of(crumbs), 413);
  EXPECT_EQ(status_of("PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;" + std::string(40'000, 'x')),
            431);
}

TEST(HttpReaderTest, TellsOfClientsThatWaitToBeToldToGoOn) {
  HttpReader reader;
  size_t taken = 0;
  const std::string head = "PUT / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
  ASSERT_EQ(reader.read(head, taken), HttpReader::Step::head);
  EXPECT_EQ(taken, head.size());
  EXPECT_TRUE(reader.request().expects_continue);
  EXPECT_EQ(reader.read("ab", taken), HttpReader::Step::complete);
  EXPECT_EQ(reader.request().body, "ab");
}

TEST(FormTest, IsDecoded) {
  const auto form = parse_form("a=1&b=x+y%2F%C3%A4&&empty=&bare&a=2");
  ASSERT_TRUE(form);
  EXPECT_EQ(*form_value(*form, "a"), "2");
  EXPECT_EQ(*form_value(*form, "b"), "x y/\xc3\xa4");
  EXPECT_EQ(*form_value(*form, "empty"), "");
  EXPECT_EQ(*form_value(*form, "bare"), "");
  EXPECT_EQ(form_value(*form, "c"), nullptr);
}

TEST(FormTest, WhatIsNoneIsRefused) {
  for (const std::string_view bad : {"a=%", "a=%2", "a=%zz", "%00=1", "a=%ff", "a=\xff"})
    EXPECT_FALSE(parse_form(bad)) << bad;
  std::string many;
  for (int i = 0; i < 300; ++i)
    many += "a=1&";
  EXPECT_FALSE(parse_form(many));
}

TEST(PathTest, IsCutBeforeItIsDecoded) {
  EXPECT_EQ(path_segments("/a/b%2Fc/d+e/?x=/y"), (std::vector<std::string>{"a", "b/c", "d+e"}));
  EXPECT_TRUE(path_segments("/")->empty());
  EXPECT_EQ(path_segments("//a"), (std::vector<std::string>{"", "a"}));
  for (const std::string_view bad : {"", "a", "*", "http://h/a", "/%", "/%00", "/%ff"})
    EXPECT_FALSE(path_segments(bad)) << bad;
}

TEST(BasicLoginTest, IsReadAsItWasWritten) {
  const auto login = parse_basic_login("basic  dXNlcjpwYTpzcw==");
  ASSERT_TRUE(login);
  EXPECT_EQ(login->user, "user");
  EXPECT_EQ(login->password, "pa:ss");
  for (const std::string_view bad :
       {"", "Basic", "Basic ", "Basic !!!!", "Bearer dXNlcjpwYXNz", "Basic dXNlcg=="})
    EXPECT_FALSE(parse_basic_login(bad)) << bad;
}

}  // namespace
}  // namespace bobbin::admin
