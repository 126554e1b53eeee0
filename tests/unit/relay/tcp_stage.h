#pragma once

#include <functional>
#include <memory>
#include <utility>

#include <gtest/gtest.h>

#include "tests/unit/sim/tcp_pair.h"
#include "tools/relay/relay.h"

/// TCP through a relay that lives in another world, as in relay_test.cc.

namespace tern::relay {

using namespace std::chrono_literals;
using sim::ChannelModel;
using sim::TcpEnd;
using sim::TcpServer;

inline ChannelModel lossy(Duration delay, double loss) {
  ChannelModel model;
  model.delay = delay;
  model.loss = loss;
  return model;
}

struct TcpStage {
  explicit TcpStage(RelayOptions options, bool listening = true) {
    if (listening) {
      tcp::ListenOptions listen;
      listen.bind = server_host.v4(443);
      server = std::make_unique<TcpServer>(server_host, listen);
    }
    options.route(middle.v4(9000), server_host.v4(443)).outside(middle.v4());
    relay = *Relay::open(middle.runtime(), middle.network(), options);
  }
  void connect() {
    tcp::ConnectOptions options;
    options.remote = middle.v4(9000);
    auto opened = phone.network().tcp().connect(options, client);
    ASSERT_TRUE(opened);
    client.own(std::move(*opened));
  }
  TcpEnd& accepted() { return server->ends.at(0); }
  bool until(const std::function<bool()>& done, Duration limit = 60s) {
    return world.run_until(done, limit);
  }

  sim::World world{1};
  sim::Host& phone = world.host("phone");
  sim::Host& middle = world.host("middle");
  sim::Host& server_host = world.host("server");
  sim::Link& first = world.link(phone, middle);
  sim::Link& second = world.link(middle, server_host);
  TcpEnd client{world};
  std::unique_ptr<TcpServer> server;
  std::unique_ptr<Relay> relay;
};

inline RelayOptions both(const ChannelModel& model) {
  return RelayOptions().to_server(model).to_client(model);
}

}  // namespace tern::relay
