#include "tools/tern/socket_client.h"

#include <algorithm>
#include <cstdio>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "tools/tern/get_output.h"
#include "tools/tern/option_values.h"
#include "tools/tern/terminal.h"
#include "tools/tern/trust_hint.h"

namespace tern::cli {

void add_connect_flags(CLI::App& verb, ConnectFlags& o) {
  verb.add_option("--qlog", o.qlog, "Write a qlog file (default: QLOGDIR)")->type_name("DIR");
  verb.add_flag("-k,--insecure", o.insecure, "Trust any certificate");
  verb.add_option("--cacert", o.ca_file, "Trust the CAs of this PEM file")->type_name("FILE");
  verb.add_option("--resolve", o.resolve, "Connect there instead; again for more")
      ->type_name("HOST:PORT:ADDR")
      ->allow_extra_args(false);
  add_proxy_flags(verb, o);
  add_duration(verb, "--connect-timeout", o.connect_timeout,
               "Until the handshake is complete (default: 10s)");
  add_engine(verb, o.engine);
}

void add_connection_flags(CLI::App& verb, SocketOptions& o) {
  verb.add_option("-H,--header", o.fields, "Header field of the handshake, a token for instance")
      ->type_name("'NAME: VALUE'")
      ->allow_extra_args(false);
  verb.add_option("--origin", o.origin, "Claim to be a page of this origin, as browsers do")
      ->type_name("ORIGIN");
  add_duration(verb, "--max-time", o.max_time, "Close after so long");
  verb.add_flag("--json", o.json, "Print one JSON object about everything (docs/cli.md)");
  add_connect_flags(verb, o);
}

std::pair<std::string, std::string> split_field(const std::string& line) {
  const std::size_t colon = line.find(':');
  const std::size_t start = line.find_first_not_of(" \t", std::min(colon, line.size() - 1) + 1);
  if (colon == std::string::npos || colon == 0 || start == std::string::npos) {
    fail_with(ExitCode::usage, fmt::format("header '{}': write it as 'name: value'", line));
  }
  return {line.substr(0, colon), line.substr(start)};
}

ClientOptions client_options(const SocketOptions& options, ClientProtocols protocols) {
  check_ca_file(options.ca_file, "--cacert", ExitCode::bad_ca);
  ClientOptions client = client_options(options);
  client.protocols(protocols);
  if (options.verbose) client.watch([](const ClientEvent& event) { print_event(event); });
  return client;
}

ClientRequest client_request(const SocketOptions& options) {
  ClientRequest request(options.url);
  request.field("user-agent", "tern/" TERN_VERSION);
  if (!options.origin.empty()) request.field("origin", options.origin);
  for (const std::string& line : options.fields) {
    auto [name, value] = split_field(line);
    request.field(std::move(name), std::move(value));
  }
  return request;
}

std::string hex(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) out += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return out;
}

void note(const std::string& text) { tell("{}\n", Paint(stderr).dim("* " + text)); }

std::string failure_message(const Error& error, ExitCode code) {
  std::string message = describe(error);
  if (code == ExitCode::not_trusted) message += trust_hint(message);
  return message;
}

}  // namespace tern::cli
