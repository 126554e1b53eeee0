#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/dynamic_message.h>

#include "base/error.h"
#include "rpc/service.h"

namespace tern::cli {

/// The services and messages that `tern call` knows, from files (`--schema`) or from the server
/// (call_reflection.h). What it gives out lives as long as it does.
class Schema {
 public:
  using Files = std::map<std::string, google::protobuf::FileDescriptorProto>;

  /// Empty.
  Schema();
  Schema(const Schema&) = delete;
  Schema& operator=(const Schema&) = delete;

  /// Reads .proto files, whose imports are looked for in `folders` (protoc's --proto_path; none:
  /// the current folder and each file's own), and descriptor sets, which every other name is taken
  /// for. Error invalid names file, line and what is wrong.
  Result<void> read(const std::vector<std::string>& paths, const std::vector<std::string>& folders);
  /// Adds files that may refer to each other, to those that are there already, and to those that
  /// tern is built with (google/protobuf, google/api, google/rpc). Files that are there already are
  /// passed over. Error invalid when one does not fit.
  Result<void> add(Files files);

  /// "pkg.Service" of the files that `read` was given, in alphabetical order.
  std::vector<std::string> services() const;
  const google::protobuf::ServiceDescriptor* service(const std::string& name) const;
  /// A message; null: it is not known.
  const google::protobuf::Descriptor* message(const std::string& name) const;
  /// For calling it. `path` outlives what is returned.
  rpc::Method method(const google::protobuf::MethodDescriptor& method, std::string_view path);

  /// The definition of a service, method (with its messages), message, field, enum or extension as
  /// a .proto has it, with its comments; empty: there is no such name.
  std::string describe(std::string name) const;
  /// All names that can be described, but for those of fields and extensions.
  std::vector<std::string> names() const;

 private:
  Result<void> read_sources(const std::vector<std::string>& paths,
                            const std::vector<std::string>& folders);
  Result<void> read_set(const std::string& path);
  Result<void> build(Files& files, google::protobuf::DescriptorPool::ErrorCollector& errors,
                     const std::string& first_error);

  google::protobuf::DescriptorPool pool_;
  google::protobuf::DynamicMessageFactory messages_;
  std::vector<const google::protobuf::FileDescriptor*> named_;
  std::vector<const google::protobuf::FileDescriptor*> all_;
};

}  // namespace tern::cli
