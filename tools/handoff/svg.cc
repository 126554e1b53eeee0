#include "tools/handoff/svg.h"

#include <cmath>

#include <fmt/format.h>

namespace tern::handoff {

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      default: out += c;
    }
  }
  return out;
}

std::vector<double> ticks(double low, double high, int count) {
  std::vector<double> found;
  if (!(high > low) || count < 1) return found;
  const double rough = (high - low) / count;
  const double power = std::pow(10.0, std::floor(std::log10(rough)));
  double step = 10 * power;
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= rough) {
      step = factor * power;
      break;
    }
  }
  const double first = std::ceil(low / step - 1e-9) + 0.0;  // no -0
  for (double i = first; i * step <= high + step * 1e-9; ++i) found.push_back(i * step);
  return found;
}

double round_up(double value) {
  if (!(value > 0)) return 1;
  const double power = std::pow(10.0, std::floor(std::log10(value)));
  for (const double factor : {1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0}) {
    if (factor * power >= value) return factor * power;
  }
  return 10 * power;
}

Svg& Svg::line(Point from, Point to, std::string_view classes) {
  body_ += fmt::format(R"(<line x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}" class="{}"/>)",
                       from.x, from.y, to.x, to.y, classes);
  return *this;
}

Svg& Svg::rectangle(double x, double y, double width, double height, std::string_view classes,
                    double opacity) {
  body_ += fmt::format(R"(<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" class="{}")",
                       x, y, width, height, classes);
  if (opacity < 1) body_ += fmt::format(R"( opacity="{:.2f}")", opacity);
  body_ += "/>";
  return *this;
}

namespace {

std::string path_of(const std::vector<Svg::Point>& points) {
  std::string path;
  for (const Svg::Point& point : points) {
    path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : "L", point.x, point.y);
  }
  return path;
}

}  // namespace

Svg& Svg::polyline(const std::vector<Point>& points, std::string_view classes) {
  if (points.empty()) return *this;
  body_ += fmt::format(R"(<path d="{}" class="line {}"/>)", path_of(points), classes);
  return *this;
}

Svg& Svg::area(const std::vector<Point>& points, double base, std::string_view classes) {
  if (points.empty()) return *this;
  body_ += fmt::format(R"(<path d="{}L{:.1f} {:.1f}L{:.1f} {:.1f}Z" class="area {}"/>)",
                       path_of(points), points.back().x, base, points.front().x, base, classes);
  return *this;
}

Svg& Svg::text(Point at, std::string_view text, std::string_view classes) {
  body_ += fmt::format(R"(<text x="{:.1f}" y="{:.1f}" class="{}">{}</text>)", at.x, at.y, classes,
                       escaped(text));
  return *this;
}

std::string Svg::finish(std::string_view label, std::string_view style) const {
  std::string out = fmt::format(
      R"(<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {:.0f} {:.0f}" role="img" )"
      R"(aria-label="{}">)",
      width_, height_, escaped(label));
  if (!style.empty()) out += fmt::format("<style>{}</style>", style);
  return out + body_ + "</svg>";
}

}  // namespace tern::handoff
