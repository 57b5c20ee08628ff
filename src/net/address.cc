#include "net/address.h"

#include <sys/un.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <charconv>

namespace bobbin::net {

std::string Address::text() const {
  if (is_unix()) return "unix:" + unix_path;
  const bool v6 = host.find(':') != std::string::npos;
  return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

base::Result<Address, base::Error> Address::parse(std::string_view text, uint16_t default_port) {
  const std::string whole(text);
  const auto wrong = [&](const char* why) { return base::fail(base::Error{"\"" + whole + "\" " + why}); };
  Address address;
  const bool has_scheme = text.starts_with("unix:");
  if (has_scheme || text.starts_with('/')) {
    address.unix_path = text.substr(has_scheme ? 5 : 0);
    if (address.unix_path.empty()) return wrong("names no path");
    if (address.unix_path.size() >= sizeof(sockaddr_un::sun_path)) {
      return wrong("is longer than the 107 bytes that a Unix socket's path may have");
    }
    return address;
  }
  address.port = default_port;
  std::string_view port;
  bool has_port = false;
  if (text.starts_with('[')) {
    const size_t end = text.find(']');
    if (end == std::string_view::npos) return wrong("has no closing bracket");
    address.host = text.substr(1, end - 1);
    const std::string_view rest = text.substr(end + 1);
    has_port = rest.starts_with(':');
    if (!rest.empty() && !has_port) return wrong("has something other than a port after the bracket");
    if (has_port) port = rest.substr(1);
  } else if (std::count(text.begin(), text.end(), ':') == 1) {
    const size_t colon = text.find(':');
    address.host = text.substr(0, colon);
    port = text.substr(colon + 1);
    has_port = true;
  } else {
    address.host = text;  // a name, an IPv4 address, or an IPv6 address without a port
  }
  if (address.host.empty()) return wrong("names no host");
  if (has_port) {
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), address.port);
    if (error != std::errc() || end != port.data() + port.size() || port.empty()) {
      return wrong("has a port that is not a number from 0 to 65535");
    }
  }
  return address;
}

bool is_loopback(const Address& address) {
  if (address.is_unix()) return true;
  boost::asio::io_context context;
  boost::asio::ip::tcp::resolver resolver(context);
  boost::system::error_code error;
  const auto found = resolver.resolve(address.host, std::to_string(address.port), error);
  if (error || found.empty()) return false;
  return std::all_of(found.begin(), found.end(),
                     [](const auto& entry) { return entry.endpoint().address().is_loopback(); });
}

}  // namespace bobbin::net
