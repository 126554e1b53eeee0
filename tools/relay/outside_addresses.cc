#include "tools/relay/outside_addresses.h"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>

namespace tern::relay {

namespace {

std::uint32_t number(const udp::Address& v4) noexcept {
  std::uint32_t value = 0;
  for (const std::uint8_t byte : v4.ip()) value = value << 8 | byte;
  return value;
}

struct NoSink final : udp::Sink {
  void receive(udp::Socket&, const udp::Arrival&) override {}
  void send_failed(udp::Socket&, const udp::Path&, int) override {}
};

}  // namespace

Result<void> OutsideAddresses::give(const udp::Address& address) {
  NoSink sink;
  udp::SocketOptions options;
  options.bind = address;
  const auto socket = network_.open(options, sink);
  if (!socket) {
    return fail(
        Error::invalid(fmt::format("no outside address (--outside): {}", socket.error().detail)));
  }
  given_.push_back(address);
  return {};
}

Result<void> OutsideAddresses::serve(const udp::Address& server) {
  servers_.push_back(server);
  const auto same_family = [&](const udp::Address& other) {
    return other.is_v6() == server.is_v6();
  };
  if (std::any_of(given_.begin(), given_.end(), same_family)) return {};
  if (std::any_of(natural_.begin(), natural_.end(), same_family)) return {};
  auto source = network_.source_for(server);
  if (!source) return fail(std::move(source).error());
  natural_.push_back(*source);
  return {};
}

std::vector<udp::Address> OutsideAddresses::candidates(bool v6) const {
  std::vector<udp::Address> found;
  const auto of_family = [&](const udp::Address& address) { return address.is_v6() == v6; };
  std::copy_if(given_.begin(), given_.end(), std::back_inserter(found), of_family);
  if (found.empty()) {
    std::copy_if(natural_.begin(), natural_.end(), std::back_inserter(found), of_family);
  }
  return found;
}

bool OutsideAddresses::can_change(bool v6) const noexcept {
  const auto list = candidates(v6);
  return list.size() > 1 || (list.size() == 1 && !v6 && list.front().is_loopback());
}

udp::Address OutsideAddresses::another_loopback(const udp::Address& last) {
  const auto taken = [&](const udp::Address& address) {
    return address.same_ip(last) ||
           std::any_of(servers_.begin(), servers_.end(),
                       [&](const udp::Address& server) { return server.same_ip(address); });
  };
  for (;;) {
    const auto host = static_cast<std::uint32_t>(1 + random_.below(254));
    const auto address = udp::Address::v4((number(last) & 0xffffff00) | host, 0);
    if (!taken(address)) return address;
  }
}

udp::Address OutsideAddresses::real(const udp::Address& outside) {
  const auto known = std::find_if(known_.rbegin(), known_.rend(), [&](const Known& entry) {
    return entry.outside.same_ip(outside);
  });
  if (known != known_.rend()) return known->real;

  const bool v6 = outside.is_v6();
  const auto list = candidates(v6);
  std::size_t& taken = v6 ? taken_v6_ : taken_v4_;
  udp::Address real = list.empty() ? udp::Address() : list[taken % list.size()];
  if (taken > 0 && list.size() == 1 && !v6 && real.is_loopback()) {
    const auto last = std::find_if(known_.rbegin(), known_.rend(),
                                   [](const Known& entry) { return entry.real.is_v4(); });
    real = another_loopback(last == known_.rend() ? real : last->real);
  }
  ++taken;
  if (known_.size() == kMaxRemembered) known_.erase(known_.begin());
  known_.push_back({outside, real});
  return real;
}

}  // namespace tern::relay
