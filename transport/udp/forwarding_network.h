#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "transport/udp/interfaces.h"
#include "transport/udp/network.h"

namespace tern::udp {

/// A network on top of another one, the runtime's driver, to which everything goes: for those that
/// look at, or change, what passes through, and say so by overriding that alone.
class ForwardingNetwork : public Network {
 public:
  /// `network` outlives this.
  explicit ForwardingNetwork(Network& network) noexcept : network_(network) {}

  Timestamp now() override { return network_.now(); }
  UnixSeconds unix_seconds() override { return network_.unix_seconds(); }
  Random::Key random_key() override { return network_.random_key(); }
  Duration wait(Timestamp deadline) override { return network_.wait(deadline); }
  void reap(Timestamp now) override { network_.reap(now); }
  void wake() noexcept override { network_.wake(); }

  Result<std::unique_ptr<Socket>> open(const SocketOptions& options, Sink& sink) override {
    return network_.open(options, sink);
  }
  Slab* acquire() override { return network_.acquire(); }
  void submit(Slab* slab) override { network_.submit(slab); }
  void resolve(std::string_view host, std::uint16_t port,
               std::function<void(Result<std::vector<Address>>)> done) override {
    network_.resolve(host, port, std::move(done));
  }
  tcp::Network& tcp() override { return network_.tcp(); }
  Result<Interfaces> interfaces() override { return network_.interfaces(); }
  Result<std::unique_ptr<InterfaceWatch>> watch_interfaces(std::function<void()> changed) override {
    return network_.watch_interfaces(std::move(changed));
  }
  Result<Address> source_for(const Address& remote) override { return network_.source_for(remote); }
  std::string description() const override { return network_.description(); }
  const Counters& counters() const noexcept override { return network_.counters(); }

 protected:
  Network& beneath() noexcept { return network_; }

 private:
  Network& network_;
};

}  // namespace tern::udp
