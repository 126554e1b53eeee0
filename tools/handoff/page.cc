#include "tools/handoff/page.h"

#include <algorithm>
#include <chrono>
#include <string>

#include <fmt/format.h>

#include "tools/handoff/figures.h"
#include "tools/handoff/picture.h"
#include "tools/handoff/svg.h"

namespace tern::handoff {
namespace {

constexpr std::string_view kPageStyle = R"(
:root{color-scheme:light dark;--ink:#17202c;--dim:#5f6b7a;--rule:#e3e7ec;--paper:#fff;
--best:#0b7a4b;--quic:#0b7a8c;--reconnect:#c76a00;--tcp:#b02a63;
--http2:#6b4fb3;--wt:#7a6a00;--rpc:#3a6ea5}
@media (prefers-color-scheme:dark){:root{--ink:#e8edf3;--dim:#98a4b3;--rule:#2b3440;--paper:#12171e;
--best:#43d39a;--quic:#35c2d6;--reconnect:#f2a541;--tcp:#f0719f;
--http2:#b79cf0;--wt:#d8c84a;--rpc:#8fbdf0}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);
font:15px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:1000px;margin:0 auto;padding:28px 20px 60px}
h1{font-size:27px;line-height:1.2;margin:0 0 4px}h2{font-size:17px;margin:34px 0 6px}
p{margin:8px 0;max-width:72ch}.dim{color:var(--dim)}
section{border-top:1px solid var(--rule);margin-top:44px;padding-top:30px}
section:first-of-type{border:0;margin-top:0;padding-top:0}
svg{display:block;width:100%;height:auto;margin:10px 0}
table{border-collapse:collapse;margin:12px 0;font-variant-numeric:tabular-nums}
.scroll{overflow-x:auto}.scroll svg{min-width:680px}
table.dense{font-size:13px}table.dense th,table.dense td{padding:4px 8px 4px 0}
.wide{position:relative;left:50%;transform:translateX(-50%);width:max-content;
max-width:min(1220px,100vw - 40px)}
th,td{padding:6px 16px 6px 0;text-align:right;border-bottom:1px solid var(--rule);
white-space:nowrap}
th:first-child,td:first-child{text-align:left;color:var(--dim);font-weight:400;
position:sticky;left:0;background:var(--paper)}
th{font-weight:600}.best{color:var(--best);font-weight:650}
.key{display:inline-block;width:11px;height:11px;border-radius:2px;margin-right:5px;
vertical-align:-1px}
.legend span{white-space:nowrap;margin-right:12px}
.quic{--c:var(--quic)}.quic-reconnect{--c:var(--reconnect)}.tcp-reconnect{--c:var(--tcp)}
.http2{--c:var(--http2)}.webtransport{--c:var(--wt)}.rpc{--c:var(--rpc)}
th.quic,th.quic-reconnect,th.tcp-reconnect,th.http2,th.webtransport,th.rpc{color:var(--c)}
i.quic,i.quic-reconnect,i.tcp-reconnect,i.http2,i.webtransport,i.rpc{background:var(--c)}
code{font:13px ui-monospace,SFMono-Regular,Menlo,monospace}
.failed{color:#d92d20;font-weight:600}
@media print{table.dense{font-size:8px}section{break-before:page}section:first-of-type{break-before:auto}}
)";

std::string shown(double value, Metric::Unit unit) {
  switch (unit) {
    case Metric::Unit::seconds:
      return value < 0.9995 ? fmt::format("{:.0f} ms", value * 1e3)
                            : fmt::format("{:.2f} s", value);
    case Metric::Unit::count: return fmt::format("{:.0f}", value);
    case Metric::Unit::bytes:
      return value < 999'500 ? fmt::format("{:.1f} kB", value / 1e3)
                             : fmt::format("{:.2f} MB", value / 1e6);
    case Metric::Unit::bits_per_second: return fmt::format("{:.1f} Mbit/s", value / 1e6);
    case Metric::Unit::joules: return fmt::format("{:.1f} J", value);
  }
  return {};
}

std::string head_cells(const PageSection& section) {
  std::string cells;
  for (const PageSection::Runs& runs : section.carriers) {
    const CarrierType& type = type_of(runs.carrier);
    cells += fmt::format(R"(<th class="{}">{}</th>)", type.name, escaped(type.title));
  }
  return cells;
}

std::string figures_table(const PageSection& section) {
  std::string html =
      fmt::format("<div class=\"scroll\"><table><tr><th></th>{}</tr>\n", head_cells(section));
  for (const Metric& metric : metrics()) {
    std::vector<double> values;
    for (const PageSection::Runs& runs : section.carriers) {
      values.push_back(metric.value(runs.shown->figures));
    }
    // As they are shown: of two that read alike neither is better.
    const auto [low, high] = std::minmax_element(values.begin(), values.end());
    const std::string best = shown(metric.more_is_better ? *high : *low, metric.unit);
    const bool differ = best != shown(metric.more_is_better ? *low : *high, metric.unit);
    html += fmt::format("<tr><td>{}</td>", metric.title);
    for (const double value : values) {
      const std::string text = shown(value, metric.unit);
      html += fmt::format("<td{}>{}</td>", differ && text == best ? " class=\"best\"" : "", text);
    }
    html += "</tr>\n";
  }
  return html + "</table></div>\n";
}

/// Wider than a phone: it is moved there, not made too small to read.
std::string in_scroll(const std::string& picture) {
  return "<div class=\"scroll\">" + picture + "</div>\n";
}

/// Of all carriers, or of those whose senders told what they know.
std::string legend(const PageSection& section, bool all = true) {
  std::string html = "<p class=\"legend dim\">";
  for (const PageSection::Runs& runs : section.carriers) {
    const auto& timeline = runs.shown->timeline;
    if (!all && (!timeline || timeline->window.empty())) continue;
    const CarrierType& type = type_of(runs.carrier);
    html += fmt::format("<span><i class=\"key {}\"></i>{}</span> ", type.name, escaped(type.title));
  }
  return html + "</p>\n";
}

std::string spread_part(const PageSection& section) {
  const std::size_t seeds = section.carriers.front().all->size();
  std::vector<Distribution> stalls;
  std::string html = fmt::format("<h2>{} seeds</h2>\n", seeds);
  for (const PageSection::Runs& runs : section.carriers) {
    Distribution& one = stalls.emplace_back(Distribution{runs.carrier, {}});
    for (const Outcome& outcome : *runs.all) {
      one.values.push_back(std::chrono::duration<double>(outcome.figures.stall).count());
    }
  }
  html += legend(section);
  html +=
      in_scroll(distribution_picture("longest stall: how many seeds have less than that", stalls));
  html += "<div class=\"scroll wide\"><table class=\"dense\"><tr><th></th>";
  for (const PageSection::Runs& runs : section.carriers) {
    const CarrierType& type = type_of(runs.carrier);
    html += fmt::format("<th class=\"{}\" colspan=\"4\">{}</th>", type.name, escaped(type.title));
  }
  html += "</tr>\n<tr><td></td>";
  for (std::size_t i = 0; i < section.carriers.size(); ++i) {
    html += "<td>p50</td><td>p99</td><td>worst</td><td>its seed</td>";
  }
  html += "</tr>\n";
  for (const Metric& metric : metrics()) {
    html += fmt::format("<tr><td>{}</td>", metric.title);
    for (const PageSection::Runs& runs : section.carriers) {
      std::vector<Sample> samples;
      for (const Outcome& outcome : *runs.all) {
        samples.push_back({metric.value(outcome.figures), outcome.seed});
      }
      const Spread found = spread(std::move(samples), metric.more_is_better);
      const bool all_alike = found.p50 == found.worst;
      html +=
          fmt::format("<td>{}</td><td>{}</td><td>{}</td><td>{}</td>", shown(found.p50, metric.unit),
                      shown(found.p99, metric.unit), shown(found.worst, metric.unit),
                      all_alike ? "–" : std::to_string(found.worst_seed));
    }
    html += "</tr>\n";
  }
  return html + "</table></div>\n";
}

/// A curve and four figures for what each stream had to wait.
std::string streams_part(const PageSection& section) {
  std::vector<Distribution> stalls;
  std::vector<Distribution> held;
  std::string rows;
  for (const PageSection::Runs& runs : section.carriers) {
    const auto report = stream_report(*runs.all);
    if (!report) continue;
    Distribution& stall = stalls.emplace_back(Distribution{runs.carrier, {}});
    Distribution& wait = held.emplace_back(Distribution{runs.carrier, {}});
    for (const Outcome& outcome : *runs.all) {
      for (const StreamFigures& stream : outcome.streams) {
        stall.values.push_back(std::chrono::duration<double>(stream.stall).count());
        wait.values.push_back(std::chrono::duration<double>(stream.held).count());
      }
    }
    const auto ms = [](double value) { return shown(value, Metric::Unit::seconds); };
    const CarrierType& type = type_of(runs.carrier);
    rows += fmt::format(
        "<tr><td><i class=\"key {}\"></i>{}</td><td>{}</td><td>{}</td><td>{} of {}</td><td>{}</td>"
        "<td>{}</td><td>{}</td></tr>\n",
        type.name, escaped(type.title), ms(report->stall.p50), ms(report->stall.p99),
        report->held_up, report->streams, ms(report->held.p50), ms(report->held.p99),
        ms(report->longest_held.worst));
  }
  if (rows.empty()) return {};
  return "<h2>Each stream</h2>\n<p>A stream is <i>held up</i> while bytes of it that have arrived, "
         "with all of its own before them, are kept from its application because a packet with "
         "other "
         "streams' bytes was lost.</p>\n<div class=\"scroll\"><table><tr><th></th><th>stall, "
         "p50</th><th>p99</th><th>held up</th><th>in all, "
         "p50</th><th>p99</th><th>longest</th></tr>\n" +
         rows + "</table></div>\n" +
         in_scroll(distribution_picture(
             "held up by others, in all: how many streams have less than that", held)) +
         in_scroll(
             distribution_picture("longest stall: how many streams have less than that", stalls));
}

std::string bound_of(const PageSection& section) {
  std::string html;
  for (const PageSection::Runs& runs : section.carriers) {
    const auto report = bound_report(*section.scenario, *runs.all);
    if (!report) continue;
    const auto ms = [](double value) { return shown(value, Metric::Unit::seconds); };
    const std::string figures =
        report->seeds == 1
            ? fmt::format("{} of {} allowed", ms(report->stall.p50), ms(report->allowed.p50))
            : fmt::format("at the median {} of {} allowed; kept in {} of {} seeds",
                          ms(report->stall.p50), ms(report->allowed.p50), report->held,
                          report->seeds);
    html += fmt::format("<p>{}, stall of the handoff ≤ {}: <b class=\"{}\">{}</b> ({})</p>\n",
                        escaped(type_of(runs.carrier).title), text_of(section.scenario->bound),
                        report->holds() ? "best" : "failed", report->holds() ? "held" : "not held",
                        figures);
  }
  return html;
}

std::string violations_of(const PageSection& section) {
  std::string html;
  for (const PageSection::Runs& runs : section.carriers) {
    for (const Outcome& outcome : *runs.all) {
      if (outcome.violations.empty()) continue;
      html += fmt::format("<p class=\"failed\">check failed: {} <code>{}</code></p>\n",
                          escaped(outcome.violations.front()),
                          escaped(replay_line(*section.scenario, outcome)));
    }
  }
  return html;
}

std::string section_html(const PageSection& section) {
  const Scenario& scenario = *section.scenario;
  std::vector<const Outcome*> outcomes;
  for (const PageSection::Runs& runs : section.carriers) outcomes.push_back(runs.shown);
  const Outcome& first = *outcomes.front();
  std::string html = fmt::format("<section>\n<h1>{}</h1>\n<p>{}</p>\n", escaped(scenario.title),
                                 escaped(scenario.story));
  html += fmt::format("<p class=\"dim\">{} · seed {}</p>\n", escaped(scenario.name), first.seed);
  html += violations_of(section);
  html += in_scroll(handoff_picture(scenario, outcomes, false));
  html += bound_of(section);
  html += figures_table(section);
  html += streams_part(section);
  if (section.carriers.front().all->size() > 1) html += spread_part(section);
  html += "<h2>What the senders know</h2>\n" + legend(section, false) +
          in_scroll(sender_picture(outcomes));
  html +=
      "<h2>The radios</h2>\n<p class=\"dim\">Asleep (grey), waking (yellow), active (full "
      "colour), still awake in case that more comes (pale).</p>\n" +
      in_scroll(radio_picture(outcomes));
  return html + "</section>\n";
}

}  // namespace

std::string page(const std::vector<PageSection>& sections, const std::string& command) {
  std::string title = sections.size() == 1 ? std::string(sections.front().scenario->title)
                                           : std::string("Handoffs");
  std::string html = fmt::format(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<title>{} · tern handoff</title>\n<style>{}{}</style>\n</head>\n<body>\n<main>\n",
      escaped(title), picture_style(), kPageStyle);
  for (const PageSection& section : sections) html += section_html(section);
  html += fmt::format(
      "<section>\n<p class=\"dim\">A simulation in virtual time: tern's own server and client, on "
      "modelled networks, replayed exactly by the seed. Made with "
      "<code>{}</code>.</p>\n</section>\n"
      "</main>\n</body>\n</html>\n",
      escaped(command));
  return html;
}

}  // namespace tern::handoff
