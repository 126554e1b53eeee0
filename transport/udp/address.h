#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <netinet/in.h>
#include <string>
#include <string_view>
#include <sys/socket.h>

#include "base/bytes.h"
#include "base/error.h"

namespace tern::udp {

/// An IPv4 or IPv6 address with a port. A value; trivially copyable. IPv4-mapped IPv6 addresses
/// are kept as IPv4, so that one peer has one address whatever socket it came through.
class Address {
 public:
  /// Unspecified: no family, compares equal to itself only.
  Address() noexcept = default;
  static Address v4(std::uint32_t host_order_ip, std::uint16_t port) noexcept;
  static Address v6(const in6_addr& ip, std::uint16_t port, std::uint32_t scope_id = 0) noexcept;
  static Address from(const sockaddr* address, socklen_t length) noexcept;
  /// "127.0.0.1:443", "[::1]:443", "[fe80::1%2]:443". No names.
  static Result<Address> parse(std::string_view text);
  /// An IP literal without brackets, with a port given apart.
  static Result<Address> parse_ip(std::string_view ip, std::uint16_t port);

  bool specified() const noexcept { return storage_.family != AF_UNSPEC; }
  bool is_v4() const noexcept { return storage_.family == AF_INET; }
  bool is_v6() const noexcept { return storage_.family == AF_INET6; }
  /// 0.0.0.0 or ::
  bool is_wildcard() const noexcept;
  bool is_loopback() const noexcept;
  std::uint16_t port() const noexcept;
  void set_port(std::uint16_t port) noexcept;
  /// The 4 or 16 bytes of the IP, network order. Lives as long as this object.
  ByteView ip() const noexcept;
  bool same_ip(const Address& other) const noexcept;

  const sockaddr* data() const noexcept { return &storage_.generic; }
  sockaddr* data() noexcept { return &storage_.generic; }
  socklen_t size() const noexcept;
  /// "192.0.2.1:443", "[2001:db8::1]:443"
  std::string to_string() const;
  std::string ip_string() const;

  friend bool operator==(const Address& left, const Address& right) noexcept;
  std::size_t hash() const noexcept;

 private:
  union Storage {
    sa_family_t family;
    sockaddr generic;
    sockaddr_in v4;
    sockaddr_in6 v6;
    Storage() noexcept : v6{} {}
  } storage_;
};

/// The two ends of a datagram's way. `local` may be a wildcard address where the OS chooses.
struct Path {
  Address local;
  Address remote;
  friend bool operator==(const Path&, const Path&) noexcept = default;
};

}  // namespace tern::udp

template <>
struct std::hash<tern::udp::Address> {
  std::size_t operator()(const tern::udp::Address& address) const noexcept {
    return address.hash();
  }
};
