#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "http/exchange.h"

namespace tern::http {

/// One file of a program that carries its site in itself. Everything lives as long as the program.
struct EmbeddedFile {
  std::string_view path;          ///< "/app.js"; one that ends with "/index.html" also serves "…/"
  std::string_view content_type;  ///< empty: by the path's extension
  std::string_view bytes;
  std::string_view etag;  ///< with its quotes; empty: made from the bytes
};

/// A handler for such files: GET and HEAD with conditions and ranges, as StaticFiles. No
/// Last-Modified. A value; copies share the table and may serve any number of threads.
class EmbeddedFiles {
 public:
  explicit EmbeddedFiles(std::span<const EmbeddedFile> files);

  /// The task refers to this object: it outlives the task.
  Task<void> operator()(Exchange& exchange) const;

 private:
  struct Table;
  std::shared_ptr<const Table> table_;
};

}  // namespace tern::http
