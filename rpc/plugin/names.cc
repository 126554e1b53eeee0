#include "rpc/plugin/names.h"

#include <algorithm>
#include <array>
#include <string_view>

#include <google/protobuf/compiler/cpp/names.h>
#include <google/protobuf/descriptor.h>

namespace tern::rpc::plugin {

namespace {

namespace cpp = google::protobuf::compiler::cpp;

/// C++20's keywords, and the names that the generated classes have.
constexpr std::array kTaken = {
    "Client",
    "alignas",
    "alignof",
    "and",
    "and_eq",
    "asm",
    "auto",
    "bitand",
    "bitor",
    "bool",
    "break",
    "case",
    "catch",
    "char",
    "char16_t",
    "char32_t",
    "char8_t",
    "class",
    "co_await",
    "co_return",
    "co_yield",
    "compl",
    "concept",
    "const",
    "const_cast",
    "consteval",
    "constexpr",
    "constinit",
    "continue",
    "decltype",
    "default",
    "delete",
    "descriptor",
    "do",
    "double",
    "dynamic_cast",
    "else",
    "enum",
    "explicit",
    "export",
    "extern",
    "false",
    "float",
    "for",
    "friend",
    "goto",
    "if",
    "inline",
    "int",
    "kName",
    "long",
    "methods",
    "mutable",
    "namespace",
    "new",
    "noexcept",
    "not",
    "not_eq",
    "nullptr",
    "operator",
    "or",
    "or_eq",
    "private",
    "protected",
    "public",
    "register",
    "reinterpret_cast",
    "requires",
    "return",
    "short",
    "signed",
    "sizeof",
    "static",
    "static_assert",
    "static_cast",
    "struct",
    "switch",
    "template",
    "this",
    "thread_local",
    "throw",
    "true",
    "try",
    "typedef",
    "typeid",
    "typename",
    "union",
    "unsigned",
    "using",
    "virtual",
    "void",
    "volatile",
    "wchar_t",
    "while",
    "xor",
    "xor_eq",
};

std::string free_name(const std::string& name, std::string_view taken_too = {}) {
  const bool taken =
      name == taken_too || std::find(kTaken.begin(), kTaken.end(), name) != kTaken.end();
  return taken ? name + "_" : name;
}

std::string with_colons(std::string name) {
  for (std::size_t dot = name.find('.'); dot != std::string::npos; dot = name.find('.', dot)) {
    name.replace(dot, 1, "::");
  }
  return name;
}

}  // namespace

std::string base_name(const google::protobuf::FileDescriptor& file) {
  return cpp::StripProto(file.name());
}

std::string namespace_of(const google::protobuf::FileDescriptor& file) {
  return with_colons(file.package());
}

std::string class_name(const google::protobuf::Descriptor& message,
                       const google::protobuf::FileDescriptor& from) {
  if (message.file()->package() == from.package()) return cpp::ClassName(&message);
  const std::string space = namespace_of(*message.file());
  return (space.empty() ? "::" : "::" + space + "::") + cpp::ClassName(&message);
}

std::string class_name(const google::protobuf::ServiceDescriptor& service) {
  return free_name(service.name());
}

std::string function_name(const google::protobuf::MethodDescriptor& method) {
  return free_name(method.name(), method.service()->name());
}

}  // namespace tern::rpc::plugin
