#include "tools/tern/handoff_report.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>

#include <fmt/format.h>

#include "tools/handoff/figures.h"
#include "tools/tern/json_writer.h"
#include "tools/tern/terminal.h"

namespace tern::cli {
namespace {

using handoff::Metric;
using handoff::Outcome;
using handoff::Spread;

/// Violations told of each carrier of a scenario; the rest is counted.
constexpr std::size_t kMaxTold = 5;

std::string shown(double value, Metric::Unit unit) {
  switch (unit) {
    case Metric::Unit::seconds:
      return value < 1 ? fmt::format("{:.0f} ms", value * 1e3) : fmt::format("{:.2f} s", value);
    case Metric::Unit::count: return human_count(static_cast<std::uint64_t>(value));
    case Metric::Unit::bytes: return human_bytes(static_cast<std::uint64_t>(value));
    case Metric::Unit::bits_per_second: return fmt::format("{:.1f} Mbit/s", value / 1e6);
    case Metric::Unit::joules: return fmt::format("{:.1f} J", value);
  }
  return {};
}

Spread spread_of(const Metric& metric, const std::vector<Outcome>& outcomes) {
  std::vector<handoff::Sample> samples;
  for (const Outcome& outcome : outcomes) {
    samples.push_back({metric.value(outcome.figures), outcome.seed});
  }
  return handoff::spread(std::move(samples), metric.more_is_better);
}

void print_violations(const HandoffResults& results) {
  const Paint paint(stderr);
  for (const HandoffResults::Runs& runs : results.carriers) {
    std::size_t bad = 0;
    for (const Outcome& outcome : runs.outcomes) {
      if (outcome.violations.empty()) continue;
      if (++bad > kMaxTold) continue;
      tell("{} {}: {}\n  replay: {}\n", paint.red("check failed:"), results.scenario->name,
           outcome.violations.front(), handoff::replay_line(*results.scenario, outcome));
    }
    if (bad > kMaxTold) {
      tell("  and {} more runs of {}\n", bad - kMaxTold, results.scenario->name);
    }
  }
}

void print_one_seed(const HandoffResults& results) {
  const Paint paint(stdout);
  for (const handoff::Mark& mark : results.carriers.front().outcomes.front().marks) {
    fmt::print(
        "  {} {}\n",
        paint.dim(fmt::format("{:7.3f} s", std::chrono::duration<double>(mark.when).count())),
        mark.text);
  }
  fmt::print("\n  {:<18}", "");
  for (const HandoffResults::Runs& runs : results.carriers) {
    fmt::print("{}", paint.bold(fmt::format("{:>20}", handoff::type_of(runs.carrier).title)));
  }
  fmt::print("\n");
  for (const Metric& metric : handoff::metrics()) {
    fmt::print("  {}", paint.dim(fmt::format("{:<18}", metric.title)));
    for (const HandoffResults::Runs& runs : results.carriers) {
      fmt::print("{:>20}", shown(metric.value(runs.outcomes.front().figures), metric.unit));
    }
    fmt::print("\n");
  }
}

void print_many_seeds(const HandoffResults& results) {
  const Paint paint(stdout);
  for (const HandoffResults::Runs& runs : results.carriers) {
    fmt::print("\n  {}{}\n",
               paint.bold(fmt::format("{:<20}", handoff::type_of(runs.carrier).title)),
               paint.dim(fmt::format("{:>13}{:>13}{:>13}{:>13}  {}", "p50", "p90", "p99", "worst",
                                     "worst seed")));
    for (const Metric& metric : handoff::metrics()) {
      const Spread found = spread_of(metric, runs.outcomes);
      fmt::print("  {}{:>13}{:>13}{:>13}{:>13}  {}\n",
                 paint.dim(fmt::format("{:<20}", metric.title)), shown(found.p50, metric.unit),
                 shown(found.p90, metric.unit), shown(found.p99, metric.unit),
                 shown(found.worst, metric.unit), found.worst_seed);
    }
  }
}

/// What the streams had to wait, each for itself and for the others.
struct StreamRow {
  std::string_view title;
  Spread handoff::StreamReport::* spread;
};
constexpr StreamRow kStreamRows[] = {
    {"longest stall", &handoff::StreamReport::stall},
    {"held up in all", &handoff::StreamReport::held},
    {"held up at once", &handoff::StreamReport::longest_held},
};

void print_streams(const HandoffResults& results) {
  const Paint paint(stdout);
  for (const HandoffResults::Runs& runs : results.carriers) {
    const auto report = handoff::stream_report(runs.outcomes);
    if (!report) continue;
    fmt::print("\n  {}{}\n",
               paint.bold(fmt::format(
                   "{:<20}", fmt::format("streams, {}", handoff::type_of(runs.carrier).title))),
               paint.dim(fmt::format("  {} of {} held up by others' losses",
                                     human_count(report->held_up), human_count(report->streams))));
    fmt::print("  {}\n", paint.dim(fmt::format("{:<20}{:>13}{:>13}{:>13}{:>13}", "", "p50", "p90",
                                               "p99", "worst")));
    for (const StreamRow& row : kStreamRows) {
      const Spread& found = (*report).*row.spread;
      const auto ms = [](double value) { return shown(value, Metric::Unit::seconds); };
      fmt::print("  {}{:>13}{:>13}{:>13}{:>13}\n", paint.dim(fmt::format("{:<20}", row.title)),
                 ms(found.p50), ms(found.p90), ms(found.p99), ms(found.worst));
    }
  }
}

void print_bounds(const HandoffResults& results) {
  const Paint paint(stdout);
  for (const HandoffResults::Runs& runs : results.carriers) {
    const auto report = handoff::bound_report(*results.scenario, runs.outcomes);
    if (!report) continue;
    const auto ms = [](double value) { return shown(value, Metric::Unit::seconds); };
    fmt::print("\n  {} stall of the handoff ≤ {}: {}\n", paint.bold("bound"),
               handoff::text_of(results.scenario->bound),
               report->holds() ? paint.green("held") : paint.red("not held"));
    if (report->seeds == 1) {
      fmt::print("  {:<20}{:>13}{:>13} allowed\n", "", ms(report->stall.p50),
                 ms(report->allowed.p50));
      continue;
    }
    fmt::print("  {}{:>13}{:>13}{:>13}{:>13}  {}\n", paint.dim(fmt::format("{:<20}", "stall")),
               ms(report->stall.p50), ms(report->stall.p90), ms(report->stall.p99),
               ms(report->stall.worst), report->stall.worst_seed);
    fmt::print("  {}{:>13}{:>13}{:>13}{:>13}\n", paint.dim(fmt::format("{:<20}", "allowed")),
               ms(report->allowed.p50), ms(report->allowed.p90), ms(report->allowed.p99),
               ms(report->allowed.worst));
    fmt::print("  {}{:>10.0f} ms{:>10.0f} ms{:>10.0f} ms{:>10.0f} ms  {}\n",
               paint.dim(fmt::format("{:<20}", "stall less allowed")), report->excess.p50 * 1e3,
               report->excess.p90 * 1e3, report->excess.p99 * 1e3, report->excess.worst * 1e3,
               report->excess.worst_seed);
    fmt::print("  kept in {} of {} seeds\n", human_count(report->held), human_count(report->seeds));
  }
}

void write_one_spread(JsonWriter& json, std::string_view key, const Spread& found) {
  json.key(key)
      .begin_object()
      .member("p50", found.p50)
      .member("p90", found.p90)
      .member("p99", found.p99)
      .member("worst", found.worst)
      .member("worst_seed", found.worst_seed)
      .end();
}

void write_bound(JsonWriter& json, const HandoffResults& results,
                 const std::vector<Outcome>& outcomes) {
  const auto report = handoff::bound_report(*results.scenario, outcomes);
  if (!report) return;
  json.key("bound")
      .begin_object()
      .member("promise", handoff::text_of(results.scenario->bound))
      .member("held", report->holds())
      .member("seeds", static_cast<std::uint64_t>(report->seeds))
      .member("seeds_held", static_cast<std::uint64_t>(report->held));
  write_one_spread(json, "stall_s", report->stall);
  write_one_spread(json, "allowed_s", report->allowed);
  write_one_spread(json, "excess_s", report->excess);
  json.end();
}

void write_streams(JsonWriter& json, const std::vector<Outcome>& outcomes) {
  const auto report = handoff::stream_report(outcomes);
  if (!report) return;
  json.key("streams")
      .begin_object()
      .member("count", static_cast<std::uint64_t>(report->streams))
      .member("held_up", static_cast<std::uint64_t>(report->held_up));
  write_one_spread(json, "stall_s", report->stall);
  write_one_spread(json, "held_up_s", report->held);
  write_one_spread(json, "longest_held_up_s", report->longest_held);
  json.end();
}

void write_outcome(JsonWriter& json, const Outcome& outcome) {
  json.key("figures").begin_object();
  for (const Metric& metric : handoff::metrics()) {
    json.member(metric.key, metric.value(outcome.figures));
  }
  json.end();
  json.key("events").begin_array();
  for (const handoff::Mark& mark : outcome.marks) {
    json.begin_object()
        .member("at_s", std::chrono::duration<double>(mark.when).count())
        .member("text", mark.text)
        .end();
  }
  json.end();
  json.member("trace_hash", fmt::format("{:016x}", outcome.trace_hash));
}

void write_spread(JsonWriter& json, const std::vector<Outcome>& outcomes) {
  json.key("distribution").begin_object();
  for (const Metric& metric : handoff::metrics()) {
    write_one_spread(json, metric.key, spread_of(metric, outcomes));
  }
  json.end();
}

void write_violations(JsonWriter& json, const HandoffResults& results,
                      const std::vector<Outcome>& outcomes) {
  json.key("violations").begin_array();
  for (const Outcome& outcome : outcomes) {
    for (const std::string& text : outcome.violations) {
      json.begin_object()
          .member("seed", outcome.seed)
          .member("text", text)
          .member("replay", handoff::replay_line(*results.scenario, outcome))
          .end();
    }
  }
  json.end();
}

}  // namespace

bool HandoffResults::passed() const {
  return std::all_of(carriers.begin(), carriers.end(), [](const Runs& runs) {
    return std::all_of(runs.outcomes.begin(), runs.outcomes.end(),
                       [](const Outcome& outcome) { return outcome.violations.empty(); });
  });
}

bool HandoffResults::bounds_hold() const {
  return std::all_of(carriers.begin(), carriers.end(), [this](const Runs& runs) {
    const auto report = handoff::bound_report(*scenario, runs.outcomes);
    return !report || report->holds();
  });
}

void print_handoff_list() {
  const Paint paint(stdout);
  fmt::print("{}\n", paint.bold("Scenarios"));
  for (const handoff::Scenario& scenario : handoff::scenarios()) {
    fmt::print("  {} {}\n", paint.cyan(fmt::format("{:<24}", scenario.name)), scenario.title);
  }
  fmt::print("\n{}\n", paint.bold("Carriers"));
  for (const handoff::CarrierType& carrier : handoff::carriers()) {
    fmt::print("  {} {}\n", paint.cyan(fmt::format("{:<24}", carrier.name)), carrier.about);
  }
  fmt::print("\nRun one: tern handoff {}\n", handoff::scenarios().front().name);
}

void print_handoff_list_json() {
  JsonWriter json;
  json.begin_object().key("scenarios").begin_array();
  for (const handoff::Scenario& scenario : handoff::scenarios()) {
    json.begin_object()
        .member("name", scenario.name)
        .member("title", scenario.title)
        .member("story", scenario.story)
        .end();
  }
  json.end().key("carriers").begin_array();
  for (const handoff::CarrierType& carrier : handoff::carriers()) {
    json.begin_object().member("name", carrier.name).member("about", carrier.about).end();
  }
  json.end().end();
  fmt::print("{}\n", json.text());
}

void print_handoff(const HandoffOptions& options, const std::vector<HandoffResults>& results) {
  const Paint paint(stdout);
  for (const HandoffResults& one : results) {
    const std::size_t seeds = one.carriers.front().outcomes.size();
    fmt::print("{} {}{}\n", paint.bold(one.scenario->name), one.scenario->title,
               seeds == 1 ? "" : fmt::format(" · {} seeds", human_count(seeds)));
    if (options.seeds == 0) {
      print_one_seed(one);
    } else {
      print_many_seeds(one);
    }
    print_streams(one);
    print_bounds(one);
    fmt::print("\n");
  }
  for (const HandoffResults& one : results) print_violations(one);
}

void print_handoff_json(const HandoffOptions& options, const std::vector<HandoffResults>& results) {
  JsonWriter json;
  const bool passed = std::all_of(results.begin(), results.end(),
                                  [](const HandoffResults& one) { return one.passed(); });
  json.begin_object()
      .member("seed", options.seed)
      .member("seeds", std::max<std::uint64_t>(options.seeds, 1))
      .member("passed", passed);
  json.key("scenarios").begin_array();
  for (const HandoffResults& one : results) {
    json.begin_object().member("name", one.scenario->name).key("carriers").begin_array();
    for (const HandoffResults::Runs& runs : one.carriers) {
      json.begin_object()
          .member("name", handoff::type_of(runs.carrier).name)
          .member("seeds", static_cast<std::uint64_t>(runs.outcomes.size()));
      if (options.seeds == 0) {
        write_outcome(json, runs.outcomes.front());
      } else {
        write_spread(json, runs.outcomes);
      }
      write_streams(json, runs.outcomes);
      write_bound(json, one, runs.outcomes);
      write_violations(json, one, runs.outcomes);
      json.end();
    }
    json.end().end();
  }
  json.end().end();
  fmt::print("{}\n", json.text());
}

}  // namespace tern::cli
