#include "transport/sim/pcapng.h"

#include <cstring>
#include <ostream>

namespace tern::sim {

namespace {

// pcapng (draft-ietf-opsawg-pcapng): block types, options and values used here.
constexpr std::uint32_t kSectionHeader = 0x0a0d0d0a;
constexpr std::uint32_t kInterfaceDescription = 1;
constexpr std::uint32_t kEnhancedPacket = 6;
constexpr std::uint32_t kByteOrderMagic = 0x1a2b3c4d;
constexpr std::uint16_t kOptionEnd = 0;
constexpr std::uint16_t kOptionComment = 1;
constexpr std::uint16_t kOptionInterfaceName = 2;
constexpr std::uint16_t kOptionTimeResolution = 9;
constexpr std::uint16_t kLinkTypeRaw = 101;
constexpr std::uint8_t kNanoseconds = 9;

// The file is in the writer's byte order.
template <typename Number>
void append(std::vector<std::uint8_t>& out, Number number) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(&number);
  out.insert(out.end(), bytes, bytes + sizeof number);
}

void append_big(std::vector<std::uint8_t>& out, std::uint16_t number) {
  out.push_back(static_cast<std::uint8_t>(number >> 8));
  out.push_back(static_cast<std::uint8_t>(number));
}

void append_bytes(std::vector<std::uint8_t>& out, ByteView bytes) {
  out.insert(out.end(), bytes.begin(), bytes.end());
}

void pad(std::vector<std::uint8_t>& out) {
  while (out.size() % 4 != 0) out.push_back(0);
}

std::uint64_t sum_words(ByteView bytes, std::uint64_t sum) {
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    sum += i % 2 == 0 ? std::uint64_t{bytes[i]} << 8 : bytes[i];
  }
  return sum;
}

std::uint16_t fold(std::uint64_t sum) {
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

void append_ip_packet(std::vector<std::uint8_t>& out, const PcapngWriter::Datagram& datagram) {
  const ByteView source = datagram.source.ip();
  const ByteView destination = datagram.destination.ip();
  const bool is_tcp = datagram.tcp != nullptr;
  const std::size_t header_size = is_tcp ? datagram.tcp->size() : 8;
  const auto length = static_cast<std::uint16_t>(datagram.payload.size() + header_size);
  const auto ecn = static_cast<std::uint8_t>(datagram.ecn);
  constexpr std::uint8_t kHopLimit = 64;
  constexpr std::uint8_t kTcp = 6;
  constexpr std::uint8_t kUdp = 17;
  const std::uint8_t protocol = is_tcp ? kTcp : kUdp;
  if (datagram.destination.is_v6()) {
    out.push_back(0x60);
    out.push_back(static_cast<std::uint8_t>(ecn << 4));
    append_big(out, 0);
    append_big(out, length);
    out.push_back(protocol);
    out.push_back(kHopLimit);
    append_bytes(out, source);
    append_bytes(out, destination);
  } else {
    std::vector<std::uint8_t> header;
    header.push_back(0x45);
    header.push_back(ecn);
    append_big(header, static_cast<std::uint16_t>(length + 20));
    append_big(header, 0);
    append_big(header, 0x4000);  // don't fragment
    header.push_back(kHopLimit);
    header.push_back(protocol);
    append_big(header, 0);
    append_bytes(header, source);
    append_bytes(header, destination);
    const std::uint16_t checksum = fold(sum_words(header, 0));
    header[10] = static_cast<std::uint8_t>(checksum >> 8);
    header[11] = static_cast<std::uint8_t>(checksum);
    append_bytes(out, header);
  }
  std::vector<std::uint8_t> header;
  if (is_tcp) {
    datagram.tcp->append_to(header, datagram.source.port(), datagram.destination.port());
  } else {
    append_big(header, datagram.source.port());
    append_big(header, datagram.destination.port());
    append_big(header, length);
    append_big(header, 0);
  }
  std::uint64_t sum = sum_words(source, 0);
  sum = sum_words(destination, sum) + protocol + length;
  sum = sum_words(header, sum);
  std::uint16_t checksum = fold(sum_words(datagram.payload, sum));
  if (checksum == 0 && !is_tcp) checksum = 0xffff;  // RFC 768: zero would mean "none"
  const std::size_t place = is_tcp ? 16 : 6;
  header[place] = static_cast<std::uint8_t>(checksum >> 8);
  header[place + 1] = static_cast<std::uint8_t>(checksum);
  append_bytes(out, header);
  append_bytes(out, datagram.payload);
}

}  // namespace

PcapngWriter::PcapngWriter(std::ostream& out) : out_(out) {
  begin_block(kSectionHeader);
  append(block_, kByteOrderMagic);
  append(block_, std::uint16_t{1});  // version 1.0
  append(block_, std::uint16_t{0});
  append(block_, ~std::uint64_t{0});  // section length: not known
  end_block();
}

void PcapngWriter::begin_block(std::uint32_t type) {
  block_.clear();
  append(block_, type);
  append(block_, std::uint32_t{0});  // length, filled in at the end
}

void PcapngWriter::option(std::uint16_t code, ByteView value) {
  append(block_, code);
  append(block_, static_cast<std::uint16_t>(value.size()));
  append_bytes(block_, value);
  pad(block_);
}

void PcapngWriter::end_block() {
  const auto length = static_cast<std::uint32_t>(block_.size() + 4);
  append(block_, length);
  std::memcpy(block_.data() + 4, &length, 4);
  out_.write(reinterpret_cast<const char*>(block_.data()),
             static_cast<std::streamsize>(block_.size()));
}

std::uint32_t PcapngWriter::add_interface(std::string_view name) {
  begin_block(kInterfaceDescription);
  append(block_, kLinkTypeRaw);
  append(block_, std::uint16_t{0});
  append(block_, std::uint32_t{0});  // no snapshot length: whole packets
  option(kOptionInterfaceName, as_bytes(name));
  option(kOptionTimeResolution, {&kNanoseconds, 1});
  option(kOptionEnd, {});
  end_block();
  return interfaces_++;
}

void PcapngWriter::write(std::uint32_t interface, const Datagram& datagram,
                         std::string_view comment) {
  packet_.clear();
  append_ip_packet(packet_, datagram);
  begin_block(kEnhancedPacket);
  append(block_, interface);
  append(block_, static_cast<std::uint32_t>(datagram.time >> 32));
  append(block_, static_cast<std::uint32_t>(datagram.time));
  append(block_, static_cast<std::uint32_t>(packet_.size()));
  append(block_, static_cast<std::uint32_t>(packet_.size()));
  append_bytes(block_, packet_);
  pad(block_);
  if (!comment.empty()) {
    option(kOptionComment, as_bytes(comment));
    option(kOptionEnd, {});
  }
  end_block();
}

}  // namespace tern::sim
