#pragma once

#include <string>
#include <string_view>
#include <vector>

/// Shapes and axes as SVG text. Colours are classes, so that one style sheet gives them for light
/// and dark (picture.h).

namespace tern::handoff {

std::string escaped(std::string_view text);

/// A linear scale from values to pixels.
struct Scale {
  double low = 0;
  double high = 1;
  double from = 0;  ///< pixel of `low`
  double to = 1;    ///< pixel of `high`
  double operator()(double value) const noexcept {
    return from + (value - low) / (high - low) * (to - from);
  }
};

/// At most about `count` round numbers within [low, high], a step of 1, 2 or 5 times a power of ten
/// apart.
std::vector<double> ticks(double low, double high, int count);
/// The smallest of 1, 2, 2.5, 5 × 10^n that is not below `value`.
double round_up(double value);

class Svg {
 public:
  Svg(double width, double height) noexcept : width_(width), height_(height) {}

  struct Point {
    double x;
    double y;
  };
  Svg& line(Point from, Point to, std::string_view classes);
  Svg& rectangle(double x, double y, double width, double height, std::string_view classes,
                 double opacity = 1);
  Svg& polyline(const std::vector<Point>& points, std::string_view classes);
  /// Filled down to `base`.
  Svg& area(const std::vector<Point>& points, double base, std::string_view classes);
  /// `classes` may have "end" or "middle" for the anchor.
  Svg& text(Point at, std::string_view text, std::string_view classes);

  /// The element. `label` is for who cannot see it; `style` is put inside unless empty, for a file
  /// of its own.
  std::string finish(std::string_view label, std::string_view style = {}) const;

 private:
  double width_;
  double height_;
  std::string body_;
};

}  // namespace tern::handoff
