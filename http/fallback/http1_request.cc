#include "http/fallback/http1_request.h"

#include <algorithm>
#include <utility>

#include "base/ascii.h"

namespace tern::fallback {

namespace {

bool host_byte(char c) noexcept {
  return (c >= '0' && c <= '9') || (ascii::lower(c) >= 'a' && ascii::lower(c) <= 'z') ||
         std::string_view("-._~%!$&'()*+,;=:[]").find(c) != std::string_view::npos;
}

/// The scheme of an absolute URI, in lower case, and what follows "://".
bool split_absolute(std::string_view target, std::string& scheme, std::string_view& rest) {
  const std::size_t colon = target.find("://");
  if (colon == std::string_view::npos) return false;
  scheme.assign(target.substr(0, colon));
  std::transform(scheme.begin(), scheme.end(), scheme.begin(), ascii::lower);
  rest = target.substr(colon + 3);
  return true;
}

}  // namespace

bool has_token(std::string_view list, std::string_view token) noexcept {
  while (!list.empty()) {
    const std::size_t comma = list.find(',');
    if (ascii::same(ascii::trimmed(list.substr(0, comma)), token)) return true;
    list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
  }
  return false;
}

bool valid_authority(std::string_view authority) noexcept {
  if (authority.empty() || !std::all_of(authority.begin(), authority.end(), host_byte)) {
    return false;
  }
  std::string_view port;
  if (authority.front() == '[') {
    const std::size_t close = authority.find(']');
    if (close == std::string_view::npos || close == 1) return false;
    port = authority.substr(close + 1);
    if (!port.empty() && port.front() != ':') return false;
    if (port.find_first_of("[]") != std::string_view::npos) return false;
    if (!port.empty()) port.remove_prefix(1);
  } else {
    if (authority.find_first_of("[]") != std::string_view::npos) return false;
    const std::size_t colon = authority.find(':');
    if (colon == 0) return false;
    if (colon != std::string_view::npos) port = authority.substr(colon + 1);
  }
  return port.size() <= 5 &&
         std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::optional<Http1Failure> read_request(Http1Head& in, std::string_view scheme,
                                         Http1Request& out) {
  const auto bad = [](const char* reason) { return Http1Failure{400, reason}; };
  http::RequestHead& head = out.head;
  head.method = std::move(in.method);
  head.scheme = scheme;
  head.authority.clear();
  head.path.clear();

  // RFC 9112 §3.2.
  std::optional<std::string_view> host;
  for (const http::Field field : in.fields) {
    if (field.name != "host") continue;
    if (host) return bad("more than one host field");
    host = field.value;
  }
  if (!host && !in.http10) return bad("no host field");
  if (host && !valid_authority(*host)) return bad("a host field that is no host");
  if (host) head.authority = *host;

  const std::string_view target = in.target;
  std::string_view rest;
  std::string absolute;
  if (head.method == "CONNECT") {
    // §3.2.3; the port is not optional there (RFC 9110 §9.3.6).
    if (!valid_authority(target) || target.back() == ':' || target.back() == ']' ||
        target.find(':') == std::string_view::npos) {
      return bad("CONNECT to what is no host and port");
    }
    head.authority = target;
    head.scheme.clear();
  } else if (target.starts_with('/')) {
    head.path = target;
  } else if (target == "*") {
    if (head.method != "OPTIONS") return bad("the target * without OPTIONS");
    head.path = target;
  } else if (split_absolute(target, absolute, rest)) {
    if (absolute != "http" && absolute != "https") return bad("a target of another scheme");
    const std::size_t path = std::min(rest.find_first_of("/?"), rest.size());
    // §3.2.2: what the target says counts, not the host field.
    if (!valid_authority(rest.substr(0, path))) return bad("a target without a host");
    head.authority = rest.substr(0, path);
    head.scheme = absolute;
    rest.remove_prefix(path);
    if (rest.empty() && head.method == "OPTIONS") {
      head.path = "*";
    } else {
      head.path = rest.starts_with('/') ? "" : "/";
      head.path += rest;
    }
  } else {
    return bad("a target of no form there is");
  }
  if (target.find('#') != std::string_view::npos) return bad("a fragment in the target");

  // RFC 6455 §4.2.1. Whatever else somebody would like to upgrade to is not ours (RFC 9110 §7.8).
  const auto upgrade = in.fields.joined("upgrade");
  const bool websocket = upgrade && in.upgrade && !in.http10 && head.method == "GET" &&
                         has_token(*upgrade, "websocket");
  if (websocket) {
    const auto key = in.fields.find("sec-websocket-key");
    if (!key || !valid_websocket_key(*key)) return bad("a WebSocket handshake without a key");
    if (in.framing != Http1Head::Framing::none) return bad("a WebSocket handshake with a body");
    out.websocket_key = *key;
    head.method = "CONNECT";
    head.protocol = "websocket";
  } else if (head.method == "CONNECT" && in.framing != Http1Head::Framing::none) {
    return bad("CONNECT with a body");  // RFC 9110 §9.3.6: it has no meaning; tunnels begin there
  }

  for (const http::Field field : in.fields) {
    if (field.name == "host" || http::Fields::connection_specific(field.name, field.value))
      continue;
    if (websocket && field.name == "sec-websocket-key") continue;
    if (field.name == "expect" && !in.http10 && ascii::same(field.value, "100-continue")) {
      out.expects_continue = true;
    }
    head.fields.add(field.name, field.value);
  }
  return std::nullopt;
}

void write_request(const http::RequestHead& head, std::string_view key, bool body,
                   const ForwardProxy* proxy, std::string& out) {
  const auto line = [&out](std::string_view name, std::string_view value) {
    out.append(name).append(": ").append(value).append("\r\n");
  };
  const bool upgrade = !head.protocol.empty();
  const bool tunnel = head.method == "CONNECT" && !upgrade;
  out.append(upgrade ? std::string_view("GET") : std::string_view(head.method)).append(" ");
  const bool forwarded = proxy != nullptr && !tunnel;
  if (forwarded) out.append(head.scheme).append("://").append(proxy->authority);
  if (!forwarded || head.path != "*") out.append(tunnel ? head.authority : head.path);
  out.append(" HTTP/1.1\r\n");
  line("host", head.authority);
  if (proxy != nullptr && !proxy->authorization.empty()) {
    line("proxy-authorization", proxy->authorization);
  }
  bool has_length = false;
  bool has_version = false;
  for (const http::Field field : head.fields) {
    if (field.name == "host" || http::Fields::connection_specific(field.name, field.value))
      continue;
    has_length = has_length || field.name == "content-length";
    has_version = has_version || field.name == "sec-websocket-version";
    line(field.name, field.value);
  }
  if (const auto te = head.fields.find("te"); te == "trailers") line("connection", "te");
  if (upgrade) {
    line("connection", "Upgrade");
    line("upgrade", head.protocol);
    line("sec-websocket-key", key);
    if (!has_version) line("sec-websocket-version", "13");
  } else if (!tunnel && !has_length) {
    // RFC 9110 §8.6: methods that usually have a body say that there is none.
    if (body) {
      line("transfer-encoding", "chunked");
    } else if (head.method == "POST" || head.method == "PUT" || head.method == "PATCH") {
      line("content-length", "0");
    }
  }
  out += "\r\n";
}

}  // namespace tern::fallback
