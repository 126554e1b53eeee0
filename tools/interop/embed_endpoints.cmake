# Writes OUTPUT, a source file with the text of INPUT: the list that `tern interop` knows by itself.
file(READ "${INPUT}" text)
file(WRITE "${OUTPUT}" "#include \"tools/interop/target.h\"

namespace tern::interop {

std::string_view public_endpoints() noexcept {
  return R\"endpoints(${text})endpoints\";
}

}  // namespace tern::interop
")
