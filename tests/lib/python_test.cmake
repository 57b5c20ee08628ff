include_guard(GLOBAL)

# Debian's own interpreter: it is the one that sees Debian's Python packages.
find_program(BOBBIN_PYTHON python3 PATHS /usr/bin NO_DEFAULT_PATH)
if(NOT BOBBIN_PYTHON)
  find_program(BOBBIN_PYTHON python3 REQUIRED)
endif()

# bobbin_python_test(name SCRIPT a_test.py [ARGS Class.test ...] [TIMEOUT s] [ENVIRONMENT A=b ...]): a
# unittest file, run against the product.
function(bobbin_python_test name)
  cmake_parse_arguments(arg "" "SCRIPT;TIMEOUT" "ARGS;ENVIRONMENT" ${ARGN})
  add_test(NAME ${name}
    COMMAND ${BOBBIN_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/${arg_SCRIPT} -v ${arg_ARGS})
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()
  set_tests_properties(${name} PROPERTIES TIMEOUT ${arg_TIMEOUT} ENVIRONMENT
    "PYTHONPATH=${PROJECT_SOURCE_DIR}/tests;PYTHONDONTWRITEBYTECODE=1;BOBBIN_BINARY=${PROJECT_BINARY_DIR}/bobbin;BOBBIN_SANITIZE=${BOBBIN_SANITIZE};${arg_ENVIRONMENT}")
endfunction()
