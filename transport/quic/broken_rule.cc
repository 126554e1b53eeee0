#include "transport/quic/broken_rule.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include <ngtcp2/ngtcp2.h>

#include "base/varint.h"

namespace tern::quic {

std::string broken_rule(int library_error) {
  switch (library_error) {
    case NGTCP2_ERR_PROTO:
      return "PROTOCOL_VIOLATION: a packet or frame that may not come, or not there "
             "(RFC 9000 section 12.4)";
    case NGTCP2_ERR_FRAME_ENCODING:
      return "FRAME_ENCODING_ERROR: a frame that is unknown, cut short, or has a value out of "
             "range "
             "(RFC 9000 section 19)";
    case NGTCP2_ERR_ACK_FRAME:
      return "FRAME_ENCODING_ERROR: ACK of packet numbers below 0 (RFC 9000 section 19.3.1)";
    case NGTCP2_ERR_STREAM_LIMIT:
      return "STREAM_LIMIT_ERROR: a stream above the limit (RFC 9000 section 4.6)";
    case NGTCP2_ERR_STREAM_STATE:
      return "STREAM_STATE_ERROR: a frame for a stream that is not open for it "
             "(RFC 9000 section 19.8)";
    case NGTCP2_ERR_FLOW_CONTROL:
      return "FLOW_CONTROL_ERROR: more bytes than allowed (RFC 9000 section 4.1)";
    case NGTCP2_ERR_FINAL_SIZE:
      return "FINAL_SIZE_ERROR: a stream whose end has moved (RFC 9000 section 4.5)";
    case NGTCP2_ERR_CONNECTION_ID_LIMIT:
      return "CONNECTION_ID_LIMIT_ERROR: more connection IDs than allowed "
             "(RFC 9000 section 5.1.1)";
    case NGTCP2_ERR_CRYPTO_BUFFER_EXCEEDED:
      return "CRYPTO_BUFFER_EXCEEDED: handshake bytes too far ahead (RFC 9000 section 7.5)";
    case NGTCP2_ERR_REQUIRED_TRANSPORT_PARAM:
      return "TRANSPORT_PARAMETER_ERROR: one is missing (RFC 9000 section 7.3)";
    case NGTCP2_ERR_MALFORMED_TRANSPORT_PARAM:
      return "TRANSPORT_PARAMETER_ERROR: one that is cut short, may not come, or has a value out "
             "of "
             "range (RFC 9000 section 18.2)";
    case NGTCP2_ERR_TRANSPORT_PARAM:
      return "TRANSPORT_PARAMETER_ERROR: one that is out of range, not the handshake's, or there "
             "twice (RFC 9000 section 7.4)";
    case NGTCP2_ERR_VERSION_NEGOTIATION_FAILURE:
      return "VERSION_NEGOTIATION_ERROR: versions that do not go together (RFC 9368 section 4)";
    case NGTCP2_ERR_AEAD_LIMIT_REACHED:
      return "AEAD_LIMIT_REACHED: too many packets with one key (RFC 9001 section 6.6)";
    case NGTCP2_ERR_NO_VIABLE_PATH: return "NO_VIABLE_PATH: no path works (RFC 9000 section 5.1.2)";
    default: return ngtcp2_strerror(library_error);
  }
}

bool has_parameter_twice(ByteView parameters) {
  std::vector<std::uint64_t> seen;
  while (!parameters.empty()) {
    const auto id = read_varint(parameters);
    if (!id) return false;
    parameters = parameters.subspan(id->size);
    const auto length = read_varint(parameters);
    if (!length || length->value > parameters.size() - length->size) return false;
    parameters = parameters.subspan(length->size + static_cast<std::size_t>(length->value));
    seen.push_back(id->value);
  }
  std::sort(seen.begin(), seen.end());
  return std::adjacent_find(seen.begin(), seen.end()) != seen.end();
}

}  // namespace tern::quic
