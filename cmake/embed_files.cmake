# Writes OUTPUT, a C++ source that holds every file of FOLDER as NAMESPACE::FUNCTION(), which HEADER
# declares:
#   cmake -DFOLDER=demo -DOUTPUT=demo_files.cc -DHEADER=tools/tern/demo_files.h
#         -DNAMESPACE=tern::cli -DFUNCTION=demo_files -P embed_files.cmake

file(GLOB_RECURSE names RELATIVE "${FOLDER}" "${FOLDER}/*")
list(SORT names)

set(arrays "")
set(entries "")
set(number 0)
foreach(name IN LISTS names)
  file(READ "${FOLDER}/${name}" hex HEX)
  file(SHA256 "${FOLDER}/${name}" hash)
  string(SUBSTRING "${hash}" 0 16 tag)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
  string(REGEX REPLACE "(0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,)" "\\1\n    " bytes "${bytes}")
  string(APPEND arrays "constexpr unsigned char kFile${number}[] = {\n    ${bytes}0};\n")
  string(APPEND entries "    {\"/${name}\", {}, bytes(kFile${number}, sizeof kFile${number} - 1), \"\\\"${tag}\\\"\"},\n")
  math(EXPR number "${number} + 1")
endforeach()

file(WRITE "${OUTPUT}" "// Made by cmake/embed_files.cmake.
#include \"${HEADER}\"

namespace ${NAMESPACE} {
namespace {

${arrays}
std::string_view bytes(const unsigned char* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

const http::EmbeddedFile kFiles[] = {
${entries}};

}  // namespace

std::span<const http::EmbeddedFile> ${FUNCTION}() noexcept { return kFiles; }

}  // namespace ${NAMESPACE}
")
