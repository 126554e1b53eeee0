#include "tools/tern/ws_run.h"

#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <unistd.h>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/scope.h"
#include "gateway/client.h"
#include "http/websocket.h"
#include "tools/tern/client_run.h"
#include "tools/tern/input_reader.h"
#include "tools/tern/json_writer.h"
#include "tools/tern/terminal.h"

namespace tern::cli {
namespace {

/// Messages kept for --json, in bytes.
constexpr std::size_t kMaxKeptForWebSocket = 1024 * 1024;

class Ws {
 public:
  explicit Ws(const WsOptions& options) : options_(options) {}

  ExitCode run() {
    ClientOptions made = client_options(options_, protocols());
    request_ = client_request(options_);
    Interrupts interrupts([this] {
      // Not open: there is nothing to be closed orderly.
      if (socket_ == nullptr) _exit(static_cast<int>(ExitCode::interrupted));
      socket_->start_close();
    });
    run_client(options_, std::move(made), interrupts,
               [this](Runtime& runtime, Client& client) { return talk(client, runtime); });
    return report();
  }

 private:
  ClientProtocols protocols() const {
    if (options_.carrier == "h3") return ClientProtocols::http3_only;
    if (options_.carrier == "h2") return ClientProtocols::http2_only;
    if (options_.carrier == "http1.1") return ClientProtocols::http1;
    return ClientProtocols::automatic;
  }

  http::WebSocketOptions websocket_options() const {
    http::WebSocketOptions options;
    for (const std::string& name : options_.protocols) options.protocol(name);
    if (options_.no_compression) {
      options.deflate(http::WebSocketDeflateOptions().enabled(false));
    }
    if (options_.ping) options.ping_interval(*options_.ping);
    return options;
  }

  Task<void> talk(Client& client, Runtime& runtime) {
    http::WebSocketOptions options = websocket_options();
    Result<std::unique_ptr<http::WebSocket>> opened =
        co_await client.websocket(std::move(*request_), std::move(options));
    if (!opened) {
      failure_ = opened.error();
      co_return;
    }
    socket_ = std::move(*opened);
    carrier_ = socket_->carrier();
    subprotocol_ = socket_->subprotocol();
    compressed_ = socket_->compressed();
    if (options_.verbose) {
      note(fmt::format("WebSocket open over {}{}{}", carrier_,
                       subprotocol_.empty() ? "" : ", subprotocol " + subprotocol_,
                       compressed_ ? ", permessage-deflate" : ""));
    }
    {
      Scope scope(runtime.ready());
      scope.spawn(send_all(runtime));
      if (options_.max_time) scope.spawn(close_after(runtime, *options_.max_time));
      while (auto message = co_await socket_->receive()) {
        show(*message);
        if (!output_ok_) socket_->start_close(http::websocket_code::kGoingAway);
      }
    }
    co_await socket_->close();
    end_ = socket_->closed();
    failure_ = socket_->error();
    stats_ = socket_->stats();
    if (options_.verbose) {
      note(fmt::format("closed: {}{}{}{}", end_.code, end_.reason.empty() ? "" : " ",
                       printable(end_.reason), end_.clean ? "" : " (no close handshake)"));
    }
    socket_.reset();
    co_await client.close();
  }

  Task<void> send_all(Runtime& runtime) {
    bool more = true;
    if (!options_.messages.empty()) {
      for (const std::string& message : options_.messages) {
        more = more && co_await send_one(message);
      }
    } else {
      InputReader input(runtime,
                        options_.binary ? InputReader::Pieces::blocks : InputReader::Pieces::lines);
      while (more) {
        std::optional<std::string> piece = co_await input.next();
        if (!piece) break;
        more = co_await send_one(std::move(*piece));
      }
    }
    if (options_.wait && more) co_await runtime.sleep(*options_.wait);
    socket_->start_close();
  }

  Task<bool> send_one(std::string message) {
    Result<void> sent;
    if (options_.binary) {
      sent = co_await socket_->send_binary(Bytes::take(std::move(message)));
    } else {
      sent = co_await socket_->send_text(std::move(message));
    }
    if (!sent && sent.error().is(Code::invalid)) {
      warn("not sent: " + sent.error().detail + "; use --binary");
      co_return true;
    }
    co_return sent.has_value();
  }

  Task<void> close_after(Runtime& runtime, Duration time) {
    co_await runtime.sleep(time);
    timed_out_ = true;
    socket_->start_close();
  }

  // ---- output

  void show(const http::WebSocketMessage& message) {
    if (options_.json) {
      kept_bytes_ += message.data.size();
      if (kept_bytes_ <= kMaxKeptForWebSocket) kept_.push_back(message);
      return;
    }
    if (options_.binary) return write(message.data);
    if (!is_terminal(stdout)) return write(message.data + "\n");
    const std::string text = message.text
                                 ? printable(message.data)
                                 : fmt::format("({} bytes: {})", message.data.size(),
                                               hex(std::string_view(message.data).substr(0, 64)));
    write(Paint(stdout).cyan("< ") + text + "\n");
  }

  void write(std::string_view text) {
    output_ok_ = output_ok_ && std::fwrite(text.data(), 1, text.size(), stdout) == text.size() &&
                 std::fflush(stdout) == 0;
  }

  static void warn(const std::string& text) { tell("tern ws: {}\n", printable(text)); }

  // ---- the end

  ExitCode code() const {
    if (!output_ok_) return ExitCode::cannot_write;
    if (failure_) {
      const ExitCode code = exit_code(*failure_);
      // Once it is open, what is wrong is the connection.
      return end_.code != 0 && code != ExitCode::timed_out ? ExitCode::receive_failed : code;
    }
    if (timed_out_) return ExitCode::timed_out;
    const bool good = end_.code == http::websocket_code::kNormal ||
                      end_.code == http::websocket_code::kGoingAway ||
                      end_.code == http::websocket_code::kNone;
    return good ? ExitCode::done : ExitCode::receive_failed;
  }

  ExitCode report() {
    const ExitCode result = code();
    std::string message;
    if (failure_) {
      message = failure_message(*failure_, result);
    } else if (result == ExitCode::timed_out) {
      message = "closed, as --max-time has passed";
    } else if (result == ExitCode::receive_failed) {
      message = fmt::format("the server closed it: {} {}", end_.code, end_.reason);
    } else if (result == ExitCode::cannot_write) {
      message = "cannot write to stdout";
    }
    if (options_.json) {
      print_json(result, message);
    } else if (!message.empty()) {
      tell("{} {}: {}\n", Paint(stderr).red("tern ws:"), options_.url, printable(message));
    }
    return result;
  }

  void print_json(ExitCode result, const std::string& message) const {
    JsonWriter json;
    json.begin_object();
    json.member("url", options_.url);
    json.member("exit_code", static_cast<int>(result));
    if (!message.empty()) json.member("error", message);
    if (!carrier_.empty()) {
      json.member("carrier", carrier_);
      json.member("protocol", subprotocol_);
      json.member("compressed", compressed_);
      json.key("messages").begin_array();
      for (const http::WebSocketMessage& each : kept_) {
        json.begin_object();
        if (each.text) {
          json.member("text", each.data);
        } else {
          json.member("hex", hex(each.data));
        }
        json.end();
      }
      json.end();
      json.member("messages_complete", kept_bytes_ <= kMaxKeptForWebSocket);
      json.key("close").begin_object();
      json.member("code", static_cast<int>(end_.code));
      json.member("reason", end_.reason);
      json.member("clean", end_.clean);
      json.end();
      json.key("stats").begin_object();
      json.member("messages_sent", stats_.messages_sent);
      json.member("messages_received", stats_.messages_received);
      json.member("bytes_sent", stats_.bytes_sent);
      json.member("bytes_received", stats_.bytes_received);
      json.member("wire_sent", stats_.wire_sent);
      json.member("wire_received", stats_.wire_received);
      json.end();
    }
    json.end();
    fmt::print("{}\n", json.text());
  }

  const WsOptions& options_;
  std::optional<ClientRequest> request_;
  std::unique_ptr<http::WebSocket> socket_;
  std::string carrier_;
  std::string subprotocol_;
  bool compressed_ = false;
  bool output_ok_ = true;
  bool timed_out_ = false;
  std::vector<http::WebSocketMessage> kept_;
  std::size_t kept_bytes_ = 0;
  std::optional<Error> failure_;
  http::WebSocketClose end_;
  http::WebSocketStats stats_;
};

}  // namespace

ExitCode run_ws(const WsOptions& options) { return Ws(options).run(); }

}  // namespace tern::cli
