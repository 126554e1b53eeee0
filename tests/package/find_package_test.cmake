# cmake -Dbuild=… -Dversion=… -Dcompiler=… -Dccache=… -P find_package_test.cmake
#
# Installs what was built and builds a program outside the tree on it, and those that README and docs show; then does
# what docs/rpc.md tells a newcomer.

function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT status EQUAL 0)
    list(JOIN ARGN " " command)
    message(FATAL_ERROR "${command}\n${output}")
  endif()
endfunction()

set(scratch "${build}/package_test")
file(REMOVE_RECURSE "${scratch}")
if(sanitize)
  set(flags "-DCMAKE_CXX_FLAGS=-fsanitize=${sanitize}")
endif()

run("${CMAKE_COMMAND}" --install "${build}" --prefix "${scratch}/prefix")
find_program(python NAMES python3 REQUIRED)
run("${python}" "${CMAKE_CURRENT_LIST_DIR}/manual_programs.py" "${CMAKE_CURRENT_LIST_DIR}/../.." "${scratch}/manual")
# Most of this test's time goes into compiling what was compiled before. The headers are new each time, and the same.
if(ccache)
  set(ENV{CMAKE_CXX_COMPILER_LAUNCHER} "${ccache}")
  set(ENV{CCACHE_SLOPPINESS} include_file_mtime,include_file_ctime)
endif()
# Every public header in the installed tree, and nothing of the source tree, is what the consumer sees.
run("${CMAKE_COMMAND}" -S "${CMAKE_CURRENT_LIST_DIR}/consumer" -B "${scratch}/consumer" -G Ninja
  "-DCMAKE_PREFIX_PATH=${scratch}/prefix" "-DCMAKE_CXX_COMPILER=${compiler}"
  "-DCMAKE_BUILD_TYPE=${build_type}" "-Dversion=${version}"
  "-Dmanual=${scratch}/manual" ${flags})
run("${CMAKE_COMMAND}" --build "${scratch}/consumer")
run("${scratch}/consumer/consumer")
# The newcomer's build is configured by hand; what it takes from here is the compiler.
set(ENV{CXX} "${compiler}")
if(sanitize)
  set(ENV{CXXFLAGS} "-fsanitize=${sanitize}")
endif()
run("${python}" "${CMAKE_CURRENT_LIST_DIR}/manual_walk.py" "${CMAKE_CURRENT_LIST_DIR}/../../docs/rpc.md" "${scratch}/prefix" "${scratch}/walk")
