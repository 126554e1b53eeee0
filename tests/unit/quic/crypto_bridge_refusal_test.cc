#include <string>

#include <gmock/gmock.h>

#include "tests/unit/quic/bridge_pair.h"
#include "transport/quic/crypto_bridge.h"

namespace tern::quic::test {
namespace {

using ::testing::HasSubstr;

TEST_F(CryptoBridgeTest, RefusesACertificateForAnotherName) {
  client_bridge_options_.server_name = "other.example";
  Pair pair = make_pair();
  pair.run();
  EXPECT_EQ(pair.client->error, NGTCP2_ERR_CRYPTO);
  const Error error = pair.client->bridge().failure();
  EXPECT_TRUE(error.is(Code::certificate)) << error.to_string();
  EXPECT_THAT(error.detail, HasSubstr("example.org"));
  EXPECT_NE(ngtcp2_conn_get_tls_alert(pair.client->conn()), 0);
}

TEST_F(CryptoBridgeTest, RefusesAnExpiredCertificate) {
  client_now_ = kNow + 14 * 24 * 3600;
  Pair pair = make_pair();
  pair.run();
  const Error error = pair.client->bridge().failure();
  EXPECT_TRUE(error.is(Code::certificate)) << error.to_string();
  EXPECT_THAT(error.detail, HasSubstr("expired"));
  EXPECT_EQ(pair.client->bridge().alert(), 45);  // certificate_expired
}

TEST_F(CryptoBridgeTest, RefusesAnUnknownAuthority) {
  const auto stranger = tls::make_authority(tls::DevelopmentOptions(kNow));
  client_options_ = tls::ClientContextOptions().ca_pem(stranger->certificate);
  Pair pair = make_pair();
  pair.run();
  EXPECT_TRUE(pair.client->bridge().failure().is(Code::certificate));
  EXPECT_EQ(pair.client->bridge().alert(), 48);  // unknown_ca
}

TEST_F(CryptoBridgeTest, InsecureTakesAnyCertificateButItsSessionsStayInsecure) {
  client_options_ = tls::ClientContextOptions().insecure(true);
  client_bridge_options_.server_name = "example.org";
  const Session session = first_visit();
  client_options_ = client_options();
  client_bridge_options_.session = &session;
  Pair pair = make_pair();
  pair.run();
  EXPECT_TRUE(pair.client->bridge().handshake_complete());
  EXPECT_FALSE(pair.client->bridge().facts().resumed);
}

TEST_F(CryptoBridgeTest, NoCommonAlpn) {
  client_bridge_options_.alpn = {"hq-interop"};
  Pair pair = make_pair();
  pair.run();
  EXPECT_EQ(pair.server->error, NGTCP2_ERR_CRYPTO);
  EXPECT_EQ(ngtcp2_conn_get_tls_alert(pair.server->conn()), 120);
  const Error error = pair.server->bridge().failure();
  EXPECT_EQ(error.domain, Domain::tls);
  EXPECT_EQ(error.code, 120u);
  EXPECT_THAT(error.detail, HasSubstr("no_application_protocol"));
}

TEST_F(CryptoBridgeTest, NoCommonGroup) {
  client_options_.groups("P-384");
  server_options_.groups("X25519");
  Pair pair = make_pair();
  pair.run();
  EXPECT_EQ(pair.server->bridge().alert(), 40);
}

TEST_F(CryptoBridgeTest, HelloRetryRequest) {
  client_options_.groups("X25519:P-256");
  server_options_.groups("P-256");
  Pair pair = make_pair();
  pair.run();
  EXPECT_TRUE(pair.client->bridge().handshake_complete());
  EXPECT_EQ(pair.client->bridge().facts().group, "P-256");
}

TEST_F(CryptoBridgeTest, PostQuantumGroup) {
  client_options_.groups("X25519Kyber768Draft00:X25519");
  server_options_.groups("X25519Kyber768Draft00:X25519");
  Pair pair = make_pair();
  pair.run();
  EXPECT_TRUE(pair.client->bridge().handshake_complete());
  EXPECT_THAT(std::string(pair.client->bridge().facts().group), HasSubstr("Kyber"));
}

class MutualTls : public CryptoBridgeTest {
 protected:
  void require(tls::ClientCertificate mode) {
    clients_ = *tls::make_authority(tls::DevelopmentOptions(kNow).days(30));
    server_options_.client_ca(clients_.certificate, mode);
  }
  void show(const tls::Identity& authority) {
    const auto leaf = tls::make_leaf(authority, tls::DevelopmentOptions(kNow));
    client_options_.certificate(*tls::Certificate::parse(leaf->certificate, leaf->key));
  }
  tls::Identity clients_;
};

TEST_F(MutualTls, AcceptsAClientOfTheAuthority) {
  require(tls::ClientCertificate::required);
  show(clients_);
  Pair pair = make_pair();
  pair.run();
  ASSERT_TRUE(pair.server->bridge().handshake_complete());
  EXPECT_THAT(std::string(pair.server->bridge().facts().peer_certificate_subject),
              HasSubstr("tern development"));
}

TEST_F(MutualTls, ResumptionKeepsTheIdentity) {
  require(tls::ClientCertificate::required);
  show(clients_);
  const Session session = first_visit();
  client_bridge_options_.session = &session;
  Pair pair = make_pair();
  pair.run();
  EXPECT_TRUE(pair.server->bridge().facts().resumed);
  EXPECT_NE(pair.server->bridge().facts().peer_certificate_subject, "");
}

TEST_F(MutualTls, RefusesAClientWithoutCertificate) {
  require(tls::ClientCertificate::required);
  Pair pair = make_pair();
  pair.run();
  EXPECT_EQ(pair.server->bridge().alert(), 116);  // certificate_required
}

TEST_F(MutualTls, OptionalLetsAClientWithoutCertificateIn) {
  require(tls::ClientCertificate::optional);
  Pair pair = make_pair();
  pair.run();
  EXPECT_TRUE(pair.server->bridge().handshake_complete());
  EXPECT_EQ(pair.server->bridge().facts().peer_certificate_subject, "");
}

TEST_F(MutualTls, RefusesAClientOfAnotherAuthority) {
  require(tls::ClientCertificate::optional);
  const auto stranger = tls::make_authority(tls::DevelopmentOptions(kNow));
  show(*stranger);
  Pair pair = make_pair();
  pair.run();
  EXPECT_TRUE(pair.server->bridge().failure().is(Code::certificate));
}

TEST_F(CryptoBridgeTest, TlsAfterTheHandshakeIsUnexpected) {
  Pair pair = make_pair();
  pair.run();
  ASSERT_TRUE(pair.server->bridge().handshake_complete());
  // A KeyUpdate message, which QUIC forbids (RFC 9001 §6).
  const Octets key_update{0x18, 0, 0, 1, 0};
  ASSERT_EQ(ngtcp2_conn_submit_crypto_data(pair.client->conn(), NGTCP2_ENCRYPTION_LEVEL_1RTT,
                                           key_update.data(), key_update.size()),
            0);
  pair.run();
  EXPECT_EQ(pair.server->error, NGTCP2_ERR_CRYPTO);
  EXPECT_EQ(ngtcp2_conn_get_tls_alert(pair.server->conn()), 10);

  Pair second = make_pair();
  second.run();
  ASSERT_EQ(ngtcp2_conn_submit_crypto_data(second.server->conn(), NGTCP2_ENCRYPTION_LEVEL_1RTT,
                                           key_update.data(), key_update.size()),
            0);
  second.run();
  EXPECT_EQ(second.client->error, NGTCP2_ERR_CRYPTO);
  EXPECT_EQ(ngtcp2_conn_get_tls_alert(second.client->conn()), 10);
}

TEST_F(CryptoBridgeTest, KeyLogNamesEverySecret) {
  std::string text;
  client_options_.key_log(tls::KeyLog::to([&](std::string_view line) { (text += line) += '\n'; }));
  Pair pair = make_pair();
  pair.run();
  for (const char* label : {"CLIENT_HANDSHAKE_TRAFFIC_SECRET ", "SERVER_HANDSHAKE_TRAFFIC_SECRET ",
                            "CLIENT_TRAFFIC_SECRET_0 ", "SERVER_TRAFFIC_SECRET_0 "}) {
    EXPECT_THAT(text, HasSubstr(label));
  }
}

}  // namespace
}  // namespace tern::quic::test
