#include "tools/tern/nearest_names.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace tern::cli {
namespace {

constexpr std::size_t kLongest = 200;

std::string plain(std::string_view name) {
  if (name.starts_with('.') || name.starts_with('/')) name.remove_prefix(1);
  std::string lower(name);
  for (char& c : lower) {
    if (c == '/') c = '.';
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
  }
  return lower;
}

std::string_view last_part(std::string_view name) {
  const std::size_t dot = name.rfind('.');
  return dot == std::string_view::npos ? name : name.substr(dot + 1);
}

/// How many letters are to be put in, taken out or changed (Levenshtein).
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t changed = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({changed, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row.back();
}

/// The distance if somebody may mix the two up: a third of the letters, three at most.
std::optional<std::size_t> alike(std::string_view wanted, std::string_view name) {
  const std::size_t letters = distance(wanted, name);
  if (letters > std::clamp<std::size_t>(wanted.size() / 3, 1, 3)) return std::nullopt;
  return letters;
}

/// Less is nearer.
std::optional<std::size_t> rank(std::string_view wanted, std::string_view name) {
  if (name == wanted) return 0;
  if (name.ends_with("." + std::string(wanted))) return 1;
  std::optional<std::size_t> best;
  if (const auto whole = alike(wanted, name)) best = *whole + 2;
  // The package forgotten or wrong, and a letter besides.
  if (const auto last = alike(last_part(wanted), last_part(name))) {
    best = std::min(best.value_or(*last + 3), *last + 3);
  }
  return best;
}

}  // namespace

std::vector<std::string> nearest_names(std::string_view wanted,
                                       const std::vector<std::string>& names, std::size_t most) {
  const std::string asked = plain(wanted);
  if (asked.empty() || asked.size() > kLongest) return {};
  std::vector<std::pair<std::size_t, std::string>> found;
  for (const std::string& name : names) {
    if (name.size() > kLongest) continue;
    if (const auto far = rank(asked, plain(name))) found.emplace_back(*far, name);
  }
  std::sort(found.begin(), found.end());
  std::vector<std::string> best;
  for (auto& [far, name] : found) {
    if (best.size() == most) break;
    best.push_back(std::move(name));
  }
  return best;
}

std::string did_you_mean(const std::vector<std::string>& names) {
  if (names.empty()) return {};
  std::string text = "; did you mean " + names.front();
  for (std::size_t i = 1; i < names.size(); ++i) {
    text += (i + 1 == names.size() ? " or " : ", ") + names[i];
  }
  return text + "?";
}

}  // namespace tern::cli
