#include <algorithm>
#include <chrono>
#include <string>

#include <fmt/format.h>

#include "http/date.h"
#include "http/escape.h"
#include "tools/tern/interop_report.h"
#include "tools/tern/terminal.h"

namespace tern::cli {
namespace {

using interop::Case;
using interop::CaseReport;
using interop::Group;
using interop::TargetReport;

/// Colours that keep a contrast of 4.5 to 1 on both grounds; the cells are told apart by their
/// signs as well.
constexpr std::string_view kStyle = R"css(
:root { color-scheme: light dark;
  --ground: #ffffff; --ink: #1b1f24; --quiet: #5b6470; --line: #d8dde3; --card: #f6f8fa;
  --pass: #11632f; --pass-ground: #d5f2dc; --fail: #a5121f; --fail-ground: #ffdfe0;
  --late: #7a4a00; --late-ground: #ffecc7; --none: #5b6470; --none-ground: #eceff2; --link: #0a58a8; }
@media (prefers-color-scheme: dark) { :root {
  --ground: #12161b; --ink: #e4e8ed; --quiet: #9aa5b1; --line: #2d343d; --card: #1a2028;
  --pass: #7fe39a; --pass-ground: #143a22; --fail: #ff9d9d; --fail-ground: #4d1a1f;
  --late: #ffca70; --late-ground: #47330d; --none: #9aa5b1; --none-ground: #232a33; --link: #7bb8ff; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 68rem; padding: 2rem 1.25rem 4rem; background: var(--ground);
  color: var(--ink); font: 15px/1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
h1 { font-size: 1.6rem; margin: 0; } h2 { font-size: 1.15rem; margin: 2.5rem 0 .5rem; }
p.sub { color: var(--quiet); margin: .25rem 0 1.5rem; } a { color: var(--link); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; }
.matrix th { font-weight: 600; } .matrix thead th { padding: .15rem; text-align: center; }
.matrix thead .group { color: var(--quiet); font-weight: 400; font-size: .8rem; text-align: left;
  padding-left: .55rem; }
.matrix tbody th { text-align: left; padding: .15rem 1rem .15rem 0; white-space: nowrap; font-weight: 500; }
.matrix td { padding: 1px; } .matrix .first { padding-left: .55rem; }
.cell { display: block; width: 1.75rem; height: 1.75rem; line-height: 1.75rem; text-align: center;
  border-radius: 5px; font: 600 14px/1.75rem ui-monospace, "DejaVu Sans Mono", Menlo, monospace; }
.pass { color: var(--pass); background: var(--pass-ground); }
.fail { color: var(--fail); background: var(--fail-ground); }
.late { color: var(--late); background: var(--late-ground); }
.none { color: var(--none); background: var(--none-ground); }
.void { color: var(--none); }
.legend { display: flex; flex-wrap: wrap; gap: .4rem 1.4rem; padding: 0; margin: 1rem 0; list-style: none; }
.legend li { display: flex; align-items: center; gap: .5rem; }
.letters { columns: 19rem; column-gap: 2rem; padding: 0; margin: 0; list-style: none; }
.letters li { break-inside: avoid; margin: 0 0 .7rem; padding-left: 1.9rem; position: relative;
  font-size: .87rem; color: var(--quiet); }
.letters b { color: var(--ink); display: block; font-size: .95rem; }
.letters code { position: absolute; left: 0; font: 700 1rem ui-monospace, "DejaVu Sans Mono", monospace; color: var(--ink); }
.cases { width: 100%; font-size: .93rem; } .cases td { padding: .4rem .6rem; vertical-align: top;
  border-top: 1px solid var(--line); } .cases tr:last-child td { border-bottom: 1px solid var(--line); }
.cases .letter { width: 2.2rem; padding-left: 0; } .cases .name { width: 13rem; font-weight: 500; }
.cases .outcome { width: 8.5rem; white-space: nowrap; }
.cases .time { width: 5.5rem; text-align: right; white-space: nowrap; color: var(--quiet);
  font-variant-numeric: tabular-nums; }
.badge { padding: .1rem .5rem; border-radius: 4px; font-size: .82rem; font-weight: 600; }
summary { cursor: pointer; } summary::marker { color: var(--quiet); }
.facts { margin: .4rem 0 .3rem; font-size: .86rem; background: var(--card); border-radius: 6px; }
.facts td { border: 0 !important; padding: .12rem .8rem; } .facts td:first-child { color: var(--quiet); }
.facts tr:first-child td { padding-top: .4rem; } .facts tr:last-child td { padding-bottom: .4rem; }
.facts td:last-child { overflow-wrap: anywhere; }
.where { color: var(--quiet); font-size: .9rem; margin: 0 0 .6rem; overflow-wrap: anywhere; }
.error { color: var(--fail); }
footer { margin-top: 3rem; color: var(--quiet); font-size: .85rem; }
@media (max-width: 44rem) {
  body { padding: 1.25rem 1rem 3rem; }
  .cases, .cases > tbody { display: block; }
  .cases > tbody > tr { display: grid; grid-template-columns: 2.4rem minmax(0, 1fr) auto auto;
    gap: .1rem .6rem; border-top: 1px solid var(--line); padding: .5rem 0; }
  .cases > tbody > tr:last-child { border-bottom: 1px solid var(--line); }
  .cases > tbody > tr > td { border: 0 !important; padding: 0; width: auto !important; grid-row: 1; }
  .cases .time { grid-column: 3; } .cases .outcome { grid-column: 4; }
  .cases > tbody > tr > .letter { grid-row: 1 / span 2; }
  .cases > tbody > tr > .detail { grid-area: 2 / 2 / auto / -1; }
}
)css";

std::string html(std::string_view text) {
  std::string out;
  http::append_html_escaped(out, printable(text));
  return out;
}

std::string_view style_of(interop::Outcome outcome) noexcept {
  switch (outcome) {
    case interop::Outcome::pass: return "pass";
    case interop::Outcome::fail: return "fail";
    case interop::Outcome::timed_out: return "late";
    case interop::Outcome::unsupported: return "none";
    case interop::Outcome::not_applicable:
    case interop::Outcome::not_run: break;
  }
  return "void";
}

std::string sign_of(const CaseReport& done) {
  switch (done.verdict.outcome) {
    case interop::Outcome::pass: return std::string(1, done.what->letter);
    case interop::Outcome::fail: return "✗";
    case interop::Outcome::timed_out: return "…";
    case interop::Outcome::unsupported: return "–";
    case interop::Outcome::not_applicable:
    case interop::Outcome::not_run: break;
  }
  return "·";
}

std::string_view title_of(Group group) noexcept {
  switch (group) {
    case Group::handshake: return "Handshake";
    case Group::data: return "Data";
    case Group::paths: return "Keys and paths";
    case Group::features: break;
  }
  return "Settings";
}

class Page {
 public:
  Page(std::span<const TargetReport> reports, UnixSeconds when) : reports_(reports), when_(when) {
    for (const Case& known : interop::cases()) {
      const bool any = std::any_of(reports.begin(), reports.end(), [&](const auto& report) {
        return report.find(known.letter) != nullptr;
      });
      if (any) columns_.push_back(&known);
    }
  }

  std::string make() {
    const std::string title = reports_.size() == 1
                                  ? reports_.front().target.name + " · tern interop"
                                  : std::string("QUIC and HTTP/3 endpoints");
    add("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
        "<title>{}</title>\n<style>{}</style>\n</head>\n<body>\n<h1>{}</h1>\n",
        html(title), kStyle, html(title));
    add("<p class=\"sub\">Probed on {} by tern {} from the client's side alone</p>\n",
        http::HttpDate(when_).view(), TERN_VERSION);
    matrix();
    legend();
    for (std::size_t i = 0; i < reports_.size(); ++i) endpoint(i);
    letters_explained();
    add("<footer>What each case does and what counts is in docs/interop-prober.md of "
        "tern.</footer>\n</body>\n</html>\n");
    return std::move(out_);
  }

 private:
  template <typename... Arguments>
  void add(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
    fmt::format_to(std::back_inserter(out_), format, std::forward<Arguments>(arguments)...);
  }

  bool begins_group(std::size_t column) const noexcept {
    return column == 0 || columns_[column - 1]->group != columns_[column]->group;
  }

  void matrix() {
    add("<div class=\"wide\"><table class=\"matrix\">\n<thead><tr><td></td>");
    for (std::size_t i = 0; i < columns_.size();) {
      std::size_t end = i + 1;
      while (end < columns_.size() && !begins_group(end)) ++end;
      add("<th class=\"group\" scope=\"colgroup\" colspan=\"{}\">{}</th>", end - i,
          title_of(columns_[i]->group));
      i = end;
    }
    add("</tr></thead>\n<tbody>\n");
    for (std::size_t row = 0; row < reports_.size(); ++row) {
      const TargetReport& report = reports_[row];
      add("<tr><th scope=\"row\"><a href=\"#e{}\">{}</a></th>", row, html(report.target.name));
      for (std::size_t i = 0; i < columns_.size(); ++i) {
        const CaseReport* done = report.find(columns_[i]->letter);
        add("<td{}>", begins_group(i) ? " class=\"first\"" : "");
        if (done != nullptr) {
          add("<span class=\"cell {}\" title=\"{}: {}{}{}\">{}</span>",
              style_of(done->verdict.outcome), done->what->title,
              interop::name(done->verdict.outcome), done->verdict.text.empty() ? "" : ", ",
              html(done->verdict.text), sign_of(*done));
        }
        add("</td>");
      }
      add("</tr>\n");
    }
    add("</tbody></table></div>\n");
  }

  void legend() {
    add("<ul class=\"legend\">"
        "<li><span class=\"cell pass\">H</span>passed</li>"
        "<li><span class=\"cell fail\">✗</span>failed</li>"
        "<li><span class=\"cell late\">…</span>timed out</li>"
        "<li><span class=\"cell none\">–</span>the server does not have it</li>"
        "<li><span class=\"cell void\">·</span>not applicable, or not run</li></ul>\n");
  }

  void endpoint(std::size_t row) {
    const TargetReport& report = reports_[row];
    add("<h2 id=\"e{}\">{}</h2>\n<p class=\"where\">{}{}{}</p>\n", row, html(report.target.name),
        html(report.target.url.to_string()),
        report.remote ? " · " + report.remote->to_string() : std::string(),
        report.target.note.empty() ? std::string() : " · " + html(report.target.note));
    if (report.unreachable) {
      add("<p class=\"error\">No connection: {}</p>\n", html(report.unreachable->detail));
      if (report.count(interop::Outcome::not_run) == report.cases.size()) return;
    }
    add("<table class=\"cases\">\n");
    for (const CaseReport& done : report.cases) {
      // Why the others were not, says one line above.
      if (done.verdict.outcome != interop::Outcome::not_run) one_case(done);
    }
    add("</table>\n");
  }

  void one_case(const CaseReport& done) {
    const std::string_view style = style_of(done.verdict.outcome);
    add("<tr><td class=\"letter\"><span class=\"cell {}\">{}</span></td><td "
        "class=\"name\">{}{}</td>"
        "<td class=\"outcome\"><span class=\"badge {}\">{}</span></td><td class=\"detail\">",
        style, done.what->letter, done.what->title, done.what->mandatory ? " *" : "", style,
        interop::name(done.verdict.outcome));
    if (done.facts.empty()) {
      add("{}", html(done.verdict.text));
    } else {
      add("<details><summary>{}</summary><table class=\"facts\">", html(done.verdict.text));
      for (const interop::Fact& fact : done.facts) {
        add("<tr><td>{}</td><td>{}</td></tr>", html(fact.name), html(fact.value));
      }
      add("</table></details>");
    }
    add("</td><td class=\"time\">{}</td></tr>\n",
        done.duration > Duration::zero() ? human_duration(done.duration) : std::string());
  }

  void letters_explained() {
    add("<h2>The letters</h2>\n<ul class=\"letters\">\n");
    for (const Case* what : columns_) {
      add("<li><code>{}</code><b>{}{}</b>{}. <i>Passes when:</i> {}.</li>\n", what->letter,
          what->title, what->mandatory ? " *" : "", html(what->action), html(what->success));
    }
    add("</ul>\n<p class=\"sub\">* mandatory: RFC 9000, 9001 and 9114 ask it of every "
        "server.</p>\n");
  }

  std::span<const TargetReport> reports_;
  UnixSeconds when_;
  std::vector<const Case*> columns_;
  std::string out_;
};

}  // namespace

std::string interop_page(std::span<const TargetReport> reports, UnixSeconds when) {
  return Page(reports, when).make();
}

}  // namespace tern::cli
