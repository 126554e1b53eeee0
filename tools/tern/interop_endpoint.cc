#include "tools/tern/interop_endpoint.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <sstream>
#include <utility>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "tools/tern/interop_webtransport.h"
#include "tools/tern/option_values.h"
#include "tools/tern/terminal.h"

namespace tern::cli {
namespace {

using namespace std::chrono_literals;

/// Of handshakes that lose every third packet.
constexpr Duration kPatience = 180s;

std::string runner_variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

std::vector<std::string> words(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> all;
  for (std::string word; stream >> word;) all.push_back(word);
  return all;
}

}  // namespace

quic::TransportOptions interop_transport(const InteropCase& test) {
  quic::TransportOptions transport;
  // Small, so that a transfer shows that they grow.
  transport.initial_window = 128 * 1024;
  transport.initial_stream_window = 64 * 1024;
  transport.handshake_timeout = test.patient_handshakes ? kPatience : 30s;
  if (test.patient_handshakes) {
    transport.idle_timeout = kPatience;
    // Many servers give a handshake up after ten seconds, and have nothing to say to its client any
    // more. From here a ClientHello goes out six times within that, from 333 ms four times.
    transport.initial_rtt = 100ms;
  }
  transport.pmtud = test.path_mtu_discovery;
  transport.versions = {quic::kVersion1};
  if (test.version2) transport.versions = {quic::kVersion2, quic::kVersion1};
  return transport;
}

Task<Result<std::vector<udp::Address>>> look_up(Runtime& runtime, udp::Network& network,
                                                std::string host, std::uint16_t port) {
  std::optional<Result<std::vector<udp::Address>>> found;
  Signal done(runtime);
  const auto answer = [&](Result<std::vector<udp::Address>> result) {
    found = std::move(result);
    done.notify();
  };
  network.resolve(host, port, answer);
  co_await done.wait();
  if (!*found || (*found)->empty()) {
    co_return fail(Error(Code::not_found, "cannot resolve " + host));
  }
  co_return std::move(*found);
}

namespace {

[[noreturn]] void fail_role(const std::string& role) {
  fail_with(ExitCode::usage,
            fmt::format("ROLE is '{}': set it to client or server", printable(role)));
}

ExitCode unsupported(const std::string& testcase) {
  tell("tern interop endpoint: test case '{}' is not supported\n", printable(testcase));
  return ExitCode::unsupported;
}

ExitCode run_webtransport(const InteropEndpointOptions& options, bool server) {
  const WebTransportCase* const test = webtransport_case(options.testcase, server);
  if (test == nullptr) return unsupported(options.testcase);
  if (!server && options.role != "client") fail_role(options.role);
  if (options.check) return ExitCode::done;
  if (!server) return run_webtransport_client(options, *test) ? ExitCode::done : ExitCode::failed;
  run_webtransport_server(options, *test);
  return ExitCode::done;
}

}  // namespace

ExitCode run_interop_endpoint(const InteropEndpointOptions& options) {
  const bool server = options.role == "server";
  if (options.webtransport) return run_webtransport(options, server);
  const InteropCase* const test = interop_case(options.testcase, server);
  if (test == nullptr) return unsupported(options.testcase);
  if (!server && options.role != "client") fail_role(options.role);
  if (options.check) return ExitCode::done;
  if (!server) {
    return run_interop_client(options, *test) ? ExitCode::done : ExitCode::failed;
  }
  run_interop_server(options, *test);
  return ExitCode::done;
}

void add_interop_endpoint(CLI::App& interop, ExitCode& result) {
  auto options = std::make_shared<InteropEndpointOptions>();
  InteropEndpointOptions& o = *options;
  CLI::App* verb = interop.add_subcommand(
      "endpoint", "An endpoint of the QUIC interop runner, told by ROLE, TESTCASE and REQUESTS");
  verb->set_help_flag("-h,--help", "Show this");
  verb->add_option("--www", o.www, "The folder that is served, by a server mostly")
      ->option_text("DIR (/www)");
  verb->add_option("--downloads", o.downloads, "Where received files go")
      ->option_text("DIR (/downloads)");
  verb->add_option("--certs", o.certificates, "Folder with cert.pem, priv.key and ca.pem")
      ->option_text("DIR (/certs)");
  verb->add_option("--listen", o.listen, "Server: address and port; again for more")
      ->option_text("ADDR:PORT ([::]:443)")
      ->allow_extra_args(false);
  verb->add_option("--preferred", o.preferred,
                   "Server, connectionmigration: where clients are to move to; again for the\n"
                   "other address family")
      ->option_text("HOST:PORT (server4:4433, server6:4433)")
      ->allow_extra_args(false);
  verb->add_option("--alpn", o.alpn, "Client: speak this in every test case")
      ->option_text("hq-interop|h3")
      ->check(CLI::IsMember({"hq-interop", "h3"}));
  verb->add_flag("--webtransport", o.webtransport,
                 "The runner's WebTransport test cases, some of which are named as those of QUIC");
  verb->add_flag("--check", o.check, "Exit with 0 or 127: is the test case supported?");
  add_engine(*verb, o.engine);
  verb->footer(
      "ROLE is client or server, TESTCASE a name of the runner's, REQUESTS the client's URLs, and\n"
      "with --webtransport the server's paths; PROTOCOLS are those to be negotiated there.\n"
      "SSLKEYLOGFILE and QLOGDIR work as in every verb.\n\n"
      "Exit codes: 0 done, 127 test case not supported, anything else failed.\n\n"
      "Examples:\n"
      "  ROLE=server TESTCASE=transfer tern interop endpoint --www www --certs certs\n"
      "  ROLE=client TESTCASE=transfer REQUESTS=https://server4:443/file \\\n"
      "    tern interop endpoint --downloads . --certs certs");
  verb->callback([options, &result] {
    options->role = runner_variable("ROLE");
    options->testcase = runner_variable("TESTCASE");
    options->requests = words(runner_variable("REQUESTS"));
    options->protocols = words(runner_variable("PROTOCOLS"));
    try {
      result = run_interop_endpoint(*options);
    } catch (Failure& failure) {  // the runner knows one code for it
      failure.code = ExitCode::failed;
      throw;
    }
  });
}

}  // namespace tern::cli
