#include <csignal>
#include <cstdio>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "tools/tern/commands.h"
#include "tools/tern/nearest_names.h"
#include "tools/tern/option_values.h"
#include "tools/tern/standard_streams.h"
#include "tools/tern/terminal.h"

namespace tern::cli {
namespace {

/// What excludes what is said when somebody tries both, not beside every flag.
class HelpFormatter final : public CLI::Formatter {
 public:
  std::string make_option_opts(const CLI::Option* option) const override {
    const std::string text = CLI::Formatter::make_option_opts(option);
    return text.substr(0, text.find(" Excludes:"));
  }
};

/// One line, whatever CLI11 makes of it.
std::string one_line(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  for (char& c : text) {
    if (c == '\n') c = ' ';
  }
  return text;
}

/// What CLI11 found wrong; what it does not know at all comes first, since people see that at once.
std::string what_is_wrong(const CLI::App& app, const std::string& verb,
                          const CLI::ParseError& error) {
  const std::vector<std::string> unknown = app.remaining(true);
  if (unknown.empty()) return one_line(error.what());
  const std::string& word = unknown.front();
  std::vector<std::string> known;
  if (verb.empty()) {
    for (const CLI::App* other : app.get_subcommands(nullptr)) known.push_back(other->get_name());
  } else if (word.starts_with("--")) {
    for (const CLI::Option* option : app.get_subcommand(verb)->get_options()) {
      for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
    }
  }
  return fmt::format("unknown {} '{}'{}", verb.empty() ? "verb" : "argument", word,
                     did_you_mean(nearest_names(word, known)));
}

/// An empty file name, folder, address or request is a variable that was not set.
void refuse_empty_names(CLI::App& verb) {
  for (CLI::Option* option : verb.get_options()) {
    const std::string type = option->get_type_name();
    for (const char* const named :
         {"FILE", "DIR", "PATH", "ID", "ADDR", "RANGE", "USER:PASSWORD"}) {
      if (type == named) option->check(not_empty());
    }
  }
}

int complain(std::string_view verb, std::string_view message, ExitCode code) {
  const Paint paint(stderr);
  const std::string name = verb.empty() ? "tern" : fmt::format("tern {}", verb);
  tell("{} {}\n", paint.red(name + ":"), printable(message));
  return static_cast<int>(code);
}

/// What was printed has to have arrived, or the run did not succeed.
int finish(std::string_view verb, int code) {
  const std::optional<std::string> lost = finish_stdout();
  if (!lost || code != static_cast<int>(ExitCode::done)) return code;
  return complain(verb, *lost, ExitCode::cannot_write);
}

int run(int argument_count, char** arguments) {
  CLI::App app("HTTP/3 over QUIC: a server, a client, and tools that change the network under them",
               "tern");
  app.formatter(std::make_shared<HelpFormatter>());
  app.require_subcommand(1);
  app.set_help_flag("-h,--help", "Show this; a verb's flags: tern VERB --help");
  app.set_version_flag("-V,--version", "tern " TERN_VERSION);
  app.get_formatter()->column_width(34);
  app.get_formatter()->label("REQUIRED", "");
  app.footer(
      "Examples:\n"
      "  tern serve\n"
      "  tern get -k https://localhost:4433/hello\n"
      "  tern handoff sudden-cut\n\n"
      "QLOGDIR=DIR writes qlog, SSLKEYLOGFILE=FILE the TLS secrets. The exit codes are curl's.");

  ExitCode result = ExitCode::failed;
  add_serve(app, result);
  add_get(app, result);
  add_ws(app, result);
  add_wt(app, result);
  add_call(app, result);
  add_bench(app, result);
  add_handoff(app, result);
  add_relay(app, result);
  add_interop(app, result);
  add_cert(app, result);
  add_version(app, result);
  for (CLI::App* known : app.get_subcommands(nullptr)) {
    known->set_help_flag("-h,--help", "Show this");
    refuse_empty_names(*known);
  }

  std::string verb;
  for (const CLI::App* known : app.get_subcommands(nullptr)) {
    if (argument_count > 1 && known->check_name(arguments[1])) verb = arguments[1];
  }
  try {
    app.parse(argument_count, arguments);
    return finish(verb, static_cast<int>(result));
  } catch (const CLI::Success& wanted) {  // --help, --version
    return finish(verb, app.exit(wanted));
  } catch (const CLI::ParseError& error) {
    if (argument_count == 1) {
      tell("{}", app.help());
      return static_cast<int>(ExitCode::usage);
    }
    return complain(verb,
                    fmt::format("{}; see `tern {}--help`", what_is_wrong(app, verb, error),
                                verb.empty() ? "" : verb + " "),
                    ExitCode::usage);
  } catch (const Failure& failure) {
    if (failure.message.empty()) return static_cast<int>(failure.code);
    return complain(verb, failure.message, failure.code);
  } catch (const std::exception& error) {
    // fmt::print throws when stdout takes no more.
    if (const auto lost = finish_stdout()) return complain(verb, *lost, ExitCode::cannot_write);
    return complain(verb, error.what(), ExitCode::failed);
  }
}

}  // namespace
}  // namespace tern::cli

int main(int argument_count, char** arguments) {
  tern::cli::keep_standard_streams();
  std::signal(SIGPIPE, SIG_IGN);  // a closed stdout is a write error, not an end
  return tern::cli::run(argument_count, arguments);
}
