#include "transport/udp/network.h"

namespace tern::udp {

const Counters& Network::counters() const noexcept {
  static const Counters none;
  return none;
}

}  // namespace tern::udp
