#include "transport/udp/network.h"

#include "base/check.h"

namespace tern::udp {

tcp::Network& Network::tcp() {
  TERN_CHECK(false && "this network has no TCP");
  __builtin_unreachable();
}

const Counters& Network::counters() const noexcept {
  static const Counters none;
  return none;
}

}  // namespace tern::udp
