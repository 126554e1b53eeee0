#include "transport/sim/topology.h"

#include <algorithm>
#include <deque>
#include <unordered_set>
#include <vector>

#include "base/check.h"
#include "transport/sim/host.h"
#include "transport/sim/link.h"

namespace tern::sim {

namespace {

constexpr std::uint32_t kHostsV4 = 0x0a010000;       // 10.1.0.0/16
constexpr std::uint32_t kInterfacesV4 = 0x0a400000;  // 10.64.0.0/10
constexpr std::uint32_t kOutsidesV4 = 0xc6120000;    // 198.18.0.0/15
constexpr std::uint32_t kOutsides = 0x1fffe;

/// 2001:db8:<net>::<number>
udp::Address v6_address(std::uint8_t net, std::uint32_t number) {
  in6_addr ip{};
  ip.s6_addr[0] = 0x20;
  ip.s6_addr[1] = 0x01;
  ip.s6_addr[2] = 0x0d;
  ip.s6_addr[3] = 0xb8;
  ip.s6_addr[5] = net;
  for (int i = 0; i < 4; ++i) ip.s6_addr[15 - i] = static_cast<std::uint8_t>(number >> (8 * i));
  return udp::Address::v6(ip, 0);
}

}  // namespace

void Topology::number(Host& host) {
  ++hosts_;
  TERN_CHECK(hosts_ < 0x10000);
  host.v4_ = udp::Address::v4(kHostsV4 + hosts_, 0);
  host.v6_ = v6_address(1, hosts_);
  owners_[host.v4_] = {&host, nullptr};
  owners_[host.v6_] = {&host, nullptr};
}

void Topology::number(Interface& end) {
  ++interfaces_;
  TERN_CHECK(interfaces_ < 0x400000);
  if (end.link->has_v4_) {
    owners_.erase(end.v4);
    end.v4 = udp::Address::v4(kInterfacesV4 + interfaces_, 0);
    owners_[end.v4] = {end.host, &end};
  }
  if (end.link->has_v6_) {
    owners_.erase(end.v6);
    end.v6 = v6_address(2, interfaces_);
    owners_[end.v6] = {end.host, &end};
  }
  changed();
}

void Topology::number_outside(Interface& end, udp::Address& v4, udp::Address& v6) {
  owners_.erase(v4);
  owners_.erase(v6);
  // Round and round: a relay that runs for weeks may go through all of them.
  TERN_CHECK(owners_.size() < 2 * kOutsides);
  do {
    outsides_ = outsides_ % kOutsides + 1;
    v4 = udp::Address::v4(kOutsidesV4 + outsides_, 0);
  } while (owners_.contains(v4));
  v6 = v6_address(3, outsides_);
  owners_[v4] = {end.host, &end};
  owners_[v6] = {end.host, &end};
  changed();
}

Topology::Owner Topology::owner(udp::Address address) const noexcept {
  address.set_port(0);
  const auto found = owners_.find(address);
  return found == owners_.end() ? Owner{} : found->second;
}

Interface* Topology::route(const Host& from, const udp::Address& destination) {
  Key key{&from, destination};
  key.destination.set_port(0);
  const auto [place, fresh] = routes_.try_emplace(key, nullptr);
  if (fresh) place->second = search(from, destination);
  return place->second;
}

Interface* Topology::search(const Host& from, const udp::Address& destination) const {
  const Owner target = owner(destination);
  if (target.host == nullptr) return nullptr;
  if (target.interface == nullptr) return search_host(from, *target.host, destination.is_v6());
  // An address that belongs to one end of a link is reached over that link: from its other end.
  Interface& gateway = target.interface->link->other_end(*target.interface);
  if (gateway.host == &from) return gateway.up ? &gateway : nullptr;
  if (!gateway.host->forwards()) return search_host(from, *target.host, destination.is_v6());
  return search_host(from, *gateway.host, destination.is_v6());
}

Interface* Topology::search_host(const Host& from, const Host& target, bool v6) {
  // Breadth first: the first interface of `from` whose way gets there in the fewest steps.
  struct Step {
    const Host* host;
    Interface* first;
  };
  std::deque<Step> steps{{&from, nullptr}};
  std::unordered_set<const Host*> seen{&from};
  while (!steps.empty()) {
    const Step step = steps.front();
    steps.pop_front();
    if (step.host != &from && !step.host->forwards()) continue;
    std::vector<Interface*> ways = step.host->interfaces();
    if (step.host == &from) {
      std::stable_sort(ways.begin(), ways.end(), [](const Interface* a, const Interface* b) {
        return a->link->metric() < b->link->metric();
      });
    }
    for (Interface* out : ways) {
      if (!out->up || !(v6 ? out->v6 : out->v4).specified()) continue;
      Host* next = out->link->other_end(*out).host;
      Interface* first = step.first == nullptr ? out : step.first;
      if (next == &target) return first;
      if (seen.insert(next).second) steps.push_back({next, first});
    }
  }
  return nullptr;
}

}  // namespace tern::sim
