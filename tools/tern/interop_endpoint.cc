#include "tools/tern/interop_endpoint.h"

#include <cstdlib>
#include <memory>
#include <sstream>

#include "tools/tern/option_values.h"

namespace tern::cli {
namespace {

std::string variable(const char* name) {
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

ExitCode run_interop_endpoint(const InteropEndpointOptions&) { return ExitCode::unsupported; }

void add_interop_endpoint(CLI::App& interop, ExitCode& result) {
  auto options = std::make_shared<InteropEndpointOptions>();
  InteropEndpointOptions& o = *options;
  CLI::App* verb = interop.add_subcommand(
      "endpoint", "An endpoint of the QUIC interop runner, told by ROLE, TESTCASE and REQUESTS");
  verb->set_help_flag("-h,--help", "Show this");
  verb->add_option("--www", o.www, "Server: the folder it serves")->option_text("DIR (/www)");
  verb->add_option("--downloads", o.downloads, "Client: where the files go")
      ->option_text("DIR (/downloads)");
  verb->add_option("--certs", o.certificates, "Folder with cert.pem, priv.key and ca.pem")
      ->option_text("DIR (/certs)");
  verb->add_option("--listen", o.listen, "Server: address and port; again for more")
      ->option_text("ADDR:PORT ([::]:443)")
      ->allow_extra_args(false);
  verb->callback([options, &result] {
    options->role = variable("ROLE");
    options->testcase = variable("TESTCASE");
    options->requests = words(variable("REQUESTS"));
    result = run_interop_endpoint(*options);
  });
}

}  // namespace tern::cli
