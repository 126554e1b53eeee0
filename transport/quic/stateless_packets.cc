#include "transport/quic/stateless_packets.h"

#include <string>

#include <ngtcp2/ngtcp2.h>

#include "transport/quic/packet_aead.h"
#include "transport/quic/packet_callbacks.h"
#include "transport/quic/packet_protection.h"

namespace tern::quic {
namespace {

ngtcp2_cid to_ngtcp2(ByteView cid) noexcept {
  ngtcp2_cid out;
  ngtcp2_cid_init(&out, cid.data(), cid.size());
  return out;
}

Result<std::size_t> written(ngtcp2_ssize result, const char* what) {
  if (result < 0) {
    return fail(
        Error::invalid(std::string(what) + ": " + ngtcp2_strerror(static_cast<int>(result))));
  }
  return static_cast<std::size_t>(result);
}

}  // namespace

Result<std::size_t> write_retry(MutableBytes out, std::uint32_t version, ByteView peer_scid,
                                ByteView retry_scid, ByteView original_dcid, ByteView token) {
  const ngtcp2_crypto_ctx context = crypto_context(kInitialSuite);
  PacketAead key(Aead::aes_128_gcm, retry_key(version));
  const ngtcp2_crypto_aead_ctx aead{&key};
  const ngtcp2_cid dcid = to_ngtcp2(peer_scid);
  const ngtcp2_cid scid = to_ngtcp2(retry_scid);
  const ngtcp2_cid odcid = to_ngtcp2(original_dcid);
  return written(
      ngtcp2_pkt_write_retry(out.data(), out.size(), version, &dcid, &scid, &odcid, token.data(),
                             token.size(), seal_packet, &context.aead, &aead),
      "Retry");
}

Result<std::size_t> write_initial_close(MutableBytes out, std::uint32_t version, ByteView peer_scid,
                                        ByteView client_dcid, std::uint64_t error_code,
                                        std::string_view reason) {
  const ngtcp2_crypto_ctx context = crypto_context(kInitialSuite);
  InitialKeys keys(version, client_dcid, /*server=*/true);
  const ngtcp2_cid dcid = to_ngtcp2(peer_scid);
  const ngtcp2_cid scid = to_ngtcp2(client_dcid);
  return written(ngtcp2_pkt_write_connection_close(
                     out.data(), out.size(), version, &dcid, &scid, error_code,
                     as_bytes(reason).data(), reason.size(), seal_packet, &context.aead,
                     keys.tx.aead(), keys.tx.iv(), mask_header, &context.hp, keys.tx.header()),
                 "CONNECTION_CLOSE");
}

}  // namespace tern::quic
