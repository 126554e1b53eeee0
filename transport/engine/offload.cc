#include "transport/engine/offload.h"

#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <unistd.h>

namespace tern::engine {

namespace {

bool has_udp_option(int option, int value) noexcept {
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  const bool has = ::setsockopt(fd, IPPROTO_UDP, option, &value, sizeof value) == 0;
  ::close(fd);
  return has;
}

}  // namespace

bool receive_offload_available() noexcept { return has_udp_option(UDP_GRO, 1); }
bool send_offload_available() noexcept { return has_udp_option(UDP_SEGMENT, 1200); }

}  // namespace tern::engine
