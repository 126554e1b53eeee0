#include "tools/tern/call_schema.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <set>
#include <utility>

#include <fmt/format.h>
#include <google/protobuf/compiler/importer.h>
#include <google/protobuf/descriptor_database.h>

#include "google/api/annotations.pb.h"
#include "google/api/httpbody.pb.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace tern::cli {
namespace {

namespace pb = google::protobuf;

/// The files that tern is built with. Naming something of each keeps the linker from leaving it
/// out.
const pb::DescriptorPool& own_files() {
  (void)pb::MethodOptions::default_instance().HasExtension(google::api::http);
  (void)google::api::HttpBody::descriptor();
  (void)google::rpc::Status::descriptor();
  (void)google::rpc::ErrorInfo::descriptor();
  return *pb::DescriptorPool::generated_pool();
}

/// Takes out the JSON names that follow from the fields' own, which protoc writes down as well:
/// nobody wants to read them. As deep as protobuf's parser lets messages be (100).
void drop_plain_names(pb::DescriptorProto& message) {
  for (pb::FieldDescriptorProto& field : *message.mutable_field()) {
    std::string plain;
    bool upper = false;
    for (const char c : field.name()) {
      if (c == '_') {
        upper = true;
      } else {
        plain += upper && c >= 'a' && c <= 'z' ? static_cast<char>(c - 0x20) : c;
        upper = false;
      }
    }
    if (field.json_name() == plain) field.clear_json_name();
  }
  for (pb::DescriptorProto& inner : *message.mutable_nested_type()) drop_plain_names(inner);
}

/// Keeps the first thing that is wrong.
class Complaints final : public pb::compiler::MultiFileErrorCollector {
 public:
  void AddError(const std::string& file, int line, int column,
                const std::string& message) override {
    if (!first_.empty()) return;
    first_ = line < 0 ? fmt::format("{}: {}", file, message)
                      : fmt::format("{}:{}:{}: {}", file, line + 1, column + 1, message);
  }
  const std::string& first() const noexcept { return first_; }

 private:
  std::string first_;
};

/// The same for files without a text.
class BuildComplaints final : public pb::DescriptorPool::ErrorCollector {
 public:
  void AddError(const std::string& file, const std::string& element, const pb::Message*,
                ErrorLocation, const std::string& message) override {
    if (first_.empty()) first_ = fmt::format("{}: {}: {}", file, element, message);
  }
  const std::string& first() const noexcept { return first_; }

 private:
  std::string first_;
};

bool is_source(const std::string& path) { return path.ends_with(".proto"); }

/// The name by which others import the file at `path`, or would.
Result<std::string> import_name(pb::compiler::DiskSourceTree& tree, const std::string& path) {
  using Tree = pb::compiler::DiskSourceTree;
  std::string name;
  std::string shadowing;
  switch (tree.DiskFileToVirtualFile(path, &name, &shadowing)) {
    case Tree::SUCCESS: return name;
    case Tree::SHADOWED:
      return fail(Error::invalid(
          fmt::format("--schema {}: {} comes before it, by --proto-path", path, shadowing)));
    case Tree::CANNOT_OPEN:
    case Tree::NO_MAPPING: break;
  }
  // Perhaps it is named as an import of it would be.
  if (tree.VirtualFileToDiskFile(path, &name)) return path;
  return fail(Error::invalid(
      fmt::format("--schema {}: there is no such file, or not below a --proto-path", path)));
}

}  // namespace

Schema::Schema() : messages_(&pool_) {}

// ---- from files ---------------------------------------------------------------------------------

Result<void> Schema::read(const std::vector<std::string>& paths,
                          const std::vector<std::string>& folders) {
  std::vector<std::string> sources;
  for (const std::string& path : paths) {
    if (is_source(path)) {
      sources.push_back(path);
    } else if (Result<void> added = read_set(path); !added) {
      return added;
    }
  }
  return read_sources(sources, folders);
}

Result<void> Schema::read_sources(const std::vector<std::string>& paths,
                                  const std::vector<std::string>& folders) {
  pb::compiler::DiskSourceTree tree;
  for (const std::string& folder : folders) tree.MapPath("", folder);
  if (folders.empty()) {
    tree.MapPath("", ".");
    for (const std::string& path : paths) {
      const std::size_t slash = path.rfind('/');
      if (slash != std::string::npos)
        tree.MapPath("", path.substr(0, std::max<std::size_t>(slash, 1)));
    }
  }
  pb::DescriptorPoolDatabase own(own_files());
  pb::compiler::SourceTreeDescriptorDatabase database(&tree, &own);
  Complaints complaints;
  database.RecordErrorsTo(&complaints);
  // Asked for before anything is parsed, so that lines are noted.
  pb::DescriptorPool::ErrorCollector& errors = *database.GetValidationErrorCollector();

  std::vector<std::string> names;
  for (const std::string& path : paths) {
    Result<std::string> name = import_name(tree, path);
    if (!name) return fail(std::move(name).error());
    names.push_back(std::move(*name));
  }
  Files files;
  std::vector<std::string> waiting = names;
  while (!waiting.empty()) {
    const std::string name = std::move(waiting.back());
    waiting.pop_back();
    if (files.contains(name) || pool_.FindFileByName(name) != nullptr) continue;
    pb::FileDescriptorProto& file =
        files[name];  // parsed in place: its errors are known by address
    if (!database.FindFileByName(name, &file)) {
      std::string why = complaints.first().empty() ? name + ": cannot be read" : complaints.first();
      if (why.ends_with(": File not found.")) {
        why.pop_back();
        why += "; name the folder where imports begin with --proto-path DIR";
      }
      return fail(Error::invalid(std::move(why)));
    }
    for (const std::string& import : file.dependency()) waiting.push_back(import);
  }
  Result<void> built = build(files, errors, complaints.first());
  if (!built) return built;
  for (const std::string& name : names) named_.push_back(pool_.FindFileByName(name));
  return {};
}

Result<void> Schema::read_set(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  if (!stream) return fail(Error::invalid(fmt::format("--schema {}: cannot be opened", path)));
  pb::FileDescriptorSet set;
  if (!set.ParseFromIstream(&stream) || set.file_size() == 0) {
    return fail(Error::invalid(
        fmt::format("--schema {}: neither a .proto nor a descriptor set, as "
                    "`protoc --include_imports -o FILE` and `buf build -o FILE.binpb` write",
                    path)));
  }
  Files files;
  std::vector<std::string> names;
  for (pb::FileDescriptorProto& file : *set.mutable_file()) {
    names.push_back(file.name());
    files.emplace(names.back(), std::move(file));
  }
  Result<void> added = add(std::move(files));
  if (!added) {
    return fail(Error::invalid(fmt::format("--schema {}: {}", path, added.error().detail)));
  }
  for (const std::string& name : names) named_.push_back(pool_.FindFileByName(name));
  return {};
}

Result<void> Schema::add(Files files) {
  BuildComplaints complaints;
  return build(files, complaints, complaints.first());
}

Result<void> Schema::build(Files& files, pb::DescriptorPool::ErrorCollector& errors,
                           const std::string& first_error) {
  // Each file after those it imports. Without recursion: a server may have them as deep as it
  // likes.
  std::set<std::string> begun;
  std::vector<std::string> waiting;
  for (const auto& [name, file] : files) waiting.push_back(name);
  while (!waiting.empty()) {
    const std::string name = waiting.back();
    if (pool_.FindFileByName(name) != nullptr) {
      waiting.pop_back();
      continue;
    }
    auto found = files.find(name);
    if (found == files.end()) {
      const pb::FileDescriptor* own = own_files().FindFileByName(name);
      if (own == nullptr) {
        return fail(Error::invalid(fmt::format("the file {} is imported, but missing", name)));
      }
      found = files.try_emplace(name).first;
      own->CopyTo(&found->second);
      own->CopyJsonNameTo(&found->second);
    }
    const bool again = !begun.insert(name).second;
    bool ready = true;
    for (const std::string& import : found->second.dependency()) {
      if (pool_.FindFileByName(import) != nullptr) continue;
      if (again) return fail(Error::invalid(fmt::format("{} imports itself, by {}", name, import)));
      waiting.push_back(import);
      ready = false;
    }
    if (!ready) continue;
    waiting.pop_back();
    for (pb::DescriptorProto& message : *found->second.mutable_message_type()) {
      drop_plain_names(message);
    }
    const pb::FileDescriptor* built = pool_.BuildFileCollectingErrors(found->second, &errors);
    if (built == nullptr) {
      return fail(Error::invalid(first_error.empty() ? name + ": does not fit" : first_error));
    }
    all_.push_back(built);
  }
  return {};
}

// ---- what is known ------------------------------------------------------------------------------

std::vector<std::string> Schema::services() const {
  std::set<std::string> names;
  for (const pb::FileDescriptor* file : named_) {
    for (int i = 0; i < file->service_count(); ++i) names.insert(file->service(i)->full_name());
  }
  return {names.begin(), names.end()};
}

std::vector<std::string> Schema::names() const {
  std::vector<std::string> names;
  std::vector<const pb::Descriptor*> messages;
  for (const pb::FileDescriptor* file : all_) {
    for (int i = 0; i < file->enum_type_count(); ++i) {
      names.push_back(file->enum_type(i)->full_name());
    }
    for (int i = 0; i < file->message_type_count(); ++i) messages.push_back(file->message_type(i));
    for (int i = 0; i < file->service_count(); ++i) {
      const pb::ServiceDescriptor& service = *file->service(i);
      names.push_back(service.full_name());
      for (int j = 0; j < service.method_count(); ++j) {
        names.push_back(service.method(j)->full_name());
      }
    }
  }
  while (!messages.empty()) {
    const pb::Descriptor& message = *messages.back();
    messages.pop_back();
    names.push_back(message.full_name());
    for (int i = 0; i < message.enum_type_count(); ++i) {
      names.push_back(message.enum_type(i)->full_name());
    }
    for (int i = 0; i < message.nested_type_count(); ++i)
      messages.push_back(message.nested_type(i));
  }
  return names;
}

const pb::ServiceDescriptor* Schema::service(const std::string& name) const {
  return pool_.FindServiceByName(name);
}

const pb::Descriptor* Schema::message(const std::string& name) const {
  return pool_.FindMessageTypeByName(name);
}

rpc::Method Schema::method(const pb::MethodDescriptor& method, std::string_view path) {
  rpc::Method made;
  made.path = path;
  made.pattern = method.client_streaming()   ? method.server_streaming() ? rpc::Pattern::bidi_stream
                                                                         : rpc::Pattern::client_stream
                 : method.server_streaming() ? rpc::Pattern::server_stream
                                             : rpc::Pattern::unary;
  made.descriptor = &method;
  made.request = messages_.GetPrototype(method.input_type());
  made.response = messages_.GetPrototype(method.output_type());
  return made;
}

std::string Schema::describe(std::string name) const {
  pb::DebugStringOptions options;
  options.include_comments = true;
  if (name.starts_with('.')) name.erase(0, 1);
  std::replace(name.begin(), name.end(), '/', '.');
  const auto text = [&](const auto* found) { return found->DebugStringWithOptions(options); };
  if (const auto* service = pool_.FindServiceByName(name)) return text(service);
  if (const auto* message = pool_.FindMessageTypeByName(name)) return text(message);
  if (const auto* type = pool_.FindEnumTypeByName(name)) return text(type);
  if (const auto* method = pool_.FindMethodByName(name)) {
    std::string all = text(method) + "\n" + text(method->input_type());
    if (method->output_type() != method->input_type()) all += "\n" + text(method->output_type());
    return all;
  }
  if (const auto* field = pool_.FindFieldByName(name)) return text(field);
  if (const auto* extension = pool_.FindExtensionByName(name)) return text(extension);
  return {};
}

}  // namespace tern::cli
