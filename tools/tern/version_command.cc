#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "tools/tern/commands.h"
#include "tools/tern/json_writer.h"
#include "tools/tern/terminal.h"
#include "transport/engine/engine.h"

namespace tern::cli {
namespace {

struct Library {
  const char* name;
  const char* version;
};
// What this binary was built with; the build says it (CMakeLists.txt).
constexpr Library kLibraries[] = {
    {"ngtcp2", TERN_NGTCP2_VERSION},        {"nghttp3", TERN_NGHTTP3_VERSION},
    {"nghttp2", TERN_NGHTTP2_VERSION},      {"BoringSSL API", TERN_BORINGSSL_VERSION},
    {"libipsec-mb", TERN_IPSEC_MB_VERSION}, {"liburing", TERN_LIBURING_VERSION},
    {"protobuf", TERN_PROTOBUF_VERSION},
};

/// What `--engine auto` takes here, or why nothing works.
std::string engine_in_use() {
  const auto network = engine::open();
  return network ? (*network)->description() : network.error().to_string();
}

void print_json() {
  JsonWriter json;
  json.begin_object().member("tern", TERN_VERSION);
  json.key("libraries").begin_object();
  for (const Library& library : kLibraries) json.member(library.name, library.version);
  json.end();
  json.member("kernel", engine::kernel_release()).member("engine", engine_in_use());
  json.key("features").begin_array();
  for (const engine::Feature& feature : engine::features()) {
    json.begin_object().member("name", feature.name).member("available", feature.available);
    if (!feature.detail.empty()) json.member("detail", feature.detail);
    json.end();
  }
  json.end().end();
  fmt::print("{}\n", json.text());
}

void print_for_people() {
  const Paint paint(stdout);
  fmt::print("{}\n", paint.bold("tern " TERN_VERSION));
  for (const Library& library : kLibraries) {
    fmt::print("  {} {}\n", paint.dim(fmt::format("{:<14}", library.name)), library.version);
  }
  fmt::print("  {} {}\n", paint.dim(fmt::format("{:<14}", "kernel")), engine::kernel_release());
  fmt::print("  {} {}\n", paint.dim(fmt::format("{:<14}", "engine")), engine_in_use());
  for (const engine::Feature& feature : engine::features()) {
    const std::string mark = feature.available ? paint.green("yes") : paint.yellow("no ");
    fmt::print("    {} {}{}\n", mark, feature.name,
               feature.detail.empty() ? "" : "  (" + feature.detail + ")");
  }
}

}  // namespace

void add_version(CLI::App& app, ExitCode& result) {
  auto as_json = std::make_shared<bool>(false);
  CLI::App* verb = app.add_subcommand(
      "version", "Versions of tern and its libraries; what engine and kernel can do");
  verb->add_flag("--json", *as_json, "Print one JSON object");
  verb->footer("Example:\n  tern version --json");
  verb->callback([as_json, &result] {
    if (*as_json) {
      print_json();
    } else {
      print_for_people();
    }
    result = ExitCode::done;
  });
}

}  // namespace tern::cli
