// Frames as an attacker with the Initial keys (anybody) can send them: the input is the plaintext
// of Initial packets, which are protected here as a client would. Reaches the frame parser, the
// CRYPTO reassembly, the TLS ClientHello and the transport parameters.

#include <algorithm>
#include <cstring>

#include "tests/fuzz/quic/fuzz_endpoint.h"
#include "transport/quic/packet_protection.h"

namespace {

using namespace tern;
using namespace tern::quic;

std::vector<std::uint8_t> protect(ByteView frames, std::uint32_t version, std::uint8_t number) {
  const std::uint8_t dcid[] = {1, 2, 3, 4, 5, 6, 7, 8};
  const auto secrets = initial_secrets(version, dcid);
  const PacketKeys keys = derive_packet_keys(version, kInitialSuite, {secrets.client.data(), 32});
  std::vector<std::uint8_t> header = {static_cast<std::uint8_t>(version == kVersion2 ? 0xd0 : 0xc0),
                                      static_cast<std::uint8_t>(version >> 24),
                                      static_cast<std::uint8_t>(version >> 16),
                                      static_cast<std::uint8_t>(version >> 8),
                                      static_cast<std::uint8_t>(version),
                                      sizeof dcid};
  header.insert(header.end(), dcid, dcid + sizeof dcid);
  header.insert(header.end(), {2, 0xaa, 0xbb, 0});  // SCID, no token
  std::vector<std::uint8_t> payload(frames.begin(), frames.end());
  const std::size_t head = header.size() + 2 + 1;  // length and packet number
  payload.resize(std::max<std::size_t>(payload.size(), 1200 - kAeadTagLength - head));
  const std::size_t length = 1 + payload.size() + kAeadTagLength;
  header.push_back(static_cast<std::uint8_t>(0x40 | length >> 8));
  header.push_back(static_cast<std::uint8_t>(length));
  header.push_back(number);

  std::array<std::uint8_t, kIvLength> nonce = keys.iv;
  nonce.back() = static_cast<std::uint8_t>(nonce.back() ^ number);
  std::vector<std::uint8_t> packet = header;
  packet.resize(header.size() + payload.size() + kAeadTagLength);
  const AeadKey key(Aead::aes_128_gcm, keys.key_view());
  key.seal(packet.data() + header.size(), payload, nonce, header);
  std::uint8_t mask[5];
  HeaderKey(Aead::aes_128_gcm, keys.hp_view()).mask(mask, packet.data() + header.size() + 3);
  packet[0] = static_cast<std::uint8_t>(packet[0] ^ (mask[0] & 0x0f));
  packet[header.size() - 1] = static_cast<std::uint8_t>(number ^ mask[1]);
  return packet;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  fuzz::FuzzEndpoint server(RetryPolicy::never);
  const std::uint32_t version = (data[0] & 1) != 0 ? kVersion2 : kVersion1;
  constexpr std::size_t kPerPacket = 1100;
  std::uint8_t number = 0;
  for (std::size_t at = 1; at < size && number < 8; at += kPerPacket) {
    server.feed(protect({data + at, std::min(kPerPacket, size - at)}, version, number++));
  }
  server.wait();
  return 0;
}
