#include "transport/tls/key_ring.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include <openssl/base.h>
#ifndef OPENSSL_IS_BORINGSSL
#error "tern needs BoringSSL's headers; OpenSSL's were found"
#endif
#include <openssl/digest.h>
#include <openssl/hkdf.h>

#include "base/check.h"
#include "transport/tls/private_file.h"

namespace tern::tls {
namespace {

constexpr std::string_view kHeader = "tern-keys-1";

void derive(MutableBytes out, const std::array<std::uint8_t, 32>& secret, std::string_view label) {
  TERN_CHECK(HKDF_expand(out.data(), out.size(), EVP_sha256(), secret.data(), secret.size(),
                         as_bytes(label).data(), label.size()) == 1);
}

RingKey fresh(Random& random, UnixSeconds now) {
  std::array<std::uint8_t, 32> secret;
  random.fill(secret);
  return RingKey::from_secret(secret, now);
}

bool read_hex(std::string_view text, MutableBytes out) noexcept {
  if (text.size() != out.size() * 2) return false;
  for (std::size_t i = 0; i < out.size(); ++i) {
    const char* const digits = text.data() + 2 * i;
    const auto [end, error] = std::from_chars(digits, digits + 2, out[i], 16);
    if (error != std::errc() || end != digits + 2) return false;
  }
  return true;
}

}  // namespace

RingKey RingKey::from_secret(const std::array<std::uint8_t, 32>& secret, UnixSeconds created) {
  RingKey key;
  key.secret = secret;
  key.created = created;
  derive(key.id, secret, "tern key id");
  derive(key.ticket_key, secret, "tern session tickets");
  derive(key.token_key, secret, "tern address tokens");
  return key;
}

KeyRing::KeyRing(Random& random, UnixSeconds now)
    : keys_(std::make_shared<const std::vector<RingKey>>(1, fresh(random, now))) {}

void KeyRing::rotate(Random& random, UnixSeconds now) {
  RingKey key = fresh(random, now);
  const std::lock_guard lock(mutex_);
  auto keys = std::make_shared<std::vector<RingKey>>();
  keys->push_back(std::move(key));
  const std::size_t kept = std::min(keys_->size(), kMaxKeys - 1);
  keys->insert(keys->end(), keys_->begin(), keys_->begin() + static_cast<std::ptrdiff_t>(kept));
  keys_ = std::move(keys);
}

KeyRing::Snapshot KeyRing::snapshot() const {
  const std::lock_guard lock(mutex_);
  return keys_;
}

std::string KeyRing::serialize() const {
  static constexpr char kDigits[] = "0123456789abcdef";
  const Snapshot keys = snapshot();
  std::string text(kHeader);
  text += '\n';
  for (const RingKey& key : *keys) {
    for (const std::uint8_t byte : key.secret) {
      text += kDigits[byte >> 4];
      text += kDigits[byte & 15];
    }
    text += ' ' + std::to_string(key.created) + '\n';
  }
  return text;
}

Result<std::shared_ptr<KeyRing>> KeyRing::parse(std::string_view text, std::string_view name) {
  const auto broken = [&](std::size_t line, const char* what) {
    return fail(Error::invalid(std::string(name) + ", line " + std::to_string(line) + ": " + what));
  };
  auto keys = std::make_shared<std::vector<RingKey>>();
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (number == 1) {
      if (line != kHeader) return broken(1, "is not \"tern-keys-1\": not a key file of tern");
      continue;
    }
    std::array<std::uint8_t, 32> secret;
    UnixSeconds created = 0;
    if (line.size() < 66 || line[64] != ' ' || !read_hex(line.substr(0, 64), secret)) {
      return broken(number, "wants 64 hex digits, a space and the time of creation");
    }
    const char* const last = line.data() + line.size();
    const auto [stop, error] = std::from_chars(line.data() + 65, last, created);
    if (error != std::errc() || stop != last) {
      return broken(number, "wants the time of creation in Unix seconds");
    }
    if (keys->size() == kMaxKeys) return broken(number, "is one key too many (at most 4)");
    keys->push_back(RingKey::from_secret(secret, created));
  }
  if (keys->empty()) return fail(Error::invalid(std::string(name) + " holds no key"));
  std::shared_ptr<KeyRing> ring(new KeyRing);
  ring->keys_ = std::move(keys);
  return ring;
}

Result<void> KeyRing::save(const std::string& path) const {
  return write_private_file(path, serialize());
}

Result<std::shared_ptr<KeyRing>> KeyRing::load(const std::string& path) {
  TERN_TRY(const std::string text, read_file(path));
  return parse(text, path);
}

void KeyRing::replace(const KeyRing& other) {
  Snapshot keys = other.snapshot();
  const std::lock_guard lock(mutex_);
  keys_ = std::move(keys);
}

}  // namespace tern::tls
