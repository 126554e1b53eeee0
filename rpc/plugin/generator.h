#pragma once

#include <cstdint>
#include <string>

#include <google/protobuf/compiler/code_generator.h>

namespace tern::rpc::plugin {

/// Makes name.tern.h and name.tern.cc of a name.proto: a base class for each service, and its
/// client. Files without services give both all the same, empty, as a build wants to know
/// beforehand what there will be.
class Generator final : public google::protobuf::compiler::CodeGenerator {
 public:
  std::uint64_t GetSupportedFeatures() const override { return FEATURE_PROTO3_OPTIONAL; }
  bool Generate(const google::protobuf::FileDescriptor* file, const std::string& parameter,
                google::protobuf::compiler::GeneratorContext* context,
                std::string* error) const override;
};

}  // namespace tern::rpc::plugin
