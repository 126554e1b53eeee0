#include <memory>
#include <string>

#include <gmock/gmock.h>
#include <openssl/ssl.h>

#include "tests/unit/temporary_folder.h"
#include "tests/unit/tls/now.h"
#include "transport/tls/client_context.h"
#include "transport/tls/development.h"
#include "transport/tls/handshake_state.h"
#include "transport/tls/server_context.h"

namespace tern::tls {
namespace {

using ::testing::HasSubstr;

class ContextTest : public ::testing::Test {
 protected:
  Certificate certificate(std::vector<std::string> names, KeyType type = KeyType::ecdsa_p256) {
    const auto leaf =
        make_leaf(authority_, DevelopmentOptions(kNow).names(std::move(names)).key_type(type));
    return *Certificate::parse(leaf->certificate, leaf->key);
  }

  struct Outcome {
    bool connected = false;
    std::string client_failure;
    std::string shown;  // the certificate's hash
    bool resumed = false;
  };

  /// A handshake over TCP's record layer, in memory: the contexts are not QUIC's alone.
  Outcome connect(const ServerContext& server, const ClientContext& client,
                  const std::string& name) {
    HandshakeState server_state, client_state;
    server_state.now = client_state.now = kNow;
    bssl::UniquePtr<SSL> server_ssl(SSL_new(server.native()));
    bssl::UniquePtr<SSL> client_ssl(SSL_new(client.native()));
    attach(server_ssl.get(), server_state);
    attach(client_ssl.get(), client_state);
    set_verify_time(server_ssl.get(), kNow);
    EXPECT_TRUE(set_server_name(client_ssl.get(), client, name, kNow));
    static constexpr std::uint8_t kAlpn[] = {2, 'h', '2'};
    EXPECT_EQ(SSL_set_alpn_protos(client_ssl.get(), kAlpn, sizeof(kAlpn)), 0);
    BIO *server_bio = nullptr, *client_bio = nullptr;
    BIO_new_bio_pair(&server_bio, 0, &client_bio, 0);
    SSL_set_bio(server_ssl.get(), server_bio, server_bio);
    SSL_set_bio(client_ssl.get(), client_bio, client_bio);
    SSL_set_accept_state(server_ssl.get());
    SSL_set_connect_state(client_ssl.get());
    Outcome outcome;
    const ScopedTime time(kNow);
    int client_done = 0, server_done = 0;
    for (int i = 0; i < 10 && !(client_done == 1 && server_done == 1); ++i) {
      client_done = SSL_do_handshake(client_ssl.get());
      server_done = SSL_do_handshake(server_ssl.get());
    }
    ERR_clear_error();
    outcome.connected = client_done == 1 && server_done == 1;
    outcome.client_failure = client_state.verify_failure;
    if (bssl::UniquePtr<X509> leaf{SSL_get_peer_certificate(client_ssl.get())}) {
      std::uint8_t digest[32];
      unsigned length = 0;
      X509_digest(leaf.get(), EVP_sha256(), digest, &length);
      outcome.shown.assign(reinterpret_cast<const char*>(digest), length);
    }
    return outcome;
  }

  static std::string hash(const Certificate& certificate) {
    return std::string(reinterpret_cast<const char*>(certificate.sha256().data()), 32);
  }

  Identity authority_ = *make_authority(DevelopmentOptions(kNow).days(100));
};

TEST_F(ContextTest, SniSelectsTheCertificate) {
  const Certificate first = certificate({"a.example.org"});
  const Certificate wild = certificate({"*.example.org"});
  const Certificate exact = certificate({"c.example.org"});
  const auto server = ServerContext::create(
      ServerContextOptions().certificate(first).certificate(wild).certificate(exact).alpn({"h2"}));
  ASSERT_TRUE(server) << server.error().detail;
  const struct {
    const char* name;
    const Certificate& expected;
  } cases[] = {{"a.example.org", first},
               {"b.example.org", wild},
               {"C.Example.ORG", exact},
               {"c.example.org.", exact},
               {"", first},
               {"x.y.example.org", first},
               {"elsewhere.test", first},
               {"localhost", first}};
  for (const auto& each : cases) {
    EXPECT_EQ(hash((*server)->certificate_for(each.name)), hash(each.expected)) << each.name;
  }
  const auto client = ClientContext::create(ClientContextOptions().ca_pem(authority_.certificate));
  ASSERT_TRUE(client);
  for (const char* name : {"a.example.org", "b.example.org", "c.example.org"}) {
    const Outcome outcome = connect(**server, **client, name);
    EXPECT_TRUE(outcome.connected) << name << ": " << outcome.client_failure;
    EXPECT_EQ(outcome.shown, hash((*server)->certificate_for(name))) << name;
  }
}

TEST_F(ContextTest, ReloadingIsANewContext) {
  const Certificate old_one = certificate({"a.example"});
  const Certificate new_one = certificate({"a.example"});
  auto server = ServerContext::create(ServerContextOptions().certificate(old_one).alpn({"h2"}));
  const auto client = ClientContext::create(ClientContextOptions().ca_pem(authority_.certificate));
  std::shared_ptr<const ServerContext> current = *server;
  EXPECT_EQ(connect(*current, **client, "a.example").shown, hash(old_one));
  current = *ServerContext::create(ServerContextOptions().certificate(new_one).alpn({"h2"}));
  EXPECT_EQ(connect(*current, **client, "a.example").shown, hash(new_one));
}

TEST_F(ContextTest, VerifiesIpAddresses) {
  const auto server = ServerContext::create(
      ServerContextOptions().certificate(certificate({"192.0.2.7"})).alpn({"h2"}));
  const auto client = ClientContext::create(ClientContextOptions().ca_pem(authority_.certificate));
  EXPECT_TRUE(connect(**server, **client, "192.0.2.7").connected);
  EXPECT_TRUE(connect(**server, **client, "::1").connected);
  const Outcome other = connect(**server, **client, "192.0.2.8");
  EXPECT_FALSE(other.connected);
  EXPECT_THAT(other.client_failure, HasSubstr("192.0.2.7"));
}

TEST_F(ContextTest, Ed25519Certificates) {
  const auto server =
      ServerContext::create(ServerContextOptions()
                                .certificate(certificate({"a.example"}, KeyType::ed25519))
                                .alpn({"h2"}));
  const auto client = ClientContext::create(ClientContextOptions().ca_pem(authority_.certificate));
  EXPECT_TRUE(connect(**server, **client, "a.example").connected);
}

TEST_F(ContextTest, ReadsCasFromAFile) {
  const test::TemporaryFolder folder;
  const std::string path = folder.write("ca.pem", authority_.certificate);
  const auto server = ServerContext::create(
      ServerContextOptions().certificate(certificate({"a.example"})).alpn({"h2"}));
  const auto client = ClientContext::create(ClientContextOptions().ca_file(path));
  ASSERT_TRUE(client);
  EXPECT_TRUE(connect(**server, **client, "a.example").connected);
  const auto missing = ClientContext::create(ClientContextOptions().ca_file(folder / "none.pem"));
  EXPECT_THAT(missing.error().to_string(), HasSubstr(folder / "none.pem"));
  const auto empty =
      ClientContext::create(ClientContextOptions().ca_file(folder.write("e.pem", "")));
  EXPECT_THAT(empty.error().detail, HasSubstr("e.pem holds no certificate"));
}

TEST_F(ContextTest, SystemRootsDoNotTrustOurs) {
  const auto server = ServerContext::create(
      ServerContextOptions().certificate(certificate({"a.example"})).alpn({"h2"}));
  const auto client = ClientContext::create(ClientContextOptions());
  if (!client) {  // a machine without ca-certificates says so
    EXPECT_THAT(client.error().detail, HasSubstr("ca-certificates"));
    return;
  }
  const Outcome outcome = connect(**server, **client, "a.example");
  EXPECT_FALSE(outcome.connected);
  EXPECT_THAT(outcome.client_failure, HasSubstr("tern development"));
}

TEST_F(ContextTest, SaysWhatIsWrongWithOptions) {
  EXPECT_THAT(ServerContext::create(ServerContextOptions()).error().detail,
              HasSubstr("certificate"));
  const Certificate some = certificate({});
  EXPECT_THAT(
      ServerContext::create(ServerContextOptions().certificate(some).alpn({})).error().detail,
      HasSubstr("ALPN"));
  EXPECT_THAT(
      ServerContext::create(ServerContextOptions().certificate(some).groups("P-1")).error().detail,
      HasSubstr("\"P-1\""));
  EXPECT_THAT(ServerContext::create(ServerContextOptions().certificate(some).client_ca(
                                        "", ClientCertificate::required))
                  .error()
                  .detail,
              HasSubstr("client CAs"));
}

TEST_F(ContextTest, RefusesImpossibleServerNames) {
  const auto client = ClientContext::create(ClientContextOptions().ca_pem(authority_.certificate));
  bssl::UniquePtr<SSL> ssl(SSL_new((*client)->native()));
  EXPECT_FALSE(set_server_name(ssl.get(), **client, "", kNow));
  EXPECT_FALSE(set_server_name(ssl.get(), **client, std::string(300, 'a'), kNow));
  EXPECT_FALSE(set_server_name(ssl.get(), **client, std::string("a\0b", 3), kNow));
}

TEST_F(ContextTest, ChaCha20OnlyRefusesClientsWithoutIt) {
  const auto server = ServerContext::create(ServerContextOptions()
                                                .certificate(certificate({"a.example"}))
                                                .alpn({"h2"})
                                                .chacha20_only(true));
  ASSERT_TRUE(server) << server.error().detail;
  const auto client = ClientContext::create(ClientContextOptions().ca_pem(authority_.certificate));
  EXPECT_TRUE(connect(**server, **client, "a.example").connected);
  // The strictest policy BoringSSL knows offers TLS_AES_256_GCM_SHA384 alone.
  ASSERT_EQ(
      SSL_CTX_set_compliance_policy((*client)->native(), ssl_compliance_policy_wpa3_192_202304), 1);
  EXPECT_FALSE(connect(**server, **client, "a.example").connected);
}

// Between two readings of a clock of whole seconds, one second less than their difference has
// surely passed.
TEST(TicketAgeTest, IsNeverToldAsMoreThanHasPassed) {
  const auto context = *ClientContext::create(ClientContextOptions());
  for (const UnixSeconds passed : {0, 1, 2, 3600}) {
    const bssl::UniquePtr<SSL_SESSION> session(SSL_SESSION_new(context->native()));
    SSL_SESSION_set_time(session.get(), kNow);
    understate_ticket_age(session.get(), kNow + passed);
    EXPECT_EQ(kNow + passed - static_cast<UnixSeconds>(SSL_SESSION_get_time(session.get())),
              passed == 0 ? 0 : passed - 1);
  }
}

}  // namespace
}  // namespace tern::tls
