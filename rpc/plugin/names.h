#pragma once

#include <string>

namespace google::protobuf {
class Descriptor;
class FileDescriptor;
class MethodDescriptor;
class ServiceDescriptor;
}  // namespace google::protobuf

/// What things of a .proto are called in the generated code.

namespace tern::rpc::plugin {

/// "dir/greeter" for "dir/greeter.proto": what the generated files' names begin with.
std::string base_name(const google::protobuf::FileDescriptor& file);
/// "helloworld::v1" for package helloworld.v1; empty without a package.
std::string namespace_of(const google::protobuf::FileDescriptor& file);
/// The message's class as code in that file's namespace calls it.
std::string class_name(const google::protobuf::Descriptor& message,
                       const google::protobuf::FileDescriptor& from);
/// The service's class; an underscore follows where C++ has the word for itself.
std::string class_name(const google::protobuf::ServiceDescriptor& service);
/// The method's function: as it is written, but for C++'s words and the class's own names.
std::string function_name(const google::protobuf::MethodDescriptor& method);

}  // namespace tern::rpc::plugin
