#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/time.h"

/// Messages and file descriptors between two processes on one machine: SOCK_SEQPACKET in the unix
/// domain, so that a message arrives whole and the death of the other end is noticed.

namespace tern::engine {

/// Descriptors that came from another process; those not taken are closed.
class Descriptors {
 public:
  Descriptors() = default;
  Descriptors(Descriptors&& other) noexcept : all_(std::move(other.all_)) { other.all_.clear(); }
  Descriptors& operator=(Descriptors&& other) noexcept;
  ~Descriptors() { close(); }

  std::size_t size() const noexcept { return all_.size(); }
  /// They stay whose they are. -1: taken.
  const std::vector<int>& all() const noexcept { return all_; }
  /// Whoever takes it closes it. -1: taken already.
  int take(std::size_t index) noexcept;
  void add(int descriptor) { all_.push_back(descriptor); }
  void append(Descriptors&& more);

 private:
  void close() noexcept;
  std::vector<int> all_;
};

class UnixChannel {
 public:
  static constexpr std::size_t kMaxMessage = 70 * 1024;
  static constexpr std::size_t kMaxDescriptors = 64;  ///< in one message; Linux takes 253

  struct Message {
    ByteView bytes;  ///< until the next `receive`
    Descriptors descriptors;
  };

  /// Connects to who listens at `path`. Error of Domain::os: ENOENT and ECONNREFUSED say that
  /// nobody does. Refused, too, are listeners of other users, unless they are root.
  static Result<std::unique_ptr<UnixChannel>> connect(const std::string& path);
  explicit UnixChannel(int socket) noexcept : socket_(socket) {}
  UnixChannel(const UnixChannel&) = delete;
  UnixChannel& operator=(const UnixChannel&) = delete;
  ~UnixChannel();

  int descriptor() const noexcept { return socket_; }
  /// Waits at most `limit` for room. Descriptors stay the caller's.
  Result<void> send(ByteView message, const std::vector<int>& descriptors, Duration limit);
  /// Without waiting; from any thread. False: no room, or nobody there.
  bool try_send(ByteView head, ByteView rest) noexcept;
  /// The next message; one thread at a time. Error Code::timed_out after `limit`; Code::closed: the
  /// other end is gone.
  Result<Message> receive(Duration limit);

 private:
  const int socket_;
  std::vector<std::uint8_t> buffer_;  // of kMaxMessage, once something was received
};

/// A name in the file system where channels begin: mode 0600, and only for this user and root.
class UnixListener {
 public:
  /// Replaces what is at `path` in one step, so that there is always somebody to connect to.
  static Result<std::unique_ptr<UnixListener>> open(const std::string& path);
  UnixListener(const UnixListener&) = delete;
  UnixListener& operator=(const UnixListener&) = delete;
  /// Takes the name away, if it is still this one's.
  ~UnixListener();

  int descriptor() const noexcept { return socket_; }
  /// The next channel that waits, or nullptr.
  std::unique_ptr<UnixChannel> accept();

 private:
  UnixListener(int socket, std::string path, std::uint64_t inode) noexcept
      : socket_(socket), path_(std::move(path)), inode_(inode) {}

  const int socket_;
  const std::string path_;
  const std::uint64_t inode_;
};

/// Waits until one of `descriptors` (-1: none) can be read, for `limit` at most; says which.
std::vector<bool> wait_readable(const std::vector<int>& descriptors, Duration limit);

}  // namespace tern::engine
