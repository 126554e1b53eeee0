# What every room's CMakeLists.txt uses:
#
#   tern_library(quic                       the static library tern_quic, alias tern::quic
#     SOURCES connection.cc ...             relative to the room; private headers may stand here too
#     HEADERS connection.h ...              public headers: installed; one without a source of its name
#                                           is compiled alone by all_verify_interface_header_sets
#     PUBLIC tern::base ...                 libraries that public headers need
#     PRIVATE ngtcp2::ngtcp2 ...            libraries that only the sources need
#     SYSTEM_PRIVATE_INCLUDES dir ...)      include folders that only the sources need
#   tern_program(tern SOURCES ... LIBS ... [OUTPUT_DIRECTORY dir] [INSTALL])
#   tern_test(quic_test SOURCES ... LIBS ... [LABELS unit])
#   tern_fuzz(varint_fuzz SOURCES ... LIBS ... CORPUS dir)    in builds with sanitizers
#   tern_embed(variable folder header namespace function)   a source that holds the folder's files
#
# and the third-party targets: tl::expected fmt::fmt BoringSSL::ssl BoringSSL::crypto ngtcp2::ngtcp2
# protobuf::libprotobuf nghttp3::nghttp3 liburing::liburing ZLIB::ZLIB Brotli::enc Brotli::dec Zstd::zstd CLI11::CLI11
# GTest::gmock benchmark::benchmark; where found (TERN_HAVE_IPSEC_MB), ipsec_mb::ipsec_mb.

include(GNUInstallDirs)

# ---- options ------------------------------------------------------------------------------------

if(DEFINED ENV{CI})
  set(_tern_in_ci ON)
else()
  set(_tern_in_ci OFF)
endif()
option(TERN_WERROR "Warnings are errors (the default where the environment variable CI is set)"
  ${_tern_in_ci})
set(TERN_SANITIZE "" CACHE STRING "Sanitizers of this build: address,undefined or thread")
option(TERN_FUZZ "Build the fuzz targets with libFuzzer (needs clang) instead of as replays" OFF)

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
endif()

# ---- compiler -----------------------------------------------------------------------------------

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_CXX_SCAN_FOR_MODULES OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_VERIFY_INTERFACE_HEADER_SETS ON)
set(CMAKE_PCH_WARN_INVALID OFF)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  # As CMake has it, but without the header that was precompiled, whose path ccache does not know for one.
  set(CMAKE_CXX_COMPILE_OPTIONS_USE_PCH -Xclang -include-pch -Xclang <PCH_FILE>)
endif()
find_program(CCACHE ccache)
if(CCACHE)
  # The sloppiness is what ccache needs to cache compilations that use precompiled headers, whose source CMake writes just before.
  set(CMAKE_CXX_COMPILER_LAUNCHER "${CMAKE_COMMAND}" -E env
    CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime CCACHE_PCH_EXTSUM=true "${CCACHE}")
endif()
# BoringSSL lies outside the loader's search path; installed programs keep the rpath to it.
set(CMAKE_INSTALL_RPATH_USE_LINK_PATH ON)

# Seconds after which a test is taken to hang. No test asserts how long it takes: a machine with other work to do, and
# sanitizers, make one ten times slower.
set(TERN_HANGS 1800)

set(TERN_WARNINGS -Wall -Wextra -Wpedantic -Wshadow -Woverloaded-virtual)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  # Clang sees what libstdc++ 12's std::stable_sort calls as our own use of something deprecated.
  list(APPEND TERN_WARNINGS -Wno-deprecated-declarations)
endif()
if(TERN_WERROR)
  list(APPEND TERN_WARNINGS -Werror)
endif()

set(TERN_BUILD_FLAGS -fno-omit-frame-pointer)
if(TERN_SANITIZE)
  list(APPEND TERN_BUILD_FLAGS -fsanitize=${TERN_SANITIZE} -fno-sanitize-recover=all)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    # To see whether it may read an object it writes it into a pipe: where a test has left no descriptors, good objects are bad.
    list(APPEND TERN_BUILD_FLAGS -fno-sanitize=vptr)
  endif()
endif()
if(TERN_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    message(FATAL_ERROR "TERN_FUZZ needs clang: use `cmake --preset fuzz`, or ./tools/dev fuzz")
  endif()
  list(APPEND TERN_BUILD_FLAGS -fsanitize=fuzzer-no-link)
endif()

add_compile_options(${TERN_BUILD_FLAGS})
add_link_options(${TERN_BUILD_FLAGS})

# ---- third-party libraries ----------------------------------------------------------------------

include(tern_dependencies)
include(tern_generate)
find_package(CLI11 REQUIRED)      # tools/tern
find_path(TERN_TOMLPLUSPLUS toml++/toml.h REQUIRED)  # tools/tern; header-only
find_package(benchmark REQUIRED)  # tools/bench
if(BUILD_TESTING)
  find_package(GTest REQUIRED)    # tests
endif()

# ---- precompiled headers ------------------------------------------------------------------------

# What nearly every file reads is read once: the standard library, fmt and expected, which never change. What of them a file
# forgets to include no compiler misses: tools/tidy/std_includes.py does, whose list has the same headers.
set(_tern_precompiled <fmt/format.h> <tl/expected.hpp>
  <algorithm> <array> <charconv> <chrono> <coroutine> <cstdint> <cstdio> <cstring> <deque> <functional> <map> <memory> <mutex>
  <optional> <set> <span> <stdexcept> <string> <string_view> <unordered_map> <utility> <variant> <vector>)

# _tern_precompile(target carrier LIBS ... OPTIONS ... HEADERS ...): the target includes the headers, which the object
# library `carrier` compiles; it is made at the first call. All that share it are compiled with the same OPTIONS, and are
# position-independent or not as the first one is.
function(_tern_precompile target carrier)
  cmake_parse_arguments(PARSE_ARGV 2 arg "" "" "LIBS;OPTIONS;HEADERS")
  target_compile_options(${target} PRIVATE ${arg_OPTIONS})
  if(NOT TARGET ${carrier})
    add_library(${carrier} OBJECT "${PROJECT_SOURCE_DIR}/cmake/precompiled_headers.cc")
    target_link_libraries(${carrier} PRIVATE fmt::fmt tl::expected ${arg_LIBS})
    target_compile_options(${carrier} PRIVATE ${TERN_WARNINGS} ${arg_OPTIONS})
    get_target_property(position_independent ${target} POSITION_INDEPENDENT_CODE)
    if(position_independent)
      set_target_properties(${carrier} PROPERTIES POSITION_INDEPENDENT_CODE ON)
    endif()
    if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
      # With the files' times in it, it would be another one after each checkout, and ccache would find nothing.
      target_compile_options(${carrier} PRIVATE "SHELL:-Xclang -fno-pch-timestamp")
      if(CCACHE)
        set_target_properties(${carrier} PROPERTIES
          CXX_COMPILER_LAUNCHER "${PROJECT_SOURCE_DIR}/cmake/precompile.sh;${CMAKE_CXX_COMPILER_LAUNCHER}")
      endif()
    endif()
    target_precompile_headers(${carrier} PRIVATE ${_tern_precompiled} ${arg_HEADERS})
  endif()
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # gcc 12 guesses sizes inside the standard library, and knows to keep quiet about it only where it reads the header itself.
    target_compile_options(${target} PRIVATE -Wno-array-bounds -Wno-stringop-overflow -Wno-stringop-overread)
  endif()
  # What fmt's headers were compiled with.
  target_compile_definitions(${target} PRIVATE $<TARGET_PROPERTY:fmt::fmt,INTERFACE_COMPILE_DEFINITIONS>)
  target_precompile_headers(${target} REUSE_FROM ${carrier})
endfunction()

# ---- functions ----------------------------------------------------------------------------------

# LABEL_tests, for each label: builds the tests that have it (unit_tests, sim_tests, fuzz_tests …).
function(_tern_label target)
  foreach(label IN LISTS ARGN)
    if(NOT TARGET ${label}_tests)
      add_custom_target(${label}_tests)
    endif()
    add_dependencies(${label}_tests ${target})
  endforeach()
endfunction()

function(tern_library name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;HEADERS;PUBLIC;PRIVATE;SYSTEM_PRIVATE_INCLUDES")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "tern_library(${name}): unknown arguments ${arg_UNPARSED_ARGUMENTS}")
  endif()
  string(REGEX REPLACE "^tern_" "" name "${name}")
  set(target tern_${name})

  add_library(${target} STATIC ${arg_SOURCES})
  add_library(tern::${name} ALIAS ${target})
  set_target_properties(${target} PROPERTIES
    EXPORT_NAME ${name} LINKER_LANGUAGE CXX POSITION_INDEPENDENT_CODE ON)
  target_compile_features(${target} PUBLIC cxx_std_20)
  target_compile_options(${target} PRIVATE ${TERN_WARNINGS})
  set(alone "")  # public headers that no source includes first
  foreach(header IN LISTS arg_HEADERS)
    string(REGEX REPLACE "\\.h$" ".cc" source "${header}")
    if(NOT source IN_LIST arg_SOURCES)
      list(APPEND alone "${header}")
    endif()
  endforeach()
  list(REMOVE_ITEM arg_HEADERS ${alone})
  target_sources(${target} PUBLIC
    FILE_SET HEADERS BASE_DIRS "${PROJECT_SOURCE_DIR}" FILES ${arg_HEADERS}
    FILE_SET headers_alone TYPE HEADERS BASE_DIRS "${PROJECT_SOURCE_DIR}" FILES ${alone})
  set_target_properties(${target} PROPERTIES INTERFACE_HEADER_SETS_TO_VERIFY headers_alone)
  target_link_libraries(${target} PUBLIC ${arg_PUBLIC} PRIVATE ${arg_PRIVATE})
  if(arg_SYSTEM_PRIVATE_INCLUDES)
    target_include_directories(${target} SYSTEM PRIVATE ${arg_SYSTEM_PRIVATE_INCLUDES})
  endif()
  _tern_precompile(${target} tern_library_headers)
  set_property(GLOBAL APPEND PROPERTY TERN_LIBRARIES ${target})
endfunction()

# A library of tools or examples: not installed, its headers are nobody else's.
#   tern_tool_library(tern_relay SOURCES ... LIBS ...)
function(tern_tool_library name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LIBS")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "tern_tool_library(${name}): unknown arguments ${arg_UNPARSED_ARGUMENTS}")
  endif()
  add_library(${name} STATIC ${arg_SOURCES})
  target_compile_options(${name} PRIVATE ${TERN_WARNINGS})
  target_link_libraries(${name} PUBLIC ${arg_LIBS})
  _tern_precompile(${name} tern_program_headers)
endfunction()

function(_tern_executable name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LIBS")
  add_executable(${name} ${arg_SOURCES})
  set_target_properties(${name} PROPERTIES LINKER_LANGUAGE CXX)
  target_compile_options(${name} PRIVATE ${TERN_WARNINGS})
  target_include_directories(${name} PRIVATE "${PROJECT_SOURCE_DIR}")
  target_link_libraries(${name} PRIVATE ${arg_LIBS})
endfunction()

function(tern_program name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "INSTALL" "OUTPUT_DIRECTORY" "SOURCES;LIBS")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "tern_program(${name}): unknown arguments ${arg_UNPARSED_ARGUMENTS}")
  endif()
  _tern_executable(${name} SOURCES ${arg_SOURCES} LIBS ${arg_LIBS})
  _tern_precompile(${name} tern_program_headers)
  if(arg_OUTPUT_DIRECTORY)
    set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${arg_OUTPUT_DIRECTORY}")
  endif()
  if(arg_INSTALL)
    install(TARGETS ${name} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  endif()
endfunction()

# Sets `variable` to a source that the build makes: every file of `folder` (of the current source
# directory) as http::EmbeddedFile, given by `namespace`::`function`(), which `header` declares.
function(tern_embed variable folder header namespace function)
  set(source "${CMAKE_CURRENT_BINARY_DIR}/${function}.cc")
  set(script "${PROJECT_SOURCE_DIR}/cmake/embed_files.cmake")
  file(GLOB_RECURSE inputs CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/${folder}/*")
  add_custom_command(
    OUTPUT "${source}"
    COMMAND "${CMAKE_COMMAND}" "-DFOLDER=${CMAKE_CURRENT_SOURCE_DIR}/${folder}" "-DOUTPUT=${source}"
            "-DHEADER=${header}" "-DNAMESPACE=${namespace}" "-DFUNCTION=${function}" -P "${script}"
    DEPENDS ${inputs} "${script}"
    COMMENT "Embedding ${folder}"
    VERBATIM)
  set(${variable} "${source}" PARENT_SCOPE)
endfunction()

# One GoogleTest binary = one ctest entry, labelled `unit` unless LABELS says otherwise.
function(tern_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LIBS;LABELS")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "tern_test(${name}): unknown arguments ${arg_UNPARSED_ARGUMENTS}")
  endif()
  if(NOT arg_LABELS)
    set(arg_LABELS unit)
  endif()
  _tern_executable(${name} SOURCES ${arg_SOURCES} LIBS ${arg_LIBS} GTest::gmock GTest::gtest_main)
  # Tests are compiled often and run briefly: without full optimization and line tables.
  _tern_precompile(${name} tern_test_headers LIBS GTest::gmock HEADERS <gmock/gmock.h> <gtest/gtest.h>
    OPTIONS $<$<CONFIG:Release>:-O1> $<$<CONFIG:Release>:-g0>)
  add_test(NAME ${name} COMMAND ${name} --gtest_brief=1)
  set_tests_properties(${name} PROPERTIES
    LABELS "${arg_LABELS}" TIMEOUT ${TERN_HANGS} WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}")
  if("sim" IN_LIST arg_LABELS)
    set_tests_properties(${name} PROPERTIES COST 100)  # the longest; the first run does not know yet
  endif()
  _tern_label(${name} ${arg_LABELS})
endfunction()

# SOURCES define LLVMFuzzerTestOneInput. In the fuzz preset that is a libFuzzer program; in other builds with sanitizers
# a program that runs each file of CORPUS once, and a ctest entry labelled `fuzz`.
function(tern_fuzz name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "CORPUS" "SOURCES;LIBS")
  if(arg_UNPARSED_ARGUMENTS OR NOT arg_CORPUS)
    message(FATAL_ERROR "tern_fuzz(${name}): wants SOURCES, LIBS, CORPUS; got ${ARGN}")
  endif()
  cmake_path(ABSOLUTE_PATH arg_CORPUS BASE_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}")
  if(TERN_FUZZ)
    tern_program(${name} SOURCES ${arg_SOURCES} LIBS ${arg_LIBS}
      OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/fuzz")
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  else()
    if(NOT TARGET tern_fuzz_replay)
      add_library(tern_fuzz_replay STATIC "${PROJECT_SOURCE_DIR}/tests/fuzz/replay_main.cc")
      target_compile_options(tern_fuzz_replay PRIVATE ${TERN_WARNINGS})
    endif()
    tern_program(${name} SOURCES ${arg_SOURCES} LIBS ${arg_LIBS} tern_fuzz_replay
      OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/fuzz")
    add_test(NAME ${name} COMMAND ${name} "${arg_CORPUS}")
    set_tests_properties(${name} PROPERTIES LABELS fuzz TIMEOUT ${TERN_HANGS})
  endif()
  _tern_label(${name} fuzz)
  # For `tools/dev fuzz`: one line a target, name|corpus.
  set_property(GLOBAL APPEND_STRING PROPERTY TERN_FUZZ_TARGETS "${name}|${arg_CORPUS}\n")
endfunction()
