#include "transport/tls/certificate.h"

#include <string>

#include <gmock/gmock.h>

#include "tests/unit/temporary_folder.h"
#include "tests/unit/tls/now.h"
#include "tests/vectors/vector_file.h"
#include "transport/tls/development.h"

namespace tern::tls {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;

constexpr UnixSeconds kDay = 24 * 3600;

class CertificateTest : public ::testing::Test {
 protected:
  Identity leaf(std::vector<std::string> names) const {
    return *make_leaf(authority_, DevelopmentOptions(kNow).names(std::move(names)));
  }
  static std::string error(std::string_view chain, std::string_view key) {
    const auto parsed = Certificate::parse(chain, key, "cert.pem", "key.pem");
    return parsed ? "" : parsed.error().detail;
  }

  Identity authority_ = *make_authority(DevelopmentOptions(kNow).days(100));
};

TEST_F(CertificateTest, TellsWhatItIs) {
  const Identity identity = leaf({"www.example.org", "*.example.net", "192.0.2.7", "2001:db8::1"});
  const auto certificate = Certificate::parse(identity.certificate, identity.key);
  ASSERT_TRUE(certificate) << certificate.error().detail;
  EXPECT_THAT(certificate->names(), ElementsAre("localhost", "127.0.0.1", "::1", "www.example.org",
                                                "*.example.net", "192.0.2.7", "2001:db8::1"));
  EXPECT_EQ(certificate->not_before(), kNow - 3600);
  EXPECT_EQ(certificate->not_after(), kNow + 13 * kDay);
  EXPECT_LE(certificate->not_after() - certificate->not_before(), 14 * kDay);
  EXPECT_EQ(certificate->key_type(), "ECDSA P-256");
  EXPECT_EQ(certificate->spki_sha256().size(), 44u);  // base64 of 32 bytes
}

TEST_F(CertificateTest, CoversNamesAsTlsDoes) {
  const Identity identity = leaf({"www.example.org", "*.Example.NET", "192.0.2.7", "2001:db8::1"});
  const auto certificate = Certificate::parse(identity.certificate, identity.key);
  ASSERT_TRUE(certificate);
  for (const char* name :
       {"localhost", "www.example.org", "WWW.EXAMPLE.ORG", "www.example.org.", "a.example.net",
        "127.0.0.1", "192.0.2.7", "2001:db8::1", "2001:0db8:0:0::1", "::1"}) {
    EXPECT_TRUE(certificate->covers(name)) << name;
  }
  for (const char* name : {"", ".", "example.org", "x.www.example.org", "example.net",
                           "a.b.example.net", ".example.net", "192.0.2.8", "2001:db8::2"}) {
    EXPECT_FALSE(certificate->covers(name)) << name;
  }
}

/// The fingerprints of a fixed certificate, as `openssl x509 -fingerprint -sha256` and
/// `openssl x509 -pubkey | openssl pkey -pubin -outform der | openssl dgst -sha256` print them.
TEST_F(CertificateTest, Fingerprints) {
  const auto certificate = Certificate::load("tests/vectors/tls/fixed_certificate.pem",
                                             "tests/vectors/tls/fixed_key.pem");
  ASSERT_TRUE(certificate) << certificate.error().detail;
  EXPECT_EQ(certificate->spki_sha256(), "rVBuoS8QzSv2My3gTWhLyrXO6noIivYSGp+mW2xTluo=");
  EXPECT_THAT(certificate->sha256(),
              ElementsAreArray(test::from_hex(
                  "9266b3ddaab7ac69052e623ba3962dd59ac1a1d73d99a1fb5bac5c26c3159dee")));
  EXPECT_THAT(certificate->names(), ElementsAre("fixed.example")) << "the common name";
}

TEST_F(CertificateTest, LoadsFiles) {
  const test::TemporaryFolder folder;
  const Identity identity = leaf({});
  ASSERT_TRUE(identity.save(folder / "cert.pem", folder / "key.pem"));
  EXPECT_TRUE(Certificate::load(folder / "cert.pem", folder / "key.pem"));
  const auto missing = Certificate::load(folder / "no.pem", folder / "key.pem");
  ASSERT_FALSE(missing);
  EXPECT_THAT(missing.error().to_string(), HasSubstr(folder / "no.pem"));
  EXPECT_EQ(missing.error().domain, Domain::os);
}

TEST_F(CertificateTest, KeepsIntermediatesBehindTheLeaf) {
  const Identity identity = leaf({});
  EXPECT_TRUE(Certificate::parse(identity.certificate + authority_.certificate, identity.key));
  EXPECT_THAT(error(authority_.certificate + identity.certificate, identity.key),
              HasSubstr("must come first"));
}

TEST_F(CertificateTest, ErrorsNameTheFileAndTheFix) {
  const Identity identity = leaf({});
  const Identity other = leaf({});
  EXPECT_THAT(error("", identity.key), HasSubstr("cert.pem holds no certificate"));
  EXPECT_THAT(error(identity.certificate, ""), HasSubstr("key.pem holds no private key"));
  EXPECT_THAT(error(identity.key, identity.certificate), HasSubstr("swapped"));
  EXPECT_THAT(error(identity.certificate, identity.certificate), HasSubstr("swapped"));
  EXPECT_THAT(error(identity.certificate, other.key),
              HasSubstr("key.pem is not the key of the first certificate in cert.pem"));
  EXPECT_THAT(
      error(identity.certificate,
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n"),
      HasSubstr("password"));

  std::string damaged = identity.certificate;
  damaged[damaged.size() / 2] = damaged[damaged.size() / 2] == 'A' ? 'B' : 'A';
  damaged[60] = '!';
  EXPECT_THAT(error(damaged, identity.key), HasSubstr("certificate 1 cannot be read"));
  EXPECT_THAT(error(identity.certificate + damaged, identity.key),
              HasSubstr("certificate 2 cannot be read"));
  std::string damaged_key = identity.key;
  damaged_key[60] = '!';
  EXPECT_THAT(error(identity.certificate, damaged_key), HasSubstr("cannot be read"));
}

TEST_F(CertificateTest, RefusesWeakKeys) {
  const std::string key = test::TemporaryFolder::read("tests/vectors/tls/rsa1024_key.pem");
  EXPECT_THAT(error(leaf({}).certificate, key), HasSubstr("RSA 1024"));
}

}  // namespace
}  // namespace tern::tls
