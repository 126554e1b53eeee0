#include "transport/tcp/network.h"

#include <cerrno>

namespace tern::tcp {

Error stream_error(int number, const udp::Address& remote) {
  Error error = Error::os(number, "TCP to " + remote.to_string());
  if (number == ECONNREFUSED || number == ECONNRESET || number == EPIPE) {
    error.origin = Origin::remote;
  }
  return error;
}

}  // namespace tern::tcp
