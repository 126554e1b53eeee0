#include "transport/engine/netlink_reader.h"

#include <algorithm>
#include <cstring>
#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <utility>

namespace tern::engine {

namespace {

/// The kernel pads messages and attributes to this.
constexpr std::size_t aligned(std::size_t size) noexcept { return (size + 3) & ~std::size_t{3}; }

template <typename T>
bool load(ByteView bytes, T& out) noexcept {
  if (bytes.size() < sizeof(T)) return false;
  std::memcpy(&out, bytes.data(), sizeof(T));
  return true;
}

/// Cuts a fixed header off.
template <typename T>
bool take(ByteView& bytes, T& out) noexcept {
  if (!load(bytes, out)) return false;
  bytes = bytes.subspan(std::min(aligned(sizeof(T)), bytes.size()));
  return true;
}

/// Calls `visit(type, value)` for each attribute; ends at the first that does not fit.
template <typename Visit>
void for_each_attribute(ByteView bytes, Visit&& visit) {
  rtattr head;
  while (load(bytes, head)) {
    if (head.rta_len < sizeof head || head.rta_len > bytes.size()) return;
    constexpr unsigned kTypeMask = 0x3fff;  // without the flags for nested and byte order
    visit(head.rta_type & kTypeMask, bytes.subspan(sizeof head, head.rta_len - sizeof head));
    bytes = bytes.subspan(std::min(aligned(head.rta_len), bytes.size()));
  }
}

udp::Address ip_of(unsigned family, ByteView bytes) noexcept {
  if (family == AF_INET && bytes.size() == 4) {
    return udp::Address::v4((std::uint32_t{bytes[0]} << 24) | (std::uint32_t{bytes[1]} << 16) |
                                (std::uint32_t{bytes[2]} << 8) | bytes[3],
                            0);
  }
  in6_addr ip;
  if (family == AF_INET6 && load(bytes, ip) && bytes.size() == sizeof ip) {
    return udp::Address::v6(ip, 0);
  }
  return {};
}

bool is_link_local(const udp::Address& address) noexcept {
  const ByteView ip = address.ip();
  return address.is_v6() && ip[0] == 0xfe && (ip[1] & 0xc0) == 0x80;
}

}  // namespace

NetlinkReader::Seen NetlinkReader::read(ByteView datagram) {
  Seen seen;
  nlmsghdr head;
  while (load(datagram, head)) {
    if (head.nlmsg_len < sizeof head || head.nlmsg_len > datagram.size()) break;
    const ByteView body = datagram.subspan(sizeof head, head.nlmsg_len - sizeof head);
    if ((head.nlmsg_flags & NLM_F_DUMP_INTR) != 0) seen.interrupted = true;
    switch (head.nlmsg_type) {
      case NLMSG_DONE: seen.done = true; break;
      case NLMSG_ERROR: {
        std::int32_t code = 0;
        if (load(body, code) && code < 0 && code > -4096) seen.error = -code;
        seen.done = true;
        break;
      }
      case RTM_NEWLINK: read_link(body); [[fallthrough]];
      case RTM_DELLINK: seen.relevant = true; break;
      case RTM_NEWADDR: read_address(body); [[fallthrough]];
      case RTM_DELADDR: seen.relevant = true; break;
      case RTM_NEWROUTE:
      case RTM_DELROUTE: seen.relevant = read_route(body) || seen.relevant; break;
      default: break;
    }
    datagram = datagram.subspan(std::min(aligned(head.nlmsg_len), datagram.size()));
  }
  return seen;
}

void NetlinkReader::read_link(ByteView body) {
  ifinfomsg info;
  if (links_.size() >= kMaxEntries || !take(body, info) || info.ifi_index <= 0) return;
  Link link;
  link.index = static_cast<std::uint32_t>(info.ifi_index);
  link.type = info.ifi_type;
  // RUNNING follows the carrier: without it the cable is out, or the radio is not associated.
  link.up = (info.ifi_flags & IFF_UP) != 0 && (info.ifi_flags & IFF_RUNNING) != 0;
  for_each_attribute(body, [&](unsigned type, ByteView value) {
    if (type != IFLA_IFNAME) return;
    const auto* text = reinterpret_cast<const char*>(value.data());
    link.name.assign(text, ::strnlen(text, std::min<std::size_t>(value.size(), IF_NAMESIZE)));
  });
  if (!link.name.empty()) links_.push_back(std::move(link));
}

void NetlinkReader::read_address(ByteView body) {
  ifaddrmsg info;
  if (addresses_.size() >= kMaxEntries || !take(body, info)) return;
  udp::Address address;
  udp::Address local;  // of a point-to-point link the other is the peer's
  std::uint32_t flags = info.ifa_flags;
  for_each_attribute(body, [&](unsigned type, ByteView value) {
    if (type == IFA_ADDRESS) address = ip_of(info.ifa_family, value);
    if (type == IFA_LOCAL) local = ip_of(info.ifa_family, value);
    if (type == IFA_FLAGS) load(value, flags);
  });
  if (local.specified()) address = local;
  const bool tentative = (flags & IFA_F_TENTATIVE) != 0 && (flags & IFA_F_OPTIMISTIC) == 0;
  if (!address.specified() || tentative || (flags & (IFA_F_DEPRECATED | IFA_F_DADFAILED)) != 0 ||
      is_link_local(address)) {
    return;
  }
  const bool temporary = address.is_v6() && (flags & IFA_F_TEMPORARY) != 0;
  addresses_.push_back({info.ifa_index, temporary, {address, info.ifa_prefixlen}});
}

/// Whether it is a default route that ordinary look-ups find: those of other tables than main are
/// for whom rules send there.
bool NetlinkReader::read_route(ByteView body) {
  rtmsg info;
  if (!take(body, info) || info.rtm_dst_len != 0 || info.rtm_type != RTN_UNICAST ||
      (info.rtm_flags & RTM_F_CLONED) != 0 ||
      (info.rtm_family != AF_INET && info.rtm_family != AF_INET6)) {
    return false;
  }
  std::uint32_t table = info.rtm_table;
  std::uint32_t metric = 0;
  std::vector<std::uint32_t> indexes;
  for_each_attribute(body, [&](unsigned type, ByteView value) {
    std::uint32_t number = 0;
    if (type == RTA_TABLE) load(value, table);
    if (type == RTA_PRIORITY) load(value, metric);
    if (type == RTA_OIF && load(value, number)) indexes.push_back(number);
    if (type != RTA_MULTIPATH) return;
    rtnexthop hop;
    while (load(value, hop) && hop.rtnh_len >= sizeof hop && hop.rtnh_len <= value.size()) {
      indexes.push_back(static_cast<std::uint32_t>(hop.rtnh_ifindex));
      value = value.subspan(std::min(aligned(hop.rtnh_len), value.size()));
    }
  });
  if (table != RT_TABLE_MAIN) return false;
  for (const std::uint32_t index : indexes) add_route(index, info.rtm_family == AF_INET6, metric);
  return true;
}

void NetlinkReader::add_route(std::uint32_t index, bool v6, std::uint32_t metric) {
  if (routes_.size() < kMaxEntries) routes_.push_back({index, v6, metric});
}

udp::Interfaces NetlinkReader::snapshot(const KindOf& kind_of) const {
  udp::Interfaces found;
  std::vector<Link> links = links_;
  std::stable_sort(links.begin(), links.end(),
                   [](const Link& a, const Link& b) { return a.index < b.index; });
  for (const Link& link : links) {
    if (!found.all.empty() && found.all.back().index == link.index) continue;
    if (found.all.size() >= udp::Interfaces::kMaxInterfaces) break;
    udp::NetworkInterface& interface = found.all.emplace_back();
    interface.index = link.index;
    interface.name = link.name;
    interface.kind = kind_of(link.name, link.type);
    interface.up = link.up;
    for (const bool temporary : {true, false}) {
      for (const Address& address : addresses_) {
        if (address.index != link.index || address.temporary != temporary ||
            interface.addresses.size() >= udp::Interfaces::kMaxAddresses ||
            interface.has(address.entry.address)) {
          continue;
        }
        interface.addresses.push_back(address.entry);
      }
    }
    for (const DefaultRoute& route : routes_) {
      if (route.index != link.index) continue;
      std::optional<std::uint32_t>& metric = route.v6 ? interface.default_v6 : interface.default_v4;
      metric = std::min(metric.value_or(route.metric), route.metric);
    }
  }
  return found;
}

}  // namespace tern::engine
