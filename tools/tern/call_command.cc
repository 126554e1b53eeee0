#include <memory>
#include <stdexcept>
#include <string>

#include <CLI/CLI.hpp>

#include "tools/tern/call_options.h"
#include "tools/tern/call_run.h"
#include "tools/tern/commands.h"
#include "tools/tern/option_values.h"
#include "tools/tern/socket_client.h"
#include "tools/tern/terminal.h"

namespace tern::cli {
namespace {

void add_protocol_flags(CLI::App& verb, CallOptions& o) {
  const auto protocol = [&verb, &o](const char* flag, const char* help, ClientProtocols which) {
    return verb.add_flag_callback(flag, [&o, which] { o.http = which; }, help);
  };
  CLI::Option* const only3 =
      protocol("--http3-only", "HTTP/3 and nothing else", ClientProtocols::http3_only);
  CLI::Option* const three = protocol(
      "--http3",
      "HTTP/3, and HTTP/2 (but for gRPC also HTTP/1.1) where UDP does not pass (the\ndefault)",
      ClientProtocols::automatic);
  CLI::Option* const two = protocol("--http2", "HTTP/2 over TCP; for http:// URLs HTTP/2 at once",
                                    ClientProtocols::http2_only);
  CLI::Option* const one =
      protocol("--http1.1", "HTTP/1.1 over TCP; not for gRPC", ClientProtocols::http1);
  only3->excludes(three)->excludes(two)->excludes(one);
  three->excludes(two)->excludes(one);
  two->excludes(one);
}

}  // namespace

void add_call(CLI::App& app, ExitCode& result) {
  auto options = std::make_shared<CallOptions>();
  CallOptions& o = *options;
  CLI::App* verb = app.add_subcommand("call",
                                      "Call a protobuf service: JSON in, JSON out, as gRPC, "
                                      "gRPC-Web, Connect,\nREST or on WebTransport");
  verb->add_option("URL", o.url, "https://host[:port]/pkg.Service/Method, or http:// without TLS")
      ->type_name("");
  verb->add_option("-d,--data", o.data,
                   "The request, or several for a method that takes many: JSON, @FILE, or @- for\n"
                   "stdin. Default: an empty message; for a method that takes many, stdin")
      ->type_name("JSON")
      ->allow_extra_args(false);
  verb->add_option("-H,--header", o.fields,
                   "Metadata, a token for instance; of a -bin key in base64")
      ->type_name("'NAME: VALUE'")
      ->allow_extra_args(false);
  verb->add_option(
          "--schema", o.schemas,
          "The service's .proto, or a descriptor set (protoc -o, buf build -o); again for\n"
          "more. Default: ask the server, by reflection")
      ->type_name("FILE")
      ->allow_extra_args(false);
  verb->add_option("-I,--proto-path", o.proto_paths,
                   "Where imports of .proto files begin; again for more (default: here, and the\n"
                   "file's own folder)")
      ->type_name("DIR")
      ->allow_extra_args(false);
  verb->add_flag("--list", o.list, "List the server's services, or the methods of URL/pkg.Service");
  verb->add_option("--describe", o.describe,
                   "Show the definition of a service, method, message or enum")
      ->type_name("NAME");
  add_duration(*verb, "-m,--timeout,--max-time", o.timeout,
               "The call's deadline, which the server is told");
  verb->add_option_function<std::string>(
          "--max-message",
          [&o](const std::string& text) {
            try {
              o.max_message = parse_bytes(text);
            } catch (const std::invalid_argument& error) {
              throw CLI::ValidationError("--max-message", error.what());
            }
          },
          "The largest response message, decompressed (default: 64MiB)")
      ->type_name("SIZE");
  verb->add_option("--compress", o.compression, "Compress the requests")
      ->check(CLI::IsMember({"gzip"}))
      ->type_name("gzip");
  verb->add_flag("--emit-defaults", o.emit_defaults, "Print fields that have their default, too");
  verb->add_flag("--allow-unknown-fields", o.allow_unknown,
                 "Pass over fields of -d that the message does not have");
  verb->add_option(
          "--protocol", o.protocol,
          "What the server speaks: grpc (default), grpc-web, connect, rest, by the methods'\n"
          "google.api.http rules, or webtransport: on streams of a session, whose path is\n"
          "what the URL has before the service's name")
      ->check(CLI::IsMember({"grpc", "grpc-web", "connect", "rest", "webtransport"}))
      ->type_name("NAME");
  verb->add_flag("--get", o.get, "Connect: methods without side effects are called by GET");
  add_protocol_flags(*verb, o);
  verb->add_flag("-v,--verbose", o.verbose,
                 "Tell the handshake, metadata, trailers and the status");
  verb->add_flag("--json", o.json, "Print one JSON object about everything (docs/cli.md)");
  add_connect_flags(*verb, o);
  verb->add_option("--cert", o.certificate, "mTLS: this client's certificate chain, PEM")
      ->type_name("FILE");
  verb->add_option("--key", o.key, "Its private key, PEM")->type_name("FILE");
  verb->footer(
      "Responses are printed as they come, a line each, and on a terminal indented. Several "
      "requests\nare JSON documents one after the other, with or without line ends between "
      "them.\n\n"
      "http:// is HTTP/2 at once for gRPC, else HTTP/1.1. --http3-only, --http2 and --http1.1 "
      "carry\n"
      "a session of WebTransport over HTTP/3, HTTP/2 and WebSocket.\n\n"
      "Exit codes: 0 done; 64 and the status's number (65 CANCELLED, … 69 NOT_FOUND, …\n"
      "80 UNAUTHENTICATED) when the call ended with another than OK; else those of `tern get`:\n"
      "2 usage, 3 bad URL, 6 cannot resolve, 7 cannot connect, 23 cannot write, 26 cannot read,\n"
      "28 timed out while connecting, 35 TLS handshake, 60 certificate not trusted,\n"
      "130 interrupted.\n\n"
      "Examples:\n"
      "  tern call -k --list https://localhost:4433\n"
      "  tern call -k --describe greeter.v1.HelloRequest https://localhost:4433\n"
      "  tern call -k -d '{\"name\":\"you\"}' https://localhost:4433/greeter.v1.Greeter/SayHello\n"
      "  tern call -k --timeout 2s -H 'authorization: Bearer abc' --schema greeter.proto \\\n"
      "    -d @request.json https://localhost:4433/greeter.v1.Greeter/SayHello\n"
      "  tern call http://localhost:50051/greeter.v1.Greeter/Chat < requests.jsonl\n"
      "  tern call -k --protocol connect --get -d '{\"name\":\"you\"}' \\\n"
      "    https://localhost:4433/greeter.v1.Greeter/SayHello\n"
      "  tern call -k --protocol rest -d '{\"name\":\"you\"}' \\\n"
      "    https://localhost:4433/greeter.v1.Greeter/SayHello\n"
      "  tern call -k --protocol webtransport https://localhost:4433/rpc/greeter.v1.Greeter/Chat\n"
      "  tern call --list --schema greeter.proto");
  verb->callback([options, verb, &result] {
    const bool one = verb->get_option("--http1.1")->count() > 0;
    const bool two = verb->get_option("--http2")->count() > 0;
    refuse_over_tcp(*verb, {"--qlog"}, one ? "--http1.1" : two ? "--http2" : "");
    try {
      result = run_call(*options);
    } catch (const std::invalid_argument& error) {
      fail_with(ExitCode::usage, error.what());
    }
  });
}

}  // namespace tern::cli
