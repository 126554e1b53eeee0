#include <algorithm>
#include <chrono>
#include <deque>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "tools/handoff/batch.h"
#include "tools/handoff/page.h"
#include "tools/handoff/picture.h"
#include "tools/tern/commands.h"
#include "tools/tern/environment.h"
#include "tools/tern/handoff_options.h"
#include "tools/tern/handoff_report.h"
#include "tools/tern/option_values.h"
#include "tools/tern/output_file.h"
#include "tools/tern/terminal.h"

namespace tern::cli {
namespace {

constexpr std::uint64_t kMaxSeeds = 1'000'000;

std::vector<const handoff::Scenario*> chosen_scenarios(const HandoffOptions& options) {
  std::vector<const handoff::Scenario*> chosen;
  if (options.scenario.empty()) {
    for (const handoff::Scenario& scenario : handoff::scenarios()) chosen.push_back(&scenario);
    return chosen;
  }
  const handoff::Scenario* scenario = handoff::find_scenario(options.scenario);
  if (scenario == nullptr) {
    fail_with(ExitCode::usage,
              "no scenario '" + options.scenario + "': `tern handoff` lists what there is");
  }
  chosen.push_back(scenario);
  return chosen;
}

std::vector<handoff::CarrierKind> chosen_carriers(const HandoffOptions& options) {
  std::vector<handoff::CarrierKind> chosen;
  for (const handoff::CarrierType& carrier : handoff::carriers()) {
    const bool named = std::find(options.carriers.begin(), options.carriers.end(), carrier.name) !=
                       options.carriers.end();
    if (named || (options.carriers.empty() && carrier.usual)) chosen.push_back(carrier.kind);
  }
  for (const std::string& name : options.carriers) {
    if (handoff::find_carrier(name) == nullptr) {
      fail_with(ExitCode::usage, "no carrier '" + name + "': `tern handoff` lists what there is");
    }
  }
  return chosen;
}

void check_words(const HandoffOptions& options) {
  const bool many = options.scenario.empty() || options.seeds > 1;
  if (options.svg_file && options.scenario.empty()) {
    fail_with(ExitCode::usage, "--svg draws one scenario: name it");
  }
  if (options.html_file && options.scenario.empty() && options.seeds == 0) {
    fail_with(ExitCode::usage, "--html wants a SCENARIO, or --seeds for all of them");
  }
  if (!options.qlog_dir.empty() && many) {
    fail_with(ExitCode::usage, "--qlog is for one run: name a SCENARIO, and no --seeds");
  }
  if (options.seeds > 1 && options.seed > UINT64_MAX - (options.seeds - 1)) {
    fail_with(ExitCode::usage, fmt::format("--seeds: there are no {} seeds from {} on",
                                           options.seeds, options.seed));
  }
}

std::string command_line(const HandoffOptions& options) {
  std::string line = "tern handoff";
  if (!options.scenario.empty()) line += " " + options.scenario;
  for (const std::string& carrier : options.carriers) line += " --carrier " + carrier;
  line += fmt::format(" --seed {}", options.seed);
  if (options.seeds != 0) line += fmt::format(" --seeds {}", options.seeds);
  return line;
}

/// The pictures are of the first seed, in worlds of their own.
void draw(const HandoffOptions& options, const std::vector<HandoffResults>& results) {
  handoff::RunOptions with_timeline;
  with_timeline.timeline = true;
  std::deque<handoff::Outcome> shown;
  std::vector<handoff::PageSection> sections;
  for (const HandoffResults& one : results) {
    handoff::PageSection& section = sections.emplace_back();
    section.scenario = one.scenario;
    for (const HandoffResults::Runs& runs : one.carriers) {
      shown.push_back(handoff::run(*one.scenario, runs.carrier, options.seed, with_timeline));
      section.carriers.push_back({runs.carrier, &shown.back(), &runs.outcomes});
    }
  }
  if (options.html_file) {
    write_output("--html", *options.html_file,
                 handoff::page(sections, command_line(options) + " --html " + *options.html_file));
  }
  if (options.svg_file) {
    std::vector<const handoff::Outcome*> outcomes;
    for (const handoff::Outcome& outcome : shown) outcomes.push_back(&outcome);
    write_output("--svg", *options.svg_file,
                 handoff::handoff_picture(*results.front().scenario, outcomes, true));
  }
}

std::vector<HandoffResults> run_jobs(const HandoffOptions& options) {
  const auto scenarios = chosen_scenarios(options);
  const auto carriers = chosen_carriers(options);
  const auto seeds_of = [&](const handoff::Scenario& scenario) {
    const std::uint64_t share = options.scenario.empty() ? scenario.share : 1;
    return std::max<std::uint64_t>(options.seeds / share, 1);
  };
  std::vector<handoff::Job> jobs;
  for (const handoff::Scenario* scenario : scenarios) {
    for (const handoff::CarrierKind carrier : carriers) {
      for (std::uint64_t i = 0; i < seeds_of(*scenario); ++i) {
        jobs.push_back({scenario, carrier, options.seed + i});
      }
    }
  }
  handoff::RunOptions run_options;
  // Of one run: nobody looks into the files of a thousand.
  if (!options.scenario.empty() && options.seeds <= 1) {
    run_options.qlog = qlog_from_environment(options.qlog_dir);
    run_options.key_log = key_log_from_environment();
  }
  ProgressLine progress;
  const auto begun = std::chrono::steady_clock::now();
  std::vector<handoff::Outcome> outcomes =
      handoff::run_all(jobs, run_options, [&](std::size_t done) {
        const double elapsed =
            std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
        if (!options.json && elapsed > 1) {
          progress.show(fmt::format("{:.0f} s  {} of {} worlds", elapsed, human_count(done),
                                    human_count(jobs.size())));
        }
        return true;
      });
  progress.clear();
  std::vector<HandoffResults> results;
  auto next = outcomes.begin();
  for (const handoff::Scenario* scenario : scenarios) {
    HandoffResults& one = results.emplace_back();
    one.scenario = scenario;
    for (const handoff::CarrierKind carrier : carriers) {
      const auto end = next + static_cast<std::ptrdiff_t>(seeds_of(*scenario));
      one.carriers.push_back(
          {carrier, {std::make_move_iterator(next), std::make_move_iterator(end)}});
      next = end;
    }
  }
  return results;
}

ExitCode run(const HandoffOptions& options) {
  check_words(options);
  if (options.scenario.empty() && options.seeds == 0) {
    options.json ? print_handoff_list_json() : print_handoff_list();
    return ExitCode::done;
  }
  chosen_scenarios(options);  // complaints about words come before those about files
  chosen_carriers(options);
  check_output("--html", options.html_file);
  check_output("--svg", options.svg_file);
  const std::vector<HandoffResults> results = run_jobs(options);
  if (options.html_file || options.svg_file) draw(options, results);
  if (options.json) {
    print_handoff_json(options, results);
  } else {
    print_handoff(options, results);
  }
  const bool passed = std::all_of(results.begin(), results.end(),
                                  [](const HandoffResults& one) { return one.passed(); });
  const bool held =
      !options.bounds || std::all_of(results.begin(), results.end(),
                                     [](const HandoffResults& one) { return one.bounds_hold(); });
  return passed && held ? ExitCode::done : ExitCode::failed;
}

}  // namespace

void add_handoff(CLI::App& app, ExitCode& result) {
  auto options = std::make_shared<HandoffOptions>();
  HandoffOptions& o = *options;
  CLI::App* verb = app.add_subcommand(
      "handoff", "Simulate a phone that changes networks, and compare what carries its requests");
  verb->add_option("SCENARIO", o.scenario, "One of those that `tern handoff` lists")->type_name("");
  verb->add_option("--seed", o.seed, "The world's seed, or the first of --seeds")
      ->check(whole_number())
      ->option_text("N (1)");
  verb->add_option(
          "--seeds", o.seeds,
          "Run so many seeds, of every scenario if none is named, and show how the figures "
          "spread")
      ->check(whole_number(1, kMaxSeeds))
      ->option_text("N");
  verb->add_option("--carrier", o.carriers,
                   "Only this one; again for more (default: all but webtransport and rpc)")
      ->type_name("NAME")
      ->allow_extra_args(false);
  verb->add_flag("--bounds", o.bounds,
                 "Exit code 1 too when a handoff's bound does not hold at p99");
  verb->add_flag("--json", o.json, "One JSON object on stdout");
  verb->add_option("--html", o.html_file, "A page with timelines and figures")->type_name("FILE");
  verb->add_option("--svg", o.svg_file, "The picture of the handoff alone")->type_name("FILE");
  verb->add_option("--qlog", o.qlog_dir,
                   "A qlog file for each connection of the run (default: QLOGDIR)")
      ->type_name("DIR");
  verb->footer(
      "Examples:\n"
      "  tern handoff\n"
      "  tern handoff sudden-cut\n"
      "  tern handoff sudden-cut --html cut.html\n"
      "  tern handoff make-before-break --seeds 1000\n"
      "  tern handoff --seeds 100 --carrier quic --json\n\n"
      "Everything happens in virtual time and depends on the seed alone. Exit code 1: a check "
      "found "
      "something.");
  verb->callback([options, &result] { result = run(*options); });
}

}  // namespace tern::cli
