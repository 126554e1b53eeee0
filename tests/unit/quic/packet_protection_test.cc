#include "transport/quic/packet_protection.h"

#include <algorithm>
#include <string>
#include <tuple>
#include <vector>

#include <gmock/gmock.h>

#include "tests/vectors/vector_file.h"
#include "transport/quic/stateless_packets.h"

namespace tern::quic {
namespace {

using ::testing::ElementsAreArray;
using Octets = std::vector<std::uint8_t>;

Octets octets(ByteView view) { return Octets(view.begin(), view.end()); }

struct Appendix {
  const char* name;
  const char* path;
  std::uint32_t version;
  const char* retry_nonce;  // RFC 9001 §5.8, RFC 9369 §3.3.3
};

std::vector<AeadBackend> backends() {
  std::vector<AeadBackend> usable{AeadBackend::boringssl};
  if (ipsec_mb_available()) usable.push_back(AeadBackend::ipsec_mb);
  return usable;
}

class PacketProtection : public ::testing::TestWithParam<std::tuple<Appendix, AeadBackend>> {
 protected:
  const Appendix& appendix() const { return std::get<Appendix>(GetParam()); }
  std::uint32_t version() const { return appendix().version; }
  AeadBackend backend(Aead aead) const {
    return aead == Aead::chacha20_poly1305 ? AeadBackend::boringssl
                                           : std::get<AeadBackend>(GetParam());
  }
  Octets value(const std::string& name) const { return file_[name]; }

  void expect_keys(ByteView secret, const std::string& side) const {
    EXPECT_THAT(secret, ElementsAreArray(value(side + ".secret")));
    const PacketKeys keys = derive_packet_keys(version(), kInitialSuite, secret);
    EXPECT_THAT(keys.key_view(), ElementsAreArray(value(side + ".key")));
    EXPECT_THAT(keys.iv, ElementsAreArray(value(side + ".iv")));
    EXPECT_THAT(keys.hp_view(), ElementsAreArray(value(side + ".hp")));
  }

  /// RFC 9001 §5.3 and §5.4 by the letter, on top of AeadKey and HeaderKey.
  Octets protect(CipherSuite suite, ByteView secret, Octets header, std::size_t number_length,
                 ByteView payload, std::uint64_t packet_number) const {
    const PacketKeys keys = derive_packet_keys(version(), suite, secret);
    auto nonce = keys.iv;
    for (std::size_t i = 0; i < 8; ++i) {
      nonce[11 - i] ^= static_cast<std::uint8_t>(packet_number >> (8 * i));
    }
    Octets packet = header;
    packet.resize(header.size() + payload.size() + kAeadTagLength);
    const AeadKey aead(suite.aead, keys.key_view(), backend(suite.aead));
    EXPECT_TRUE(aead.seal(packet.data() + header.size(), payload, nonce, header));
    const std::size_t number_at = header.size() - number_length;
    std::uint8_t mask[5];
    HeaderKey(suite.aead, keys.hp_view()).mask(mask, packet.data() + number_at + 4);
    packet[0] ^= mask[0] & ((packet[0] & 0x80) != 0 ? 0x0f : 0x1f);
    for (std::size_t i = 0; i < number_length; ++i) packet[number_at + i] ^= mask[1 + i];

    // And back, in place.
    Octets opened(packet.begin() + static_cast<std::ptrdiff_t>(header.size()), packet.end());
    EXPECT_TRUE(aead.open(opened.data(), opened, nonce, header));
    opened.resize(payload.size());
    EXPECT_THAT(opened, ElementsAreArray(payload));
    return packet;
  }

 private:
  tern::test::VectorFile file_{appendix().path};
};

INSTANTIATE_TEST_SUITE_P(
    Rfc, PacketProtection,
    ::testing::Combine(::testing::Values(Appendix{"Rfc9001", "tests/vectors/quic/rfc9001_a.txt",
                                                  kVersion1, "461599d35d632bf2239825bb"},
                                         Appendix{"Rfc9369", "tests/vectors/quic/rfc9369_a.txt",
                                                  kVersion2, "d86969bc2d7c6d9990efb04a"}),
                       ::testing::ValuesIn(backends())),
    [](const auto& each) {
      return std::string(std::get<Appendix>(each.param).name) +
             (std::get<AeadBackend>(each.param) == AeadBackend::ipsec_mb ? "IpsecMb" : "BoringSsl");
    });

TEST_P(PacketProtection, InitialSecretsAndKeys) {
  const InitialSecrets secrets = initial_secrets(version(), value("dcid"));
  expect_keys(ByteView(secrets.client).first(32), "client");
  expect_keys(ByteView(secrets.server).first(32), "server");
}

TEST_P(PacketProtection, HeaderMask) {
  for (const std::string side : {"client", "server"}) {
    std::uint8_t mask[5];
    HeaderKey(Aead::aes_128_gcm, value(side + ".hp")).mask(mask, value(side + ".sample").data());
    EXPECT_THAT(mask, ElementsAreArray(value(side + ".mask")));
  }
  std::uint8_t mask[5];
  HeaderKey(Aead::chacha20_poly1305, value("chacha20.hp"))
      .mask(mask, value("chacha20.sample").data());
  EXPECT_THAT(mask, ElementsAreArray(value("chacha20.mask")));
}

TEST_P(PacketProtection, ClientInitial) {
  Octets payload = value("client.payload");
  payload.resize(1162);  // PADDING
  EXPECT_EQ(protect(kInitialSuite, value("client.secret"), value("client.header"), 4, payload, 2),
            value("client.packet"));
}

TEST_P(PacketProtection, ServerInitial) {
  EXPECT_EQ(protect(kInitialSuite, value("server.secret"), value("server.header"), 2,
                    value("server.payload"), 1),
            value("server.packet"));
}

TEST_P(PacketProtection, ChaCha20ShortHeader) {
  const CipherSuite suite{Aead::chacha20_poly1305, Hash::sha256};
  const Octets secret = value("chacha20.secret");
  const PacketKeys keys = derive_packet_keys(version(), suite, secret);
  EXPECT_THAT(keys.key_view(), ElementsAreArray(value("chacha20.key")));
  EXPECT_THAT(keys.iv, ElementsAreArray(value("chacha20.iv")));
  EXPECT_THAT(keys.hp_view(), ElementsAreArray(value("chacha20.hp")));
  Octets next(32);
  derive_next_secret(next, version(), suite.hash, secret);
  EXPECT_EQ(next, value("chacha20.ku"));
  EXPECT_EQ(
      protect(suite, secret, value("chacha20.header"), 3, value("chacha20.payload"), 654360564),
      value("chacha20.packet"));
}

/// ODCID length ‖ ODCID ‖ Retry without its tag.
Octets retry_tag(AeadBackend backend, ByteView key, ByteView nonce, ByteView original_dcid,
                 ByteView retry) {
  Octets pseudo{static_cast<std::uint8_t>(original_dcid.size())};
  pseudo.insert(pseudo.end(), original_dcid.begin(), original_dcid.end());
  pseudo.insert(pseudo.end(), retry.begin(), retry.end() - kAeadTagLength);
  Octets tag(kAeadTagLength);
  EXPECT_TRUE(AeadKey(Aead::aes_128_gcm, key, backend).seal(tag.data(), {}, nonce, pseudo));
  return tag;
}

TEST_P(PacketProtection, RetryIntegrityTag) {
  const Octets packet = value("retry.packet");
  const Octets nonce = tern::test::from_hex(appendix().retry_nonce);
  EXPECT_EQ(
      retry_tag(backend(Aead::aes_128_gcm), retry_key(version()), nonce, value("dcid"), packet),
      Octets(packet.end() - kAeadTagLength, packet.end()));
}

TEST_P(PacketProtection, WriteRetry) {
  const Octets expected = value("retry.packet");
  Octets packet(256);
  const auto length = write_retry(packet, version(), {}, tern::test::from_hex("f067a5502a4262b5"),
                                  value("dcid"), as_bytes("token"));
  ASSERT_TRUE(length);
  packet.resize(*length);
  // The four unused bits of the first octet are arbitrary, and the tag covers them.
  ASSERT_EQ(packet.size(), expected.size());
  EXPECT_EQ(packet[0] & 0xf0, expected[0] & 0xf0);
  EXPECT_TRUE(std::equal(packet.begin() + 1, packet.end() - kAeadTagLength, expected.begin() + 1));
  const Octets nonce = tern::test::from_hex(appendix().retry_nonce);
  EXPECT_EQ(
      retry_tag(backend(Aead::aes_128_gcm), retry_key(version()), nonce, value("dcid"), packet),
      Octets(packet.end() - kAeadTagLength, packet.end()));
}

TEST_P(PacketProtection, WriteInitialClose) {
  const Octets dcid = value("dcid");
  const Octets peer_scid = tern::test::from_hex("a1b2c3");
  Octets packet(1200);
  const auto length = write_initial_close(packet, version(), peer_scid, dcid, 0x0b, "bad token");
  ASSERT_TRUE(length);
  packet.resize(*length);

  // What the client does with it.
  const PacketKeys keys = derive_packet_keys(version(), kInitialSuite, value("server.secret"));
  const std::size_t length_at = 1 + 4 + 1 + peer_scid.size() + 1 + dcid.size() + 1;
  const std::size_t number_at =
      length_at + (std::size_t{1} << (packet[length_at] >> 6));  // a varint
  std::uint8_t mask[5];
  HeaderKey(Aead::aes_128_gcm, keys.hp_view()).mask(mask, packet.data() + number_at + 4);
  packet[0] ^= mask[0] & 0x0f;
  const std::size_t number_length = (packet[0] & 3u) + 1;
  for (std::size_t i = 0; i < number_length; ++i) packet[number_at + i] ^= mask[1 + i];
  EXPECT_EQ(octets(ByteView(packet).subspan(6, peer_scid.size())), peer_scid);
  EXPECT_EQ(octets(ByteView(packet).subspan(6 + peer_scid.size() + 1, dcid.size())), dcid);
  const std::size_t payload_at = number_at + number_length;
  Octets payload(packet.begin() + static_cast<std::ptrdiff_t>(payload_at), packet.end());
  const ByteView header = ByteView(packet).first(payload_at);
  ASSERT_TRUE(AeadKey(Aead::aes_128_gcm, keys.key_view(), backend(Aead::aes_128_gcm))
                  .open(payload.data(), payload, keys.iv, header));  // packet number 0
  EXPECT_EQ(payload[0], 0x1c);  // CONNECTION_CLOSE of the transport
  EXPECT_EQ(payload[1], 0x0b);  // INVALID_TOKEN
  EXPECT_THAT(std::string(payload.begin(), payload.end()), ::testing::HasSubstr("bad token"));
}

TEST(PacketProtectionAead, EverySuiteRoundTripsInPlaceAndRejectsForgeries) {
  for (const std::uint16_t id : {0x1301, 0x1302, 0x1303}) {
    const CipherSuite suite = *CipherSuite::from_tls(id);
    const Octets secret(suite.secret_length(), 0x5a);
    const PacketKeys keys = derive_packet_keys(kVersion1, suite, secret);
    const AeadKey key(suite.aead, keys.key_view());
    const Octets ad{1, 2, 3};
    const Octets plain(1350, 0x17);
    Octets buffer = plain;
    buffer.resize(plain.size() + kAeadTagLength);
    ASSERT_TRUE(key.seal(buffer.data(), ByteView(buffer).first(plain.size()), keys.iv, ad));
    const Octets sealed = buffer;
    ASSERT_TRUE(key.open(buffer.data(), buffer, keys.iv, ad));
    EXPECT_TRUE(std::equal(plain.begin(), plain.end(), buffer.begin()));
    for (const std::size_t at : {std::size_t{0}, sealed.size() / 2, sealed.size() - 1}) {
      buffer = sealed;
      buffer[at] ^= 1;
      EXPECT_FALSE(key.open(buffer.data(), buffer, keys.iv, ad));
    }
    buffer = sealed;
    EXPECT_FALSE(key.open(buffer.data(), buffer, keys.iv, Octets{1, 2, 4}));
    EXPECT_FALSE(key.open(buffer.data(), ByteView(buffer).first(7), keys.iv, ad));
  }
  EXPECT_FALSE(CipherSuite::from_tls(0x1304));
}

}  // namespace
}  // namespace tern::quic
