#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "http/uri.h"

namespace tern::cli {

/// What a URL of `tern call` names: a server, perhaps a folder of it, a service and a method.
struct CallTarget {
  http::Url url;        ///< whose origin is the server
  std::string prefix;   ///< "/api" of https://host/api/pkg.Service/Method
  std::string service;  ///< "pkg.Service"; empty: none
  std::string method;   ///< "Method"; empty: none

  /// Of a call. Error invalid, with the fix, for a URL that names no method.
  static Result<CallTarget> of_call(std::string_view text);
  /// Of `--list` and `--describe`: a service may be named, a method may not.
  static Result<CallTarget> of_server(std::string_view text);

  std::string path() const { return "/" + service + "/" + method; }
};

}  // namespace tern::cli
