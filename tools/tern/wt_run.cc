#include "tools/tern/wt_run.h"

#include <chrono>
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
#include "http/utf8.h"
#include "tools/tern/client_run.h"
#include "tools/tern/input_reader.h"
#include "tools/tern/json_writer.h"
#include "tools/tern/terminal.h"
#include "webtransport/session.h"

namespace tern::cli {
namespace {

using webtransport::Carrier;
using webtransport::Session;
using webtransport::Stream;

/// Kept for --json, in bytes.
constexpr std::size_t kMaxKeptForWebTransport = 1024 * 1024;
/// A unidirectional stream's text, when lines are wanted.
constexpr std::size_t kMaxLine = 16 * 1024 * 1024;
/// For datagrams that nobody answers: they may be lost.
constexpr Duration kDatagramWait = std::chrono::seconds(1);
/// Between tries at a datagram when too many wait.
constexpr Duration kFullQueue = std::chrono::milliseconds(1);

class Wt {
 public:
  explicit Wt(const WtOptions& options) : options_(options) {}

  ExitCode run() {
    ClientOptions made = client_options(options_, ClientProtocols::automatic);
    request_ = client_request(options_);
    Interrupts interrupts([this] {
      // Not open: there is nothing to be closed orderly.
      if (session_ == nullptr) _exit(static_cast<int>(ExitCode::interrupted));
      session_->close();
    });
    run_client(options_, std::move(made), interrupts,
               [this](Runtime& runtime, Client& client) { return talk(client, runtime); });
    return report();
  }

 private:
  Carrier carrier() const {
    if (options_.carrier == "h3") return Carrier::http3;
    if (options_.carrier == "h2") return Carrier::http2;
    return options_.carrier == "websocket" ? Carrier::websocket : Carrier::automatic;
  }

  Task<void> talk(Client& client, Runtime& runtime) {
    webtransport::ClientOptions asked;
    asked.carrier(carrier());
    for (const std::string& name : options_.protocols) asked.protocol(name);
    Result<std::unique_ptr<Session>> opened =
        co_await client.webtransport(std::move(*request_), std::move(asked));
    if (!opened) {
      failure_ = opened.error();
      co_return;
    }
    session_ = std::move(*opened);
    progress_.emplace(runtime);
    carrier_ = session_->carrier();
    protocol_ = session_->protocol();
    if (options_.verbose) {
      note(fmt::format("session open over {}{}, datagrams of up to {} bytes{}", carrier_,
                       protocol_.empty() ? "" : ", protocol " + protocol_, session_->max_datagram(),
                       session_->datagrams_are_reliable() ? ", reliable" : ""));
    }
    {
      Scope scope(runtime.ready());
      scope.spawn(watch());
      scope.spawn(exchange(scope));
      if (options_.max_time) scope.spawn(close_after(runtime, *options_.max_time));
      while (!session_->ended() && !over_) co_await progress_->wait();
      session_->close(options_.close_code, options_.close_reason);
      co_await session_->wait_until_ended();
    }
    stream_.reset();
    end_ = *session_->closed();
    stats_ = session_->stats();
    if (options_.verbose) {
      const bool theirs = end_->by == Origin::remote;
      note(fmt::format("closed by {}: {}{}{}", theirs ? "the server" : "us", end_->code,
                       end_->reason.empty() ? "" : " ", printable(end_->reason)));
      note(fmt::format("streams {} opened, {} accepted; datagrams {} sent, {} received",
                       stats_.streams_opened, stats_.streams_accepted, stats_.datagrams_sent,
                       stats_.datagrams_received));
    }
    session_.reset();
    co_await client.close();
  }

  void stop() {
    over_ = true;
    progress_->notify();
  }

  /// The server's wish to come to an end is ours.
  Task<void> watch() {
    co_await session_->wait_until_draining();
    if (!session_->ended() && options_.verbose) note("the server asks for the session's end");
    stop();
  }

  Task<void> close_after(Runtime& runtime, Duration time) {
    co_await runtime.sleep(time);
    timed_out_ = true;
    stop();
  }

  /// Sends everything, and waits for the answers.
  Task<void> exchange(Scope& scope) {
    Runtime& runtime = session_->runtime();
    if (options_.uni) {
      scope.spawn(receive_streams(scope));
    } else if (options_.datagrams) {
      scope.spawn(receive_datagrams());
    } else {
      Result<std::unique_ptr<Stream>> stream = co_await session_->open_bidirectional();
      if (!stream) co_return stop();
      stream_ = std::move(*stream);
      scope.spawn(receive_stream());
    }
    co_await send_all();
    all_sent_ = true;
    if (options_.wait) {
      co_await runtime.sleep(*options_.wait);
      co_return stop();
    }
    check_answers();
    if (!options_.datagrams) co_return;
    co_await runtime.sleep(kDatagramWait);
    stop();
  }

  bool answered() const {
    return options_.uni || options_.datagrams ? answers_ >= sent_ : stream_ended_;
  }
  void check_answers() {
    if (all_sent_ && !options_.wait && answered()) stop();
  }

  // ---- what goes

  Task<void> send_all() {
    const bool blocks = options_.binary || !(options_.uni || options_.datagrams);
    bool more = true;
    if (!options_.messages.empty()) {
      for (const std::string& message : options_.messages) {
        std::string piece = options_.uni || options_.datagrams ? message : message + "\n";
        more = more && co_await send(std::move(piece));
      }
    } else {
      InputReader input(session_->runtime(),
                        blocks ? InputReader::Pieces::blocks : InputReader::Pieces::lines);
      while (more) {
        std::optional<std::string> piece = co_await input.next();
        if (!piece) break;
        more = co_await send(std::move(*piece));
      }
    }
    if (stream_ != nullptr && more) co_await stream_->finish();
    if (stream_ != nullptr && options_.uni) stream_.reset();
  }

  /// False: nothing more can be sent.
  Task<bool> send(std::string piece) {
    if (options_.datagrams) {
      const bool sent = co_await send_datagram(std::move(piece));
      co_return sent;
    }
    if (options_.uni && stream_ == nullptr) {
      Result<std::unique_ptr<Stream>> stream = co_await session_->open_unidirectional();
      if (!stream) co_return false;
      ++sent_;
      if (!options_.binary) {
        const Result<void> sent = co_await (*stream)->finish(Bytes::take(std::move(piece)));
        co_return sent.has_value();
      }
      stream_ = std::move(*stream);
    }
    const Result<void> sent = co_await stream_->write(Bytes::take(std::move(piece)));
    co_return sent.has_value();
  }

  Task<bool> send_datagram(std::string piece) {
    const Bytes payload = Bytes::take(std::move(piece));
    while (!session_->ended()) {
      if (payload.size() > session_->max_datagram()) {
        tell("tern wt: not sent: {} bytes, a datagram takes {}\n", payload.size(),
             session_->max_datagram());
        co_return true;
      }
      if (session_->send_datagram(payload)) {
        ++sent_;
        co_return true;
      }
      co_await session_->runtime().sleep(kFullQueue);
    }
    co_return false;
  }

  // ---- what comes

  Task<void> receive_stream() {
    for (;;) {
      Result<Bytes> piece = co_await stream_->read();
      if (!piece) {
        if (stream_->reset_code()) reset_ = stream_->reset_code();
        co_return stop();
      }
      if (piece->empty()) break;
      show_piece(piece->text());
    }
    stream_ended_ = true;
    check_answers();
  }

  Task<void> receive_streams(Scope& scope) {
    for (;;) {
      std::unique_ptr<Stream> stream = co_await session_->accept_unidirectional();
      if (!stream) co_return;
      if (options_.binary) {
        co_await copy(std::move(stream));
      } else {
        scope.spawn(receive_line(std::move(stream)));
      }
    }
  }

  Task<void> copy(std::unique_ptr<Stream> stream) {
    for (;;) {
      Result<Bytes> piece = co_await stream->read();
      if (!piece || piece->empty()) break;
      show_piece(piece->text());
    }
    ++answers_;
    check_answers();
  }

  Task<void> receive_line(std::unique_ptr<Stream> stream) {
    Result<std::string> text = co_await stream->read_all(kMaxLine);
    if (text) {
      show_line(*text);
    } else if (!session_->ended()) {
      tell("tern wt: a stream of the server's is not whole: {}\n",
           printable(text.error().to_string()));
    }
    ++answers_;
    check_answers();
  }

  Task<void> receive_datagrams() {
    for (;;) {
      std::optional<Bytes> datagram = co_await session_->receive_datagram();
      if (!datagram) co_return;
      if (options_.binary) {
        show_piece(datagram->text());
      } else {
        show_line(datagram->text());
      }
      ++answers_;
      check_answers();
    }
  }

  // ---- output

  /// A part of a stream: as it is.
  void show_piece(std::string_view bytes) {
    if (!options_.json) return write(bytes);
    if (kept_.empty()) kept_.emplace_back();
    if (keep(bytes)) kept_.back().append(bytes);
  }

  void show_line(std::string_view bytes) {
    if (options_.json) {
      if (keep(bytes)) kept_.emplace_back(bytes);
      return;
    }
    if (!is_terminal(stdout)) return write(std::string(bytes) + "\n");
    const bool text = http::is_utf8(as_bytes(bytes));
    write(Paint(stdout).cyan("< ") +
          (text ? printable(bytes)
                : fmt::format("({} bytes: {})", bytes.size(), hex(bytes.substr(0, 64)))) +
          "\n");
  }

  bool keep(std::string_view bytes) {
    kept_bytes_ += bytes.size();
    return kept_bytes_ <= kMaxKeptForWebTransport;
  }

  void write(std::string_view text) {
    output_ok_ = output_ok_ && std::fwrite(text.data(), 1, text.size(), stdout) == text.size() &&
                 std::fflush(stdout) == 0;
    if (!output_ok_) stop();
  }

  // ---- the end

  ExitCode code() const {
    if (!output_ok_) return ExitCode::cannot_write;
    if (failure_) return exit_code(*failure_);
    if (timed_out_) return ExitCode::timed_out;
    if (end_->error || reset_) return ExitCode::receive_failed;
    if (end_->by == Origin::remote && end_->code != 0) return ExitCode::receive_failed;
    return ExitCode::done;
  }

  std::string message(ExitCode result) const {
    if (failure_) return failure_message(*failure_, result);
    if (result == ExitCode::timed_out) return "closed, as --max-time has passed";
    if (result == ExitCode::cannot_write) return "cannot write to stdout";
    if (result != ExitCode::receive_failed) return {};
    if (end_->error) return end_->error->detail;
    if (reset_) return fmt::format("the server has reset the stream: {}", *reset_);
    return fmt::format("the server closed it: {} {}", end_->code, end_->reason);
  }

  ExitCode report() const {
    const ExitCode result = code();
    const std::string text = message(result);
    if (options_.json) {
      print_json(result, text);
    } else if (!text.empty()) {
      tell("{} {}: {}\n", Paint(stderr).red("tern wt:"), options_.url, printable(text));
    }
    return result;
  }

  void print_json(ExitCode result, const std::string& text) const {
    JsonWriter json;
    json.begin_object();
    json.member("url", options_.url);
    json.member("exit_code", static_cast<int>(result));
    if (!text.empty()) json.member("error", text);
    if (end_) {
      json.member("carrier", carrier_);
      json.member("protocol", protocol_);
      json.key("received").begin_array();
      for (const std::string& each : kept_) {
        json.begin_object();
        if (http::is_utf8(as_bytes(each))) {
          json.member("text", each);
        } else {
          json.member("hex", hex(each));
        }
        json.end();
      }
      json.end();
      json.member("received_complete", kept_bytes_ <= kMaxKeptForWebTransport);
      json.key("close").begin_object();
      json.member("code", std::uint64_t{end_->code});
      json.member("reason", end_->reason);
      json.member("by", end_->by == Origin::remote ? "server" : "client");
      json.end();
      json.key("stats").begin_object();
      json.member("streams_opened", stats_.streams_opened);
      json.member("streams_accepted", stats_.streams_accepted);
      json.member("datagrams_sent", stats_.datagrams_sent);
      json.member("datagrams_received", stats_.datagrams_received);
      json.member("datagrams_lost", stats_.datagrams_lost);
      json.member("datagrams_expired", stats_.datagrams_expired);
      json.member("datagrams_too_large", stats_.datagrams_too_large);
      json.member("datagrams_refused", stats_.datagrams_refused);
      json.member("datagrams_dropped", stats_.datagrams_dropped);
      json.member("rtt_ms", std::chrono::duration<double, std::milli>(stats_.round_trip).count());
      json.end();
    }
    json.end();
    fmt::print("{}\n", json.text());
  }

  const WtOptions& options_;
  std::optional<ClientRequest> request_;
  std::unique_ptr<Session> session_;
  std::unique_ptr<Stream> stream_;  // stdin's
  std::optional<Signal> progress_;
  std::string carrier_;
  std::string protocol_;
  bool over_ = false;
  bool all_sent_ = false;
  bool stream_ended_ = false;
  std::uint64_t sent_ = 0;
  std::uint64_t answers_ = 0;
  bool output_ok_ = true;
  bool timed_out_ = false;
  std::vector<std::string> kept_;
  std::size_t kept_bytes_ = 0;
  std::optional<Error> failure_;
  std::optional<webtransport::ApplicationCode> reset_;
  std::optional<webtransport::SessionClose> end_;
  webtransport::SessionStats stats_;
};

}  // namespace

ExitCode run_wt(const WtOptions& options) { return Wt(options).run(); }

}  // namespace tern::cli
