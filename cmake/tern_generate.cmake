# tern_generate(TARGET target PROTOS file.proto ... [IMPORT_DIRS dir ...])
#
# Compiles the messages (file.pb.h) and services (file.tern.h) of .proto files into a target, which may
# then include both. PROTOS are relative to the current source folder, and so are the paths in their own
# imports, unless IMPORT_DIRS names other folders; a file below one of those keeps its path there.
# google/api/annotations.proto and what else tern brings (rpc/proto) can always be imported.
#
#   add_executable(greeter greeter.cc)
#   tern_generate(TARGET greeter PROTOS greeter.proto)
#
# Works in tern's own tree and after find_package(tern). Wants protoc (Debian: protobuf-compiler).

function(tern_generate)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "TARGET" "PROTOS;IMPORT_DIRS")
  if(arg_UNPARSED_ARGUMENTS OR NOT arg_TARGET OR NOT arg_PROTOS)
    message(FATAL_ERROR "tern_generate: wants TARGET and PROTOS, perhaps IMPORT_DIRS; got ${ARGN}")
  endif()
  if(TARGET tern_protoc_gen_tern)
    set(plugin tern_protoc_gen_tern)
  else()
    set(plugin tern::protoc_gen_tern)
  endif()
  set(folders)
  foreach(folder IN LISTS arg_IMPORT_DIRS ITEMS "${CMAKE_CURRENT_SOURCE_DIR}")
    cmake_path(ABSOLUTE_PATH folder NORMALIZE)
    list(APPEND folders "${folder}")
  endforeach()
  if(TARGET tern_protoc_gen_tern)
    list(APPEND folders "${PROJECT_SOURCE_DIR}/rpc/proto")
  else()
    list(APPEND folders "${TERN_PROTO_DIR}")
  endif()
  list(REMOVE_DUPLICATES folders)
  list(TRANSFORM folders PREPEND "-I" OUTPUT_VARIABLE includes)
  set(out "${CMAKE_CURRENT_BINARY_DIR}/${arg_TARGET}.generated")
  file(MAKE_DIRECTORY "${out}")
  foreach(proto IN LISTS arg_PROTOS)
    cmake_path(ABSOLUTE_PATH proto NORMALIZE)
    set(name)
    foreach(folder IN LISTS folders)
      cmake_path(IS_PREFIX folder "${proto}" NORMALIZE below)
      if(below)
        cmake_path(RELATIVE_PATH proto BASE_DIRECTORY "${folder}" OUTPUT_VARIABLE name)
        break()
      endif()
    endforeach()
    if(NOT name)
      message(FATAL_ERROR "tern_generate: ${proto} lies below none of ${folders}")
    endif()
    string(REGEX REPLACE "\\.proto$" "" base "${name}")
    set(made "${out}/${base}.pb.h" "${out}/${base}.pb.cc" "${out}/${base}.tern.h" "${out}/${base}.tern.cc")
    add_custom_command(OUTPUT ${made}
      COMMAND protobuf::protoc ${includes} "--plugin=protoc-gen-tern=$<TARGET_FILE:${plugin}>"
        "--cpp_out=${out}" "--tern_out=${out}" "${proto}"
      DEPENDS "${proto}" ${plugin}
      COMMENT "Generating ${base}.pb.h and ${base}.tern.h"
      VERBATIM)
    target_sources(${arg_TARGET} PRIVATE ${made})
    # protoc's code is not held to our warnings.
    set_source_files_properties("${out}/${base}.pb.cc" PROPERTIES COMPILE_OPTIONS "-w")
  endforeach()
  target_include_directories(${arg_TARGET} SYSTEM PUBLIC "$<BUILD_INTERFACE:${out}>")
  target_link_libraries(${arg_TARGET} PUBLIC tern::rpc)
endfunction()
