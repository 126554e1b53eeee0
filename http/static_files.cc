#include "http/static_files.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <fcntl.h>
#include <optional>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include "base/check.h"
#include "base/log.h"
#include "http/beneath.h"
#include "http/content_coding.h"
#include "http/content_type.h"
#include "http/directory_listing.h"
#include "http/escape.h"
#include "http/file_cache.h"
#include "http/representation.h"

namespace tern::http {

struct StaticFiles::Root {
  FileDescriptor folder;
  StaticFilesOptions options;
};

namespace {

using Root = StaticFiles::Root;
using Variant = FileResource::Variant;

constexpr std::array<std::string_view, kCodings> kSuffixes = {"", ".gz", ".zst", ".br"};

/// This thread's cache for a root. Every worker serves from its own, so nothing is shared but the
/// root, which nobody changes.
FileCache& cache_of(const std::shared_ptr<const Root>& root) {
  struct Held {
    std::weak_ptr<const Root> root;  // keeps the address from being used again
    const Root* key;
    std::unique_ptr<FileCache> cache;
  };
  thread_local std::vector<Held> caches;
  for (const Held& held : caches) {
    if (held.key == root.get()) return *held.cache;
  }
  std::erase_if(caches, [](const Held& held) { return held.root.expired(); });
  Held held;
  held.root = root;
  held.key = root.get();
  held.cache = std::make_unique<FileCache>(root->options.cache_bytes());
  caches.push_back(std::move(held));
  return *caches.back().cache;
}

Result<Bytes> read_at(int file, std::uint64_t offset, std::size_t size) {
  int error = 0;
  Bytes bytes = Bytes::make(size, [&](MutableBytes out) {
    std::size_t done = 0;
    while (done < out.size()) {
      const ssize_t count =
          ::pread(file, out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
      if (count == 0) break;
      if (count > 0) {
        done += static_cast<std::size_t>(count);
      } else if (errno != EINTR) {
        error = errno;
        break;
      }
    }
    return done;
  });
  if (error != 0) return fail(Error::os(error, "read"));
  if (bytes.empty()) return fail(Error(Code::invalid, "the file has become shorter"));
  return bytes;
}

class FileSource final : public BodySource {
 public:
  explicit FileSource(FileDescriptor file) noexcept : file_(std::move(file)) {}
  Result<Bytes> read(std::uint64_t offset, std::size_t size) override {
    return read_at(file_.number(), offset, size);
  }

 private:
  FileDescriptor file_;
};

// ---- paths --------------------------------------------------------------------------------------

/// The path below the root that a request path names: decoded, without the leading slash, with the
/// trailing one if there is one. Nothing for a path that no file may have.
std::optional<std::string> relative_path(std::string_view path, const StaticFilesOptions& options) {
  std::string decoded;
  std::string relative;
  if (!path.starts_with('/') || path.size() > PATH_MAX) return std::nullopt;
  path.remove_prefix(1);
  bool first = true;
  for (bool more = !path.empty(); more; first = false) {
    const std::size_t slash = path.find('/');
    more = slash != std::string_view::npos;
    if (!percent_decode(path.substr(0, slash), decoded)) return std::nullopt;
    if (more) path.remove_prefix(slash + 1);
    if (decoded.empty() || decoded == "." || decoded == "..") return std::nullopt;
    if (decoded.find('/') != std::string::npos || decoded.find('\0') != std::string::npos) {
      return std::nullopt;
    }
    const bool well_known = first && decoded == ".well-known";
    if (decoded.front() == '.' && !options.dotfiles() && !well_known) return std::nullopt;
    relative.append(decoded);
    if (more) relative.push_back('/');
    if (more && path.empty()) break;  // a trailing slash
  }
  return relative;
}

// ---- files --------------------------------------------------------------------------------------

std::string etag_of(const FileIdentity& identity, Coding coding) {
  std::array<char, 64> text;
  const std::string_view suffix = kSuffixes[static_cast<std::size_t>(coding)];
  const int size = std::snprintf(text.data(), text.size(), "\"%llx-%llx%.*s\"",
                                 static_cast<unsigned long long>(identity.modified),
                                 static_cast<unsigned long long>(identity.size),
                                 static_cast<int>(suffix.size()), suffix.data());
  std::string etag(text.data(), static_cast<std::size_t>(size));
  std::replace(etag.begin(), etag.end(), '.', '-');
  return etag;
}

/// What a path turned out to be.
struct Lookup {
  Status status = Status::ok;  // otherwise an error to answer with
  int error = 0;               // errno, where the fault is ours
  std::shared_ptr<const FileResource> resource;
  std::array<FileDescriptor, kCodings> open;  // of the resource's files
  FileDescriptor folder;                      // to be listed
  bool redirect = false;                      // a folder without its slash
};

Lookup failure(int error) {
  Lookup lookup;
  switch (error) {
    case ENOENT:
    case ENOTDIR:
    case ELOOP:
    case EXDEV:  // a link that leaves the root
    case ENAMETOOLONG:
    case EINVAL:
    case ENXIO:  // a socket
    case ENODEV: lookup.status = Status::not_found; break;
    case EACCES:
    case EPERM: lookup.status = Status::forbidden; break;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      lookup.status = Status::service_unavailable;
      lookup.error = error;
      break;
    default: lookup.status = Status::internal_server_error; lookup.error = error;
  }
  return lookup;
}

/// Describes an open file; its content comes from `before` when that is the same file unchanged.
Variant describe(const Root& root, std::string path, Coding coding, std::string_view content_type,
                 const FileDescriptor& file, const struct stat& status, UnixSeconds now,
                 const Variant* before) {
  const FileIdentity identity = FileIdentity::of(status);
  if (before != nullptr && before->identity == identity && before->path == path) return *before;
  Variant variant;
  variant.path = std::move(path);
  variant.identity = identity;
  variant.representation.content_type = content_type;
  variant.representation.coding = coding;
  variant.representation.etag = etag_of(identity, coding);
  // Never later than Date (RFC 9110 §8.8.2.1).
  variant.representation.last_modified = std::min<UnixSeconds>(status.st_mtim.tv_sec, now);
  variant.representation.size = identity.size;
  variant.representation.cache_control = root.options.cache_control();
  if (identity.size == 0) {
    variant.content.emplace();
  } else if (identity.size <=
             std::min(root.options.cached_file_bytes(), root.options.cache_bytes())) {
    Result<Bytes> content = read_at(file.number(), 0, static_cast<std::size_t>(identity.size));
    // A file that is being written is left to the next request.
    if (content && content->size() == identity.size) variant.content = *std::move(content);
  }
  return variant;
}

/// Opens a regular file and its siblings.
Lookup open_files(const Root& root, const std::string& path, FileDescriptor file,
                  const struct stat& status, UnixSeconds now, const FileResource* before) {
  Lookup lookup;
  auto resource = std::make_shared<FileResource>();
  const std::string_view content_type = content_type_of(path);
  bool varies = false;
  for (std::size_t i = 0; i < kCodings; ++i) {
    struct stat sibling = status;
    std::string name = path;
    if (i > 0) {
      if (!root.options.precompressed()) break;
      name.append(kSuffixes[i]);
      file = open_beneath(root.folder, name);
      if (!file || ::fstat(file.number(), &sibling) != 0 || !S_ISREG(sibling.st_mode)) continue;
      varies = true;
    }
    const Variant* known =
        before != nullptr && before->variants[i] ? &*before->variants[i] : nullptr;
    resource->variants[i] = describe(root, std::move(name), static_cast<Coding>(i), content_type,
                                     file, sibling, now, known);
    lookup.open[i] = std::move(file);
  }
  for (auto& variant : resource->variants) {
    if (!variant) continue;
    variant->representation.varies = varies;
    variant->representation.complete();
  }
  lookup.resource = std::move(resource);
  return lookup;
}

Lookup look_up(const Root& root, const std::string& path, UnixSeconds now,
               const FileResource* before) {
  const bool folder_wanted = path.empty() || path.ends_with('/');
  const std::string& index = root.options.index();
  const std::string name = folder_wanted ? path + index : path;
  struct stat status{};
  if (!folder_wanted || !index.empty()) {
    FileDescriptor file = open_beneath(root.folder, name);
    if (!file && (!folder_wanted || errno != ENOENT)) return failure(errno);
    if (file) {
      if (::fstat(file.number(), &status) != 0) return failure(errno);
      if (S_ISREG(status.st_mode)) {
        return open_files(root, name, std::move(file), status, now, before);
      }
      if (!folder_wanted && S_ISDIR(status.st_mode)) {
        Lookup lookup;
        lookup.redirect = true;
        return lookup;
      }
      if (!folder_wanted) return failure(ENOENT);
    }
  }
  if (!root.options.listing()) return failure(ENOENT);
  FileDescriptor folder = open_beneath(root.folder, path);
  if (!folder) return failure(errno);
  if (::fstat(folder.number(), &status) != 0) return failure(errno);
  if (!S_ISDIR(status.st_mode)) return failure(ENOENT);
  Lookup lookup;
  lookup.folder = std::move(folder);
  return lookup;
}

// ---- answers ------------------------------------------------------------------------------------

/// All of it is at hand, so nobody needs to wait until it has left.
Task<void> respond_at_once(Exchange& exchange, Response response) {
  const Exchange::Write sent = exchange.respond(std::move(response));
  return Task<void>::completed();
}

Task<void> answer_briefly(Exchange& exchange, Status status) {
  std::string text(reason(status));
  return respond_at_once(exchange, Response(status).text(text.append("\n")));
}

Task<void> allow(Exchange& exchange) {
  const bool asked = exchange.method() == "OPTIONS";
  Response response(asked ? Status::no_content : Status::method_not_allowed);
  response.field("allow", "GET, HEAD, OPTIONS");
  return respond_at_once(exchange, std::move(response));
}

Task<void> redirect_to_folder(Exchange& exchange) {
  // The path holds no empty segments, so it cannot name another host ("//host").
  constexpr std::string_view kKept = "%!$&'()*+,;=:@/?";  // beside the unreserved: RFC 3986 §3.4
  std::string location;
  append_percent_encoded(location, exchange.request().path_only(), kKept);
  location.push_back('/');
  const std::string_view query = exchange.request().query();
  if (!query.empty()) {
    location.push_back('?');
    append_percent_encoded(location, query, kKept);
  }
  Response response = Response(Status::permanent_redirect).text("Permanent Redirect\n");
  response.field("location", location);
  return respond_at_once(exchange, std::move(response));
}

Task<void> list(Exchange& exchange, FileDescriptor folder, bool dotfiles) {
  std::string path;
  if (!percent_decode(exchange.request().path_only(), path)) {
    path = exchange.request().path_only();
  }
  Result<std::string> page = directory_listing(std::move(folder), path, dotfiles);
  if (!page) return answer_briefly(exchange, Status::internal_server_error);
  Response response;
  response.field("content-type", "text/html; charset=utf-8").body(Bytes::take(*std::move(page)));
  return respond_at_once(exchange, std::move(response));
}

Task<void> send_part(Exchange& exchange, std::shared_ptr<const FileResource> resource,
                     Coding coding) {
  const Variant& variant = resource->variant(coding);
  MemorySource source(*variant.content);
  co_await send_representation(exchange, variant.representation, source);
}

Task<void> send_content(Exchange& exchange, std::shared_ptr<const FileResource> resource,
                        Coding coding) {
  if (!wants_whole(exchange.request())) return send_part(exchange, std::move(resource), coding);
  const Variant& variant = resource->variant(coding);
  Response response(Status::ok);
  response.fields(variant.fields_at(exchange.runtime().unix_seconds())).body(*variant.content);
  return respond_at_once(exchange, std::move(response));
}

Task<void> send_file(Exchange& exchange, std::shared_ptr<const FileResource> resource,
                     Coding coding, FileDescriptor file) {
  ::posix_fadvise(file.number(), 0, 0, POSIX_FADV_SEQUENTIAL);
  FileSource source(std::move(file));
  co_await send_representation(exchange, resource->variant(coding).representation, source);
}

Coding choose(const Exchange& exchange, const FileResource& resource) {
  if (!resource.has_siblings()) return Coding::identity;
  const std::array<bool, kCodings> available = resource.available();
  const auto accepted = exchange.request().fields.joined("accept-encoding");
  return (accepted ? AcceptedCodings(*accepted) : AcceptedCodings()).choose(available);
}

Task<void> look_and_send(Exchange& exchange, const Root& root, FileCache& cache,
                         std::string_view key) {
  const auto relative = relative_path(key, root.options);
  if (!relative) return answer_briefly(exchange, Status::not_found);
  Runtime& runtime = exchange.runtime();
  // One file has one key, however its path is encoded.
  std::string canonical = "/" + *relative;
  const FileCache::Found known = cache.find(canonical, runtime.now());
  Lookup lookup = look_up(root, *relative, runtime.unix_seconds(), known.resource.get());
  if (!lookup.resource) {
    if (known.resource) cache.drop(canonical);
    if (lookup.redirect) return redirect_to_folder(exchange);
    if (lookup.folder) return list(exchange, std::move(lookup.folder), root.options.dotfiles());
    if (lookup.error != 0 && runtime.log().enabled(LogLevel::error)) {
      runtime.log().line(LogLevel::error,
                         Error::os(lookup.error, "open " + escaped(*relative, 256)).to_string());
    }
    return answer_briefly(exchange, lookup.status);
  }
  cache.put(canonical, lookup.resource, runtime.now());
  const Coding coding = choose(exchange, *lookup.resource);
  if (lookup.resource->variant(coding).content) {
    return send_content(exchange, std::move(lookup.resource), coding);
  }
  return send_file(exchange, std::move(lookup.resource), coding,
                   std::move(lookup.open[static_cast<std::size_t>(coding)]));
}

}  // namespace

Result<StaticFiles> StaticFiles::open(const std::string& folder, StaticFilesOptions options) {
  const std::string& index = options.index();
  if (index.find('/') != std::string::npos || index == "." || index == "..") {
    return fail(Error::invalid("index \"" + escaped(index, 64) + "\" is not the name of a file"));
  }
  auto root = std::make_shared<Root>();
  root->folder = FileDescriptor(::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root->folder) return fail(Error::os(errno, "open folder " + escaped(folder)));
  root->options = std::move(options);
  return StaticFiles(std::move(root));
}

Task<void> StaticFiles::operator()(Exchange& exchange) const {
  const std::string_view method = exchange.method();
  if (method != "GET" && method != "HEAD") return allow(exchange);
  const std::string_view path = exchange.mounted_path();
  if (path.empty()) return redirect_to_folder(exchange);  // the mount's prefix without its slash

  FileCache& cache = cache_of(root_);
  // Keys are decoded and were checked when they were added, so a path that needs no decoding is
  // one.
  FileCache::Found found;
  if (path.find('%') == std::string_view::npos) found = cache.find(path, exchange.runtime().now());
  if (found.fresh) {
    const Coding coding = choose(exchange, *found.resource);
    const Variant& variant = found.resource->variant(coding);
    if (variant.content) return send_content(exchange, std::move(found.resource), coding);
    FileDescriptor file = open_beneath(root_->folder, variant.path);
    struct stat status{};
    if (file && ::fstat(file.number(), &status) == 0 &&
        FileIdentity::of(status) == variant.identity) {
      return send_file(exchange, std::move(found.resource), coding, std::move(file));
    }
  }
  return look_and_send(exchange, *root_, cache, path);
}

}  // namespace tern::http
