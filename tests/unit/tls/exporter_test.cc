#include "transport/tls/exporter.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <openssl/bio.h>
#include <openssl/ssl.h>

#include "tests/unit/tls/now.h"
#include "transport/tls/client_context.h"
#include "transport/tls/development.h"
#include "transport/tls/handshake_state.h"
#include "transport/tls/server_context.h"

namespace tern::tls {
namespace {

std::string hex(ByteView bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const std::uint8_t byte : bytes) {
    text.push_back(kDigits[byte >> 4]);
    text.push_back(kDigits[byte & 15]);
  }
  return text;
}

std::string derived(const Exporter& exporter, std::string_view label, std::string_view context,
                    std::size_t size) {
  std::vector<std::uint8_t> out(size);
  const Result<void> done = exporter.derive(label, as_bytes(context), out);
  return done ? hex(out) : done.error().to_string();
}

/// A secret of the bytes 0, 1, 2 …, as the key log has it.
std::string line_of(std::size_t size) {
  std::vector<std::uint8_t> secret(size);
  for (std::size_t i = 0; i < size; ++i) secret[i] = static_cast<std::uint8_t>(i);
  return "EXPORTER_SECRET " + std::string(64, 'a') + " " + hex(secret);
}

// Worked out with the hmac module of Python.
TEST(Exporter, GivesWhatRfc8446Says) {
  Exporter sha256;
  sha256.read_key_log(line_of(32));
  ASSERT_TRUE(sha256.known());
  EXPECT_EQ(derived(sha256, "EXPORTER-test", "", 16), "c22779c1e368a57747511a468669ab54");
  EXPECT_EQ(derived(sha256, "EXPORTER-test", "context", 40),
            "a3a3a6d3537ed5c8deb75a73886459b9287e056ecad62bce7db76e51dfd739eaa5f085384fba7588");
  Exporter sha384;
  sha384.read_key_log(line_of(48));
  ASSERT_TRUE(sha384.known());
  EXPECT_EQ(derived(sha384, "EXPORTER-test", "", 16), "2f682dc237616ea0392004218cc95cb4");
  EXPECT_EQ(derived(sha384, "EXPORTER-test", "context", 40),
            "d81c2e621b71d2321863a244ea10f4aa707dc9c171c42fcb673ce1bdad56deedba50e964508d7fff");
}

TEST(Exporter, TakesNothingElseFromTheKeyLog) {
  Exporter exporter;
  const std::string line = line_of(32);
  for (const std::string& other :
       {std::string(), std::string("EXPORTER_SECRET "), "CLIENT_" + line,
        "CLIENT_TRAFFIC_SECRET_0" + line.substr(15), line + "00", line.substr(0, line.size() - 1),
        line.substr(0, line.size() - 1) + "g"}) {
    exporter.read_key_log(other);
    EXPECT_FALSE(exporter.known()) << other;
  }
  std::vector<std::uint8_t> out(16);
  const Result<void> early = exporter.derive("label", {}, out);
  ASSERT_FALSE(early);
  EXPECT_TRUE(early.error().is(Code::invalid));
}

TEST(Exporter, SaysWhatItCannotDerive) {
  Exporter exporter;
  exporter.read_key_log(line_of(32));
  const auto refused = [&](std::string_view label, std::size_t size) {
    std::vector<std::uint8_t> out(size);
    const Result<void> done = exporter.derive(label, {}, out);
    return !done && done.error().is(Code::invalid);
  };
  EXPECT_TRUE(refused("", 16));
  EXPECT_TRUE(refused(std::string(250, 'x'), 16));
  EXPECT_TRUE(refused("label", 0));
  EXPECT_TRUE(refused("label", 8161));
  EXPECT_FALSE(refused(std::string(249, 'x'), 8160));
}

/// BoringSSL with itself, in memory.
struct Handshake {
  explicit Handshake(const Identity& authority, const Identity& leaf) {
    server = *ServerContext::create(
        ServerContextOptions().certificate(*Certificate::parse(leaf.certificate, leaf.key)));
    client = *ClientContext::create(ClientContextOptions().ca_pem(authority.certificate));
    client_ssl.reset(SSL_new(client->native()));
    server_ssl.reset(SSL_new(server->native()));
    attach(client_ssl.get(), client_state);
    attach(server_ssl.get(), server_state);
    EXPECT_TRUE(set_server_name(client_ssl.get(), *client, "localhost", kNow));
    BIO* one = nullptr;
    BIO* other = nullptr;
    EXPECT_EQ(BIO_new_bio_pair(&one, 0, &other, 0), 1);
    SSL_set_bio(client_ssl.get(), one, one);
    SSL_set_bio(server_ssl.get(), other, other);
    SSL_set_connect_state(client_ssl.get());
    SSL_set_accept_state(server_ssl.get());
    const ScopedTime time(kNow);
    for (int turn = 0; turn < 10; ++turn) {
      SSL_do_handshake(client_ssl.get());
      SSL_do_handshake(server_ssl.get());
    }
  }
  std::shared_ptr<const ServerContext> server;
  std::shared_ptr<const ClientContext> client;
  HandshakeState client_state;
  HandshakeState server_state;
  bssl::UniquePtr<SSL> client_ssl;
  bssl::UniquePtr<SSL> server_ssl;
};

TEST(Exporter, AgreesWithBoringSsl) {
  const Identity authority = *make_authority(DevelopmentOptions(kNow).days(30));
  const Identity leaf = *make_leaf(authority, DevelopmentOptions(kNow).names({"localhost"}));
  const Handshake both(authority, leaf);
  ASSERT_FALSE(SSL_in_init(both.client_ssl.get()));
  ASSERT_TRUE(both.server_state.exporter.known());
  for (const std::string& context : {std::string(), std::string("c"), std::string(700, 'x')}) {
    for (const std::size_t size : {1u, 32u, 100u, 8160u}) {
      const std::string label = "EXPORTER-" + std::to_string(size);
      std::vector<std::uint8_t> expected(size);
      ASSERT_EQ(
          SSL_export_keying_material(both.client_ssl.get(), expected.data(), size, label.data(),
                                     label.size(), as_bytes(context).data(), context.size(), 1),
          1);
      EXPECT_EQ(derived(both.client_state.exporter, label, context, size), hex(expected));
      EXPECT_EQ(derived(both.server_state.exporter, label, context, size), hex(expected));
    }
  }
}

}  // namespace
}  // namespace tern::tls
