#pragma once
// CLI11's names, for headers that only pass them on: what includes <CLI/CLI.hpp> compiles all of
// it.

namespace CLI {
class App;
class Option;
class Validator;
}  // namespace CLI
