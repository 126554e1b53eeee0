#include <google/protobuf/compiler/plugin.h>

#include "rpc/plugin/generator.h"

/// protoc-gen-tern: `protoc --tern_out=DIR greeter.proto` runs it. CMake's `tern_generate` does.
int main(int argc, char** argv) {
  const tern::rpc::plugin::Generator generator;
  return google::protobuf::compiler::PluginMain(argc, argv, &generator);
}
