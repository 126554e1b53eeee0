#pragma once

#include <coroutine>
#include <cstdint>
#include <optional>
#include <utility>

#include "base/task.h"
#include "rpc/status.h"

namespace google::protobuf {
class Message;
}

/// The messages of a streaming call, one direction each. Each dialect implements them over an
/// exchange; handlers and callers see `Reader<T>` and `Writer<T>`. Both are valid as long as their
/// call, and belong to its runtime's thread; one coroutine receives and one sends at a time.

namespace tern::rpc {

class RetryCall;  // the room's own: passes on

class MessageReader {
 public:
  MessageReader() = default;
  MessageReader(const MessageReader&) = delete;
  MessageReader& operator=(const MessageReader&) = delete;

  class [[nodiscard]] Receive;
  /// True: the next message is in `message`. False: there is none, because the peer has sent its
  /// last (`status` is OK) or because the call is over or what came was malformed (`status` says
  /// what). Flow control opens as messages are taken.
  ///
  ///   for (;;) {
  ///     const bool more = co_await reader.receive(message);
  ///     if (!more) break;
  Receive receive(google::protobuf::Message& message) noexcept;

  const Status& status() const noexcept { return status_; }
  /// The last message came compressed.
  bool compressed() const noexcept { return compressed_; }

 protected:
  ~MessageReader() = default;

  /// What `receive` returns if it need not wait for that, else nothing.
  virtual std::optional<bool> try_receive(google::protobuf::Message& message) = 0;
  /// After `try_receive` gave nothing: waits.
  virtual Task<bool> receive_later(google::protobuf::Message& message) = 0;

  friend class RetryCall;
  Status status_;
  bool compressed_ = false;
};

class MessageReader::Receive {
 public:
  Receive(MessageReader& reader, google::protobuf::Message& message) noexcept
      : reader_(reader), message_(message) {}
  Receive(const Receive&) = delete;
  Receive& operator=(const Receive&) = delete;

  bool await_ready() {
    received_ = reader_.try_receive(message_);
    return received_.has_value();
  }
  bool await_suspend(std::coroutine_handle<> handle) {
    later_ = reader_.receive_later(message_);
    return later_.operator co_await().await_suspend(handle);
  }
  bool await_resume() { return received_ ? *received_ : later_.operator co_await().await_resume(); }

 private:
  MessageReader& reader_;
  google::protobuf::Message& message_;
  std::optional<bool> received_;
  Task<bool> later_;
};

inline MessageReader::Receive MessageReader::receive(google::protobuf::Message& message) noexcept {
  return Receive(*this, message);
}

/// Whether one message of a compressed call is compressed.
enum class Compress : std::uint8_t {
  as_call,  ///< by the call's coding, if it has one
  never,
};

class MessageWriter {
 public:
  MessageWriter() = default;
  MessageWriter(const MessageWriter&) = delete;
  MessageWriter& operator=(const MessageWriter&) = delete;

  class [[nodiscard]] Send;
  /// Serialises and queues the message at once, and waits while more than 256 KiB are queued.
  /// False: it did not go, for the call is over, or the message is larger than its limit.
  Send send(const google::protobuf::Message& message,
            Compress compress = Compress::as_call) noexcept;
  /// Sends the initial metadata (a server's; else the first message does, or the end).
  virtual void start() = 0;

 protected:
  ~MessageWriter() = default;

  /// Queues the message. False as above.
  virtual bool put(const google::protobuf::Message& message, Compress compress) = 0;
  /// Whether to wait before the next one.
  virtual bool full() const noexcept = 0;
  /// Waits until it is not. False when the call is over.
  virtual Task<bool> drained() = 0;
  friend class RetryCall;
};

class MessageWriter::Send {
 public:
  Send(MessageWriter& writer, const google::protobuf::Message& message, Compress compress) noexcept
      : writer_(writer), message_(message), compress_(compress) {}
  Send(const Send&) = delete;
  Send& operator=(const Send&) = delete;

  bool await_ready() {
    queued_ = writer_.put(message_, compress_);
    return !queued_ || !writer_.full();
  }
  bool await_suspend(std::coroutine_handle<> handle) {
    drained_ = writer_.drained();
    return drained_.operator co_await().await_suspend(handle);
  }
  bool await_resume() { return drained_ ? drained_.operator co_await().await_resume() : queued_; }

 private:
  MessageWriter& writer_;
  const google::protobuf::Message& message_;
  Compress compress_;
  bool queued_ = false;
  Task<bool> drained_;
};

inline MessageWriter::Send MessageWriter::send(const google::protobuf::Message& message,
                                               Compress compress) noexcept {
  return Send(*this, message, compress);
}

/// Messages of type T that the peer sends.
template <typename T>
class Reader {
 public:
  explicit Reader(MessageReader& reader) noexcept : reader_(&reader) {}
  MessageReader::Receive receive(T& message) noexcept { return reader_->receive(message); }
  const Status& status() const noexcept { return reader_->status(); }
  bool compressed() const noexcept { return reader_->compressed(); }

 private:
  MessageReader* reader_;
};

/// Messages of type T for the peer.
template <typename T>
class Writer {
 public:
  explicit Writer(MessageWriter& writer) noexcept : writer_(&writer) {}
  MessageWriter::Send send(const T& message, Compress compress = Compress::as_call) noexcept {
    return writer_->send(message, compress);
  }
  void start() { writer_->start(); }

 private:
  MessageWriter* writer_;
};

}  // namespace tern::rpc
