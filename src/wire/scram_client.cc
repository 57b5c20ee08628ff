#include "wire/scram_client.h"

#include <charconv>
#include <optional>

#include "wire/base64.h"

namespace bobbin::wire {
namespace {

std::string base64_of(std::string_view bytes) {
  std::string text(base64_chars(bytes.size()), '\0');
  text.resize(encode_base64(bytes, text.data()));
  return text;
}

// Commas and equal signs of a name are what separates attributes.
std::string escaped(std::string_view name) {
  std::string text;
  for (const char c : name)
    text += c == ',' ? "=2C" : c == '=' ? "=3D" : std::string(1, c);
  return text;
}

/// Takes "x=value" and the comma behind it.
std::optional<std::string_view> take(std::string_view& text, std::string_view name) {
  if (!text.starts_with(name)) return std::nullopt;
  const size_t end = std::min(text.find(','), text.size());
  const std::string_view value = text.substr(name.size(), end - name.size());
  text.remove_prefix(std::min(end + 1, text.size()));
  return value;
}

}  // namespace

ScramClient::ScramClient(Hash hash, std::string_view user, std::string password, std::string_view nonce)
    : hash_(hash),
      password_(std::move(password)),
      nonce_(nonce),
      bare_("n=" + escaped(user) + ",r=" + nonce_) {}

base::Result<std::string, SaslError> ScramClient::answer(std::string_view server_first) {
  const auto malformed = base::fail(SaslError::malformed);
  if (server_first.size() > kMaxSaslMessageBytes) return malformed;
  std::string_view rest = server_first;
  const auto nonce = take(rest, "r=");
  const auto salt_text = take(rest, "s=");
  const auto rounds = take(rest, "i=");
  if (!nonce || !salt_text || !rounds) return malformed;
  if (!nonce->starts_with(nonce_) || nonce->size() == nonce_.size()) return malformed;
  std::string salt(salt_text->size(), '\0');
  const auto salt_bytes = decode_base64(*salt_text, salt.data());
  uint32_t iterations = 0;
  const auto [end, problem] = std::from_chars(rounds->data(), rounds->data() + rounds->size(), iterations);
  if (!salt_bytes || problem != std::errc{} || end != rounds->data() + rounds->size() ||
      iterations < kMinIterations || iterations > kMaxIterations)
    return malformed;
  salt.resize(*salt_bytes);

  Digest salted = pbkdf2(hash_, password_, salt, iterations);
  Digest client_key = hmac(hash_, salted.view(), "Client Key");
  const Digest stored_key = digest(hash_, client_key.view());
  const Digest server_key = hmac(hash_, salted.view(), "Server Key");
  wipe(salted);
  // "biws": the header of first(), which no channel is bound to.
  const std::string without_proof = "c=biws,r=" + std::string(*nonce);
  const std::string authenticated = bare_ + "," + std::string(server_first) + "," + without_proof;
  const Digest signature = hmac(hash_, stored_key.view(), authenticated);
  for (size_t i = 0; i < client_key.size(); ++i)
    client_key.data()[i] = static_cast<char>(client_key.view()[i] ^ signature.view()[i]);
  server_signature_ = "v=" + base64_of(hmac(hash_, server_key.view(), authenticated).view());
  return without_proof + ",p=" + base64_of(client_key.view());
}

bool ScramClient::is_right(std::string_view server_final) const {
  return !server_signature_.empty() &&
         equal_in_constant_time(server_final.substr(0, server_final.find(',')), server_signature_);
}

}  // namespace bobbin::wire
