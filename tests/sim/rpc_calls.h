#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "gateway/rpc_channel.h"
#include "rpc/dispatcher.h"
#include "tests/sim/scene.h"
#include "tools/rpc_interop/client_cases.h"
#include "tools/rpc_interop/test_service.h"

namespace tern::sim {

/// A scene whose server has the interop service.
class Calls {
 public:
  /// A thousand calls of 600 kB are 2 s of computing. Each way that streams take has them once: of
  /// HTTP/3, HTTP/2, HTTP/1.1, and WebTransport's in capsules. What else runs over it has as many
  /// as have to wait for each other's streams and windows.
  static constexpr std::size_t kAllLarge = 1000;
  static constexpr std::size_t kSomeLarge = 150;

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

  /// gRPC's interoperability cases, one after the other; the channel ends with them. With `large`
  /// calls at once where the document has a thousand.
  void run_interop_cases(std::size_t large) {
    for (const std::string_view name : rpc_interop::case_names()) run_interop_case(name, large);
    channel.reset();
  }
  void run_interop_case(std::string_view name, std::size_t large = kAllLarge) {
    std::string verdict = "did not end";
    run(tell_verdict(name == "concurrent_large_unary" && large != kAllLarge
                         ? rpc_interop::concurrent_large_unary(*channel, large)
                         : rpc_interop::run_case(name, *channel),
                     verdict),
        300s);
    EXPECT_EQ(verdict, "") << name;
  }

  Scene scene;
  std::unique_ptr<rpc::Channel> channel;

 private:
  static Task<void> then_tell(Task<void> task, bool& done) {
    co_await task;
    done = true;
  }
  static Task<void> tell_verdict(Task<std::string> running, std::string& verdict) {
    verdict = co_await running;
  }
  std::string wire_;
};

}  // namespace tern::sim
