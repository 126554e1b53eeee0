#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/runtime.h"
#include "gateway/client.h"
#include "http/exchange.h"
#include "http/router.h"
#include "http/uri.h"
#include "rpc/channel.h"
#include "rpc/wire.h"
#include "webtransport/client_options.h"
#include "webtransport/server_options.h"

/// Calls over WebTransport: a bidirectional stream of a session is one call, of any pattern, which
/// docs/rpc.md ("WebTransport") has byte by byte. For pages, which cannot stream requests in HTTP,
/// and for programs that keep one session for all they do.

namespace tern {

/// Takes sessions at `pattern`, over whatever carries them, and gives the calls on their streams to
/// `calls`, what `rpc::serve` has returned: the same services, limits and interceptors as in every
/// other dialect. `options` says which pages may come and how many sessions there may be.
///
///   const http::Handler calls = rpc::serve(services);
///   router.mount("/", calls);
///   route_rpc(router, "/rpc", calls);
///
/// A server that drains takes no more calls on a session and closes it when those under way have
/// ended (`ServerOptions::drain_grace` at most).
void route_rpc(http::Router& router, std::string_view pattern, http::Handler calls,
               webtransport::ServerOptions options = webtransport::ServerOptions());

/// A channel whose calls go over one session with each of `urls` ("https://host:port/rpc"), opened
/// by the first call, and again when it has ended or its server drains. The dialect is gRPC-Web's,
/// whatever `options` says. Error invalid: a URL is wrong. Client and runtime outlive the channel.
Result<std::unique_ptr<rpc::Channel>> rpc_webtransport_channel(
    Runtime& runtime, Client& client, const std::vector<std::string>& urls,
    rpc::ChannelOptions options = rpc::ChannelOptions(),
    webtransport::ClientOptions session = webtransport::ClientOptions());

/// One server of such a channel by itself, for those who put something of their own around it; the
/// channel's dialect is then `rpc::grpc_web_client_dialect()`. The URL's path is the session's.
std::unique_ptr<rpc::Wire> rpc_webtransport_wire(
    Runtime& runtime, Client& client, const http::Url& url,
    webtransport::ClientOptions session = webtransport::ClientOptions());

}  // namespace tern
