#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/time.h"
#include "transport/tls/boringssl.h"
#include "transport/tls/handshake_state.h"
#include "transport/tls/record_layer.h"
#include "transport/tls/secure_stream.h"

namespace tern::tls {

/// A SecureStream's handshake in BoringSSL, and its records for as long as they are BoringSSL's: it
/// reads them from the stream's input and puts its own into `output`. Internal to transport/tls.
struct SecureStream::Session : HandshakeState {
  ~Session();

  /// Makes `ssl`, which reads from `input_view`; then the side's own settings follow.
  Result<void> make(SSL_CTX* context, MutableBytes& input_view, UnixSeconds unix_now, bool tls12);
  /// Client: `take` gets the tickets.
  void take_sessions(std::function<void(StreamSession)> take);

  /// BoringSSL has taken whole records.
  bool between_records() const noexcept { return header_size == 0 && body_left == 0; }
  void forget_secret() noexcept;

  bssl::UniquePtr<SSL> ssl;
  std::shared_ptr<const ClientContext> client_context;  // one of the two
  std::shared_ptr<const ServerContext> server_context;
  std::vector<std::uint8_t> output;  // records not yet given to the stream
  std::uint8_t alert = 0;
  bool alert_is_remote = false;
  /// Client: our first secret. If it is another one later, an answer to a KeyUpdate may wait in
  /// BoringSSL.
  std::vector<std::uint8_t> first_write_secret;

 private:
  struct Callbacks;
  void follow(ByteView taken) noexcept;

  MutableBytes* input = nullptr;
  std::function<void(StreamSession)> take_session;
  std::array<std::uint8_t, RecordLayer::kHeader> header{};
  std::size_t header_size = 0;
  std::size_t body_left = 0;
};

}  // namespace tern::tls
