#include <memory>
#include <stdexcept>
#include <string>

#include <CLI/CLI.hpp>

#include "tools/tern/commands.h"
#include "tools/tern/get_options.h"
#include "tools/tern/get_run.h"
#include "tools/tern/option_values.h"

namespace tern::cli {

void add_get(CLI::App& app, ExitCode& result) {
  auto options = std::make_shared<GetOptions>();
  GetOptions& o = *options;
  CLI::App* verb = app.add_subcommand(
      "get", "Fetch URLs over HTTP/3, HTTP/2 or HTTP/1.1, several on one connection");
  verb->add_option("URL", o.urls, "https://host[:port]/path")
      ->required()
      ->check(no_flag())
      ->type_name("");

  const std::string kRequest = "Request";
  verb->add_option("-X,--request", o.method, "Method")
      ->check(not_empty())
      ->type_name("NAME")
      ->group(kRequest);
  verb->add_option(
          "-H,--header", o.fields,
          "Header field, or @FILE of them; 'name:' removes a\ndefault one, 'name;' has no value")
      ->type_name("'NAME: VALUE'")
      ->group(kRequest)
      ->allow_extra_args(false);
  verb->add_option("-d,--data", o.data, "POST this, or @FILE without its line ends")
      ->type_name("DATA")
      ->group(kRequest)
      ->allow_extra_args(false);
  verb->add_option("--data-binary", o.data_binary, "POST this, or @FILE as it is")
      ->type_name("DATA")
      ->group(kRequest)
      ->allow_extra_args(false);
  verb->add_option("--json-body", o.json_body, "POST this JSON, or @FILE")
      ->type_name("JSON")
      ->group(kRequest);
  verb->add_option("-T,--upload-file", o.upload,
                   "PUT this file, '-' for stdin; to a URL that ends\nwith '/' by its name")
      ->type_name("FILE")
      ->group(kRequest);
  verb->add_option("-A,--user-agent", o.user_agent, "Say to be this program; '': say nothing")
      ->type_name("NAME")
      ->group(kRequest);
  verb->add_option("-u,--user", o.user, "Basic authentication")
      ->type_name("USER:PASSWORD")
      ->group(kRequest);
  verb->add_option("-r,--range", o.range, "These bytes alone: 0-499, 500-, -500")
      ->type_name("RANGE")
      ->group(kRequest);
  verb->add_flag("-I,--head", o.head, "HEAD: print the response's head")->group(kRequest);
  verb->add_option("-b,--cookie", o.cookies,
                   "Send these cookies, or those of this Netscape cookie file")
      ->type_name("'A=B; C=D'|FILE")
      ->group(kRequest)
      ->allow_extra_args(false);
  verb->add_option("-c,--cookie-jar", o.cookie_jar,
                   "Write the cookies there at the end, '-': stdout")
      ->type_name("FILE")
      ->group(kRequest);
  verb->add_flag("--compressed", o.compressed, "Ask for gzip, br or zstd and decode it")
      ->group(kRequest);
  verb->add_flag("-L,--location", o.follow, "Follow redirects")->group(kRequest);
  verb->add_option("--max-redirs", o.max_redirects, "At most so many")
      ->check(whole_number())
      ->option_text("N (30)")
      ->group(kRequest);
  verb->add_flag("-Z,--parallel", o.parallel, "All URLs at once, not one after the other")
      ->group(kRequest);

  const std::string kOutput = "Output";
  verb->add_option("-o,--output", o.outputs, "Write the body here; again for the next URL")
      ->type_name("FILE")
      ->group(kOutput)
      ->allow_extra_args(false);
  verb->add_flag("-O,--remote-name", o.remote_name, "Write to a file named as in the URL")
      ->group(kOutput);
  verb->add_flag("-i,--include", o.include, "Print the response's head before the body")
      ->group(kOutput);
  verb->add_flag("-f,--fail", o.fail, "Exit 22 and print no body when the status is 400 or more")
      ->group(kOutput);
  verb->add_flag("-v,--verbose", o.verbose, "Tell the handshake, heads, and every later change")
      ->group(kOutput);
  verb->add_flag("-s,--silent", o.silent, "No progress, and no word of what went wrong")
      ->group(kOutput);
  verb->add_flag("-S,--show-error", o.show_error, "With -s: what went wrong all the same")
      ->group(kOutput);
  verb->add_flag("--stats", o.stats, "Timings, RTT, loss, windows, migrations")->group(kOutput);
  verb->add_flag("--json", o.json, "Print one JSON object about everything (docs/cli.md)")
      ->group(kOutput);
  verb->add_option("--qlog", o.qlog, "Write a qlog file a connection (default: QLOGDIR)")
      ->type_name("DIR")
      ->group(kOutput);

  const std::string kTrust = "Trust";
  verb->add_flag("-k,--insecure", o.insecure, "Trust any certificate")->group(kTrust);
  verb->add_option("--cacert", o.ca_file, "Trust the CAs of this PEM file")
      ->type_name("FILE")
      ->group(kTrust);
  verb->add_option("--cert", o.certificate, "mTLS: this client's certificate chain, PEM")
      ->type_name("FILE")
      ->group(kTrust);
  verb->add_option("--key", o.key, "Its private key, PEM")->type_name("FILE")->group(kTrust);
  verb->add_flag("--chacha20", o.chacha20, "Only TLS_CHACHA20_POLY1305_SHA256")->group(kTrust);

  const std::string kConnection = "Connection";
  const auto protocol = [verb, kConnection, &o](const char* flag, const char* help,
                                                ClientProtocols which) {
    return verb->add_flag_callback(
                   flag, [&o, which] { o.protocols = which; }, help)
        ->group(kConnection);
  };
  CLI::Option* const only3 =
      protocol("--http3-only", "HTTP/3 and nothing else", ClientProtocols::http3_only);
  CLI::Option* const three =
      protocol("--http3", "HTTP/3, and HTTP/2 or HTTP/1.1 where UDP does not pass (the default)",
               ClientProtocols::automatic);
  CLI::Option* const two =
      protocol("--http2", "HTTP/2 over TCP, or HTTP/1.1; for http:// URLs HTTP/2 at once",
               ClientProtocols::http2);
  CLI::Option* const one = protocol("--http1.1", "HTTP/1.1 over TCP", ClientProtocols::http1);
  only3->excludes(three)->excludes(two)->excludes(one);
  three->excludes(two)->excludes(one);
  two->excludes(one);
  verb->add_option("--resolve", o.resolve, "Connect there instead; again for more")
      ->type_name("HOST:PORT:ADDR")
      ->group(kConnection)
      ->allow_extra_args(false);
  add_proxy_flags(*verb, o, kConnection, kTrust);
  verb->add_option("--local-address", o.local_address, "Send from this address")
      ->type_name("ADDR")
      ->group(kConnection);
  add_duration(*verb, "--connect-timeout", o.connect_timeout,
               "Until the handshake is complete (default: 10s)")
      ->group(kConnection);
  add_duration(*verb, "-m,--max-time", o.max_time, "Until the last byte of each URL")
      ->group(kConnection);
  verb->add_option("--session", o.session,
                   "Resume from, and remember sessions in, this file (0600)")
      ->type_name("FILE")
      ->group(kConnection);
  verb->add_flag("--early-data", o.early_data, "Send safe requests as 0-RTT (they may be replayed)")
      ->group(kConnection);
  add_versions(*verb, o.versions, "Speak this QUIC version alone: 1 or 2");
  verb->get_option("--quic-version")->group(kConnection);
  verb->add_flag("--retry-on-close", o.retry_on_close,
                 "Send an idempotent request again, once, if its connection breaks")
      ->group(kConnection);
  verb->add_option("--retry", o.retries,
                   "Send an idempotent request again, so often at most, when nobody answers, its\n"
                   "connection breaks, or the status is 408, 429, 502, 503 or 504")
      ->check(whole_number(0, 1000))
      ->type_name("N")
      ->group(kConnection);
  verb->add_option("--network-policy", o.network_policy,
                   "Of several networks: follow the best (default), leave cellular whenever\n"
                   "possible (cheapest), or stay (never)")
      ->check(CLI::IsMember({"default", "cheapest", "never"}))
      ->type_name("WHICH")
      ->group(kConnection);
  verb->add_option("--migrate-at", o.migrate_at,
                   "Move to a new local port then: 2s, 500ms or 5MB; again for more")
      ->type_name("WHEN")
      ->group(kConnection)
      ->allow_extra_args(false);
  verb->add_flag("--key-update", o.key_update, "Update the keys at the first byte of a body")
      ->group(kConnection);
  add_congestion(*verb, o.congestion);
  verb->get_option("--congestion")->group(kConnection);
  add_engine(*verb, o.engine);
  verb->get_option("--engine")->group(kConnection);
  verb->footer(
      "Exit codes, curl's: 0 done, 2 usage, 3 bad URL, 6 cannot resolve, 7 cannot connect, 18 cut\n"
      "short, 22 status ≥ 400 with --fail, 23 cannot write, 26 cannot read, 28 timed out, 35 TLS\n"
      "handshake, 47 too many redirects, 52 no answer, 56 receive failed, 60 certificate not\n"
      "trusted, 61 does not decode, 92 HTTP/2, 95 HTTP/3, 96 QUIC error, 97 refused by a proxy,\n"
      "130 interrupted; docs/cli.md has all.\n\n"
      "Examples:\n"
      "  tern get -k https://localhost:4433/hello\n"
      "  tern get -v --stats -o big.bin https://localhost:4433/bytes/100000000\n"
      "  tern get --json-body '{\"a\":1}' https://localhost:4433/echo\n"
      "  tern get --session s.tern --early-data https://localhost:4433/\n"
      "  tern get -v --network-policy cheapest -O https://example.com/big.iso");
  verb->callback([options, verb, one, two, &result] {
    refuse_over_tcp(*verb,
                    {"--chacha20", "--quic-version", "--early-data", "--migrate-at", "--key-update",
                     "--congestion", "--qlog"},
                    one->count() > 0   ? "--http1.1"
                    : two->count() > 0 ? "--http2"
                                       : "");
    try {
      result = run_get(*options);
    } catch (const std::invalid_argument& error) {
      fail_with(ExitCode::usage, error.what());
    } catch (const Failure& failure) {
      if (options->silent && !options->show_error) throw Failure{failure.code, {}};
      throw;
    }
  });
}

}  // namespace tern::cli
