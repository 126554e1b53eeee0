#include "http/websocket_handshake.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "base/ascii.h"
#include "http/escape.h"
#include "http/fields.h"

namespace tern::http {

namespace {

constexpr std::string_view kVersion = "13";
constexpr std::string_view kBearerProtocol = "bearer.";
/// Subprotocols a client may offer.
constexpr std::size_t kMaxProtocols = 64;

bool is_protocol(std::string_view text) { return Fields::valid_name(ascii::lower_case(text)); }

/// The elements of `sec-websocket-protocol`; nothing when it is malformed (RFC 6455 §4.1, 10:
/// tokens, each once).
std::optional<std::vector<std::string_view>> offered_protocols(std::string_view list) {
  std::vector<std::string_view> names;
  for (bool more = true; more;) {
    const std::size_t comma = list.find(',');
    const std::string_view name = ascii::trimmed(list.substr(0, comma));
    more = comma != std::string_view::npos;
    if (more) list.remove_prefix(comma + 1);
    if (name.empty()) continue;
    if (names.size() == kMaxProtocols || !is_protocol(name)) return std::nullopt;
    if (std::find(names.begin(), names.end(), name) != names.end()) return std::nullopt;
    names.push_back(name);
  }
  if (names.empty()) return std::nullopt;
  return names;
}

WebSocketAnswer refused(Status status, std::string why) {
  WebSocketAnswer answer;
  answer.response.set_status(status);
  answer.response.text(why + "\n");
  answer.refusal = std::move(why);
  return answer;
}

/// Why a client has no WebSocket, in one line.
std::string refusal_text(const Response& response) {
  const int status = code(response.status());
  std::string text = std::to_string(status);
  if (const auto name = reason(response.status()); !name.empty()) text.append(" ").append(name);
  const Fields& fields = response.fields();
  if (status / 100 == 3) {
    text = "the server sends the WebSocket elsewhere, which is not followed: " + text;
    if (const auto place = fields.find("location")) text += ", to " + escaped(*place, 256);
    return text;
  }
  text = "the server refuses the WebSocket: " + text;
  const auto challenge = fields.find("www-authenticate");
  if (status == 401 && challenge) {
    // The scheme alone: what follows may be long.
    text += " (it wants " + escaped(challenge->substr(0, challenge->find(' ')), 64) +
            " authentication)";
  }
  const auto version = fields.joined("sec-websocket-version");
  if (status == 426 && version) text += " (it speaks version " + escaped(*version, 64) + ")";
  return text;
}

}  // namespace

WebSocketAnswer answer_websocket(const RequestHead& request, const WebSocketOptions& options) {
  if (request.method != "CONNECT" || request.protocol != "websocket") {
    return refused(Status::method_not_allowed, "a WebSocket is wanted here");
  }
  const auto version = request.fields.find("sec-websocket-version");
  if (version != kVersion) {
    WebSocketAnswer answer =
        version ? refused(Status::upgrade_required, "WebSocket version 13 is wanted here")
                : refused(Status::bad_request, "sec-websocket-version is missing");
    answer.response.field("sec-websocket-version", kVersion);
    return answer;
  }
  if (std::string why = options.origins().refusal(request); !why.empty()) {
    return refused(Status::forbidden, std::move(why));
  }

  WebSocketAnswer answer;
  if (const auto list = request.fields.joined("sec-websocket-protocol")) {
    const auto offered = offered_protocols(*list);
    // Not quoted: there may be a token in it.
    if (!offered) return refused(Status::bad_request, "sec-websocket-protocol is malformed");
    for (const std::string& ours : options.protocols()) {
      if (std::find(offered->begin(), offered->end(), ours) == offered->end()) continue;
      answer.terms.protocol = ours;
      answer.response.field("sec-websocket-protocol", ours);
      break;
    }
  }
  if (const auto offers = request.fields.joined("sec-websocket-extensions")) {
    Result<std::optional<WebSocketDeflateAnswer>> deflate =
        accept_deflate(*offers, options.deflate());
    if (!deflate) return refused(Status::bad_request, deflate.error().detail);
    if (*deflate) {
      answer.terms.deflate = (**deflate).agreement;
      answer.response.field("sec-websocket-extensions", (**deflate).field);
    }
  }
  return answer;
}

Result<void> complete_websocket_request(RequestHead& request, const WebSocketOptions& options) {
  request.method = "CONNECT";
  request.protocol = "websocket";
  request.fields.set("sec-websocket-version", kVersion);
  std::string list;
  for (const std::string& name : options.protocols()) {
    if (!is_protocol(name)) {
      return fail(Error::invalid("subprotocol \"" + escaped(name, 64) + "\" is no token"));
    }
    if (std::count(options.protocols().begin(), options.protocols().end(), name) > 1) {
      return fail(Error::invalid("subprotocol \"" + name + "\" is there twice"));
    }
    if (!list.empty()) list += ", ";
    list += name;
  }
  if (!list.empty()) request.fields.set("sec-websocket-protocol", list);
  if (options.deflate().enabled()) {
    request.fields.set("sec-websocket-extensions", offer_deflate(options.deflate()));
  }
  return {};
}

Result<WebSocketTerms> confirm_websocket(const Response& response,
                                         const WebSocketOptions& options) {
  const int status = code(response.status());
  if (status < 200 || status > 299) {
    return fail(Error(Domain::http, static_cast<std::uint64_t>(status), refusal_text(response),
                      Origin::remote));
  }
  WebSocketTerms terms;
  if (const auto protocol = response.fields().joined("sec-websocket-protocol")) {
    const auto& offered = options.protocols();
    if (std::find(offered.begin(), offered.end(), *protocol) == offered.end()) {
      return fail(Error(Code::invalid,
                        "the server has chosen subprotocol \"" + escaped(*protocol, 64) +
                            "\", which was not offered",
                        Origin::remote));
    }
    terms.protocol = *protocol;
  }
  if (const auto extensions = response.fields().joined("sec-websocket-extensions")) {
    TERN_TRY(terms.deflate, confirm_deflate(*extensions, options.deflate()));
  }
  return terms;
}

std::string_view bearer_token(const RequestHead& request) noexcept {
  constexpr std::string_view kScheme = "bearer ";
  for (const Field& field : request.fields) {
    if (field.name != "authorization" || field.value.size() <= kScheme.size()) continue;
    const bool bearer = std::equal(kScheme.begin(), kScheme.end(), field.value.begin(),
                                   [](char a, char b) { return a == b || a == (b | 0x20); });
    if (bearer) return ascii::trimmed(field.value.substr(kScheme.size()));
  }
  for (const Field& field : request.fields) {
    if (field.name != "sec-websocket-protocol") continue;
    std::string_view list = field.value;
    while (!list.empty()) {
      const std::size_t comma = std::min(list.find(','), list.size());
      const std::string_view name = ascii::trimmed(list.substr(0, comma));
      if (name.starts_with(kBearerProtocol)) return name.substr(kBearerProtocol.size());
      list.remove_prefix(std::min(comma + 1, list.size()));
    }
  }
  return {};
}

}  // namespace tern::http
