#include "wire/scram.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "wire/base64.h"
#include "wire/utf8.h"

namespace bobbin::wire {
namespace {

std::string base64_of(std::string_view bytes) {
  std::string text(base64_chars(bytes.size()), '\0');
  text.resize(encode_base64(bytes, text.data()));
  return text;
}

/// The attributes of a message, which are separated by commas.
class AttributeReader {
 public:
  explicit AttributeReader(std::string_view text) : rest_(text) {}

  /// Nothing behind the last one.
  std::optional<std::string_view> next() {
    if (is_done_) return std::nullopt;
    const size_t comma = rest_.find(',');
    const std::string_view attribute = rest_.substr(0, comma);
    is_done_ = comma == std::string_view::npos;
    rest_.remove_prefix(is_done_ ? rest_.size() : comma + 1);
    return attribute;
  }

  /// The value of the next attribute, which has to be that of `name`.
  std::optional<std::string_view> value_of(char name) {
    const auto attribute = next();
    if (!attribute || attribute->size() < 2 || (*attribute)[0] != name || (*attribute)[1] != '=')
      return std::nullopt;
    return attribute->substr(2);
  }

  /// What is left are extensions, which may be ignored (attr-val of the grammar).
  bool skip_extensions() {
    while (const auto attribute = next()) {
      const bool is_named = attribute->size() >= 3 && (*attribute)[1] == '=';
      const char name = is_named ? static_cast<char>((*attribute)[0] | 0x20) : '\0';
      if (name < 'a' || name > 'z') return false;
    }
    return true;
  }

 private:
  std::string_view rest_;
  bool is_done_ = false;
};

/// saslname: a comma is written =2C, an equals sign =3D.
std::optional<std::string> unescaped(std::string_view text) {
  std::string name;
  while (!text.empty()) {
    if (text.front() != '=') {
      name += text.front();
      text.remove_prefix(1);
      continue;
    }
    const std::string_view code = text.substr(0, 3);
    if (code != "=2C" && code != "=3D") return std::nullopt;
    name += code == "=2C" ? ',' : '=';
    text.remove_prefix(3);
  }
  if (name.empty()) return std::nullopt;
  return name;
}

/// Printable ASCII; see scram.h about the space. (There is no comma in an attribute.)
bool is_nonce(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

bool is_text(std::string_view message) {
  return message.size() <= kMaxSaslMessageBytes && message.find('\0') == std::string_view::npos &&
         is_utf8(message);
}

/// The bytes of a proof; nothing when it is not as long as the hash.
std::optional<Digest> proof_of(std::string_view text, Hash hash) {
  if (text.size() != base64_chars(digest_bytes(hash))) return std::nullopt;
  std::string bytes(text.size() / 4 * 3, '\0');
  const auto size = decode_base64(text, bytes.data());
  if (!size || *size != digest_bytes(hash)) return std::nullopt;
  return Digest(std::string_view(bytes).substr(0, *size));
}

}  // namespace

base::Result<ScramFirst, SaslError> parse_scram_first(std::string_view message) {
  const auto malformed = base::fail(SaslError::malformed);
  if (!is_text(message)) return malformed;
  // p=: the client demands channel binding, which no mechanism that is offered has. y: it would have liked
  // it.
  if (message.starts_with("p=")) return base::fail(SaslError::unsupported);
  if (!message.starts_with("n,") && !message.starts_with("y,")) return malformed;
  const size_t header_end = message.find(',', 2);
  if (header_end == std::string_view::npos) return malformed;
  const std::string_view identity = message.substr(2, header_end - 2);
  ScramFirst first;
  first.gs2_header = message.substr(0, header_end + 1);
  first.bare = message.substr(header_end + 1);
  // m=: an extension that must be understood; there is none.
  if (first.bare.starts_with("m=")) return base::fail(SaslError::unsupported);
  AttributeReader attributes(first.bare);
  const auto name = attributes.value_of('n');
  if (!name) return malformed;
  auto user = unescaped(*name);
  const auto nonce = attributes.value_of('r');
  if (!user || !nonce || !is_nonce(*nonce) || !attributes.skip_extensions()) return malformed;
  first.user = std::move(*user);
  first.nonce = *nonce;
  if (identity.empty()) return first;
  if (!identity.starts_with("a=")) return malformed;
  const auto other = unescaped(identity.substr(2));
  if (!other) return malformed;
  if (*other != first.user) return base::fail(SaslError::other_identity);
  return first;
}

ScramExchange::ScramExchange(Hash hash, ScramFirst first, ScramKeys keys, bool is_known,
                             std::string_view server_nonce)
    : hash_(hash),
      first_(std::move(first)),
      keys_(std::move(keys)),
      is_known_(is_known),
      nonce_(first_.nonce + std::string(server_nonce)),
      server_first_("r=" + nonce_ + ",s=" + base64_of(keys_.salt) +
                    ",i=" + std::to_string(keys_.iterations)) {}

base::Result<std::string, SaslError> ScramExchange::finish(std::string_view client_final) && {
  const auto malformed = base::fail(SaslError::malformed);
  if (!is_text(client_final)) return malformed;
  const size_t proof_at = client_final.rfind(",p=");
  if (proof_at == std::string_view::npos) return malformed;
  const std::string_view without_proof = client_final.substr(0, proof_at);
  const auto proof = proof_of(client_final.substr(proof_at + 3), hash_);
  AttributeReader attributes(without_proof);
  const auto binding = attributes.value_of('c');
  const auto nonce = attributes.value_of('r');
  if (!proof || !binding || !nonce || !attributes.skip_extensions()) return malformed;

  const std::string authenticated = first_.bare + "," + server_first_ + "," + std::string(without_proof);
  const Digest signature = hmac(hash_, keys_.stored_key.view(), authenticated);
  Digest client_key;
  client_key.resize(digest_bytes(hash_));
  for (size_t i = 0; i < client_key.size(); ++i)
    client_key.data()[i] = static_cast<char>(proof->view()[i] ^ signature.view()[i]);
  const Digest stored_key = digest(hash_, client_key.view());
  wipe(client_key);
  const Digest server_signature = hmac(hash_, keys_.server_key.view(), authenticated);
  // All of it is computed before anything is decided: the time tells nothing.
  const bool is_right = equal_in_constant_time(stored_key.view(), keys_.stored_key.view());
  const bool is_bound = *binding == base64_of(first_.gs2_header) && *nonce == nonce_;
  if (!is_right || !is_bound || !is_known_) return base::fail(SaslError::refused);
  return "v=" + base64_of(server_signature.view());
}

}  // namespace bobbin::wire
