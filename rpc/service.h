#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "base/task.h"
#include "rpc/message_stream.h"
#include "rpc/status.h"

namespace google::protobuf {
class Message;
class MethodDescriptor;
class ServiceDescriptor;
}  // namespace google::protobuf

/// What protoc-gen-tern makes of a `service`, and what the dialects see of it.

namespace tern::rpc {

class ServerContext;
class Service;

/// Who sends how many messages.
enum class Pattern : std::uint8_t { unary, client_stream, server_stream, bidi_stream };
inline bool streams_requests(Pattern pattern) noexcept {
  return pattern == Pattern::client_stream || pattern == Pattern::bidi_stream;
}
inline bool streams_responses(Pattern pattern) noexcept {
  return pattern == Pattern::server_stream || pattern == Pattern::bidi_stream;
}

/// One method of a service. Lives as long as the program.
struct Method {
  using Message = google::protobuf::Message;

  std::string_view path;  ///< "/pkg.Service/Method"
  Pattern pattern = Pattern::unary;
  /// Its types and options (idempotency_level, google.api.http).
  const google::protobuf::MethodDescriptor* descriptor = nullptr;
  const Message* request = nullptr;   ///< prototype: `New` makes one
  const Message* response = nullptr;  ///< prototype

  // Calls the service's virtual function; the pattern's one is set. What they refer to outlives the
  // task.
  Task<Status> (*unary)(Service&, ServerContext&, const Message&, Message&) = nullptr;
  Task<Status> (*client_stream)(Service&, ServerContext&, MessageReader&, Message&) = nullptr;
  Task<Status> (*server_stream)(Service&, ServerContext&, const Message&, MessageWriter&) = nullptr;
  Task<Status> (*bidi_stream)(Service&, ServerContext&, MessageReader&, MessageWriter&) = nullptr;
};

/// Base of the generated classes, from which applications derive. With several workers its
/// functions run on several threads at once.
class Service {
 public:
  virtual ~Service() = default;
  /// All its methods; the same span always.
  virtual std::span<const Method> methods() const = 0;
  virtual const google::protobuf::ServiceDescriptor* descriptor() const = 0;
};

/// What a method that a derived class does not implement returns: UNIMPLEMENTED.
Task<Status> unimplemented(std::string_view path);

}  // namespace tern::rpc
