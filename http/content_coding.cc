#include "http/content_coding.h"

#include <algorithm>

#include "base/ascii.h"

namespace tern::http {

namespace {

/// "0.5" as 500: 0 or 1, a point, at most three digits (RFC 9110 §12.4.2). -1 for anything else.
int parse_quality(std::string_view text) noexcept {
  if (text.empty() || (text[0] != '0' && text[0] != '1') || text.size() > 5) return -1;
  int value = (text[0] - '0') * 1000;
  if (text.size() == 1) return value;
  if (text[1] != '.') return -1;
  int scale = 100;
  for (const char c : text.substr(2)) {
    if (c < '0' || c > '9') return -1;
    value += (c - '0') * scale;
    scale /= 10;
  }
  return value <= 1000 ? value : -1;
}

}  // namespace

std::string_view name_of(Coding coding) noexcept {
  switch (coding) {
    case Coding::identity: return "";
    case Coding::gzip: return "gzip";
    case Coding::zstd: return "zstd";
    case Coding::br: return "br";
  }
  return "";
}

std::optional<Coding> coding_of(std::string_view name) noexcept {
  if (ascii::same(name, "gzip") || ascii::same(name, "x-gzip")) return Coding::gzip;
  if (ascii::same(name, "zstd")) return Coding::zstd;
  if (ascii::same(name, "br")) return Coding::br;
  if (ascii::same(name, "identity")) return Coding::identity;
  return std::nullopt;
}

AcceptedCodings::AcceptedCodings(std::string_view field_value) noexcept {
  std::array<bool, kCodings> named{};
  int others = -1;  // of "*"
  for (bool more = true; more;) {
    const std::size_t comma = field_value.find(',');
    const std::string_view element = field_value.substr(0, comma);
    more = comma != std::string_view::npos;
    if (more) field_value.remove_prefix(comma + 1);

    const std::size_t semicolon = element.find(';');
    const std::string_view name = ascii::trimmed(element.substr(0, semicolon));
    int quality = 1000;
    if (semicolon != std::string_view::npos) {
      const std::string_view weight = ascii::trimmed(element.substr(semicolon + 1));
      if (!weight.starts_with("q=") && !weight.starts_with("Q=")) continue;
      quality = parse_quality(weight.substr(2));
      if (quality < 0) continue;
    }
    if (name == "*") {
      others = quality;
    } else if (const auto coding = coding_of(name)) {
      const auto index = static_cast<std::size_t>(*coding);
      quality_[index] = quality;
      named[index] = true;
    }
  }
  for (std::size_t i = 0; i < kCodings; ++i) {
    if (!named[i] && others >= 0) quality_[i] = others;
  }
  // Identity is acceptable unless refused, but what was named is preferred.
  if (!named[0] && others != 0) quality_[0] = 1;
}

Coding AcceptedCodings::choose(const std::array<bool, kCodings>& available) const noexcept {
  std::size_t best = 0;
  int best_quality = available[0] ? quality_[0] : 0;
  for (std::size_t i = 1; i < kCodings; ++i) {
    if (available[i] && quality_[i] > 0 && quality_[i] >= best_quality) {
      best = i;
      best_quality = quality_[i];
    }
  }
  return static_cast<Coding>(best);
}

}  // namespace tern::http
