# cmake -DOBJECTS=FILE... -DRESULTS=FILE... -DNM=... -DOBJCOPY=... -DOBJDUMP=... -P LutraIsolate.cmake
#
# Copies object files with their weak definitions made local. These are the inline functions and templates, of every
# library: a linker keeps one copy of each per program, and one that was compiled for a level must not be called where
# the CPU may lack it. Fails if a file runs code before main or at exit, since that would run on every CPU: if it has a
# list of functions to be called then (.init_array, .ctors, .fini_array, .dtors), whatever the compiler calls them, or a
# function that the loader chooses (ifunc, target_clones). What sanitizers and coverage add may stay: one pointer for
# each of their functions.
function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE errors)
  if(NOT status EQUAL 0)
    list(JOIN ARGN " " command)
    message(FATAL_ERROR "lutra_add_dispatched_library: '${command}' failed:\n${errors}")
  endif()
  set(output "${output}" PARENT_SCOPE)
endfunction()

list(LENGTH OBJECTS objects)
list(LENGTH RESULTS results)
if(NOT objects EQUAL results)
  message(FATAL_ERROR "lutra_add_dispatched_library: SOURCES are ${results} files, of which ${objects} are compiled")
endif()
foreach(object result IN ZIP_LISTS OBJECTS RESULTS)
  run(${NM} --defined-only --format=posix ${object})
  set(symbols "${output}")
  string(REGEX MATCHALL "([a-z]+san|sancov)\\.module_[cd]tor[a-z0-9_]* |__llvm_gcov_init |_sub_[ID]_00(099|100)_[0-9]+ "
    instruments "${symbols}")  # of clang, of GCC
  list(LENGTH instruments excess)
  math(EXPR excess "-8 * ${excess}")
  run(${OBJDUMP} -h ${object})
  string(REGEX MATCHALL " \\.(preinit_array|init_array|ctors|fini_array|dtors)[^ \n]* +[0-9a-f]+" lists "${output}")
  foreach(section IN LISTS lists)
    string(REGEX MATCH "[0-9a-f]+$" bytes "${section}")
    math(EXPR excess "${excess} + 0x${bytes}")
  endforeach()
  if(excess GREATER 0)
    run(${NM} -C --defined-only ${object})
    string(REGEX MATCH "(_GLOBAL__sub_I|__cxx_global_var_init|global constructors)[^\n]*" function "${output}")
    message(FATAL_ERROR "lutra_add_dispatched_library:${lists} of ${object} would run before main or at exit, on every "
      "CPU (${function}): variables at file level need constant initial values, functions no attribute constructor or "
      "destructor, and <iostream> must not be included")
  endif()
  if(symbols MATCHES "([^\n ]+) i ")
    message(FATAL_ERROR "lutra_add_dispatched_library: ${CMAKE_MATCH_1} of ${object} is chosen by code that runs before "
      "main, on every CPU: functions need no attribute ifunc or target_clones")
  endif()
  string(REGEX MATCHALL "[^\n ]+ [VW] " weak "${symbols}")
  list(TRANSFORM weak REPLACE " . $" "")
  list(JOIN weak "\n" weak)
  file(WRITE ${result}.weak "${weak}\n")
  # Members of groups, which a linker unites by the group's name, become members of none.
  run(${OBJCOPY} --remove-section=.group --localize-symbols=${result}.weak ${object} ${result})
  file(REMOVE ${result}.weak)
endforeach()
