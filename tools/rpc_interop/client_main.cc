#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "base/runtime.h"
#include "gateway/client.h"
#include "gateway/rpc_channel.h"
#include "tools/rpc_interop/client_cases.h"
#include "transport/engine/engine.h"
#include "transport/udp/address.h"

/// The client of gRPC's interoperability tests, with the official flags and two of our own:
///
///   rpc_interop_client --server_host=127.0.0.1 --server_host_override=foo.test.google.fr
///     --server_port=8080 --test_case=large_unary --use_tls=true --ca=ca.pem --transport=h3|h2
///
/// `--test_case=all` runs them all, `--test_case=a,b` two. Exits 0 when everything passed.

namespace {

std::string value_of(int count, char** arguments, std::string_view flag,
                     std::string_view otherwise) {
  for (int i = 1; i < count; ++i) {
    const std::string_view argument = arguments[i];
    if (argument.starts_with(flag) && argument.substr(flag.size()).starts_with('=')) {
      return std::string(argument.substr(flag.size() + 1));
    }
  }
  return std::string(otherwise);
}

/// "all", or names with commas between.
std::vector<std::string_view> cases_of(std::string_view wanted) {
  if (wanted == "all") return tern::rpc_interop::case_names();
  std::vector<std::string_view> names;
  for (;;) {
    const auto comma = wanted.find(',');
    names.push_back(wanted.substr(0, comma));
    if (comma == std::string_view::npos) return names;
    wanted.remove_prefix(comma + 1);
  }
}

int complain(const std::string& what) {
  std::fprintf(stderr, "rpc_interop_client: %s\n", what.c_str());
  return 1;
}

}  // namespace

int main(int count, char** arguments) {
  const std::string host = value_of(count, arguments, "--server_host", "localhost");
  const std::string name = value_of(count, arguments, "--server_host_override", host);
  const std::string port = value_of(count, arguments, "--server_port", "443");
  const std::string wanted = value_of(count, arguments, "--test_case", "all");
  const std::string transport = value_of(count, arguments, "--transport", "h3");
  const bool tls = value_of(count, arguments, "--use_tls", "true") == "true";
  const std::string ca = value_of(count, arguments, "--ca", "");

  tern::ClientOptions options;
  if (!ca.empty()) options.ca_file(ca);
  options.protocols(transport == "h3" ? tern::ClientProtocols::http3_only
                                      : tern::ClientProtocols::http2_only);
  if (name != host) {
    const int number = std::atoi(port.c_str());
    const auto address = tern::udp::Address::parse_ip(host, static_cast<std::uint16_t>(number));
    if (!address) return complain(address.error().to_string());
    options.resolve(name, address->port(), *address);
  }
  auto network = tern::engine::open();
  if (!network) return complain(network.error().to_string());
  tern::Runtime runtime(**network);
  tern::Client client(runtime, **network, std::move(options));
  std::string url = (tls ? "https://" : "http://") + name;
  url += ":" + port;
  auto channel = tern::rpc_channel(runtime, client, {url});
  if (!channel) return complain(channel.error().to_string());

  bool passed = true;
  for (const std::string_view each : cases_of(wanted)) {
    const std::string verdict = runtime.block_on(tern::rpc_interop::run_case(each, **channel));
    passed = passed && verdict.empty();
    std::printf("%s: %s\n", std::string(each).c_str(),
                verdict.empty() ? "passed" : verdict.c_str());
    std::fflush(stdout);
  }
  channel->reset();
  runtime.block_on(client.close());
  return passed ? 0 : 1;
}
