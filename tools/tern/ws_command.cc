#include <memory>
#include <stdexcept>
#include <string>

#include <CLI/CLI.hpp>

#include "tools/tern/commands.h"
#include "tools/tern/option_values.h"
#include "tools/tern/ws_options.h"
#include "tools/tern/ws_run.h"

namespace tern::cli {

void add_ws(CLI::App& app, ExitCode& result) {
  auto options = std::make_shared<WsOptions>();
  WsOptions& o = *options;
  CLI::App* verb =
      app.add_subcommand("ws", "Talk to a WebSocket: stdin's lines there, messages back");
  verb->add_option("URL", o.url, "wss://host[:port]/path, or ws:// without TLS")
      ->required()
      ->check(no_flag())
      ->type_name("");
  verb->add_option("-m,--message", o.messages, "Send this, not stdin; again for more")
      ->type_name("TEXT")
      ->allow_extra_args(false);
  verb->add_flag("-b,--binary", o.binary,
                 "Binary messages: stdin in blocks as they come, output as it is");
  verb->add_option("-p,--protocol", o.protocols, "Offer this subprotocol; again for more")
      ->type_name("NAME")
      ->allow_extra_args(false);
  verb->add_flag("--no-compression", o.no_compression, "Do not offer permessage-deflate");
  add_duration(*verb, "--wait", o.wait, "Stay so long after the last message was sent");
  add_duration(*verb, "--ping", o.ping, "Ping when nothing has come for so long (default: 20s)");
  verb->add_option(
          "--carrier", o.carrier,
          "What to run on: HTTP/3 (RFC 9220), HTTP/2 (RFC 8441), HTTP/1.1, or the first of\n"
          "them that works (default)")
      ->check(CLI::IsMember({"auto", "h3", "h2", "http1.1"}))
      ->type_name("auto|h3|h2|http1.1");
  verb->add_flag("-v,--verbose", o.verbose, "Tell the handshake, pings and the end");
  add_connection_flags(*verb, o);
  verb->footer(
      "At the end of stdin, or on Ctrl-C, the WebSocket is closed with 1000; what the server says\n"
      "until it answers is still printed. On a terminal it stays open until Ctrl-D.\n\n"
      "ws:// is HTTP/1.1, or with --carrier h2 HTTP/2 at once.\n\n"
      "Exit codes: 0 done, 2 usage, 3 bad URL, 6 cannot resolve, 7 cannot connect, 22 refused by\n"
      "the server, 23 cannot write, 28 timed out, 56 the connection was lost or the server closed\n"
      "it with another code than 1000, 1001 or none, 60 certificate not trusted.\n\n"
      "Examples:\n"
      "  tern ws -k wss://localhost:4433/ws/echo\n"
      "  echo hello | tern ws -k wss://localhost:4433/ws/echo\n"
      "  tern ws -p chat.v1 -H 'authorization: Bearer abc' --wait 1m wss://example.com/chat\n"
      "  tern ws --carrier http1.1 -v ws://localhost:8080/echo\n"
      "  tern ws --binary wss://example.com/upload < big.bin");
  verb->callback([options, verb, &result] {
    const bool tcp = options->carrier == "h2" || options->carrier == "http1.1";
    refuse_over_tcp(*verb, {"--qlog"}, tcp ? "--carrier " + options->carrier : std::string());
    try {
      result = run_ws(*options);
    } catch (const std::invalid_argument& error) {
      fail_with(ExitCode::usage, error.what());
    }
  });
}

}  // namespace tern::cli
