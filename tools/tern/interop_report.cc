#include "tools/tern/interop_report.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <optional>

#include <fmt/format.h>

#include "tools/tern/json_writer.h"
#include "tools/tern/terminal.h"

namespace tern::cli {
namespace {

using interop::Case;
using interop::CaseReport;
using interop::Group;
using interop::TargetReport;

/// A cell of the matrix: the letter of a case that passed; what else there is to say at a glance.
std::string cell(const CaseReport& done, const Paint& paint) {
  const std::string letter(1, done.what->letter);
  switch (done.verdict.outcome) {
    case interop::Outcome::pass: return paint.green(letter);
    case interop::Outcome::fail: return paint.red("✗");
    case interop::Outcome::timed_out: return paint.yellow("…");
    case interop::Outcome::unsupported: return paint.dim("-");
    case interop::Outcome::not_applicable:
    case interop::Outcome::not_run: break;
  }
  return paint.dim("·");
}

std::string outcome_word(const CaseReport& done, const Paint& paint) {
  const std::string word = fmt::format("{:<14}", interop::name(done.verdict.outcome));
  switch (done.verdict.outcome) {
    case interop::Outcome::pass: return paint.green(word);
    case interop::Outcome::fail: return paint.red(word);
    case interop::Outcome::timed_out: return paint.yellow(word);
    default: return paint.dim(word);
  }
}

std::string tally(const TargetReport& report) {
  std::string text;
  for (const interop::Outcome outcome :
       {interop::Outcome::pass, interop::Outcome::fail, interop::Outcome::timed_out,
        interop::Outcome::unsupported, interop::Outcome::not_applicable,
        interop::Outcome::not_run}) {
    const std::size_t count = report.count(outcome);
    if (count == 0) continue;
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", count,
                        outcome == interop::Outcome::pass   ? "passed"
                        : outcome == interop::Outcome::fail ? "failed"
                                                            : interop::name(outcome));
  }
  return text;
}

void print_one(const TargetReport& report, const Paint& paint) {
  fmt::print("{}", paint.bold(report.target.url.to_string()));
  if (report.remote) fmt::print("  {}", report.remote->to_string());
  fmt::print("\n");
  std::optional<Group> group;
  for (const CaseReport& done : report.cases) {
    if (done.verdict.outcome == interop::Outcome::not_run)
      continue;  // why says one line below, for all of them
    if (done.what->group != group) {
      group = done.what->group;
      fmt::print("\n");
    }
    const std::string time =
        done.duration > Duration::zero() ? human_duration(done.duration) : std::string();
    fmt::print("  {} {:<21} {} {:>9}  {}\n", paint.bold(std::string(1, done.what->letter)),
               fmt::format("{}{}", done.what->title, done.what->mandatory ? " *" : ""),
               outcome_word(done, paint), time, printable(done.verdict.text));
  }
  const CaseReport* handshake = report.find('H');
  if (report.unreachable && (handshake == nullptr || handshake->connections == 0)) {
    fmt::print("\n  {}\n", paint.red("no connection: " + printable(report.unreachable->detail)));
  }
  fmt::print("\n  {}   {}\n  {}\n", letters(report), tally(report),
             paint.dim("* mandatory: RFC 9000, 9001 and 9114 ask it of every server"));
}

/// The letters of the cases that any endpoint has a cell for, in order.
std::vector<const Case*> columns(std::span<const TargetReport> reports) {
  std::vector<const Case*> shown;
  for (const Case& known : interop::cases()) {
    const bool any = std::any_of(reports.begin(), reports.end(), [&](const TargetReport& report) {
      return report.find(known.letter) != nullptr;
    });
    if (any) shown.push_back(&known);
  }
  return shown;
}

void print_matrix(std::span<const TargetReport> reports, const Paint& paint) {
  const auto shown = columns(reports);
  std::size_t width = 8;
  for (const TargetReport& report : reports) width = std::max(width, report.target.name.size());
  for (const TargetReport& report : reports) {
    fmt::print("{:<{}} ", report.target.name, width);
    const Case* before = nullptr;
    for (const Case* what : shown) {
      if (before == nullptr || before->group != what->group) fmt::print(" ");
      before = what;
      const CaseReport* done = report.find(what->letter);
      fmt::print("{}", done != nullptr ? cell(*done, paint) : paint.dim("·"));
    }
    if (report.unreachable) fmt::print("  {}", paint.dim(printable(report.unreachable->detail)));
    fmt::print("\n");
  }
  fmt::print("\n{}\n", paint.dim("a letter passed   ✗ failed   … timed out   - the server does not "
                                 "have it   · not applicable, or not run"));
  constexpr std::size_t kInALine = 4;
  for (std::size_t i = 0; i < shown.size(); ++i) {
    const bool last = (i + 1) % kInALine == 0 || i + 1 == shown.size();
    fmt::print("{} {:<{}}{}", paint.bold(std::string(1, shown[i]->letter)), shown[i]->name,
               last ? 0 : 22, last ? "\n" : "");
  }
  bool first = true;
  for (const TargetReport& report : reports) {
    if (report.unreachable) continue;
    for (const CaseReport& done : report.cases) {
      if (done.verdict.outcome != interop::Outcome::fail &&
          done.verdict.outcome != interop::Outcome::timed_out) {
        continue;
      }
      if (std::exchange(first, false)) fmt::print("\n");
      fmt::print("{}: {} {}: {}\n", report.target.name,
                 paint.bold(std::string(1, done.what->letter)), done.what->title,
                 printable(done.verdict.text));
    }
  }
}

double in_seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

void write_case(JsonWriter& json, const CaseReport& done) {
  json.begin_object()
      .member("letter", std::string_view(&done.what->letter, 1))
      .member("name", done.what->name)
      .member("mandatory", done.what->mandatory)
      .member("outcome", interop::name(done.verdict.outcome))
      .member("detail", done.verdict.text)
      .member("seconds", in_seconds(done.duration))
      .member("connections", done.connections);
  json.key("evidence").begin_object();
  for (const interop::Fact& fact : done.facts) json.member(fact.name, fact.value);
  json.end().end();
}

}  // namespace

std::string letters(const TargetReport& report) {
  std::string text;
  for (const CaseReport& done : report.cases) {
    text += done.verdict.outcome == interop::Outcome::pass ? done.what->letter : '-';
  }
  return text;
}

void print_interop(std::span<const TargetReport> reports) {
  const Paint paint(stdout);
  if (reports.size() == 1) {
    print_one(reports.front(), paint);
  } else {
    print_matrix(reports, paint);
  }
}

void print_interop_cases() {
  const Paint paint(stdout);
  Group group = Group::handshake;
  for (const Case& known : interop::cases()) {
    if (known.group != group) fmt::print("\n");
    group = known.group;
    fmt::print("{} {:<20} {}{}\n    passes when: {}\n", paint.bold(std::string(1, known.letter)),
               known.name, known.action, known.mandatory ? "  (mandatory)" : "", known.success);
  }
}

std::string interop_json(std::span<const TargetReport> reports, int exit_code) {
  JsonWriter json;
  json.begin_object().member("exit_code", exit_code).key("endpoints").begin_array();
  for (const TargetReport& report : reports) {
    json.begin_object()
        .member("name", report.target.name)
        .member("url", report.target.url.to_string())
        .member("alpn", report.target.alpn);
    if (report.remote) json.member("address", report.remote->to_string());
    json.member("reachable", !report.unreachable);
    if (report.unreachable) json.member("error", report.unreachable->detail);
    json.member("letters", letters(report))
        .member("mandatory_passed", !report.unreachable && report.mandatory_passed())
        .member("seconds", in_seconds(report.duration));
    json.key("cases").begin_array();
    for (const CaseReport& done : report.cases) write_case(json, done);
    json.end().end();
  }
  json.end().end();
  return json.text();
}

}  // namespace tern::cli
