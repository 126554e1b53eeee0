#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "gateway/rpc_channel.h"
#include "rpc/dispatcher.h"
#include "tests/sim/scene.h"
#include "tools/rpc_interop/test_service.h"

namespace tern::sim {

/// A scene whose server has the interop service.
class Calls {
 public:
  explicit Calls(std::string wire = "h3") : wire_(std::move(wire)) {}

  void begin(rpc::ServeOptions serving = rpc::ServeOptions(),
             rpc::ChannelOptions options = rpc::ChannelOptions()) {
    scene.router.mount("/", rpc::serve(std::make_shared<rpc_interop::TestService>(), serving));
    scene.serve();
    open(use_client(), {"https://server"}, std::move(options));
  }
  Client& use_client() {
    ClientOptions client = scene.client_options();
    client.protocols(wire_ == "h3"   ? ClientProtocols::http3_only
                     : wire_ == "h2" ? ClientProtocols::http2_only
                                     : ClientProtocols::http1);
    return scene.use_client(std::move(client));
  }
  void open(Client& client, const std::vector<std::string>& urls,
            rpc::ChannelOptions options = rpc::ChannelOptions()) {
    auto made = rpc_channel(scene.client_host.runtime(), client, urls, std::move(options));
    ASSERT_TRUE(made);
    channel = std::move(*made);
  }
  /// Runs a task of the client's to its end.
  bool run(Task<void> task, Duration limit = 60s) {
    bool done = false;
    Scope scope(scene.client_host.runtime().ready());
    scope.spawn(then_tell(std::move(task), done));
    return scene.world.run_until([&] { return done; }, limit);
  }

  Scene scene;
  std::unique_ptr<rpc::Channel> channel;

 private:
  static Task<void> then_tell(Task<void> task, bool& done) {
    co_await task;
    done = true;
  }
  std::string wire_;
};

}  // namespace tern::sim
