#include "transport/tls/development.h"

#include <algorithm>
#include <cstring>
#include <string_view>
#include <utility>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/bytestring.h>
#include <openssl/curve25519.h>
#include <openssl/ec_key.h>
#include <openssl/nid.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>

#include "base/check.h"
#include "transport/tls/boringssl.h"
#include "transport/tls/private_file.h"

namespace tern::tls {
namespace {

constexpr UnixSeconds kBackdating = 3600;  // for clients whose clocks are behind
constexpr UnixSeconds kDay = 24 * 3600;

std::string text_of(BIO* bio) {
  const std::uint8_t* data = nullptr;
  std::size_t size = 0;
  TERN_CHECK(BIO_mem_contents(bio, &data, &size) == 1);
  return std::string(reinterpret_cast<const char*>(data), size);
}

bool is_name(const std::string& name) noexcept {
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '*';
  };
  return !name.empty() && name.size() <= 253 && std::all_of(name.begin(), name.end(), fits);
}

void add_extension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  bssl::UniquePtr<X509_EXTENSION> extension(
      X509V3_EXT_nconf_nid(nullptr, &context, nid, value.c_str()));
  TERN_CHECK(extension != nullptr && X509_add_ext(certificate, extension.get(), -1) == 1);
}

void add_name(X509_NAME* name, const char* field, std::string_view value) {
  TERN_CHECK(X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8,
                                        reinterpret_cast<const std::uint8_t*>(value.data()),
                                        static_cast<int>(value.size()), -1, 0) == 1);
}

}  // namespace

struct DevelopmentIssuer {
  static Result<bssl::UniquePtr<EVP_PKEY>> make_key(const DevelopmentOptions& options) {
    if (options.key_type_ == KeyType::ed25519) {
      std::uint8_t public_key[ED25519_PUBLIC_KEY_LEN];
      std::uint8_t private_key[ED25519_PRIVATE_KEY_LEN];
      if (options.seed_ != nullptr) {
        ED25519_keypair_from_seed(public_key, private_key, options.seed_->data());
      } else {
        ED25519_keypair(public_key, private_key);
      }
      return bssl::UniquePtr<EVP_PKEY>(
          EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, private_key, 32));
    }
    if (options.seed_ != nullptr) return fail(Error::invalid("only Ed25519 keys come from a seed"));
    bssl::UniquePtr<EC_KEY> ec(EC_KEY_new_by_curve_name(NID_X9_62_prime256v1));
    bssl::UniquePtr<EVP_PKEY> key(EVP_PKEY_new());
    TERN_CHECK(EC_KEY_generate_key(ec.get()) == 1 &&
               EVP_PKEY_set1_EC_KEY(key.get(), ec.get()) == 1);
    return key;
  }

  static void set_serial(X509* certificate, const EVP_PKEY* key, std::uint64_t serial) {
    if (serial == 0) {  // of the public key's hash: unique, and repeatable with a seed
      bssl::ScopedCBB der;
      std::uint8_t digest[SHA256_DIGEST_LENGTH];
      TERN_CHECK(CBB_init(der.get(), 128) == 1 && EVP_marshal_public_key(der.get(), key) == 1);
      SHA256(CBB_data(der.get()), CBB_len(der.get()), digest);
      std::memcpy(&serial, digest, sizeof(serial));
      serial = (serial >> 1) | 1;  // positive, not zero
    }
    bssl::UniquePtr<BIGNUM> number(BN_new());
    TERN_CHECK(BN_set_u64(number.get(), serial) == 1);
    TERN_CHECK(BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr);
  }

  static Result<bssl::UniquePtr<X509>> begin(const DevelopmentOptions& options, EVP_PKEY* key,
                                             std::string_view common_name) {
    if (options.days_ <= 0)
      return fail(Error::invalid("a certificate is valid for at least a day"));
    bssl::UniquePtr<X509> certificate(X509_new());
    X509* const x509 = certificate.get();
    TERN_CHECK(X509_set_version(x509, X509_VERSION_3) == 1);
    set_serial(x509, key, options.serial_);
    const UnixSeconds from = options.now_ - kBackdating;
    const UnixSeconds until = options.now_ + options.days_ * kDay;
    if (ASN1_TIME_set_posix(X509_getm_notBefore(x509), from) == nullptr ||
        ASN1_TIME_set_posix(X509_getm_notAfter(x509), until) == nullptr) {
      take_error();
      return fail(Error::invalid("a certificate cannot express these times"));
    }
    add_name(X509_get_subject_name(x509), "O", "tern development");
    add_name(X509_get_subject_name(x509), "CN", common_name);
    TERN_CHECK(X509_set_pubkey(x509, key) == 1);
    return certificate;
  }

  static Identity finish(X509* certificate, EVP_PKEY* key, EVP_PKEY* signer) {
    const EVP_MD* digest = EVP_PKEY_id(signer) == EVP_PKEY_ED25519 ? nullptr : EVP_sha256();
    TERN_CHECK(X509_sign(certificate, signer, digest) > 0);
    Identity identity;
    bssl::UniquePtr<BIO> out(BIO_new(BIO_s_mem()));
    TERN_CHECK(PEM_write_bio_X509(out.get(), certificate) == 1);
    identity.certificate = text_of(out.get());
    out.reset(BIO_new(BIO_s_mem()));
    TERN_CHECK(
        PEM_write_bio_PKCS8PrivateKey(out.get(), key, nullptr, nullptr, 0, nullptr, nullptr) == 1);
    identity.key = text_of(out.get());
    return identity;
  }

  static Result<std::string> alternative_names(const DevelopmentOptions& options) {
    std::vector<std::string> names{"localhost", "127.0.0.1", "::1"};
    for (const std::string& name : options.names_) {
      if (!is_ip_address(name) && !is_name(name)) {
        return fail(Error::invalid("\"" + name + "\" is not a host name or IP address"));
      }
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    }
    std::string text;
    for (const std::string& name : names) {
      text += std::string(text.empty() ? "" : ",") + (is_ip_address(name) ? "IP:" : "DNS:") + name;
    }
    return text;
  }
};

Result<Identity> make_authority(const DevelopmentOptions& options) {
  TERN_TRY(const auto key, DevelopmentIssuer::make_key(options));
  TERN_TRY(const auto certificate,
           DevelopmentIssuer::begin(options, key.get(), "tern development CA"));
  X509* const x509 = certificate.get();
  TERN_CHECK(X509_set_issuer_name(x509, X509_get_subject_name(x509)) == 1);
  add_extension(x509, x509, NID_basic_constraints, "critical,CA:TRUE,pathlen:0");
  add_extension(x509, x509, NID_key_usage, "critical,keyCertSign,cRLSign");
  add_extension(x509, x509, NID_subject_key_identifier, "hash");
  return DevelopmentIssuer::finish(x509, key.get(), key.get());
}

Result<Identity> make_leaf(const Identity& authority, const DevelopmentOptions& options) {
  TERN_TRY(const Certificate issuer,
           Certificate::parse(authority.certificate, authority.key,
                              "the development CA's certificate", "the development CA's key"));
  TERN_TRY(const std::string names, DevelopmentIssuer::alternative_names(options));
  TERN_TRY(const auto key, DevelopmentIssuer::make_key(options));
  const Certificate::Impl& ca = issuer.impl();
  TERN_TRY(const auto certificate, DevelopmentIssuer::begin(options, key.get(), "localhost"));
  X509* const x509 = certificate.get();
  TERN_CHECK(X509_set_issuer_name(x509, X509_get_subject_name(ca.leaf.get())) == 1);
  add_extension(x509, ca.leaf.get(), NID_basic_constraints, "critical,CA:FALSE");
  add_extension(x509, ca.leaf.get(), NID_key_usage, "critical,digitalSignature");
  add_extension(x509, ca.leaf.get(), NID_ext_key_usage, "serverAuth,clientAuth");
  add_extension(x509, ca.leaf.get(), NID_subject_alt_name, names);
  add_extension(x509, ca.leaf.get(), NID_subject_key_identifier, "hash");
  add_extension(x509, ca.leaf.get(), NID_authority_key_identifier, "keyid:always");
  return DevelopmentIssuer::finish(x509, key.get(), ca.key.get());
}

Result<void> Identity::save(const std::string& certificate_path,
                            const std::string& key_path) const {
  if (auto written = write_private_file(key_path, key); !written) return written;
  return write_private_file(certificate_path, certificate);
}

Result<Identity> Identity::load(const std::string& certificate_path, const std::string& key_path) {
  Identity identity;
  TERN_TRY(identity.certificate, read_file(certificate_path));
  TERN_TRY(identity.key, read_file(key_path));
  return identity;
}

}  // namespace tern::tls
