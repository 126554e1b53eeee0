#include "rpc/plugin/generator.h"

#include <map>
#include <memory>
#include <sstream>
#include <vector>

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/io/printer.h>
#include <google/protobuf/io/zero_copy_stream.h>

#include "rpc/plugin/names.h"

namespace tern::rpc::plugin {

namespace {

using google::protobuf::FileDescriptor;
using google::protobuf::MethodDescriptor;
using google::protobuf::ServiceDescriptor;
using google::protobuf::SourceLocation;
using google::protobuf::io::Printer;
using Variables = std::map<std::string, std::string>;

/// The lines of a comment of the .proto, as ours.
template <typename Descriptor>
void print_comment(Printer& printer, const Descriptor& descriptor) {
  SourceLocation location;
  if (!descriptor.GetSourceLocation(&location)) return;
  const std::string& text =
      location.leading_comments.empty() ? location.trailing_comments : location.leading_comments;
  std::istringstream lines(text);
  std::string line;
  while (std::getline(lines, line)) {
    while (!line.empty() && (line.back() == ' ' || line.back() == '\r')) line.pop_back();
    printer.Print("///");
    printer.PrintRaw(line.empty() || line.front() == ' ' ? line : " " + line);
    printer.Print("\n");
  }
}

/// "unary", "client_stream", …: the enumerator, and the member of rpc::Method.
std::string pattern_of(const MethodDescriptor& method) {
  if (method.client_streaming()) return method.server_streaming() ? "bidi_stream" : "client_stream";
  return method.server_streaming() ? "server_stream" : "unary";
}

Variables variables_of(const MethodDescriptor& method) {
  const ServiceDescriptor& service = *method.service();
  return {
      {"service", class_name(service)},
      {"method", function_name(method)},
      {"request", class_name(*method.input_type(), *method.file())},
      {"response", class_name(*method.output_type(), *method.file())},
      {"path", "/" + service.full_name() + "/" + method.name()},
      {"pattern", pattern_of(method)},
  };
}

std::vector<const MethodDescriptor*> methods_of(const ServiceDescriptor& service) {
  std::vector<const MethodDescriptor*> methods;
  for (int i = 0; i < service.method_count(); ++i) methods.push_back(service.method(i));
  return methods;
}

// ---- the header ---------------------------------------------------------------------------------

void print_virtual(Printer& printer, const MethodDescriptor& method) {
  const Variables variables = variables_of(method);
  printer.Print("\n");
  print_comment(printer, method);
  printer.Print(variables, "virtual ::tern::Task<::tern::rpc::Status> $method$(\n");
  printer.Print("    ::tern::rpc::ServerContext& context,");
  if (method.client_streaming()) {
    printer.Print(variables, " ::tern::rpc::Reader<$request$>& requests,\n");
  } else {
    printer.Print(variables, " const $request$& request,\n");
  }
  if (method.server_streaming()) {
    printer.Print(variables, "    ::tern::rpc::Writer<$response$>& responses);\n");
  } else {
    printer.Print(variables, "    $response$& response);\n");
  }
}

void print_client_function(Printer& printer, const MethodDescriptor& method) {
  const Variables variables = variables_of(method);
  printer.Print("\n");
  print_comment(printer, method);
  if (method.client_streaming()) {
    const char* const stream = method.server_streaming() ? "BidiStream" : "ClientStream";
    printer.Print(variables, "::tern::Task<::tern::rpc::Result<::tern::rpc::");
    printer.Print("$stream$", "stream", stream);
    printer.Print(
        variables,
        "<$request$, $response$>>> $method$(\n    ::tern::rpc::ClientContext& context);\n");
  } else if (method.server_streaming()) {
    printer.Print(
        variables,
        "::tern::Task<::tern::rpc::Result<::tern::rpc::ServerStream<$response$>>> $method$(\n"
        "    ::tern::rpc::ClientContext& context, const $request$& request);\n");
  } else {
    printer.Print(
        variables,
        "::tern::Task<::tern::rpc::Status> $method$(\n"
        "    ::tern::rpc::ClientContext& context, const $request$& request,\n"
        "    $response$& response);\n"
        "::tern::Task<::tern::rpc::Result<$response$>> $method$(const $request$& request);\n");
  }
}

void print_client_class(Printer& printer, const ServiceDescriptor& service) {
  if (service.method_count() == 0) {
    // A channel that is kept and not used is a warning of clang's.
    printer.Print(
        "\n/// Calls nothing: $service$ has no methods.\n"
        "class $service$::Client {\n"
        " public:\n"
        "  explicit Client(::tern::rpc::Channel& /*channel*/) noexcept {}\n"
        "};\n",
        "service", class_name(service));
    return;
  }
  printer.Print(
      "\n/// Calls $service$ over a channel, which outlives it and its calls. What a call is given "
      "by\n"
      "/// reference outlives the call's task.\n"
      "class $service$::Client {\n"
      " public:\n"
      "  explicit Client(::tern::rpc::Channel& channel) noexcept : channel_(&channel) {}\n",
      "service", class_name(service));
  printer.Indent();
  for (const MethodDescriptor* method : methods_of(service))
    print_client_function(printer, *method);
  printer.Outdent();
  printer.Print("\n private:\n  ::tern::rpc::Channel* channel_;\n};\n");
}

void print_service_class(Printer& printer, const ServiceDescriptor& service) {
  const Variables variables = {{"service", class_name(service)}, {"name", service.full_name()}};
  printer.Print("\n");
  print_comment(printer, service);
  printer.Print(variables,
                "class $service$ : public ::tern::rpc::Service {\n"
                " public:\n"
                "  static constexpr std::string_view kName = \"$name$\";\n"
                "  class Client;\n");
  printer.Indent();
  for (const MethodDescriptor* method : methods_of(service)) print_virtual(printer, *method);
  printer.Outdent();
  printer.Print(
      "\n"
      "  std::span<const ::tern::rpc::Method> methods() const final;\n"
      "  const ::google::protobuf::ServiceDescriptor* descriptor() const final;\n"
      "};\n");
}

void print_header(Printer& printer, const FileDescriptor& file) {
  printer.Print("// Generated by protoc-gen-tern from $file$. Changes are lost.\n#pragma once\n\n",
                "file", file.name());
  printer.Print("#include <span>\n#include <string_view>\n\n#include \"$base$.pb.h\"\n", "base",
                base_name(file));
  printer.Print(
      "#include \"base/task.h\"\n"
      "#include \"rpc/channel.h\"\n"
      "#include \"rpc/client_streams.h\"\n"
      "#include \"rpc/message_stream.h\"\n"
      "#include \"rpc/server_context.h\"\n"
      "#include \"rpc/service.h\"\n"
      "#include \"rpc/status.h\"\n");
  const std::string space = namespace_of(file);
  if (!space.empty()) printer.Print("\nnamespace $space$ {\n", "space", space);
  for (int i = 0; i < file.service_count(); ++i) {
    print_service_class(printer, *file.service(i));
    print_client_class(printer, *file.service(i));
  }
  if (!space.empty()) printer.Print("\n}  // namespace $space$\n", "space", space);
}

// ---- the source ---------------------------------------------------------------------------------

/// What a derived class may leave as it is.
void print_default(Printer& printer, const MethodDescriptor& method) {
  const Variables variables = variables_of(method);
  printer.Print(variables,
                "\n::tern::Task<::tern::rpc::Status> $service$::$method$(\n"
                "    ::tern::rpc::ServerContext&,");
  printer.Print(variables, method.client_streaming() ? " ::tern::rpc::Reader<$request$>&,"
                                                     : " const $request$&,");
  printer.Print(variables, method.server_streaming() ? " ::tern::rpc::Writer<$response$>&) {\n"
                                                     : " $response$&) {\n");
  printer.Print(variables, "  return ::tern::rpc::unimplemented(\"$path$\");\n}\n");
}

/// The function that calls the virtual one with messages of its types. Reader and Writer are made
/// here, so where there is one, the function is a coroutine that keeps it.
void print_call(Printer& printer, const MethodDescriptor& method) {
  const Variables variables = variables_of(method);
  const bool reads = method.client_streaming();
  const bool writes = method.server_streaming();
  printer.Print(variables, "\n::tern::Task<::tern::rpc::Status> call_$service$_$method$(\n");
  printer.Print("    ::tern::rpc::Service& service, ::tern::rpc::ServerContext& context,\n");
  printer.Print(reads ? "    ::tern::rpc::MessageReader& reader,"
                      : "    const ::google::protobuf::Message& request,");
  printer.Print(writes ? " ::tern::rpc::MessageWriter& writer) {\n"
                       : " ::google::protobuf::Message& response) {\n");
  if (reads) printer.Print(variables, "  ::tern::rpc::Reader<$request$> requests(reader);\n");
  if (writes) printer.Print(variables, "  ::tern::rpc::Writer<$response$> responses(writer);\n");
  printer.Print(variables, "  auto& typed = static_cast<$service$&>(service);\n");
  printer.Print(variables, reads || writes ? "  co_return co_await typed.$method$(\n"
                                           : "  return typed.$method$(\n");
  printer.Print(variables, reads ? "      context, requests,"
                                 : "      context, static_cast<const $request$&>(request),");
  printer.Print(variables,
                writes ? " responses);\n}\n" : " static_cast<$response$&>(response));\n}\n");
}

void print_table(Printer& printer, const ServiceDescriptor& service) {
  const Variables variables = {{"service", class_name(service)},
                               {"name", service.full_name()},
                               {"count", std::to_string(service.method_count())}};
  printer.Print(variables,
                "\nconst ::google::protobuf::ServiceDescriptor* descriptor_of_$service$() {\n"
                "  static const ::google::protobuf::ServiceDescriptor* const kDescriptor =\n"
                "      ::google::protobuf::DescriptorPool::generated_pool()->FindServiceByName(\n"
                "          \"$name$\");\n"
                "  return kDescriptor;\n"
                "}\n"
                "\nstd::span<const ::tern::rpc::Method> methods_of_$service$() {\n"
                "  static const std::array<::tern::rpc::Method, $count$> kMethods = [] {\n"
                "    std::array<::tern::rpc::Method, $count$> methods{};\n");
  for (const MethodDescriptor* method : methods_of(service)) {
    Variables row = variables_of(*method);
    row["index"] = std::to_string(method->index());
    printer.Print(row,
                  "    methods[$index$].path = \"$path$\";\n"
                  "    methods[$index$].pattern = ::tern::rpc::Pattern::$pattern$;\n"
                  "    methods[$index$].descriptor = descriptor_of_$service$()->method($index$);\n"
                  "    methods[$index$].request = &$request$::default_instance();\n"
                  "    methods[$index$].response = &$response$::default_instance();\n"
                  "    methods[$index$].$pattern$ = call_$service$_$method$;\n");
  }
  printer.Print(
      "    return methods;\n"
      "  }();\n"
      "  return kMethods;\n"
      "}\n");
}

void print_client_member(Printer& printer, const MethodDescriptor& method) {
  Variables variables = variables_of(method);
  variables["index"] = std::to_string(method.index());
  variables["stream"] = method.client_streaming()
                            ? (method.server_streaming() ? "BidiStream" : "ClientStream")
                            : "ServerStream";
  variables["types"] = method.client_streaming()
                           ? variables["request"] + ", " + variables["response"]
                           : variables["response"];
  if (method.client_streaming() || method.server_streaming()) {
    printer.Print(variables,
                  "\n::tern::Task<::tern::rpc::Result<::tern::rpc::$stream$<$types$>>>\n"
                  "$service$::Client::$method$(\n    ::tern::rpc::ClientContext& context");
    if (!method.client_streaming()) printer.Print(variables, ", const $request$& request");
    printer.Print(variables,
                  ") {\n"
                  "  return ::tern::rpc::open_stream<::tern::rpc::$stream$<$types$>>(\n"
                  "      *channel_, methods_of_$service$()[$index$], context");
    printer.Print(method.client_streaming() ? ");\n}\n" : ", &request);\n}\n");
    return;
  }
  printer.Print(
      variables,
      "\n::tern::Task<::tern::rpc::Status> $service$::Client::$method$(\n"
      "    ::tern::rpc::ClientContext& context, const $request$& request,\n"
      "    $response$& response) {\n"
      "  return channel_->unary(methods_of_$service$()[$index$], context, request, response);\n"
      "}\n"
      "\n::tern::Task<::tern::rpc::Result<$response$>> $service$::Client::$method$(\n"
      "    const $request$& request) {\n"
      "  return ::tern::rpc::call_once<$response$>(*channel_, methods_of_$service$()[$index$], "
      "request);\n"
      "}\n");
}

void print_members(Printer& printer, const ServiceDescriptor& service) {
  for (const MethodDescriptor* method : methods_of(service)) print_default(printer, *method);
  printer.Print(
      "\nstd::span<const ::tern::rpc::Method> $service$::methods() const {\n"
      "  return methods_of_$service$();\n"
      "}\n"
      "\nconst ::google::protobuf::ServiceDescriptor* $service$::descriptor() const {\n"
      "  return descriptor_of_$service$();\n"
      "}\n",
      "service", class_name(service));
  for (const MethodDescriptor* method : methods_of(service)) print_client_member(printer, *method);
}

void print_source(Printer& printer, const FileDescriptor& file) {
  printer.Print("// Generated by protoc-gen-tern from $file$. Changes are lost.\n", "file",
                file.name());
  printer.Print("#include \"$base$.tern.h\"\n", "base", base_name(file));
  if (file.service_count() == 0) return;
  printer.Print("\n#include <google/protobuf/descriptor.h>\n\n#include <array>\n");
  const std::string space = namespace_of(file);
  if (!space.empty()) printer.Print("\nnamespace $space$ {\n", "space", space);
  printer.Print("\nnamespace {\n");
  for (int i = 0; i < file.service_count(); ++i) {
    for (const MethodDescriptor* method : methods_of(*file.service(i)))
      print_call(printer, *method);
    print_table(printer, *file.service(i));
  }
  printer.Print("\n}  // namespace\n");
  for (int i = 0; i < file.service_count(); ++i) print_members(printer, *file.service(i));
  if (!space.empty()) printer.Print("\n}  // namespace $space$\n", "space", space);
}

}  // namespace

bool Generator::Generate(const FileDescriptor* file, const std::string& parameter,
                         google::protobuf::compiler::GeneratorContext* context,
                         std::string* error) const {
  if (!parameter.empty()) {
    *error = "protoc-gen-tern has no parameters, and was given \"" + parameter + "\"";
    return false;
  }
  if (file->service_count() > 0 &&
      file->options().optimize_for() == google::protobuf::FileOptions::LITE_RUNTIME) {
    *error = file->name() + ": services need descriptors, which LITE_RUNTIME leaves out";
    return false;
  }
  const std::unique_ptr<google::protobuf::io::ZeroCopyOutputStream> header(
      context->Open(base_name(*file) + ".tern.h"));
  Printer header_printer(header.get(), '$');
  print_header(header_printer, *file);
  const std::unique_ptr<google::protobuf::io::ZeroCopyOutputStream> source(
      context->Open(base_name(*file) + ".tern.cc"));
  Printer source_printer(source.get(), '$');
  print_source(source_printer, *file);
  return true;
}

}  // namespace tern::rpc::plugin
