#include "transport/udp/address.h"

#include <arpa/inet.h>
#include <charconv>
#include <cstring>
#include <net/if.h>

#include <fmt/format.h>

namespace tern::udp {

namespace {

constexpr std::uint8_t kMappedPrefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

template <typename Number>
bool parse_number(std::string_view text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

Address Address::v4(std::uint32_t host_order_ip, std::uint16_t port) noexcept {
  Address address;
  address.storage_.v4.sin_family = AF_INET;
  address.storage_.v4.sin_port = htons(port);
  address.storage_.v4.sin_addr.s_addr = htonl(host_order_ip);
  return address;
}

Address Address::v6(const in6_addr& ip, std::uint16_t port, std::uint32_t scope_id) noexcept {
  if (std::memcmp(ip.s6_addr, kMappedPrefix, sizeof kMappedPrefix) == 0) {
    std::uint32_t network_order;
    std::memcpy(&network_order, ip.s6_addr + 12, 4);
    return v4(ntohl(network_order), port);
  }
  Address address;
  address.storage_.v6.sin6_family = AF_INET6;
  address.storage_.v6.sin6_port = htons(port);
  address.storage_.v6.sin6_addr = ip;
  address.storage_.v6.sin6_scope_id = scope_id;
  return address;
}

Address Address::from(const sockaddr* address, socklen_t length) noexcept {
  if (address->sa_family == AF_INET && length >= sizeof(sockaddr_in)) {
    sockaddr_in in;
    std::memcpy(&in, address, sizeof in);
    return v4(ntohl(in.sin_addr.s_addr), ntohs(in.sin_port));
  }
  if (address->sa_family == AF_INET6 && length >= sizeof(sockaddr_in6)) {
    sockaddr_in6 in;
    std::memcpy(&in, address, sizeof in);
    return v6(in.sin6_addr, ntohs(in.sin6_port), in.sin6_scope_id);
  }
  return {};
}

Result<Address> Address::parse(std::string_view text) {
  const auto bad = [&] {
    return fail(Error::invalid(fmt::format(
        "'{}' is not an address: write IP:PORT, for example 127.0.0.1:4433 or [::]:4433", text)));
  };
  std::string_view ip;
  std::string_view port;
  if (text.starts_with('[')) {
    const auto close = text.find("]:");
    if (close == std::string_view::npos) return bad();
    ip = text.substr(1, close - 1);
    port = text.substr(close + 2);
    if (ip.find(':') == std::string_view::npos) return bad();
  } else {
    const auto colon = text.find(':');
    if (colon == std::string_view::npos || text.find(':', colon + 1) != std::string_view::npos) {
      return bad();
    }
    ip = text.substr(0, colon);
    port = text.substr(colon + 1);
  }
  std::uint16_t number = 0;
  if (!parse_number(port, number)) return bad();
  auto address = parse_ip(ip, number);
  if (!address) return bad();
  return address;
}

Result<Address> Address::parse_ip(std::string_view ip, std::uint16_t port) {
  const auto bad = [&] {
    return fail(Error::invalid(fmt::format("'{}' is not an IP address", ip)));
  };
  std::uint32_t scope_id = 0;
  std::string_view literal = ip;
  if (const auto percent = literal.find('%'); percent != std::string_view::npos) {
    const std::string zone(literal.substr(percent + 1));
    literal = literal.substr(0, percent);
    if (!parse_number(std::string_view(zone), scope_id)) scope_id = if_nametoindex(zone.c_str());
    if (scope_id == 0) return bad();
  }
  const std::string text(literal);
  in_addr four;
  if (scope_id == 0 && inet_pton(AF_INET, text.c_str(), &four) == 1) {
    return v4(ntohl(four.s_addr), port);
  }
  in6_addr six;
  if (inet_pton(AF_INET6, text.c_str(), &six) == 1) return v6(six, port, scope_id);
  return bad();
}

bool Address::is_wildcard() const noexcept {
  if (!specified()) return false;
  for (const std::uint8_t byte : ip()) {
    if (byte != 0) return false;
  }
  return true;
}

bool Address::is_loopback() const noexcept {
  if (is_v4()) return ip()[0] == 127;
  return is_v6() && IN6_IS_ADDR_LOOPBACK(&storage_.v6.sin6_addr);
}

std::uint16_t Address::port() const noexcept {
  // sin_port and sin6_port lie at the same offset.
  return specified() ? ntohs(storage_.v4.sin_port) : 0;
}

void Address::set_port(std::uint16_t port) noexcept { storage_.v4.sin_port = htons(port); }

ByteView Address::ip() const noexcept {
  if (is_v4()) return {reinterpret_cast<const std::uint8_t*>(&storage_.v4.sin_addr), 4};
  if (is_v6()) return {storage_.v6.sin6_addr.s6_addr, 16};
  return {};
}

bool Address::same_ip(const Address& other) const noexcept {
  if (storage_.family != other.storage_.family) return false;
  if (is_v4()) return storage_.v4.sin_addr.s_addr == other.storage_.v4.sin_addr.s_addr;
  return !is_v6() || std::memcmp(ip().data(), other.ip().data(), sizeof(in6_addr)) == 0;
}

socklen_t Address::size() const noexcept {
  if (is_v4()) return sizeof(sockaddr_in);
  if (is_v6()) return sizeof(sockaddr_in6);
  return 0;
}

std::string Address::ip_string() const {
  char buffer[INET6_ADDRSTRLEN];
  if (is_v4()) return inet_ntop(AF_INET, &storage_.v4.sin_addr, buffer, sizeof buffer);
  if (!is_v6()) return "unspecified";
  std::string text = inet_ntop(AF_INET6, &storage_.v6.sin6_addr, buffer, sizeof buffer);
  if (storage_.v6.sin6_scope_id != 0) text += fmt::format("%{}", storage_.v6.sin6_scope_id);
  return text;
}

std::string Address::to_string() const {
  if (!specified()) return "unspecified";
  return is_v6() ? fmt::format("[{}]:{}", ip_string(), port())
                 : fmt::format("{}:{}", ip_string(), port());
}

bool operator==(const Address& left, const Address& right) noexcept {
  if (!left.same_ip(right)) return false;
  if (!left.specified()) return true;
  // sin_port and sin6_port lie at the same offset.
  return left.storage_.v4.sin_port == right.storage_.v4.sin_port &&
         (!left.is_v6() || left.storage_.v6.sin6_scope_id == right.storage_.v6.sin6_scope_id);
}

std::size_t Address::hash() const noexcept {
  std::uint64_t mixed = 0xcbf29ce484222325 ^ port();
  for (const std::uint8_t byte : ip()) mixed = (mixed ^ byte) * 0x100000001b3;
  return static_cast<std::size_t>(mixed ^ (mixed >> 29));
}

}  // namespace tern::udp
