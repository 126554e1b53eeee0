#include "tools/handoff/picture.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "tools/handoff/svg.h"

namespace tern::handoff {
namespace {

constexpr double kWidth = 960;
constexpr double kLeft = 78;
constexpr double kRight = 22;
constexpr double kPlot = 86;  // height of a carrier's throughput
constexpr double kStrip = 8;  // of a network's line below it
constexpr double kStripGap = 4;
constexpr double kLabelRow = 16;    // of the events' texts
constexpr double kCharacter = 6.3;  // mean width of 12 px text
constexpr std::size_t kMaxSteps = 240;
constexpr double kNoticeable = 0.1;

double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

std::string time_text(double value) {
  return value < 0.9995 ? fmt::format("{:.0f} ms", value * 1e3) : fmt::format("{:.2f} s", value);
}

std::string carrier_class(CarrierKind kind) { return std::string(type_of(kind).name); }

Scale time_scale(const std::vector<const Outcome*>& outcomes) {
  Scale scale;
  scale.from = kLeft;
  scale.to = kWidth - kRight;
  scale.high = 0.1;
  for (const Outcome* outcome : outcomes) {
    scale.high = std::max(scale.high, seconds(outcome->timeline->length));
  }
  return scale;
}

void draw_time_axis(Svg& svg, const Scale& x, double y) {
  svg.line({x.from, y}, {x.to, y}, "axis");
  for (const double tick : ticks(0, x.high, 10)) {
    svg.line({x(tick), y}, {x(tick), y + 4}, "axis");
    svg.text({x(tick), y + 17}, fmt::format("{:g}", tick), "tick middle");
  }
  svg.text({x.to, y + 31}, "seconds", "tick end");
}

/// Texts of the events in as many rows as they need; returns how many. Draws nothing without `svg`.
int draw_events(Svg* svg, const Scale& x, const std::vector<Mark>& marks, double top,
                double bottom) {
  std::vector<double> row_ends;
  std::string_view last;
  for (const Mark& mark : marks) {
    const double at = x(seconds(mark.when));
    const bool said = mark.text == last;  // several of one kind: the first one says it
    last = mark.text;
    std::size_t row = 0;
    if (!said) {
      const double width = kCharacter * static_cast<double>(mark.text.size()) + 12;
      const bool left = at + width > kWidth;
      const double begin = left ? at - width : at;
      while (row < row_ends.size() && row_ends[row] > begin) ++row;
      if (row == row_ends.size()) row_ends.push_back(0);
      row_ends[row] = begin + width;
      if (svg != nullptr) {
        svg->text({left ? at - 5 : at + 5, top + kLabelRow * static_cast<double>(row) + 11},
                  mark.text, left ? "event end" : "event");
      }
    }
    if (svg != nullptr) {
      svg->line({at, top + (said ? kLabelRow : kLabelRow * static_cast<double>(row))}, {at, bottom},
                "eventline");
    }
  }
  return static_cast<int>(row_ends.size());
}

/// Steps of the timeline put together, so that there are not more than a picture can show.
struct Bins {
  double width = 0;  // seconds
  std::vector<double> values;
};

Bins together(const std::vector<std::uint64_t>& steps, double length) {
  Bins bins;
  const double step = seconds(Timeline::kStep);
  std::size_t each = 5;  // 50 ms
  while (length / (step * static_cast<double>(each)) > static_cast<double>(kMaxSteps)) each *= 2;
  bins.width = step * static_cast<double>(each);
  bins.values.resize(static_cast<std::size_t>(std::ceil(length / bins.width)) + 1);
  for (std::size_t i = 0; i < steps.size(); ++i) {
    if (i / each < bins.values.size()) bins.values[i / each] += static_cast<double>(steps[i]);
  }
  return bins;
}

std::string summary(const Outcome& outcome) {
  const Figures& f = outcome.figures;
  std::string text = fmt::format("longest stall {} · done after {}", time_text(seconds(f.stall)),
                                 time_text(seconds(f.last_byte)));
  text += fmt::format(" · {} handshake{}", f.handshakes, f.handshakes == 1 ? "" : "s");
  if (f.failed != 0) text += fmt::format(" · {} failed", f.failed);
  if (f.given_up != 0) text += fmt::format(" · {} never complete", f.given_up);
  return text;
}

double panel_height(const Timeline& timeline) {
  return 26 + kPlot + 6 + (kStrip + kStripGap) * static_cast<double>(timeline.paths.size()) + 16;
}

void draw_panel(Svg& svg, const Outcome& outcome, const Scale& x, double top, double highest) {
  const Timeline& timeline = *outcome.timeline;
  const std::string color = carrier_class(outcome.carrier);
  svg.text({kLeft, top + 15}, type_of(outcome.carrier).title, "title " + color);
  svg.text({x.to, top + 15}, summary(outcome), "note end");
  const double plot_top = top + 26;
  const double base = plot_top + kPlot;
  Scale y{0, highest, base, plot_top};
  for (const double tick : ticks(0, highest, 3)) {
    svg.line({x.from, y(tick)}, {x.to, y(tick)}, tick == 0 ? "axis" : "grid");
    svg.text({kLeft - 8, y(tick) + 4}, fmt::format("{:g}", tick), "tick end");
  }
  svg.text({kLeft - 8, plot_top - 8}, "Mbit/s", "tick end");
  const double stall = seconds(timeline.stall_end - timeline.stall_begin);
  if (stall >= kNoticeable) {
    const double begin = x(seconds(timeline.stall_begin));
    const double end = x(seconds(timeline.stall_end));
    svg.rectangle(begin, plot_top, end - begin, kPlot, "stall");
    const std::string text = time_text(stall);
    const bool fits = end - begin > kCharacter * static_cast<double>(text.size()) + 6;
    if (fits) svg.text({(begin + end) / 2, plot_top + kPlot / 2 + 4}, text, "stalltext middle");
  }
  const Bins bins = together(timeline.delivered, x.high);
  std::vector<Svg::Point> outline;
  for (std::size_t i = 0; i < bins.values.size(); ++i) {
    const double begin = bins.width * static_cast<double>(i);
    if (begin > seconds(timeline.length)) break;
    const double rate = y(bins.values[i] * 8 / bins.width / 1e6);
    outline.push_back({x(begin), rate});
    outline.push_back({x(std::min(begin + bins.width, x.high)), rate});
  }
  svg.area(outline, base, color).polyline(outline, color);
  double strip = base + 6;
  for (std::size_t path = 0; path < timeline.paths.size(); ++path) {
    svg.text({kLeft - 8, strip + kStrip}, timeline.paths[path].name, "small end");
    svg.rectangle(x.from, strip, x(seconds(timeline.length)) - x.from, kStrip, "empty");
    const Bins used = together(timeline.paths[path].bytes, x.high);
    for (std::size_t i = 0; i < used.values.size(); ++i) {
      if (used.values[i] <= 0 || used.width * static_cast<double>(i) >= x.high) continue;
      // A lonely probe is to be seen, but not like a transfer.
      const double share = used.values[i] * 8 / used.width / (highest * 1e6);
      const double begin = bins.width * static_cast<double>(i);
      const double end = std::min(x(begin + used.width) + 0.2, x.to);
      svg.rectangle(x(begin), strip, end - x(begin), kStrip, fmt::format("p{}", path),
                    0.3 + 0.7 * std::min(1.0, 3 * share));
    }
    strip += kStrip + kStripGap;
  }
}

double highest_rate(const std::vector<const Outcome*>& outcomes, double length) {
  double highest = 0.1;
  for (const Outcome* outcome : outcomes) {
    const Bins bins = together(outcome->timeline->delivered, length);
    for (const double value : bins.values) {
      highest = std::max(highest, value * 8 / bins.width / 1e6);
    }
  }
  return round_up(highest);
}

struct Line {
  std::string color;
  std::vector<Svg::Point> points;
};

bool looks_like(const Line& one, const Line& other) {
  return std::equal(one.points.begin(), one.points.end(), other.points.begin(), other.points.end(),
                    [](const Svg::Point& a, const Svg::Point& b) {
                      return std::abs(a.x - b.x) < 0.5 && std::abs(a.y - b.y) < 0.5;
                    });
}

/// The first one on top; dashed where it would hide another one all the way.
void draw_lines(Svg& svg, const std::vector<Line>& lines) {
  for (auto line = lines.rbegin(); line != lines.rend(); ++line) {
    const bool hides = std::any_of(lines.rbegin(), line,
                                   [&](const Line& other) { return looks_like(*line, other); });
    svg.polyline(line->points, line->color + (hides ? " dashed" : ""));
  }
}

struct Series {
  std::string color;
  std::vector<Timeline::Sample> samples;
};

void draw_curves(Svg& svg, const std::vector<Series>& all, const Scale& x, double top,
                 double height, std::string_view title, std::string_view unit) {
  double highest = 0;
  for (const Series& series : all) {
    for (const Timeline::Sample& sample : series.samples) highest = std::max(highest, sample.value);
  }
  highest = round_up(highest);
  const double base = top + 22 + height;
  const Scale y{0, highest, base, top + 22};
  svg.text({kLeft, top + 12}, title, "title");
  svg.text({kLeft - 8, top + 12}, unit, "tick end");
  for (const double tick : ticks(0, highest, 4)) {
    svg.line({x.from, y(tick)}, {x.to, y(tick)}, tick == 0 ? "axis" : "grid");
    svg.text({kLeft - 8, y(tick) + 4}, fmt::format("{:g}", tick), "tick end");
  }
  std::vector<Line> lines;
  for (const Series& series : all) {
    std::vector<Svg::Point>& points = lines.emplace_back(Line{series.color, {}}).points;
    for (const Timeline::Sample& sample : series.samples) {
      const double at = x(seconds(sample.when));
      // A value holds until the next one.
      if (!points.empty()) points.push_back({at, points.back().y});
      points.push_back({at, y(sample.value)});
    }
  }
  draw_lines(svg, lines);
}

}  // namespace

std::string_view picture_style() noexcept {
  return R"(
svg{--ink:#17202c;--dim:#5f6b7a;--rule:#e3e7ec;--paper:#fff;--void:#eef1f4;
--quic:#0b7a8c;--reconnect:#c76a00;--tcp:#b02a63;--http2:#6b4fb3;--wt:#7a6a00;--rpc:#3a6ea5;
--net0:#4a63e0;--net1:#0f9960;--net2:#9a5bd0;
--stop:#d92d20;--wake:#e3b100;background:var(--paper);
font:12px system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
@media (prefers-color-scheme:dark){svg{--ink:#e8edf3;--dim:#98a4b3;--rule:#2b3440;--paper:#12171e;
--void:#1c232c;--quic:#35c2d6;--reconnect:#f2a541;--tcp:#f0719f;
--http2:#b79cf0;--wt:#d8c84a;--rpc:#8fbdf0;--net0:#8c9dff;--net1:#43d39a;
--net2:#c79bf2;--stop:#ff6b5e;--wake:#ffe066}}
svg text{fill:var(--ink)}
svg .tick,svg .small,svg .note{fill:var(--dim)}
svg .tick,svg .small{font-size:11px}
svg .title{font-weight:600;font-size:13px}
svg .headline{font-weight:650;font-size:17px}
svg .event{font-size:12px;fill:var(--dim)}
svg .end{text-anchor:end}svg .middle{text-anchor:middle}
svg .quic{--c:var(--quic)}svg .quic-reconnect{--c:var(--reconnect)}
svg .tcp-reconnect{--c:var(--tcp)}svg .http2{--c:var(--http2)}
svg .webtransport{--c:var(--wt)}svg .rpc{--c:var(--rpc)}
svg text.webtransport,svg text.rpc,
svg text.quic,svg text.quic-reconnect,svg text.tcp-reconnect,svg text.http2{fill:var(--c)}
svg .line{fill:none;stroke:var(--c);stroke-width:1.6;stroke-linejoin:round}
svg .dashed{stroke-dasharray:7 7}
svg .area{fill:var(--c);opacity:.2}
svg .axis{stroke:var(--dim);stroke-width:1}svg .grid{stroke:var(--rule);stroke-width:1}
svg .eventline{stroke:var(--dim);stroke-width:1;stroke-dasharray:3 3}
svg .stall{fill:var(--stop);opacity:.13}svg .stalltext{fill:var(--stop);font-weight:600}
svg .empty{fill:var(--void)}
svg .p0{fill:var(--net0)}svg .p1{fill:var(--net1)}svg .p2{fill:var(--net2)}
svg .waking{fill:var(--wake)}svg .active{fill:var(--c,var(--quic))}
svg .tail{fill:var(--c,var(--quic));opacity:.35}
)";
}

std::string handoff_picture(const Scenario& scenario, const std::vector<const Outcome*>& outcomes,
                            bool whole) {
  const Scale x = time_scale(outcomes);
  const std::vector<Mark>& marks = outcomes.front()->marks;
  std::vector<Mark> shown;
  for (const Mark& mark : marks) {
    if (seconds(mark.when) <= x.high) shown.push_back(mark);
  }
  const double highest = highest_rate(outcomes, x.high);
  const double head = whole ? 52 : 6;
  const double panels = head + kLabelRow * draw_events(nullptr, x, shown, 0, 0) + 8;
  double bottom = panels;
  for (const Outcome* outcome : outcomes) bottom += panel_height(*outcome->timeline);
  Svg svg(kWidth, bottom + 40);
  if (whole) {
    svg.rectangle(0, 0, kWidth, bottom + 40, "paper");
    svg.text({kLeft, 24}, scenario.title, "headline");
    svg.text({kLeft, 42}, "what applications receive, and over which network", "note");
  }
  draw_events(&svg, x, shown, head, bottom - 8);
  double top = panels;
  for (const Outcome* outcome : outcomes) {
    draw_panel(svg, *outcome, x, top, highest);
    top += panel_height(*outcome->timeline);
  }
  draw_time_axis(svg, x, bottom - 6);
  std::string label = fmt::format("{}: ", scenario.title);
  for (const Outcome* outcome : outcomes) {
    label += fmt::format("{}: {}. ", type_of(outcome->carrier).title, summary(*outcome));
  }
  const std::string style = std::string(picture_style()) + "svg .paper{fill:var(--paper)}";
  return svg.finish(label, whole ? std::string_view(style) : std::string_view());
}

std::string sender_picture(const std::vector<const Outcome*>& outcomes) {
  constexpr double kHeight = 120;
  const Scale x = time_scale(outcomes);
  std::vector<Series> rtt;
  std::vector<Series> window;
  for (const Outcome* outcome : outcomes) {
    const std::string color = carrier_class(outcome->carrier);
    Series& times = rtt.emplace_back(Series{color, outcome->timeline->rtt});
    for (Timeline::Sample& sample : times.samples) sample.value *= 1e3;
    Series& bytes = window.emplace_back(Series{color, outcome->timeline->window});
    for (Timeline::Sample& sample : bytes.samples) sample.value /= 1e3;
  }
  const double axis = 2 * kHeight + 78;
  Svg svg(kWidth, axis + 40);
  draw_curves(svg, rtt, x, 6, kHeight, "round-trip time, smoothed", "ms");
  draw_curves(svg, window, x, kHeight + 56, kHeight, "congestion window", "kB");
  draw_time_axis(svg, x, axis);
  return svg.finish("round-trip time and congestion window of the server, over time");
}

std::string radio_picture(const std::vector<const Outcome*>& outcomes) {
  constexpr double kRow = 20;
  constexpr double kGroup = 26;
  constexpr const char* kClasses[] = {"empty", "waking", "active", "tail"};
  const Scale x = time_scale(outcomes);
  double height = 4;
  for (const Outcome* outcome : outcomes) {
    height += kGroup + kRow * static_cast<double>(outcome->timeline->paths.size());
  }
  Svg svg(kWidth, height + 40);
  double top = 4;
  for (const Outcome* outcome : outcomes) {
    const std::string color = carrier_class(outcome->carrier);
    svg.text({kLeft, top + 14}, type_of(outcome->carrier).title, "title " + color);
    svg.text({x.to, top + 14},
             fmt::format("{:.1f} s on · {:.1f} J until all sleep",
                         seconds(outcome->figures.radio_on), outcome->figures.joules),
             "note end");
    top += kGroup - 4;
    for (const Timeline::Path& path : outcome->timeline->paths) {
      svg.text({kLeft - 8, top + 11}, path.name, "small end");
      const Timestamp start = path.radio.front().when;
      for (std::size_t i = 0; i < path.radio.size(); ++i) {
        const double begin = seconds(path.radio[i].when - start);
        const double end = i + 1 < path.radio.size() ? seconds(path.radio[i + 1].when - start)
                                                     : seconds(outcome->timeline->length);
        if (end <= begin || begin > seconds(outcome->timeline->length)) continue;
        svg.rectangle(x(begin), top, x(end) - x(begin), kRow - 7,
                      color + " " + kClasses[static_cast<std::size_t>(path.radio[i].state)]);
      }
      top += kRow;
    }
    top += 4;
  }
  draw_time_axis(svg, x, height);
  return svg.finish("what each radio does over time: asleep, waking, active, in its tail");
}

std::string distribution_picture(std::string_view title, std::vector<Distribution> distributions) {
  constexpr double kHeight = 180;
  double highest = 0.001;
  for (Distribution& one : distributions) {
    std::sort(one.values.begin(), one.values.end());
    if (!one.values.empty()) highest = std::max(highest, one.values.back());
  }
  Scale x{0, round_up(highest), kLeft, kWidth - kRight};
  const Scale y{0, 100, 26 + kHeight, 26};
  Svg svg(kWidth, kHeight + 66);
  svg.text({kLeft, 14}, title, "title");
  svg.text({kLeft - 8, 14}, "%", "tick end");
  for (const double tick : {0.0, 50.0, 90.0, 100.0}) {
    svg.line({x.from, y(tick)}, {x.to, y(tick)}, tick == 0 ? "axis" : "grid");
    svg.text({kLeft - 8, y(tick) + 4}, fmt::format("{:g}", tick), "tick end");
  }
  std::vector<Line> lines;
  for (const Distribution& one : distributions) {
    std::vector<Svg::Point>& points =
        lines.emplace_back(Line{carrier_class(one.carrier), {}}).points;
    points.push_back({x.from, y(0)});
    for (std::size_t i = 0; i < one.values.size(); ++i) {
      const double share = 100.0 * static_cast<double>(i) / static_cast<double>(one.values.size());
      const double next =
          100.0 * static_cast<double>(i + 1) / static_cast<double>(one.values.size());
      points.push_back({x(one.values[i]), y(share)});
      points.push_back({x(one.values[i]), y(next)});
    }
    points.push_back({x.to, y(100)});
  }
  draw_lines(svg, lines);
  draw_time_axis(svg, x, 26 + kHeight);
  return svg.finish(title);
}

}  // namespace tern::handoff
