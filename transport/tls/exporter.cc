#include "transport/tls/exporter.h"

#include <openssl/digest.h>
#include <openssl/mem.h>

#include "base/check.h"
#include "transport/tls/aead.h"

namespace tern::tls {
namespace {

/// -1 for what is no digit.
int digit(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

using Digest = std::array<std::uint8_t, 48>;

Digest digest_of(ByteView bytes, Hash hash) noexcept {
  Digest out{};
  unsigned size = 0;
  TERN_CHECK(EVP_Digest(bytes.data(), bytes.size(), out.data(), &size,
                        hash == Hash::sha256 ? EVP_sha256() : EVP_sha384(), nullptr) == 1);
  return out;
}

}  // namespace

Exporter::~Exporter() { OPENSSL_cleanse(secret_.data(), secret_.size()); }

void Exporter::read_key_log(std::string_view line) noexcept {
  constexpr std::string_view kName = "EXPORTER_SECRET ";
  if (!line.starts_with(kName)) return;
  const std::string_view text = line.substr(line.rfind(' ') + 1);
  const std::size_t size = text.size() / 2;
  if (size != 32 && size != 48) return;
  for (std::size_t i = 0; i < size; ++i) {
    const int high = digit(text[2 * i]);
    const int low = digit(text[2 * i + 1]);
    if (high < 0 || low < 0) return;
    secret_[i] = static_cast<std::uint8_t>(high << 4 | low);
  }
  size_ = static_cast<std::uint8_t>(size);
}

Result<void> Exporter::check(std::string_view label, MutableBytes out) {
  if (label.empty() || label.size() > kMaxLabel) {
    return fail(Error::invalid("a label of keying material has 1 to 249 bytes"));
  }
  if (out.empty() || out.size() > kMaxOutput) {
    return fail(Error::invalid("keying material has 1 to 8160 bytes"));
  }
  return {};
}

Result<void> Exporter::derive(std::string_view label, ByteView context, MutableBytes out) const {
  if (!known()) return fail(Error::invalid("no keying material before the handshake is complete"));
  if (auto checked = check(label, out); !checked) return checked;
  const Hash hash = size_ == 32 ? Hash::sha256 : Hash::sha384;
  std::array<std::uint8_t, 48> derived{};
  const MutableBytes secret(derived.data(), size_);
  const Digest nothing = digest_of({}, hash);
  const Digest hashed = digest_of(context, hash);
  hkdf_expand_label(secret, hash, {secret_.data(), size_}, label, {nothing.data(), size_});
  hkdf_expand_label(out, hash, secret, "exporter", {hashed.data(), size_});
  OPENSSL_cleanse(derived.data(), derived.size());
  return {};
}

}  // namespace tern::tls
