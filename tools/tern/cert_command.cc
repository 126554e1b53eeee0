#include <array>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "tools/tern/commands.h"
#include "tools/tern/dev_certificate.h"
#include "tools/tern/environment.h"
#include "tools/tern/json_writer.h"
#include "tools/tern/option_values.h"
#include "tools/tern/own_name.h"
#include "tools/tern/terminal.h"

namespace tern::cli {
namespace {

std::string sha256_text(const std::array<std::uint8_t, 32>& bytes) {
  std::string text;
  for (const std::uint8_t byte : bytes) text += fmt::format("{:02x}", byte);
  return text;
}

std::string date(UnixSeconds seconds) {
  const std::time_t time = static_cast<std::time_t>(seconds);
  std::tm utc{};
  gmtime_r(&time, &utc);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text.data();
}

void print_json(const DevCertificate& dev) {
  JsonWriter json;
  json.begin_object();
  json.member("ca", dev.ca_file).member("certificate", dev.chain_file).member("key", dev.key_file);
  json.member("made", dev.made_leaf);
  json.key("names").begin_array();
  for (const std::string& name : dev.certificate.names()) json.value(name);
  json.end();
  json.member("key_type", dev.certificate.key_type());
  json.member("not_before", date(dev.certificate.not_before()));
  json.member("not_after", date(dev.certificate.not_after()));
  json.member("sha256", sha256_text(dev.certificate.sha256()));
  json.member("spki_sha256", dev.certificate.spki_sha256());
  json.end();
  fmt::print("{}\n", json.text());
}

void print_for_people(const DevCertificate& dev) {
  const Paint paint(stdout);
  std::string names;
  for (const std::string& name : dev.certificate.names())
    names += (names.empty() ? "" : ", ") + name;
  const auto row = [&](std::string_view name, std::string_view value) {
    fmt::print("  {} {}\n", paint.dim(fmt::format("{:<12}", name)), value);
  };
  fmt::print("{}\n", paint.bold(dev.made_leaf ? "Made a development certificate"
                                              : "The development certificate is still good"));
  row("certificate", dev.chain_file);
  row("key", dev.key_file);
  row("CA", dev.ca_file + (dev.made_ca ? "  (new: to be trusted)" : ""));
  row("names", names);
  row("valid until", date(dev.certificate.not_after()));
  row("SHA-256", sha256_text(dev.certificate.sha256()));
  row("SPKI", dev.certificate.spki_sha256());
  fmt::print(
      "\nTo trust it\n"
      "  tern          {} get --cacert {} https://localhost:4433/\n"
      "  Chromium      --ignore-certificate-errors-spki-list={}\n"
      "  WebTransport  serverCertificateHashes: [{{algorithm: 'sha-256', value: <the 32 bytes "
      "above>}}]\n",
      own_name(), dev.ca_file, dev.certificate.spki_sha256());
}

}  // namespace

void add_cert(CLI::App& app, ExitCode& result) {
  struct Options {
    DevCertificateWish wish;
    bool json = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App* verb = app.add_subcommand("cert", "Make a development CA and certificate");
  verb->add_option("NAME", options->wish.names,
                   "DNS names and IP addresses, besides localhost, 127.0.0.1 and ::1")
      ->option_text("...");
  verb->add_option("--dir", options->wish.folder, "Folder to keep them in (default: this user's)")
      ->type_name("DIR");
  verb->add_option("--days", options->wish.days,
                   "Days of validity; browsers take serverCertificateHashes up to 14")
      ->check(whole_number(1, 398))
      ->option_text("N (13)");
  verb->add_flag("--renew", options->wish.renew,
                 "Make a new certificate even if there is a good one");
  verb->add_flag("--json", options->json, "Print one JSON object");
  verb->footer(
      "The CA is made once and kept (ECDSA P-256, 10 years); its certificates are short-lived.\n"
      "The folder is $XDG_DATA_HOME/tern or ~/.local/share/tern; `tern serve` uses the same.\n\n"
      "Examples:\n"
      "  tern cert\n"
      "  tern cert demo.test 192.0.2.7 --dir certs");
  verb->callback([options, &result] {
    if (options->wish.folder.empty()) options->wish.folder = data_folder();
    const DevCertificate dev = dev_certificate(options->wish);
    if (options->json) {
      print_json(dev);
    } else {
      print_for_people(dev);
    }
    result = ExitCode::done;
  });
}

}  // namespace tern::cli
