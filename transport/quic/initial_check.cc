#include "transport/quic/initial_check.h"

#include <array>
#include <cstring>
#include <vector>

#include <ngtcp2/ngtcp2.h>

#include "transport/quic/packet_protection.h"

namespace tern::quic {

bool is_intact_initial(ByteView datagram) {
  ngtcp2_pkt_hd header;
  const ngtcp2_ssize read = ngtcp2_pkt_decode_hd_long(&header, datagram.data(), datagram.size());
  if (read <= 0 || header.type != NGTCP2_PKT_INITIAL) return false;
  const auto number_at = static_cast<std::size_t>(read);
  constexpr std::size_t kMaxNumberLength = 4;
  // The length counts packet number and payload; the sample begins where the longest number ends.
  if (header.len > datagram.size() - number_at || header.len < kMaxNumberLength + kSampleLength) {
    return false;
  }
  const InitialSecrets secrets =
      initial_secrets(header.version, {header.dcid.data, header.dcid.datalen});
  const PacketKeys keys =
      derive_packet_keys(header.version, kInitialSuite, ByteView(secrets.client).first(32));
  std::array<std::uint8_t, 5> mask;
  HeaderKey(kInitialSuite.aead, keys.hp_view())
      .mask(mask.data(), datagram.data() + number_at + kMaxNumberLength);

  std::vector<std::uint8_t> packet(
      datagram.begin(), datagram.begin() + static_cast<std::ptrdiff_t>(number_at + header.len));
  packet[0] ^= mask[0] & 0x0f;
  const std::size_t number_length = (packet[0] & 0x03u) + 1u;
  std::array<std::uint8_t, kIvLength> nonce = keys.iv;
  for (std::size_t i = 0; i < number_length; ++i) {
    packet[number_at + i] ^= mask[1 + i];
    // A client's first packets have small numbers: what is written is all of it.
    nonce[kIvLength - number_length + i] ^= packet[number_at + i];
  }
  const MutableBytes payload = MutableBytes(packet).subspan(number_at + number_length);
  return AeadKey(kInitialSuite.aead, keys.key_view())
      .open(payload.data(), payload, nonce, ByteView(packet).first(number_at + number_length));
}

}  // namespace tern::quic
