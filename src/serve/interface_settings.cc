#include "serve/interface_settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>

#include "wire/base64.h"
#include "wire/json_text.h"
#include "wire/json_value.h"

namespace bobbin::serve {
namespace {

using wire::BinaryStatus;
using wire::JsonValue;

constexpr size_t kMaxTagBytes = 64;
constexpr size_t kMaxHostBytes = 255;

auto invalid(std::string why) {
  return base::fail(InterfaceRefusal{BinaryStatus::invalid_arguments, std::move(why)});
}
auto unsupported(std::string why) {
  return base::fail(InterfaceRefusal{BinaryStatus::not_supported, std::move(why)});
}

/// Reads members until the first that is wrong, and knows which nobody has asked for.
class Members {
 public:
  explicit Members(const JsonValue& object) : object_(object) {}

  /// Null: it is not there.
  const JsonValue* find(std::string_view name) {
    const JsonValue* const found = object_.member(name);
    if (found != nullptr) ++asked_;
    return found;
  }
  void text(std::string_view name, std::string& field) {
    const JsonValue* const found = find(name);
    if (found == nullptr) return;
    if (found->string() == nullptr)
      wrong(name, "a string");
    else
      field = *found->string();
  }
  void boolean(std::string_view name, bool& field) {
    const JsonValue* const found = find(name);
    if (found == nullptr) return;
    if (!found->boolean())
      wrong(name, "true or false");
    else
      field = *found->boolean();
  }
  void port(std::string_view name, uint16_t& field) {
    const JsonValue* const found = find(name);
    if (found == nullptr) return;
    if (!found->number() || *found->number() > std::numeric_limits<uint16_t>::max())
      wrong(name, "a number from 0 to 65535");
    else
      field = static_cast<uint16_t>(*found->number());
  }
  void wrong(std::string_view name, std::string_view expected) {
    if (why_.empty()) why_ = fmt::format("\"{}\" is not {}", name, expected);
  }
  /// Empty: everything was read.
  std::string trouble() {
    if (why_.empty() && object_.object()->size() != asked_) why_ = "There is a member that nobody knows";
    return why_;
  }

 private:
  const JsonValue& object_;
  size_t asked_ = 0;
  std::string why_;
};

bool is_text(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](unsigned char c) { return c < ' ' || c == 127; });
}

std::optional<std::string> decoded(std::string_view text) {
  if (text.empty()) return std::string();
  std::string bytes(text.size() / 4 * 3, '\0');
  const auto size = wire::decode_base64(text, bytes.data());
  if (!size) return std::nullopt;
  bytes.resize(*size);
  return bytes;
}

constexpr std::array<std::string_view, 3> kClientCertificates{"disabled", "enabled", "mandatory"};

void read_ciphers(Members& members, net::TlsFiles& files) {
  const JsonValue* const list = members.find("cipher list");
  if (list == nullptr) return;
  if (list->object() == nullptr) return members.wrong("cipher list", "an object");
  Members ciphers(*list);
  ciphers.text("TLS 1.2", files.ciphers_1_2);
  ciphers.text("TLS 1.3", files.ciphers_1_3);
  if (!ciphers.trouble().empty()) members.wrong("cipher list", "one string for each of TLS 1.2 and TLS 1.3");
}

}  // namespace

base::Result<NewInterface, InterfaceRefusal> read_interface(std::string_view json) {
  const auto object = JsonValue::parse(json);
  if (!object || object->object() == nullptr) return invalid("The interface is no JSON object");
  NewInterface wanted;
  std::string host = "localhost";
  std::string family;
  std::string type = "mcbp";
  bool is_system = false;
  Members members(*object);
  members.text("host", host);
  members.port("port", wanted.address.port);
  members.text("family", family);
  members.boolean("tls", wanted.speaks_tls);
  members.boolean("system", is_system);
  members.text("tag", wanted.tag);
  members.text("type", type);
  if (std::string why = members.trouble(); !why.empty()) return invalid(std::move(why));
  if (type == "prometheus") return unsupported("Metrics are where HTTP is: /metrics");
  if (type != "mcbp") return invalid("\"type\" is not mcbp or prometheus");
  if (family != "inet" && family != "inet6") return invalid("\"family\" is not inet or inet6");
  if (is_system) return unsupported("There are no connections set aside for the system");
  if (host.empty() || host.size() > kMaxHostBytes || !is_text(host)) return invalid("\"host\" is no host");
  if (wanted.tag.size() > kMaxTagBytes || !is_text(wanted.tag))
    return invalid(fmt::format("\"tag\" is not a text of {} bytes at most", kMaxTagBytes));
  const bool is_six = family == "inet6";
  wanted.family = is_six ? net::AddressFamily::v6 : net::AddressFamily::v4;
  wanted.address.host = host != "*" ? host : (is_six ? "::" : "0.0.0.0");
  return wanted;
}

base::Result<net::TlsFiles, InterfaceRefusal> read_tls_settings(std::string_view json) {
  const auto object = JsonValue::parse(json);
  if (!object || object->object() == nullptr) return invalid("The settings are no JSON object");
  net::TlsFiles files;
  std::string password;
  std::string version = "TLS 1.2";
  std::string clients = "disabled";
  Members members(*object);
  members.text("private key", files.key);
  members.text("certificate chain", files.certificate);
  members.text("CA file", files.client_ca);
  members.text("password", password);
  members.text("minimum version", version);
  read_ciphers(members, files);
  members.boolean("cipher order", files.chooses_cipher);
  members.text("client cert auth", clients);
  if (std::string why = members.trouble(); !why.empty()) return invalid(std::move(why));
  if (files.key.empty() || files.certificate.empty())
    return invalid("There is no \"private key\" or no \"certificate chain\"");
  const auto secret = decoded(password);
  if (!secret) return invalid("\"password\" is not in base64");
  files.password = *secret;
  if (version == "TLS 1" || version == "TLS 1.1") return unsupported("TLS before 1.2 is not spoken");
  if (version != "TLS 1.2" && version != "TLS 1.3") return invalid("\"minimum version\" is none of TLS");
  if (version == "TLS 1.3") files.min_version = net::TlsVersion::v1_3;
  const auto* const found = std::find(kClientCertificates.begin(), kClientCertificates.end(), clients);
  if (found == kClientCertificates.end())
    return invalid("\"client cert auth\" is not disabled, enabled or mandatory");
  files.clients = static_cast<net::ClientCertificates>(found - kClientCertificates.begin());
  if (files.clients != net::ClientCertificates::off && files.client_ca.empty())
    return invalid("There is no \"CA file\" to judge clients' certificates by");
  return files;
}

std::string tls_settings_text(const net::TlsFiles& files) {
  return fmt::format(
      R"({{"private key":{},"certificate chain":{},"CA file":{},"password":"{}","minimum version":"{}",)"
      R"("cipher list":{{"TLS 1.2":{},"TLS 1.3":{}}},"cipher order":{},"client cert auth":"{}"}})",
      wire::json_string(files.key), wire::json_string(files.certificate), wire::json_string(files.client_ca),
      files.password.empty() ? "not set" : "set",
      files.min_version == net::TlsVersion::v1_3 ? "TLS 1.3" : "TLS 1.2",
      wire::json_string(files.ciphers_1_2), wire::json_string(files.ciphers_1_3), files.chooses_cipher,
      kClientCertificates[static_cast<size_t>(files.clients)]);
}

}  // namespace bobbin::serve
