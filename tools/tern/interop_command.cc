#include <memory>
#include <stdexcept>

#include <CLI/CLI.hpp>

#include "tools/tern/commands.h"
#include "tools/tern/interop_endpoint.h"
#include "tools/tern/interop_probe.h"
#include "tools/tern/option_values.h"

namespace tern::cli {

void add_interop(CLI::App& app, ExitCode& result) {
  auto options = std::make_shared<InteropProbeOptions>();
  InteropProbeOptions& o = *options;
  CLI::App* verb =
      app.add_subcommand("interop", "Probe QUIC and HTTP/3 servers case by case, as a matrix");
  verb->require_subcommand(0, 1);
  verb->add_option("URL", o.urls, "https://host[:port]/path; none: the list of public endpoints")
      ->type_name("");

  const std::string kCases = "Cases";
  verb->add_option("--tests", o.tests, "These cases alone: letters, or names with commas")
      ->type_name("LIST")
      ->group(kCases)
      ->allow_extra_args(false);
  verb->add_flag("--list", o.list, "Print the cases, and contact nobody")->group(kCases);
  add_duration(*verb, "--timeout", o.timeout, "How long a case may take (default: 10s)")
      ->group(kCases);

  const std::string kEndpoints = "Endpoints";
  verb->add_option("--endpoints", o.endpoints, "Probe the endpoints of this JSON file")
      ->type_name("FILE")
      ->group(kEndpoints);
  verb->add_option("--retry-url", o.retry_url, "For one URL: where the same server answers Retry")
      ->type_name("URL")
      ->group(kEndpoints);
  verb->add_option("--throughput-path", o.throughput_path,
                   "For one URL: path of a file of any size, with {size} in it")
      ->type_name("PATH")
      ->group(kEndpoints);
  verb->add_flag("--hq", o.hq, "The URLs speak HTTP/0.9 over QUIC (ALPN hq-interop), not HTTP/3")
      ->group(kEndpoints);
  verb->add_option("--resolve", o.resolve, "Connect there instead; again for more")
      ->type_name("HOST:PORT:ADDR")
      ->group(kEndpoints)
      ->allow_extra_args(false);

  const std::string kTrust = "Trust";
  verb->add_flag("-k,--insecure", o.insecure, "Trust any certificate")->group(kTrust);
  verb->add_option("--cacert", o.ca_file, "Trust the CAs of this PEM file")
      ->type_name("FILE")
      ->group(kTrust);

  const std::string kOutput = "Output";
  verb->add_flag("--json", o.json, "Print one JSON object about everything (docs/cli.md)")
      ->group(kOutput);
  verb->add_option("--html", o.html, "Write a page with the matrix and every case's facts")
      ->type_name("FILE")
      ->group(kOutput);
  verb->add_option("--qlog", o.qlog, "Write a qlog file a connection (default: QLOGDIR)")
      ->type_name("DIR")
      ->group(kOutput);
  verb->footer(
      "One connection at a time, small transfers, every case under a time limit. Exit codes: 0\n"
      "when all mandatory cases passed (--list shows which), 1 when one did not; for a single URL\n"
      "that cannot be connected to, as `tern get`: 6, 7, 28, 35, 60, 96.\n\n"
      "Examples:\n"
      "  tern interop https://cloudflare-quic.com\n"
      "  tern interop -k --tests HDRZU localhost:4433\n"
      "  tern interop --html matrix.html           every public endpoint of the built-in list\n"
      "  ROLE=client TESTCASE=handshake tern interop endpoint");
  verb->callback([options, verb, &result] {
    if (!verb->get_subcommands().empty()) return;
    try {
      result = run_interop_probe(*options);
    } catch (const std::invalid_argument& error) {
      fail_with(ExitCode::usage, error.what());
    }
  });
  add_interop_endpoint(*verb, result);
}

}  // namespace tern::cli
