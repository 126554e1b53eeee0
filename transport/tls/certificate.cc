#include "transport/tls/certificate.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cctype>
#include <cstring>
#include <strings.h>
#include <utility>

#include <openssl/base64.h>
#include <openssl/ec_key.h>
#include <openssl/err.h>
#include <openssl/mem.h>
#include <openssl/nid.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>

#include "transport/tls/boringssl.h"
#include "transport/tls/private_file.h"

namespace tern::tls {
namespace {

bssl::UniquePtr<BIO> reader(std::string_view text) {
  return bssl::UniquePtr<BIO>(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

bool contains(std::string_view text, std::string_view part) noexcept {
  return text.find(part) != std::string_view::npos;
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

/// The canonical text of an IP address; "" if it is none.
std::string canonical_address(const std::string& text) {
  std::uint8_t address[16];
  char out[INET6_ADDRSTRLEN];
  for (const int family : {AF_INET, AF_INET6}) {
    if (inet_pton(family, text.c_str(), address) == 1) {
      return inet_ntop(family, address, out, sizeof(out));
    }
  }
  return {};
}

UnixSeconds unix_seconds(const ASN1_TIME* time) noexcept {
  std::int64_t seconds = 0;
  return ASN1_TIME_to_posix(time, &seconds) == 1 ? seconds : 0;
}

std::string describe_key(const EVP_PKEY* key) {
  switch (EVP_PKEY_id(key)) {
    case EVP_PKEY_RSA: return "RSA " + std::to_string(EVP_PKEY_bits(key));
    case EVP_PKEY_ED25519: return "Ed25519";
    case EVP_PKEY_EC: {
      const EC_GROUP* group = EC_KEY_get0_group(EVP_PKEY_get0_EC_KEY(key));
      const char* name = EC_curve_nid2nist(EC_GROUP_get_curve_name(group));
      return std::string("ECDSA ") + (name != nullptr ? name : "unknown curve");
    }
    default: return "";
  }
}

Result<bssl::UniquePtr<EVP_PKEY>> read_key(std::string_view pem, std::string_view name) {
  const std::string file(name);
  if (!contains(pem, "PRIVATE KEY-----")) {
    if (contains(pem, "-----BEGIN CERTIFICATE-----")) {
      return fail(Error::invalid(
          file + " holds a certificate, not a private key: " + "are the two files swapped?"));
    }
    return fail(
        Error::invalid(file + " holds no private key in PEM form (-----BEGIN PRIVATE KEY-----)"));
  }
  if (contains(pem, "ENCRYPTED")) {
    return fail(Error::invalid(file + " is password protected: write a copy without password, " +
                               "`openssl pkey -in " + file + " -out plain.pem`"));
  }
  const auto no_password = [](char*, int, int, void*) { return 0; };
  bssl::UniquePtr<EVP_PKEY> key(
      PEM_read_bio_PrivateKey(reader(pem).get(), nullptr, no_password, nullptr));
  if (key == nullptr) {
    return fail(Error::invalid(file + " holds a private key that cannot be read: " + take_error()));
  }
  const std::string type = describe_key(key.get());
  if (type.empty() || (EVP_PKEY_id(key.get()) == EVP_PKEY_RSA && EVP_PKEY_bits(key.get()) < 2048)) {
    return fail(Error::invalid(file + " holds " +
                               (type.empty() ? "a key of an unknown type" : type) +
                               ": use ECDSA P-256, P-384, Ed25519 or RSA with 2048 bits or more"));
  }
  return key;
}

}  // namespace

std::string take_error() {
  const std::uint32_t error = ERR_peek_error();
  const char* reason = error != 0 ? ERR_reason_error_string(error) : nullptr;
  std::string text = reason != nullptr ? reason : "";
  ERR_clear_error();
  return text;
}

bool is_ip_address(const std::string& text) noexcept {
  std::uint8_t address[16];
  return inet_pton(AF_INET, text.c_str(), address) == 1 ||
         inet_pton(AF_INET6, text.c_str(), address) == 1;
}

Result<std::vector<bssl::UniquePtr<X509>>> read_certificates(std::string_view pem,
                                                             std::string_view name) {
  std::vector<bssl::UniquePtr<X509>> certificates;
  const auto bio = reader(pem);
  while (
      bssl::UniquePtr<X509> certificate{PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)}) {
    certificates.push_back(std::move(certificate));
  }
  const std::uint32_t error = ERR_peek_last_error();
  const bool at_end =
      ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
  const std::string reason = take_error();
  const std::string file(name);
  if (!at_end) {
    return fail(Error::invalid(file + ": certificate " + std::to_string(certificates.size() + 1) +
                               " cannot be read: " + reason));
  }
  if (certificates.empty()) {
    if (contains(pem, "PRIVATE KEY-----")) {
      return fail(Error::invalid(
          file + " holds a private key, not a certificate: " + "are the two files swapped?"));
    }
    return fail(
        Error::invalid(file + " holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)"));
  }
  return certificates;
}

std::vector<std::string> names_of(X509* certificate) {
  std::vector<std::string> names;
  auto* alternatives = static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  if (alternatives != nullptr) {
    for (std::size_t i = 0; i < sk_GENERAL_NAME_num(alternatives); ++i) {
      const GENERAL_NAME* name = sk_GENERAL_NAME_value(alternatives, i);
      if (name->type == GEN_DNS) {
        const std::string_view text(
            reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.dNSName)),
            static_cast<std::size_t>(ASN1_STRING_length(name->d.dNSName)));
        if (!contains(text, std::string_view("\0", 1))) names.push_back(lower(text));
      } else if (name->type == GEN_IPADD) {
        const int length = ASN1_STRING_length(name->d.iPAddress);
        char text[INET6_ADDRSTRLEN];
        if (length == 4 || length == 16) {
          names.emplace_back(inet_ntop(length == 4 ? AF_INET : AF_INET6,
                                       ASN1_STRING_get0_data(name->d.iPAddress), text,
                                       sizeof(text)));
        }
      }
    }
    GENERAL_NAMES_free(alternatives);
  }
  if (names.empty()) {
    char text[256];
    if (X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, text,
                                  sizeof(text)) > 0) {
      names.push_back(lower(text));
    }
  }
  ERR_clear_error();
  return names;
}

Result<Certificate> Certificate::load(const std::string& chain_path, const std::string& key_path) {
  TERN_TRY(const std::string chain, read_file(chain_path));
  TERN_TRY(const std::string key, read_file(key_path));
  return parse(chain, key, chain_path, key_path);
}

Result<Certificate> Certificate::parse(std::string_view chain_pem, std::string_view key_pem,
                                       std::string_view chain_name, std::string_view key_name) {
  TERN_TRY(auto certificates, read_certificates(chain_pem, chain_name));
  TERN_TRY(auto key, read_key(key_pem, key_name));

  const auto impl = std::make_shared<Impl>();
  for (const auto& certificate : certificates) {
    std::uint8_t* der = nullptr;
    const int length = i2d_X509(certificate.get(), &der);
    if (length <= 0) return fail(Error::invalid(std::string(chain_name) + ": " + take_error()));
    impl->chain.emplace_back(CRYPTO_BUFFER_new(der, static_cast<std::size_t>(length), nullptr));
    OPENSSL_free(der);
  }
  impl->leaf = std::move(certificates.front());
  impl->key = std::move(key);
  X509* const leaf = impl->leaf.get();
  if (X509_check_private_key(leaf, impl->key.get()) != 1) {
    ERR_clear_error();
    // The usual mistake, a chain that begins with its CA, has its own words.
    for (std::size_t i = 1; i < certificates.size(); ++i) {
      if (X509_check_private_key(certificates[i].get(), impl->key.get()) == 1) {
        return fail(Error::invalid(std::string(chain_name) + ": the certificate of " +
                                   std::string(key_name) + " must come first, before its issuers"));
      }
    }
    ERR_clear_error();
    return fail(Error::invalid(std::string(key_name) +
                               " is not the key of the first certificate in " +
                               std::string(chain_name) + ": use the key it was issued for"));
  }

  impl->names = names_of(leaf);
  impl->not_before = unix_seconds(X509_get0_notBefore(leaf));
  impl->not_after = unix_seconds(X509_get0_notAfter(leaf));
  impl->key_type = describe_key(impl->key.get());
  const CRYPTO_BUFFER* der = impl->chain.front().get();
  SHA256(CRYPTO_BUFFER_data(der), CRYPTO_BUFFER_len(der), impl->sha256.data());

  std::uint8_t* spki = nullptr;
  const int spki_length = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(leaf), &spki);
  if (spki_length <= 0) return fail(Error::invalid(std::string(chain_name) + ": " + take_error()));
  std::uint8_t digest[SHA256_DIGEST_LENGTH];
  SHA256(spki, static_cast<std::size_t>(spki_length), digest);
  OPENSSL_free(spki);
  std::uint8_t base64[64];
  const std::size_t base64_length = EVP_EncodeBlock(base64, digest, sizeof(digest));
  impl->spki_sha256.assign(reinterpret_cast<const char*>(base64), base64_length);
  return Certificate(impl);
}

std::span<const std::string> Certificate::names() const noexcept { return impl_->names; }

bool Certificate::covers(std::string_view server_name) const noexcept {
  if (server_name.ends_with('.')) server_name.remove_suffix(1);
  const std::string wanted = lower(server_name);
  if (const std::string address = canonical_address(wanted); !address.empty()) {
    return std::find(impl_->names.begin(), impl_->names.end(), address) != impl_->names.end();
  }
  const std::size_t dot = wanted.find('.');
  const std::string_view parent = dot == std::string::npos || dot == 0
                                      ? std::string_view()
                                      : std::string_view(wanted).substr(dot);
  for (const std::string& name : impl_->names) {
    if (name == wanted) return true;
    if (!parent.empty() && name.starts_with("*.") && std::string_view(name).substr(1) == parent) {
      return true;
    }
  }
  return false;
}

UnixSeconds Certificate::not_before() const noexcept { return impl_->not_before; }
UnixSeconds Certificate::not_after() const noexcept { return impl_->not_after; }
const std::array<std::uint8_t, 32>& Certificate::sha256() const noexcept { return impl_->sha256; }
const std::string& Certificate::spki_sha256() const noexcept { return impl_->spki_sha256; }
const std::string& Certificate::key_type() const noexcept { return impl_->key_type; }

}  // namespace tern::tls
