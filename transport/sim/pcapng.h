#pragma once

#include <cstdint>
#include <iosfwd>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "transport/sim/tcp_header.h"
#include "transport/udp/address.h"
#include "transport/udp/network.h"

namespace tern::sim {

/// Writes UDP datagrams and TCP segments as a pcapng file (draft-ietf-opsawg-pcapng) that Wireshark
/// reads: raw IP packets with right checksums and nanoseconds, in blocks of the machine's byte
/// order.
class PcapngWriter {
 public:
  struct Datagram {
    std::uint64_t time = 0;  ///< nanoseconds since 1970
    udp::Address source;
    udp::Address destination;
    udp::Ecn ecn = udp::Ecn::not_ect;
    ByteView payload;
    const TcpHeader* tcp = nullptr;  ///< a TCP segment's; else it is a UDP datagram
  };

  /// Begins the file. The stream outlives this object; its state says whether writing works.
  explicit PcapngWriter(std::ostream& out);

  /// One more interface, for `write`: numbers begin with 0.
  std::uint32_t add_interface(std::string_view name);
  /// An empty comment is none.
  void write(std::uint32_t interface, const Datagram& datagram, std::string_view comment = {});

 private:
  void begin_block(std::uint32_t type);
  void option(std::uint16_t code, ByteView value);
  void end_block();

  std::ostream& out_;
  std::uint32_t interfaces_ = 0;
  std::vector<std::uint8_t> block_;
  std::vector<std::uint8_t> packet_;
};

}  // namespace tern::sim
