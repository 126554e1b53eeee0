#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "http/exchange.h"
#include "http/message.h"
#include "webtransport/capsule_session.h"
#include "webtransport/server_options.h"

/// What the handshakes of the carriers consist of: application protocols in fields
/// (draft-ietf-webtrans-http3-16 §3.4), windows (draft-ietf-webtrans-http2-15 §4.3.2), and how a
/// WebSocket's subprotocols say the same.

namespace tern::webtransport {

/// A server's answer to an extended CONNECT.
struct Answer {
  /// 200 with its fields, or the refusal.
  http::Response response;
  std::string protocol;  ///< the application's; empty without one
  /// Why it was refused, for the log; empty if it was not.
  std::string refusal;
};
Answer answer_session(const http::RequestHead& request, const ServerOptions& options);

/// `wt-available-protocols` for `protocols`; empty without any.
std::string available_protocols(const std::vector<std::string>& protocols);
/// A client's reading of `wt-protocol`: empty when the field is missing or is to be ignored. Error
/// invalid: one that was not offered.
Result<std::string> chosen_protocol(const http::Response& response,
                                    const std::vector<std::string>& offered);

/// `webtransport-init` of either side, laid over what its SETTINGS say: the larger one counts.
/// False: the field is malformed, which a server answers with 400, and nothing was changed.
bool raise_windows(CapsuleWindows& windows, const http::Fields& fields);
std::string init_field(const CapsuleWindows& windows);
/// What each end allows the other before any capsule: over WebSocket by convention, over HTTP/2 by
/// its SETTINGS.
CapsuleWindows initial_windows() noexcept;
/// What the peer's SETTINGS on the exchange's connection of HTTP/2 allow us in each session: as far
/// as they are silent nothing, before a capsule.
CapsuleWindows http2_peer_windows(const http::detail::Ends& ends);
/// Of an exchange over HTTP/2: its TLS is 1.3 or has the extended master secret
/// (draft-ietf-webtrans-http2-15 §7), or it ends elsewhere.
bool http2_keys_are_unique(const http::detail::Ends& ends);
/// What an end with these options has told its peer over HTTP/2, when `init_field` of it was sent.
CapsuleWindows granted_windows(const SessionOptions& options) noexcept;
/// The same, with what the peer knows of it for certain: who sends no `webtransport-init` of its
/// own may not read ours. (Nor does @fails-components/webtransport.)
CapsuleWindows known_windows(const SessionOptions& options, const http::Fields& peers);

// ---- WebSocket (docs/webtransport.md) -----------------------------------------------------------
/// The subprotocol of a session without an application protocol.
inline constexpr std::string_view kSubprotocol = "webtransport";
/// The subprotocol that stands for the application protocol `name`.
std::string subprotocol_of(std::string_view name);
/// Back; nothing for a subprotocol that is none of ours.
std::optional<std::string> protocol_of(std::string_view subprotocol);

}  // namespace tern::webtransport
