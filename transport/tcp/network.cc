#include "transport/tcp/network.h"

#include <cerrno>
#include <utility>

namespace tern::tcp {

Error stream_error(int number, const udp::Address& remote) {
  Error error = Error::os(number, "TCP to " + remote.to_string());
  if (number == ECONNREFUSED || number == ECONNRESET || number == EPIPE) {
    error.origin = Origin::remote;
  }
  return error;
}

Result<void> Stream::write(std::span<Bytes> pieces) {
  for (Bytes& piece : pieces) {
    Result<void> written = write(std::move(piece));
    if (!written) return written;
  }
  return {};
}

}  // namespace tern::tcp
