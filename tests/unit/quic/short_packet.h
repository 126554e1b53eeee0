#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "transport/quic/packet_protection.h"

/// 1-RTT packets of anybody's who has a connection's traffic secret, from its key log, and
/// Initials, whose keys are no secret.

namespace tern::quic::testing {

/// The secret in a line of a key log, which has it at its end.
inline std::vector<std::uint8_t> secret_of(std::string_view line) {
  const std::string_view text = line.substr(line.rfind(' ') + 1);
  std::vector<std::uint8_t> bytes;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
    bytes.push_back(
        static_cast<std::uint8_t>(std::stoi(std::string(text.substr(i, 2)), nullptr, 16)));
  }
  return bytes;
}

/// A packet of version 1 with these frames, at least three bytes of them, under AES-128-GCM with
/// key phase 0 and four bytes of packet number. `flags` are the first byte's without its length.
inline std::vector<std::uint8_t> protect_short(ByteView secret, ByteView dcid, std::uint32_t number,
                                               ByteView frames, std::uint8_t flags = 0x40) {
  const PacketKeys keys = derive_packet_keys(kVersion1, kInitialSuite, secret);
  const std::size_t head = 1 + dcid.size() + 4;
  std::vector<std::uint8_t> packet(head + frames.size() + kAeadTagLength);
  packet[0] = static_cast<std::uint8_t>(flags | 0x03);
  std::copy(dcid.begin(), dcid.end(), packet.begin() + 1);
  for (std::size_t i = 0; i < 4; ++i) {
    packet[head - 4 + i] = static_cast<std::uint8_t>(number >> (24 - 8 * i));
  }
  const std::vector<std::uint8_t> header(packet.data(), packet.data() + head);
  std::array<std::uint8_t, kIvLength> nonce = keys.iv;
  for (std::size_t i = 0; i < 4; ++i) {
    nonce[8 + i] = static_cast<std::uint8_t>(nonce[8 + i] ^ header[head - 4 + i]);
  }
  const AeadKey key(Aead::aes_128_gcm, keys.key_view());
  key.seal(packet.data() + head, frames, nonce, header);
  std::uint8_t mask[5];
  HeaderKey(Aead::aes_128_gcm, keys.hp_view()).mask(mask, packet.data() + head);
  packet[0] = static_cast<std::uint8_t>(packet[0] ^ (mask[0] & 0x1f));
  for (std::size_t i = 0; i < 4; ++i) {
    packet[head - 4 + i] = static_cast<std::uint8_t>(packet[head - 4 + i] ^ mask[1 + i]);
  }
  return packet;
}

/// The first packet of a client that chose `dcid`, of version 1 with these frames and no token.
inline std::vector<std::uint8_t> protect_initial(ByteView dcid, ByteView scid, ByteView frames) {
  const InitialSecrets secrets = initial_secrets(kVersion1, dcid);
  const PacketKeys keys =
      derive_packet_keys(kVersion1, kInitialSuite, ByteView(secrets.client).first(32));
  std::vector<std::uint8_t> packet = {0xc0, 0, 0, 0, 1};  // a packet number of one byte
  for (const ByteView id : {dcid, scid}) {
    packet.push_back(static_cast<std::uint8_t>(id.size()));
    packet.insert(packet.end(), id.begin(), id.end());
  }
  const std::size_t length = 1 + frames.size() + kAeadTagLength;
  packet.push_back(0);  // no token
  packet.push_back(static_cast<std::uint8_t>(0x40 | (length >> 8)));
  packet.push_back(static_cast<std::uint8_t>(length));
  const std::size_t number_at = packet.size();
  packet.push_back(0);
  const std::vector<std::uint8_t> header = packet;
  packet.resize(header.size() + frames.size() + kAeadTagLength);
  AeadKey(kInitialSuite.aead, keys.key_view())
      .seal(packet.data() + header.size(), frames, keys.iv, header);
  std::array<std::uint8_t, 5> mask;
  HeaderKey(kInitialSuite.aead, keys.hp_view()).mask(mask.data(), packet.data() + number_at + 4);
  packet[0] = static_cast<std::uint8_t>(packet[0] ^ (mask[0] & 0x0f));
  packet[number_at] = static_cast<std::uint8_t>(packet[number_at] ^ mask[1]);
  return packet;
}

}  // namespace tern::quic::testing
