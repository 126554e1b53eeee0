#include "webtransport/capsule_pipe.h"

#include <algorithm>
#include <utility>

namespace tern::webtransport {

namespace {

class ConnectPipe final : public CapsulePipe {
 public:
  explicit ConnectPipe(http::detail::Ends& ends) noexcept : ends_(ends) {}

  std::string_view name() const noexcept override { return ends_.protocol(); }
  const http::detail::Ends& ends() const noexcept override { return ends_; }

  Task<Result<Bytes>> read() override {
    Result<Bytes> piece = co_await ends_.read();
    co_return piece;
  }

  Task<Result<void>> write(std::vector<Bytes> pieces) override {
    for (Bytes& piece : pieces) {
      Result<void> written = co_await ends_.write(std::move(piece));
      if (!written) co_return written;
    }
    co_return Result<void>();
  }

  Task<void> finish() override {
    if (!ends_.finished()) co_await ends_.finish();
  }

  void abort() override { ends_.abort(http::Abort::malformed); }

 private:
  http::detail::Ends& ends_;
};

class WebSocketPipe final : public CapsulePipe {
 public:
  explicit WebSocketPipe(http::WebSocket& socket) noexcept : socket_(socket) {}
  explicit WebSocketPipe(std::unique_ptr<http::WebSocket> socket) noexcept
      : owned_(std::move(socket)), socket_(*owned_) {}

  std::string_view name() const noexcept override { return "websocket"; }
  const http::detail::Ends& ends() const noexcept override { return socket_.ends(); }

  Task<Result<Bytes>> read() override {
    for (;;) {
      std::optional<http::WebSocketMessage> message = co_await socket_.receive_part();
      if (!message) {
        if (socket_.error() && !socket_.closed().clean) co_return fail(*socket_.error());
        co_return Bytes();
      }
      if (message->text) {
        socket_.start_close(http::websocket_code::kUnsupportedData, "capsules are binary");
        co_return fail(Error(Code::invalid, "a text message among capsules", Origin::remote));
      }
      if (!message->data.empty()) co_return Bytes::take(std::move(message->data));
    }
  }

  Task<Result<void>> write(std::vector<Bytes> pieces) override {
    std::size_t size = 0;
    for (const Bytes& piece : pieces) size += piece.size();
    Bytes joined = Bytes::make(size, [&](MutableBytes out) {
      auto at = out.begin();
      for (const Bytes& piece : pieces) at = std::copy(piece.begin(), piece.end(), at);
      return size;
    });
    Result<void> sent = co_await socket_.send_binary(std::move(joined));
    co_return sent;
  }

  Task<void> finish() override {
    socket_.start_close();
    co_return;
  }

  void abort() override {
    socket_.start_close(http::websocket_code::kProtocolError, "capsules that break the rules");
  }

 private:
  std::unique_ptr<http::WebSocket> owned_;  // on a client
  http::WebSocket& socket_;
};

}  // namespace

std::unique_ptr<CapsulePipe> pipe_over(http::detail::Ends& ends) {
  return std::make_unique<ConnectPipe>(ends);
}

std::unique_ptr<CapsulePipe> pipe_over(http::WebSocket& socket) {
  return std::make_unique<WebSocketPipe>(socket);
}

std::unique_ptr<CapsulePipe> pipe_over(std::unique_ptr<http::WebSocket> socket) {
  return std::make_unique<WebSocketPipe>(std::move(socket));
}

}  // namespace tern::webtransport
