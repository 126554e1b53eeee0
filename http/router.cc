#include "http/router.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>
#include <vector>

#include "base/check.h"
#include "http/escape.h"

namespace tern::http {

namespace {

constexpr std::size_t kNone = SIZE_MAX;
/// Segments of a pattern, and so values a match can capture.
constexpr std::size_t kMaxSegments = 32;

struct Route {
  std::string method;
  Handler handler;
  std::vector<std::string> names;  // of the values captured on the way, in their order
  bool early_data = false;
};

struct Connect {
  std::string protocol;
  Handler handler;
  std::vector<std::string> names;
};

struct Node {
  /// Sorted by text.
  std::vector<std::pair<std::string, std::size_t>> literals;
  std::size_t parameter = kNone;
  std::size_t tail = kNone;
  std::vector<Route> routes;
  std::vector<Connect> connects;
  Handler mounted;
  bool mounted_early_data = false;

  bool has_handlers() const noexcept { return !routes.empty() || !connects.empty(); }
};

/// "/a/b" is the segments "a", "b"; "/" is one empty segment, "/a/" is "a" and an empty one.
class Segments {
 public:
  explicit Segments(std::string_view path) noexcept : rest_(path.substr(1)) {}
  bool done() const noexcept { return done_; }
  /// What is left, without the slash before it.
  std::string_view rest() const noexcept { return rest_; }
  std::string_view next() noexcept {
    const std::size_t slash = rest_.find('/');
    const std::string_view segment = rest_.substr(0, slash);
    if (slash == std::string_view::npos) {
      done_ = true;
      rest_ = {};
    } else {
      rest_.remove_prefix(slash + 1);
    }
    return segment;
  }

 private:
  std::string_view rest_;
  bool done_ = false;
};

bool is_parameter(std::string_view segment) noexcept {
  return segment.size() > 2 && segment.front() == '{' && segment.back() == '}';
}

bool is_tail(std::string_view segment) noexcept {
  return is_parameter(segment) && segment.size() > 5 &&
         segment.substr(segment.size() - 4) == "...}";
}

std::string_view name_of(std::string_view segment) noexcept {
  return segment.substr(1, segment.size() - (is_tail(segment) ? 5 : 2));
}

void add_method(std::string& list, std::string_view method) {
  for (std::size_t at = 0; at < list.size();) {
    const std::size_t comma = std::min(list.find(',', at), list.size());
    if (std::string_view(list).substr(at, comma - at) == method) return;
    at = comma + 2;
  }
  if (!list.empty()) list.append(", ");
  list.append(method);
}

void add_methods(std::string& list, const Node& node) {
  for (const Route& route : node.routes) {
    add_method(list, route.method);
    if (route.method == "GET") add_method(list, "HEAD");
  }
  if (!node.connects.empty()) add_method(list, "CONNECT");
}

Task<void> answer(Exchange& exchange, Status status) {
  std::string text(reason(status));
  text.push_back('\n');
  const Exchange::Write sent = exchange.respond(status, std::move(text));
  return Task<void>::completed();
}

Task<void> answer_methods(Exchange& exchange, Status status, std::string allow) {
  Response response(status);
  response.field("allow", allow);
  if (status == Status::method_not_allowed) {
    response.text(std::string(reason(status)) + "\n");
  }
  const Exchange::Write sent = exchange.respond(std::move(response));
  return Task<void>::completed();
}

}  // namespace

struct Router::Table {
  std::vector<Node> nodes{1};
  std::vector<std::string> protocols;  // of every `connect`
  Handler fallback;
};

namespace {

/// One walk through the tree. Every node lies on one path from the root, so a walk visits each at
/// most once.
class Match {
 public:
  Match(const std::vector<Node>& nodes, std::string_view method, std::string_view protocol) noexcept
      : nodes_(nodes), method_(method), protocol_(protocol) {}

  /// Looks for the best node that knows the method; gathers what else it sees on its way.
  bool find(std::string_view path) { return walk(0, Segments(path), path); }

  const Route* route = nullptr;
  const Connect* connect = nullptr;
  /// The deepest mount above the path, and how much of the path it took.
  const Node* mount = nullptr;
  std::size_t mount_size = 0;
  /// Methods of the nodes that match the path.
  std::string allow;
  bool known_path = false;

  void capture_into(Exchange& exchange, const std::vector<std::string>& names) const {
    std::string decoded;
    for (std::size_t i = 0; i < names.size(); ++i) {
      const Value& value = values_[i];
      if (value.raw || value.text().find('%') == std::string_view::npos) {
        exchange.set_parameter(names[i], value.text());
      } else if (percent_decode(value.text(), decoded)) {
        exchange.set_parameter(names[i], decoded);
      }
    }
  }

 private:
  /// Trivial, so that a walk does not begin with clearing kMaxSegments of them.
  struct Value {
    const char* data;
    std::size_t size;
    bool raw;  // a tail
    std::string_view text() const noexcept { return {data, size}; }
  };

  bool walk(std::size_t index, Segments left, std::string_view path) {
    const Node& node = nodes_[index];
    if (node.mounted) consider_mount(node, left, path);
    if (left.done()) return accept(node);
    Segments after = left;
    const std::string_view segment = after.next();
    if (const std::size_t child = literal(node, segment); child != kNone) {
      if (walk(child, after, path)) return true;
    }
    if (node.parameter != kNone && decodable(segment)) {
      push(segment, false);
      if (walk(node.parameter, after, path)) return true;
      --count_;
    }
    if (node.tail != kNone) {
      push(left.rest(), true);
      if (accept(nodes_[node.tail])) return true;
      --count_;
    }
    return false;
  }

  void push(std::string_view text, bool raw) {
    values_[count_++] = {text.data(), text.size(), raw};
  }

  static std::size_t literal(const Node& node, std::string_view segment) {
    const auto find = [&node](std::string_view text) {
      const auto found = std::lower_bound(
          node.literals.begin(), node.literals.end(), text,
          [](const auto& entry, std::string_view wanted) { return entry.first < wanted; });
      return found != node.literals.end() && found->first == text ? found->second : kNone;
    };
    if (segment.find('%') == std::string_view::npos) return find(segment);
    // "%61" is "a" (RFC 3986 §2.3).
    std::string decoded;
    return percent_decode(segment, decoded) ? find(decoded) : kNone;
  }

  /// A parameter takes any segment but an empty one or one with a broken percent-encoding.
  static bool decodable(std::string_view segment) {
    if (segment.empty()) return false;
    if (segment.find('%') == std::string_view::npos) return true;
    std::string decoded;
    return percent_decode(segment, decoded);
  }

  void consider_mount(const Node& node, const Segments& left, std::string_view path) {
    // The mount's prefix is what was walked over, without the slash before what is left.
    const std::size_t size = left.done() ? path.size() : path.size() - left.rest().size() - 1;
    if (mount != nullptr && size < mount_size) return;
    mount = &node;
    mount_size = size;
  }

  bool accept(const Node& node) {
    if (!node.has_handlers()) return false;
    known_path = true;
    if (!protocol_.empty()) {
      for (const Connect& candidate : node.connects) {
        if (candidate.protocol == protocol_) {
          connect = &candidate;
          return true;
        }
      }
    } else {
      for (const Route& candidate : node.routes) {
        if (candidate.method == method_) {
          route = &candidate;
          return true;
        }
      }
      if (method_ == "HEAD") {
        for (const Route& candidate : node.routes) {
          if (candidate.method == "GET") {
            route = &candidate;
            return true;
          }
        }
      }
    }
    add_methods(allow, node);
    return false;
  }

  const std::vector<Node>& nodes_;
  std::string_view method_;
  std::string_view protocol_;
  std::array<Value, kMaxSegments> values_;
  std::size_t count_ = 0;
};

}  // namespace

// ---- building -----------------------------------------------------------------------------------

Router::Router() : table_(std::make_shared<const Table>()) {}

/// The table, ours alone: a copy when other routers share it.
Router::Table& Router::change() {
  if (table_.use_count() != 1) table_ = std::make_shared<const Table>(*table_);
  return const_cast<Table&>(*table_);  // made non-const two lines above or in the constructor
}

Result<void> Router::check_pattern(std::string_view pattern) {
  const auto wrong = [pattern](std::string_view what) {
    return fail(Error::invalid("pattern \"" + escaped(pattern, 256) + "\": " + std::string(what)));
  };
  if (!pattern.starts_with('/')) return wrong("does not start with '/'");
  std::vector<std::string_view> names;
  std::size_t count = 0;
  for (Segments segments(pattern); !segments.done(); ++count) {
    if (count == kMaxSegments) return wrong("has more than 32 segments");
    const std::string_view segment = segments.next();
    if (is_parameter(segment)) {
      const std::string_view name = name_of(segment);
      if (name.empty() || name.find_first_of("{}.") != std::string_view::npos) {
        return wrong("a parameter without a proper name");
      }
      if (std::find(names.begin(), names.end(), name) != names.end()) {
        return wrong("two parameters of one name");
      }
      names.push_back(name);
      if (is_tail(segment) && !segments.done()) return wrong("a tail that is not last");
    } else if (segment.find_first_of("{}?#%") != std::string_view::npos) {
      return wrong("a segment is either literal (not percent-encoded) or one whole {parameter}");
    }
  }
  return {};
}

std::size_t Router::node_for(std::string_view pattern, std::vector<std::string>* names) {
  TERN_CHECK(check_pattern(pattern).has_value());
  std::vector<Node>& nodes = change().nodes;
  std::size_t at = 0;
  const auto child = [&nodes](std::size_t existing) {
    if (existing != kNone) return existing;
    nodes.emplace_back();
    return nodes.size() - 1;
  };
  for (Segments segments(pattern); !segments.done();) {
    const std::string_view segment = segments.next();
    if (is_parameter(segment)) {
      TERN_CHECK(names != nullptr);  // a mount's prefix has no parameters
      names->emplace_back(name_of(segment));
      const bool tail = is_tail(segment);
      const std::size_t next = child(tail ? nodes[at].tail : nodes[at].parameter);
      (tail ? nodes[at].tail : nodes[at].parameter) = next;
      at = next;
      continue;
    }
    const auto position = [&nodes, segment](std::size_t parent) {
      auto& literals = nodes[parent].literals;
      return std::lower_bound(
          literals.begin(), literals.end(), segment,
          [](const auto& entry, std::string_view wanted) { return entry.first < wanted; });
    };
    auto found = position(at);
    if (found == nodes[at].literals.end() || found->first != segment) {
      const std::size_t next = child(kNone);
      found = position(at);  // `nodes` may have moved
      nodes[at].literals.emplace(found, segment, next);
      at = next;
    } else {
      at = found->second;
    }
  }
  return at;
}

Router& Router::get(std::string_view pattern, Handler handler) {
  return handle("GET", pattern, std::move(handler));
}
Router& Router::post(std::string_view pattern, Handler handler) {
  return handle("POST", pattern, std::move(handler));
}
Router& Router::put(std::string_view pattern, Handler handler) {
  return handle("PUT", pattern, std::move(handler));
}
Router& Router::patch(std::string_view pattern, Handler handler) {
  return handle("PATCH", pattern, std::move(handler));
}
Router& Router::del(std::string_view pattern, Handler handler) {
  return handle("DELETE", pattern, std::move(handler));
}

Router& Router::handle(std::string_view method, std::string_view pattern, Handler handler,
                       RouteOptions options) {
  TERN_CHECK(!method.empty() && method != "CONNECT" && handler);
  Route route;
  const std::size_t index = node_for(pattern, &route.names);
  Node& node = change().nodes[index];
  for (const Route& other : node.routes) TERN_CHECK(other.method != method);
  route.method = method;
  route.handler = std::move(handler);
  route.early_data = options.allows_early_data();
  node.routes.push_back(std::move(route));
  return *this;
}

Router& Router::connect(std::string_view protocol, std::string_view pattern, Handler handler) {
  TERN_CHECK(!protocol.empty() && handler);
  Connect route;
  const std::size_t index = node_for(pattern, &route.names);
  Table& table = change();
  Node& node = table.nodes[index];
  for (const Connect& other : node.connects) TERN_CHECK(other.protocol != protocol);
  route.protocol = protocol;
  route.handler = std::move(handler);
  node.connects.push_back(std::move(route));
  auto& known = table.protocols;
  if (std::find(known.begin(), known.end(), protocol) == known.end()) known.emplace_back(protocol);
  return *this;
}

Router& Router::websocket(std::string_view pattern, WebSocketHandler handler,
                          WebSocketOptions options) {
  return connect("websocket", pattern, http::websocket(std::move(handler), std::move(options)));
}

Router& Router::mount(std::string_view prefix, Handler handler, RouteOptions options) {
  TERN_CHECK(handler);
  while (prefix.ends_with('/')) prefix.remove_suffix(1);
  const std::size_t index = prefix.empty() ? 0 : node_for(prefix, nullptr);
  Node& node = change().nodes[index];
  TERN_CHECK(!node.mounted);
  node.mounted = std::move(handler);
  node.mounted_early_data = options.allows_early_data();
  return *this;
}

Router& Router::fallback(Handler handler) {
  change().fallback = std::move(handler);
  return *this;
}

// ---- dispatching --------------------------------------------------------------------------------

Task<void> Router::operator()(Exchange& exchange) const {
  const Table& table = *table_;
  const RequestHead& request = exchange.request();
  const std::string_view method = request.method;
  const std::string_view path = exchange.mounted_path();
  const bool connecting = method == "CONNECT";
  const bool replayable = !is_safe(method) && exchange.early_data();

  if (connecting && request.protocol.empty()) return answer(exchange, Status::not_implemented);
  if (!path.starts_with('/')) {
    if (path == "*" && method == "OPTIONS") {  // the server as a whole (RFC 9110 §9.3.7)
      std::string allow;
      for (const Node& node : table.nodes) add_methods(allow, node);
      add_method(allow, "OPTIONS");
      return answer_methods(exchange, Status::no_content, std::move(allow));
    }
    // A router that is mounted sees an empty path where the request ends with the prefix.
    if (!path.empty() || request.path.empty()) return answer(exchange, Status::bad_request);
  }

  Match match(table.nodes, method, request.protocol);
  const bool found = path.empty() ? match.find("/") : match.find(path);
  if (found) {
    if (replayable && (match.route == nullptr || !match.route->early_data)) {
      return answer(exchange, Status::too_early);
    }
    if (match.route != nullptr) {
      match.capture_into(exchange, match.route->names);
      return match.route->handler(exchange);
    }
    match.capture_into(exchange, match.connect->names);
    return match.connect->handler(exchange);
  }
  if (match.known_path) {
    if (method == "OPTIONS") {
      add_method(match.allow, "OPTIONS");
      return answer_methods(exchange, Status::no_content, std::move(match.allow));
    }
  } else if (match.mount != nullptr) {
    if (replayable && !match.mount->mounted_early_data) return answer(exchange, Status::too_early);
    const std::size_t above = static_cast<std::size_t>(path.data() - request.path.data());
    exchange.set_mount(above + match.mount_size);
    return match.mount->mounted(exchange);
  }
  const bool known_protocol = std::find(table.protocols.begin(), table.protocols.end(),
                                        request.protocol) != table.protocols.end();
  if (connecting && !known_protocol && !table.fallback) {
    return answer(exchange, Status::not_implemented);
  }
  if (match.known_path) {
    add_method(match.allow, "OPTIONS");
    return answer_methods(exchange, Status::method_not_allowed, std::move(match.allow));
  }
  if (table.fallback) {
    if (replayable) return answer(exchange, Status::too_early);
    return table.fallback(exchange);
  }
  return answer(exchange, Status::not_found);
}

}  // namespace tern::http
