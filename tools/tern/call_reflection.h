#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/task.h"
#include "base/time.h"
#include "grpc/reflection/v1/reflection.pb.h"
#include "rpc/channel.h"
#include "rpc/metadata.h"
#include "rpc/status.h"
#include "tools/tern/call_schema.h"

namespace tern::cli {

/// Asks a server about its services: grpc.reflection.v1, and v1alpha where that is unimplemented.
/// What it answers is not trusted.
class ReflectionClient {
 public:
  /// Files of one server, and their bytes.
  static constexpr std::size_t kMostFiles = 5000;
  static constexpr std::size_t kMostBytes = std::size_t{64} * 1024 * 1024;
  /// For each round of questions, where the caller has no limit of its own.
  static constexpr Duration kPatience = std::chrono::seconds(15);

  /// The metadata goes with each question. All of it outlives the client.
  ReflectionClient(rpc::Channel& channel, const rpc::Metadata& metadata, Duration patience)
      : channel_(channel), metadata_(metadata), patience_(patience) {}

  /// The names of the server's services, in alphabetical order.
  Task<rpc::Result<std::vector<std::string>>> services();
  /// Adds the file that defines `symbol`, and what that imports, to the schema. NOT_FOUND: the
  /// server knows no such name. UNIMPLEMENTED: it has no reflection.
  Task<rpc::Status> add_symbol(Schema& schema, std::string symbol);

 private:
  using Request = grpc::reflection::v1::ServerReflectionRequest;
  using Response = grpc::reflection::v1::ServerReflectionResponse;

  /// Asks them all in one call.
  Task<rpc::Result<std::vector<Response>>> ask(std::vector<Request> requests);
  Task<rpc::Result<std::vector<Response>>> ask_version(const rpc::Method& method,
                                                       const std::vector<Request>& requests);
  /// Fetches until nothing that `files` import is missing.
  Task<rpc::Status> complete(Schema::Files& files);
  rpc::Status take(const Response& response, Schema::Files& files);

  rpc::Channel& channel_;
  const rpc::Metadata& metadata_;
  Duration patience_;
  bool old_ = false;  // v1alpha
  std::size_t bytes_ = 0;
};

}  // namespace tern::cli
