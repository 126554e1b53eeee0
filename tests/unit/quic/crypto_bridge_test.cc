#include "transport/quic/crypto_bridge.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "tests/unit/quic/bridge_pair.h"
#include "transport/quic/stateless_packets.h"

namespace tern::quic::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST_F(CryptoBridgeTest, HandshakesAndCarriesStreams) {
  Pair pair = make_pair();
  pair.run();
  ASSERT_TRUE(pair.client->bridge().handshake_complete()) << pair.client->error;
  ASSERT_TRUE(pair.server->bridge().handshake_complete()) << pair.server->error;
  const HandshakeFacts client = pair.client->bridge().facts();
  EXPECT_EQ(client.alpn, "h3");
  EXPECT_EQ(client.group, "X25519");
  EXPECT_THAT(std::string(client.cipher), ::testing::StartsWith("TLS_"));
  EXPECT_FALSE(client.resumed);
  EXPECT_THAT(std::string(client.peer_certificate_subject), HasSubstr("localhost"));
  const HandshakeFacts server = pair.server->bridge().facts();
  EXPECT_EQ(server.server_name, "example.org");
  EXPECT_EQ(server.alpn, "h3");
  EXPECT_EQ(server.cipher, client.cipher);

  pair.client->to_send = std::string(5000, 'x');
  pair.client->open_stream();
  pair.run();
  EXPECT_EQ(pair.server->received, std::string(5000, 'x'));
}

TEST_F(CryptoBridgeTest, BothEndsDeriveTheSameKeyingMaterial) {
  const auto material = [](End& end, std::string_view context) {
    Octets out(48);
    const Result<void> done =
        end.bridge().export_keying_material("EXPORTER-test", as_bytes(context), out);
    return done ? std::string(out.begin(), out.end()) : done.error().to_string();
  };
  Pair pair = make_pair();
  EXPECT_THAT(material(*pair.client, "a"), HasSubstr("before the handshake"));
  pair.run();
  const std::string of_client = material(*pair.client, "a");
  EXPECT_EQ(material(*pair.server, "a"), of_client);
  EXPECT_NE(material(*pair.server, "b"), of_client);
  Pair another = make_pair();
  another.run();
  EXPECT_NE(material(*another.client, "a"), of_client);
}

TEST_F(CryptoBridgeTest, KeysCanBeUpdated) {
  Pair pair = make_pair();
  pair.run();
  pair.client->open_stream();
  for (int i = 0; i < 4; ++i) {
    pair.now += 10 * NGTCP2_SECONDS;  // three PTOs between updates
    pair.run();                       // the delayed acknowledgement
    ASSERT_EQ(ngtcp2_conn_initiate_key_update(pair.client->conn(), pair.now), 0) << i;
    pair.client->to_send = "again ";
    pair.run();
  }
  EXPECT_EQ(pair.server->received, "again again again again ");
  EXPECT_EQ(pair.client->error, 0);
  EXPECT_EQ(pair.server->error, 0);
}

TEST_F(CryptoBridgeTest, Version2FromTheStart) {
  client_settings_.version = kVersion2;
  client_settings_.preferred = server_settings_.preferred = {kVersion2};
  Pair pair = make_pair();
  pair.run();
  EXPECT_TRUE(pair.client->bridge().handshake_complete());
  EXPECT_EQ(version_of(pair.client_sent.front()), kVersion2);
  EXPECT_EQ(version_of(pair.server_sent.front()), kVersion2);
}

TEST_F(CryptoBridgeTest, CompatibleVersionNegotiation) {
  client_settings_.preferred = {kVersion2, kVersion1};
  server_settings_.preferred = {kVersion2, kVersion1};
  Pair pair = make_pair();
  pair.run();
  ASSERT_TRUE(pair.client->bridge().handshake_complete());
  EXPECT_EQ(version_of(pair.client_sent.front()), kVersion1);
  EXPECT_EQ(version_of(pair.server_sent.front()), kVersion2);
  EXPECT_EQ(ngtcp2_conn_get_negotiated_version(pair.client->conn()), kVersion2);
  Session session;
  ASSERT_TRUE(pair.client->bridge().take_session(session));
  EXPECT_EQ(session.quic_version, kVersion2);
}

TEST_F(CryptoBridgeTest, FollowsARetry) {
  Pair pair = make_pair();
  const auto first = pair.client->write(++pair.now);
  ASSERT_EQ(first.size(), 1u);
  ngtcp2_pkt_hd header;
  ASSERT_EQ(ngtcp2_accept(&header, first[0].data(), first[0].size()), 0);
  const Octets retry_scid(8, 0x4e);
  const Octets original_dcid = cid_bytes(header.dcid);
  Octets retry(1200);
  const auto size = write_retry(retry, kVersion1, cid_bytes(header.scid), retry_scid, original_dcid,
                                as_bytes("token"));
  ASSERT_TRUE(size);
  retry.resize(*size);
  Octets forged = retry;
  forged.back() ^= 1;
  pair.client->read(forged, pair.now);
  EXPECT_FALSE(ngtcp2_conn_after_retry(pair.client->conn())) << "took a forged Retry";
  pair.client->error = 0;
  ASSERT_TRUE(pair.client->read(retry, pair.now));
  EXPECT_TRUE(ngtcp2_conn_after_retry(pair.client->conn()));

  pair.accept = [&](const Octets& packet) {
    ngtcp2_pkt_hd second;
    EXPECT_EQ(ngtcp2_accept(&second, packet.data(), packet.size()), 0);
    EXPECT_EQ(cid_bytes(second.dcid), retry_scid);
    EXPECT_EQ(std::string(second.token, second.token + second.tokenlen), "token");
    End::Settings settings;
    settings.server = true;
    settings.retry_scid = retry_scid;
    return std::make_unique<End>(std::move(*CryptoBridge::server(server_context_, kNow)), settings,
                                 cid_bytes(second.scid), retry_scid, original_dcid);
  };
  pair.run();
  EXPECT_TRUE(pair.client->bridge().handshake_complete()) << pair.client->error;
}

// ---- chacha20_only ------------------------------------------------------------------------------

/// The cipher suites of the ClientHello in a client's first packet, which it opens as anyone can.
std::vector<int> offered_suites(const Octets& datagram) {
  ngtcp2_pkt_hd header;
  EXPECT_EQ(ngtcp2_accept(&header, datagram.data(), datagram.size()), 0);
  const InitialSecrets secrets = initial_secrets(header.version, cid_bytes(header.dcid));
  const PacketKeys keys =
      derive_packet_keys(header.version, kInitialSuite, ByteView(secrets.client).first(32));
  Octets packet = datagram;
  std::size_t at = 1 + 4 + 1 + header.dcid.datalen + 1 + header.scid.datalen;
  at += 1 + header.tokenlen;
  at += std::size_t{1} << (packet[at] >> 6);
  std::uint8_t mask[5];
  HeaderKey(Aead::aes_128_gcm, keys.hp_view()).mask(mask, packet.data() + at + 4);
  packet[0] ^= mask[0] & 0x0f;
  const std::size_t number_length = (packet[0] & 3u) + 1;
  auto nonce = keys.iv;
  std::size_t number = 0;
  for (std::size_t i = 0; i < number_length; ++i) {
    packet[at + i] ^= mask[1 + i];
    number = number << 8 | packet[at + i];
  }
  nonce[11] ^= static_cast<std::uint8_t>(number);
  at += number_length;
  Octets payload(packet.begin() + static_cast<std::ptrdiff_t>(at), packet.end());
  EXPECT_TRUE(AeadKey(Aead::aes_128_gcm, keys.key_view())
                  .open(payload.data(), payload, nonce, ByteView(packet).first(at)));
  // CRYPTO frame: 06, offset, length (1, 2 or 4 bytes), ClientHello.
  EXPECT_EQ(payload[0], 0x06);
  EXPECT_EQ(payload[1], 0x00);
  std::size_t hello = 2 + (std::size_t{1} << (payload[2] >> 6));
  EXPECT_EQ(payload[hello], 1);
  hello += 4 + 2 + 32;
  hello += 1 + payload[hello];
  std::vector<int> suites;
  const std::size_t length = static_cast<std::size_t>(payload[hello]) << 8 | payload[hello + 1];
  for (std::size_t i = 0; i < length; i += 2) {
    suites.push_back(payload[hello + 2 + i] << 8 | payload[hello + 3 + i]);
  }
  return suites;
}

TEST_F(CryptoBridgeTest, AClientMayOfferOnlyChaCha20) {
  client_options_.chacha20_only(true);
  Pair pair = make_pair();
  pair.run();
  EXPECT_THAT(offered_suites(pair.client_sent.front()), ElementsAre(0x1303));
  ASSERT_TRUE(pair.client->bridge().handshake_complete()) << pair.client->bridge().failure().detail;
  EXPECT_TRUE(pair.server->bridge().handshake_complete());
  EXPECT_EQ(pair.server->bridge().facts().cipher, "TLS_CHACHA20_POLY1305_SHA256");
  pair.client->to_send = std::string(5000, 'x');
  pair.client->open_stream();
  pair.run();
  EXPECT_EQ(pair.server->received.size(), 5000u);
}

TEST_F(CryptoBridgeTest, AClientWithoutThatOffersAllThree) {
  Pair pair = make_pair();
  pair.run();
  EXPECT_THAT(offered_suites(pair.client_sent.front()),
              ::testing::UnorderedElementsAre(0x1301, 0x1302, 0x1303));
}

TEST_F(CryptoBridgeTest, OnlyChaCha20SurvivesAHelloRetryRequest) {
  client_options_.chacha20_only(true).groups("X25519:P-256");
  server_options_.groups("P-256");
  Pair pair = make_pair();
  pair.run();
  EXPECT_TRUE(pair.client->bridge().handshake_complete()) << pair.client->bridge().failure().detail;
  EXPECT_EQ(pair.server->bridge().facts().cipher, "TLS_CHACHA20_POLY1305_SHA256");
}

TEST_F(CryptoBridgeTest, AServerMayTakeOnlyChaCha20) {
  server_options_.chacha20_only(true);
  Pair pair = make_pair();
  pair.run();
  EXPECT_EQ(pair.client->bridge().facts().cipher, "TLS_CHACHA20_POLY1305_SHA256");
}

}  // namespace
}  // namespace tern::quic::test
