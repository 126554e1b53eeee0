#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/runtime.h"
#include "gateway/client.h"
#include "http/uri.h"
#include "rpc/channel.h"
#include "rpc/wire.h"

namespace tern {

/// A channel to a service at `urls` ("https://host:port"; several: its servers, among which the
/// calls are spread), over the client's connections: HTTP/3 where UDP gets through, else HTTP/2. So
/// a call goes on when the client's machine changes its network. `http://` URLs are HTTP/2 without
/// TLS where the client's options say so.
///
///   Client client(runtime, network, ClientOptions());
///   auto channel = rpc_channel(runtime, client, {"https://localhost:4433"});
///   if (!channel) …                                    // a URL is wrong: Error invalid
///   Greeter::Client greeter(**channel);
///   auto reply = co_await greeter.SayHello(request);   // rpc::Result<HelloReply>
///
/// Client and runtime outlive the channel, and the channel its calls.
Result<std::unique_ptr<rpc::Channel>> rpc_channel(
    Runtime& runtime, Client& client, const std::vector<std::string>& urls,
    rpc::ChannelOptions options = rpc::ChannelOptions());

/// A channel to a service behind one name that has several addresses: each is a server by itself,
/// among which the calls are spread by `ChannelOptions::balancing` (rpc::Channel::kMaxServers of
/// them at most; a machine with an address of each family counts twice). The name is looked up by
/// the first call, and again when an address cannot be reached (`ChannelOptions::look_again`): then
/// those that it does not have any more get no more calls. Every server has a client of its own,
/// made with `client`, whose `resolve` must not speak of that host. Error invalid: it does, or the
/// URL is wrong.
Result<std::unique_ptr<rpc::Channel>> rpc_channel_by_address(
    Runtime& runtime, udp::Network& network, const std::string& url, ClientOptions client,
    rpc::ChannelOptions options = rpc::ChannelOptions());

/// One server of such a channel by itself, for those who put something of their own around it.
std::unique_ptr<rpc::Wire> rpc_wire(Runtime& runtime, Client& client, const http::Url& url);

}  // namespace tern
