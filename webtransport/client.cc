#include "webtransport/client.h"

#include <optional>
#include <utility>

#include "webtransport/capsule_carrier.h"
#include "webtransport/handshake.h"

namespace tern::webtransport {

http::WebSocketOptions websocket_request(const std::vector<std::string>& protocols) {
  http::WebSocketOptions options;
  for (const std::string& name : protocols) options.protocol(subprotocol_of(name));
  options.protocol(std::string(kSubprotocol)).max_message(0);
  options.deflate(http::WebSocketDeflateOptions().enabled(false));
  return options;
}

Result<std::unique_ptr<Session>> session_over(std::unique_ptr<http::WebSocket> socket,
                                              const SessionOptions& options) {
  std::optional<std::string> protocol = protocol_of(socket->subprotocol());
  if (!protocol) {
    return fail(Error(Code::unsupported,
                      "the server speaks WebSocket here, but no WebTransport over it",
                      Origin::remote));
  }
  Runtime& runtime = socket->runtime();
  auto carrier = std::make_unique<CapsuleCarrier>(
      runtime, CapsuleSession::Role::client, pipe_over(std::move(socket)), options,
      websocket_windows(), websocket_windows(), std::move(*protocol));
  return std::make_unique<Session>(runtime, std::move(carrier));
}

}  // namespace tern::webtransport
