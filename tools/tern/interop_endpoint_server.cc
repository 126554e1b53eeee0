#include <algorithm>
#include <chrono>
#include <csignal>
#include <optional>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "gateway/server.h"
#include "http/static_files.h"
#include "http/uri.h"
#include "tools/tern/environment.h"
#include "tools/tern/interop_endpoint.h"
#include "tools/tern/serve_log.h"
#include "tools/tern/signals.h"

namespace tern::cli {
namespace {

using namespace std::chrono_literals;

/// "server4:4433" with the name's addresses in the name's place.
Task<Result<std::vector<udp::Address>>> preferred_addresses(Runtime& runtime, udp::Network& network,
                                                            std::vector<std::string> names) {
  std::vector<udp::Address> chosen;
  for (const std::string& name : names) {
    auto addresses = udp::Address::parse(name).map(
        [](const udp::Address& address) { return std::vector<udp::Address>(1, address); });
    if (!addresses) {
      const auto url = http::Url::parse("https://" + name);
      if (!url) co_return fail(Error::invalid("--preferred '" + name + "': give HOST:PORT"));
      addresses = co_await look_up(runtime, network, url->host(), url->port());
    }
    if (!addresses) co_return fail(std::move(addresses).error());
    for (const udp::Address& address : *addresses) {
      const bool there = std::any_of(chosen.begin(), chosen.end(), [&](const udp::Address& other) {
        return other.is_v4() == address.is_v4();
      });
      if (!there) chosen.push_back(address);
    }
  }
  co_return chosen;
}

std::vector<udp::Address> resolve_preferred(const InteropEndpointOptions& options) {
  auto network = engine::open(engine::EngineOptions().kind(options.engine));
  if (!network) fail_with(ExitCode::failed, network.error().detail);
  Runtime runtime(**network);
  auto addresses = runtime.block_on(preferred_addresses(runtime, **network, options.preferred));
  if (!addresses) fail_with(addresses.error());
  return *addresses;
}

/// Where handshakes lose packets, a ClientHello of two datagrams may come without its first one.
/// Who may send Retry need not forget it then; two other cases forbid Retry.
quic::RetryPolicy retry_policy(const InteropCase& test) noexcept {
  if (test.retry) return quic::RetryPolicy::always;
  return test.patient_handshakes ? quic::RetryPolicy::when_busy : quic::RetryPolicy::never;
}

}  // namespace

void run_interop_server(const InteropEndpointOptions& options, const InteropCase& test) {
  quic::TransportOptions transport = interop_transport(test);
  transport.initial_rtt =
      100ms;  // of a path between two machines; a lost flight is sent again soon
  LineWriter lines;
  MessageLog messages(lines, false);
  ServerOptions server_options;
  server_options.certificate(options.certificates + "/cert.pem", options.certificates + "/priv.key")
      .engine(engine::EngineOptions().kind(options.engine))
      .transport(transport)
      .retry(retry_policy(test))
      .chacha20_only(test.chacha20)
      .hq_interop(true)
      .key_log(key_log_from_environment())
      .qlog(qlog_from_environment())
      .log(messages);
  for (const std::string& address : options.listen) server_options.listen(address);
  if (test.preferred_address) {
    for (const udp::Address& address : resolve_preferred(options)) {
      server_options.preferred_address(address.to_string());
    }
  }
  auto files = http::StaticFiles::open(options.www);
  if (!files) fail_with(ExitCode::failed, files.error().detail);

  Server server(std::move(server_options));
  // Before the workers' threads: they leave these signals to this one.
  SignalThread signals({SIGINT, SIGTERM}, [&server](int) { server.stop(); });
  const Result<void> started = server.start(std::move(*files));
  if (!started) fail_with(ExitCode::failed, started.error().detail);
  std::string addresses;
  for (const udp::Address& address : server.addresses()) {
    addresses += (addresses.empty() ? "" : ", ") + address.to_string();
  }
  lines.line(LogLevel::info,
             fmt::format("{}: listening on {}, {}", test.name, addresses, server.engine()));
  server.wait();
}

}  // namespace tern::cli
