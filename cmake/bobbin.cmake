# What every target of Bobbin shares, and the two functions that folders use.

find_package(Threads REQUIRED)
find_package(fmt REQUIRED)

add_library(bobbin_options INTERFACE)
target_include_directories(bobbin_options INTERFACE ${PROJECT_SOURCE_DIR}/src)
target_compile_options(bobbin_options INTERFACE
  -Wall -Wextra -Werror -Wshadow -Wnon-virtual-dtor -Wundef -fno-omit-frame-pointer)
target_compile_definitions(bobbin_options INTERFACE BOBBIN_VERSION="${PROJECT_VERSION}")
target_link_libraries(bobbin_options INTERFACE Threads::Threads)
if(CMAKE_CXX_COMPILER_ID MATCHES Clang)
  # Reserved identifiers: what clang-tidy would look for, at no cost.
  target_compile_options(bobbin_options INTERFACE -Wthread-safety -Wreserved-identifier)
endif()
if(BOBBIN_SANITIZE)
  # vptr opens a pipe at each check, and reports an error when the tests have used up the descriptors.
  target_compile_options(bobbin_options INTERFACE -fsanitize=${BOBBIN_SANITIZE} -fno-sanitize=vptr)
  target_link_options(bobbin_options INTERFACE -fsanitize=${BOBBIN_SANITIZE})
endif()

# Headers of others that most sources include, compiled once for the layers and once for their tests. Each source
# includes what it uses all the same: .ci/clang-tidy compiles them without, and so does the release: its warnings of
# gcc 12, which optimises, are false where they come through a precompiled header.
set(BOBBIN_HEADERS <algorithm> <array> <atomic> <chrono> <condition_variable> <cstdint> <deque> <filesystem> <functional>
  <map> <memory> <mutex> <optional> <random> <set> <span> <string> <string_view> <thread> <unordered_map> <utility>
  <variant> <vector> <fmt/format.h>)
find_package(GTest REQUIRED)

function(bobbin_precompiled name)
  cmake_parse_arguments(arg "" "" "HEADERS;LINK" ${ARGN})
  file(GENERATE OUTPUT ${PROJECT_BINARY_DIR}/${name}.cc CONTENT "")
  add_library(${name} OBJECT ${PROJECT_BINARY_DIR}/${name}.cc)
  target_link_libraries(${name} PRIVATE bobbin_options fmt::fmt ${arg_LINK})
  target_precompile_headers(${name} PRIVATE ${arg_HEADERS})
  if(CMAKE_CXX_COMPILER_ID MATCHES Clang)
    target_compile_options(${name} PRIVATE "SHELL:-Xclang -fno-pch-timestamp")  # so that ccache can tell two apart
  endif()
endfunction()

# A test runs once what it is compiled for: with AddressSanitizer, optimising it takes longer than that saves. With
# ThreadSanitizer it does not: what is inline in our headers is the tests' copy.
if(BOBBIN_SANITIZE MATCHES address)
  set(BOBBIN_TEST_OPTIONS -O0)
endif()
if(CMAKE_BUILD_TYPE STREQUAL Debug)
  bobbin_precompiled(bobbin_headers HEADERS ${BOBBIN_HEADERS})
  bobbin_precompiled(bobbin_test_headers HEADERS ${BOBBIN_HEADERS} <future> <gtest/gtest.h> <gmock/gmock.h>
    LINK GTest::gtest GTest::gmock)
  target_compile_options(bobbin_test_headers PRIVATE ${BOBBIN_TEST_OPTIONS})
endif()
# bobbin_precompile(target bobbin_headers): it uses these, where there are such.
function(bobbin_precompile target headers)
  if(TARGET ${headers})
    target_precompile_headers(${target} REUSE_FROM ${headers})
  endif()
endfunction()

# bobbin_layer(net SOURCES a.cc b.cc [TESTS a_test.cc] [LINK bobbin_base ...])
# A folder of src/: a static library bobbin_<name>, and one gtest program <name>_test from the tests that
# lie beside their sources.
function(bobbin_layer name)
  cmake_parse_arguments(arg "" "" "SOURCES;TESTS;LINK;TEST_LINK" ${ARGN})
  add_library(bobbin_${name} STATIC ${arg_SOURCES})
  target_link_libraries(bobbin_${name} PUBLIC bobbin_options ${arg_LINK})
  bobbin_precompile(bobbin_${name} bobbin_headers)
  if(arg_TESTS)
    bobbin_gtest(${name}_test SOURCES ${arg_TESTS} LINK bobbin_${name} ${arg_TEST_LINK})
  endif()
endfunction()

# bobbin_gtest(name SOURCES a_test.cc LINK bobbin_net [OPTIMIZED]): one gtest program, one entry in ctest. OPTIMIZED as
# the layers are.
function(bobbin_gtest name)
  cmake_parse_arguments(arg "OPTIMIZED" "TIMEOUT" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE ${arg_LINK} GTest::gtest_main GTest::gmock)
  if(NOT arg_OPTIMIZED)
    bobbin_precompile(${name} bobbin_test_headers)
    target_compile_options(${name} PRIVATE ${BOBBIN_TEST_OPTIONS})
  endif()
  add_test(NAME ${name} COMMAND ${name})
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 300)
  endif()
  set_tests_properties(${name} PROPERTIES TIMEOUT ${arg_TIMEOUT})
endfunction()

# bobbin_fuzzer(name SOURCE a_fuzz.cc CORPUS dir LINK bobbin_wire): the test <name>_corpus, a plain program that replays
# the corpus; and with BOBBIN_FUZZ the libFuzzer target. Both are linked from the one object.
function(bobbin_fuzzer name)
  cmake_parse_arguments(arg "" "SOURCE;CORPUS" "LINK" ${ARGN})
  add_library(${name}_object OBJECT ${arg_SOURCE})
  target_link_libraries(${name}_object PUBLIC ${arg_LINK})
  add_executable(${name}_replay ${PROJECT_SOURCE_DIR}/tests/fuzz/replay_main.cc)
  target_link_libraries(${name}_replay PRIVATE ${name}_object)
  add_test(NAME ${name}_corpus COMMAND ${name}_replay ${arg_CORPUS})
  set_tests_properties(${name}_corpus PROPERTIES TIMEOUT 120)
  if(BOBBIN_FUZZ)
    add_executable(${name} $<TARGET_OBJECTS:${name}_object>)
    target_link_libraries(${name} PRIVATE ${arg_LINK})
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  endif()
endfunction()
