#include <memory>
#include <stdexcept>
#include <string>

#include <CLI/CLI.hpp>

#include "tools/tern/commands.h"
#include "tools/tern/option_values.h"
#include "tools/tern/wt_options.h"
#include "tools/tern/wt_run.h"

namespace tern::cli {

void add_wt(CLI::App& app, ExitCode& result) {
  auto options = std::make_shared<WtOptions>();
  WtOptions& o = *options;
  CLI::App* verb = app.add_subcommand("wt", "Talk WebTransport: stdin to a session, and back");
  verb->add_option("URL", o.url, "https://host[:port]/path; wt:// is the same")
      ->required()
      ->check(no_flag())
      ->type_name("");
  CLI::Option* uni = verb->add_flag(
      "--uni", o.uni,
      "Each line on a unidirectional stream of its own; print the server's, a line each");
  verb->add_flag("--datagrams", o.datagrams, "Each line as a datagram; print the server's")
      ->excludes(uni);
  verb->add_option("-m,--message", o.messages, "Send this line, not stdin; again for more")
      ->type_name("TEXT")
      ->allow_extra_args(false);
  verb->add_flag("-b,--binary", o.binary,
                 "No lines: stdin in blocks as they come (--uni: on one stream), output as it is");
  verb->add_option("-p,--protocol", o.protocols, "Offer this application protocol; again for more")
      ->type_name("NAME")
      ->allow_extra_args(false);
  add_duration(*verb, "--wait", o.wait,
               "Stay so long after all was sent (default: until it is answered)");
  verb->add_option("--carrier", o.carrier,
                   "What to run on: HTTP/3, HTTP/2, WebSocket, or the first of them that works\n"
                   "(default)")
      ->check(CLI::IsMember({"auto", "h3", "h2", "websocket"}))
      ->type_name("auto|h3|h2|websocket");
  verb->add_option("--close-code", o.close_code, "Close the session with this code (default: 0)")
      ->check(whole_number(0, UINT32_MAX))
      ->type_name("N");
  verb->add_option("--close-reason", o.close_reason, "and this reason, 1024 bytes at most")
      ->type_name("TEXT");
  verb->add_flag("-v,--verbose", o.verbose, "Tell the handshake, each carrier tried, and the end");
  add_connection_flags(*verb, o);
  verb->footer(
      "Without --uni and --datagrams stdin goes on one bidirectional stream as it is, and what\n"
      "comes on it is printed as it is. At the end of stdin the session is closed when the answer\n"
      "is complete: the server has ended the stream; as many unidirectional streams as were sent\n"
      "have come back; as many datagrams, or a second has passed. Ctrl-C closes it at once.\n\n"
      "Exit codes: 0 done, 2 usage, 3 bad URL, 6 cannot resolve, 7 cannot connect, 22 refused by\n"
      "the server, 23 cannot write, 28 timed out, 56 the session was lost, its stream was reset,\n"
      "or the server closed it with a code, 60 certificate not trusted.\n\n"
      "Examples:\n"
      "  tern wt -k https://localhost:4433/wt/echo\n"
      "  echo hello | tern wt -k https://localhost:4433/wt/echo\n"
      "  tern wt --datagrams -m ping -v https://example.com/game\n"
      "  tern wt --uni --protocol chat.v1 --wait 1m https://example.com/chat < lines\n"
      "  tern wt --carrier websocket --json -m hello wt://example.com/echo");
  verb->callback([options, verb, &result] {
    const bool tcp = options->carrier == "h2" || options->carrier == "websocket";
    refuse_over_tcp(*verb, {"--qlog"}, tcp ? "--carrier " + options->carrier : std::string());
    try {
      result = run_wt(*options);
    } catch (const std::invalid_argument& error) {
      fail_with(ExitCode::usage, error.what());
    }
  });
}

}  // namespace tern::cli
