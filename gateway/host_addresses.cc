#include "gateway/host_addresses.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "base/runtime.h"
#include "gateway/client_pool.h"

namespace tern {
namespace {

/// A look-up's result, wherever the coroutine that wanted it is by then.
struct LookUp {
  explicit LookUp(Runtime& runtime) : done(runtime) {}
  Signal done;
  std::optional<Result<std::vector<udp::Address>>> result;
};

}  // namespace

Task<Result<std::vector<udp::Address>>> look_up(ClientPool& pool, std::string host,
                                                std::uint16_t port) {
  std::vector<udp::Address> addresses = pool.options.addresses_for(host, port);
  if (!addresses.empty()) co_return addresses;
  if (const auto literal = udp::Address::parse_ip(host, port)) {
    addresses.push_back(*literal);
    co_return addresses;
  }
  co_return co_await resolve(pool.runtime, pool.network, std::move(host), port);
}

Task<Result<std::vector<udp::Address>>> resolve(Runtime& runtime, udp::Network& network,
                                                std::string host, std::uint16_t port) {
  auto pending = std::make_shared<LookUp>(runtime);
  std::weak_ptr<LookUp> interest = pending;
  auto answer = [interest](Result<std::vector<udp::Address>> result) {
    if (const auto waiting = interest.lock()) {
      waiting->result = std::move(result);
      waiting->done.notify();
    }
  };
  network.resolve(host, port, answer);
  co_await pending->done.wait();
  if (*pending->result && !(*pending->result)->empty()) co_return std::move(**pending->result);
  std::string why = *pending->result ? "cannot resolve " + host + ": it has no address"
                                     : pending->result->error().detail;
  co_return fail(Error(Code::not_found, std::move(why)));
}

std::vector<udp::Address> interleave(const std::vector<udp::Address>& addresses, std::size_t most) {
  std::vector<udp::Address> first;
  std::vector<udp::Address> second;
  for (const udp::Address& address : addresses) {
    (address.is_v6() == addresses.front().is_v6() ? first : second).push_back(address);
  }
  std::vector<udp::Address> mixed;
  for (std::size_t i = 0; i < std::max(first.size(), second.size()); ++i) {
    if (i < first.size()) mixed.push_back(first[i]);
    if (i < second.size()) mixed.push_back(second[i]);
  }
  if (mixed.size() > most) mixed.resize(most);
  return mixed;
}

std::string join(const std::vector<udp::Address>& addresses) {
  std::string text;
  for (const udp::Address& address : addresses) {
    if (!text.empty()) text += ", ";
    text += address.to_string();
  }
  return text;
}

}  // namespace tern
