#include "rpc/path_template.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "http/escape.h"

namespace tern::rpc {

namespace {

constexpr std::size_t kNone = SIZE_MAX;

bool is_letter(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

/// pchar of RFC 3986 without ':' (it begins a verb), '*', '{', '}' and '='.
bool is_literal(char c) noexcept {
  return is_letter(c) || is_digit(c) || std::string_view("-.~%!$&'()+,;@").find(c) != kNone;
}

}  // namespace

// ---- the parser ---------------------------------------------------------------------------------

class TemplateParser {
 public:
  explicit TemplateParser(std::string_view text) noexcept : text_(text) {}

  tern::Result<PathTemplate> run() {
    if (!eat('/')) return wrong("a path template begins with '/'");
    if (auto done = segments(); !done) return fail(std::move(done).error());
    if (eat(':')) {
      std::string_view verb = literal();
      if (verb.empty()) return wrong("a verb is missing");
      if (!http::percent_decode(verb, made_.verb_)) return wrong("a malformed percent sign");
    }
    if (at_ < text_.size()) return wrong("an unexpected character");
    return std::move(made_);
  }

 private:
  tl::unexpected<Error> wrong(std::string_view what) const {
    return fail(Error::invalid("path template \"" + http::escaped(text_, 128) +
                               "\": " + std::string(what) + " at " + std::to_string(at_)));
  }
  bool eat(char wanted) noexcept {
    if (at_ >= text_.size() || text_[at_] != wanted) return false;
    ++at_;
    return true;
  }
  std::string_view literal() noexcept {
    const std::size_t begin = at_;
    while (at_ < text_.size() && is_literal(text_[at_])) ++at_;
    return text_.substr(begin, at_ - begin);
  }

  tern::Result<void> segments() {
    do {
      if (auto done = segment(); !done) return done;
    } while (eat('/'));
    return {};
  }

  tern::Result<void> segment() {
    if (made_.segments_.size() >= PathTemplate::kMaxSegments) return wrong("too many segments");
    if (rest_seen_) return wrong("** is not the last segment");
    if (eat('{')) return variable();
    PathTemplate::Segment made;
    if (eat('*')) {
      rest_seen_ = eat('*');
      made.kind = rest_seen_ ? PathTemplate::Segment::Kind::rest : PathTemplate::Segment::Kind::one;
    } else {
      const std::string_view text = literal();
      if (text.empty()) return wrong("a segment is missing");
      if (!http::percent_decode(text, made.text)) return wrong("a malformed percent sign");
    }
    made_.segments_.push_back(std::move(made));
    return {};
  }

  tern::Result<void> variable() {
    if (in_variable_) return wrong("a variable in a variable");
    PathTemplate::Variable made;
    const std::size_t begin = at_;
    do {
      if (at_ >= text_.size() || !is_letter(text_[at_])) return wrong("a field's name is missing");
      while (at_ < text_.size() && (is_letter(text_[at_]) || is_digit(text_[at_]))) ++at_;
    } while (eat('.'));
    made.field_path = text_.substr(begin, at_ - begin);
    for (const PathTemplate::Variable& other : made_.variables_) {
      if (other.field_path == made.field_path) return wrong("a variable twice");
    }
    made.first = made_.segments_.size();
    if (eat('=')) {
      in_variable_ = true;
      if (auto done = segments(); !done) return done;
      in_variable_ = false;
    } else {
      made_.segments_.push_back({PathTemplate::Segment::Kind::one, {}});
    }
    if (!eat('}')) return wrong("a '}' is missing");
    made.end = made_.segments_.size();
    made.open = rest_seen_;
    made.multiple = made.open || made.end - made.first > 1;
    made_.variables_.push_back(std::move(made));
    return {};
  }

  std::string_view text_;
  std::size_t at_ = 0;
  PathTemplate made_;
  bool rest_seen_ = false;
  bool in_variable_ = false;
};

tern::Result<PathTemplate> PathTemplate::parse(std::string_view text) {
  return TemplateParser(text).run();
}

// ---- the table ----------------------------------------------------------------------------------

struct PathTable::Node {
  struct Route {
    std::string method;
    std::string verb;
    std::size_t number = 0;
    std::vector<PathTemplate::Variable> variables;
  };
  std::vector<std::pair<std::string, std::size_t>> literals;  // sorted by text
  std::size_t one = kNone;
  std::size_t rest = kNone;
  std::vector<Route> routes;  // that end here
};

PathTable::PathTable() : nodes_(1) {}
PathTable::PathTable(PathTable&&) noexcept = default;
PathTable& PathTable::operator=(PathTable&&) noexcept = default;
PathTable::~PathTable() = default;

namespace {

auto literal_place(auto& literals, std::string_view text) noexcept {
  return std::lower_bound(
      literals.begin(), literals.end(), text,
      [](const auto& entry, std::string_view wanted) { return entry.first < wanted; });
}

}  // namespace

tern::Result<void> PathTable::add(std::string_view method, const PathTemplate& path,
                                  std::size_t route) {
  std::size_t at = 0;
  for (const PathTemplate::Segment& segment : path.segments()) {
    std::size_t next = nodes_.size();
    Node& node = nodes_[at];
    if (segment.kind == PathTemplate::Segment::Kind::literal) {
      const auto place = literal_place(node.literals, segment.text);
      if (place != node.literals.end() && place->first == segment.text) {
        next = place->second;
      } else {
        node.literals.emplace(place, segment.text, next);
      }
    } else {
      std::size_t& link = segment.kind == PathTemplate::Segment::Kind::one ? node.one : node.rest;
      if (link == kNone) link = next;
      next = link;
    }
    if (next == nodes_.size()) nodes_.emplace_back();
    at = next;
  }
  for (const Node::Route& other : nodes_[at].routes) {
    if (other.method == method && other.verb == path.verb()) {
      return fail(Error::invalid("a path template of that shape is there already for " +
                                 std::string(method)));
    }
  }
  nodes_[at].routes.push_back({std::string(method), path.verb(), route, path.variables()});
  return {};
}

namespace {

/// "%2F" stays: what else is encoded is decoded.
bool decode_but_slashes(std::string_view text, std::string& out) {
  out.clear();
  std::string piece;
  while (!text.empty()) {
    std::size_t end = 0;
    const auto slash_at = [&](std::size_t i) {
      return text.size() - i >= 3 && text[i] == '%' && text[i + 1] == '2' &&
             (text[i + 2] == 'F' || text[i + 2] == 'f');
    };
    while (end < text.size() && !slash_at(end)) ++end;
    if (!http::percent_decode(text.substr(0, end), piece)) return false;
    out.append(piece);
    if (end < text.size()) {
      out.append(text.substr(end, 3));
      end += 3;
    }
    text.remove_prefix(end);
  }
  return true;
}

/// One request's path against the tree. Visits each node at most once for each verb.
class Search {
 public:
  Search(std::string_view method, std::string_view path) noexcept : method_(method), path_(path) {}

  std::string_view verb;  // what the path's last segment has after its last colon; empty: ignored
  std::string allow;
  bool path_matched = false;
  /// Where each segment begins in `path`; one entry beyond the last.
  std::vector<std::size_t> starts;

  std::size_t segment_count() const noexcept { return starts.size() - 1; }
  std::string_view segment(std::size_t index) const noexcept {
    return path_.substr(starts[index], starts[index + 1] - 1 - starts[index]);
  }
  /// Cuts `path`, without the verb's `cut` bytes at its end.
  void split(std::size_t cut) {
    path_ = path_.substr(0, path_.size() - cut);
    starts.assign(1, 1);
    for (std::size_t i = 1; i < path_.size(); ++i) {
      if (path_[i] == '/') starts.push_back(i + 1);
    }
    if (path_ == "/") {
      starts.assign(1, 1);  // no segment at all: `/**` takes it
    } else {
      starts.push_back(path_.size() + 1);
    }
  }

  template <typename Route>
  const Route* route_of(const std::vector<Route>& routes) {
    const Route* any = nullptr;
    const Route* get = nullptr;
    for (const Route& route : routes) {
      if (route.verb != verb) continue;
      if (route.method == method_) return &route;
      path_matched = true;
      if (route.method == "*") any = &route;
      if (route.method == "GET" && method_ == "HEAD") get = &route;
      if (route.method != "*" && allow.find(route.method) == std::string::npos) {
        if (!allow.empty()) allow.append(", ");
        allow.append(route.method);
        if (route.method == "GET") allow.append(", HEAD");
      }
    }
    return get != nullptr ? get : any;
  }

  template <typename Nodes>
  auto visit(const Nodes& nodes, std::size_t at, std::size_t index)
      -> decltype(&nodes[0].routes[0]) {
    const auto& node = nodes[at];
    if (index == segment_count()) {
      if (auto* route = route_of(node.routes)) return route;
    } else {
      const std::string_view text = segment(index);
      if (http::percent_decode(text, decoded_)) {
        const auto place = literal_place(node.literals, decoded_);
        if (place != node.literals.end() && place->first == decoded_) {
          if (auto* route = visit(nodes, place->second, index + 1)) return route;
        }
      }
      if (node.one != kNone && !text.empty()) {
        if (auto* route = visit(nodes, node.one, index + 1)) return route;
      }
    }
    return node.rest != kNone ? route_of(nodes[node.rest].routes) : nullptr;
  }

  /// The text from segment `first` to before `end` (SIZE_MAX: to the path's end).
  std::string_view text(std::size_t first, std::size_t end) const noexcept {
    if (first >= segment_count()) return {};
    end = std::min(end, segment_count());
    return path_.substr(starts[first], starts[end] - 1 - starts[first]);
  }

 private:
  std::string_view method_;
  std::string_view path_;
  std::string decoded_;
};

}  // namespace

PathTable::Match PathTable::find(std::string_view method, std::string_view path,
                                 bool decode_slashes) const {
  Match match;
  if (path.empty() || path.front() != '/') return match;
  const std::size_t colon = path.rfind(':');
  const bool verb_possible =
      colon != std::string_view::npos && colon > path.rfind('/') && colon + 1 < path.size();
  bool path_matched = false;
  for (const bool with_verb : {true, false}) {
    if (with_verb && !verb_possible) continue;
    Search search(method, path);
    std::string verb;
    if (with_verb && !http::percent_decode(path.substr(colon + 1), verb)) continue;
    search.verb = verb;
    search.split(with_verb ? path.size() - colon : 0);
    const Node::Route* route = search.visit(nodes_, 0, 0);
    if (route == nullptr) {
      if (search.path_matched && !path_matched) match.allow = std::move(search.allow);
      path_matched |= search.path_matched;
      continue;
    }
    match.outcome = Match::Outcome::found;
    match.route = route->number;
    match.allow.clear();
    for (const PathTemplate::Variable& variable : route->variables) {
      const std::string_view text =
          search.text(variable.first, variable.open ? SIZE_MAX : variable.end);
      std::string value;
      const bool good = variable.multiple && !decode_slashes ? decode_but_slashes(text, value)
                                                             : http::percent_decode(text, value);
      if (!good) {
        match.outcome = Match::Outcome::malformed;
        match.values.clear();
        return match;
      }
      match.values.push_back(std::move(value));
    }
    return match;
  }
  if (path_matched) match.outcome = Match::Outcome::no_method;
  return match;
}

}  // namespace tern::rpc
