# The static programs for the kernels of another architecture: Debian's cross compiler, and the libraries that
# kernels/sysroot.py fetched.  The presets name PORTSHARE_ARCH (Debian's word) and PORTSHARE_TRIPLET (the compiler's).
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES PORTSHARE_ARCH PORTSHARE_TRIPLET)
if(NOT "$ENV{PORTSHARE_CACHE}" STREQUAL "")
  set(SYSROOT "$ENV{PORTSHARE_CACHE}/sysroot/${PORTSHARE_ARCH}")
else()
  set(SYSROOT "$ENV{HOME}/.cache/portshare/sysroot/${PORTSHARE_ARCH}")
endif()

string(REGEX MATCH "^[^-]+" CMAKE_SYSTEM_PROCESSOR "${PORTSHARE_TRIPLET}")
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_CXX_COMPILER ${PORTSHARE_TRIPLET}-g++)

# Not CMAKE_SYSROOT: libc is the compiler's own.  Some libraries are in /lib, which Debian merges into /usr/lib.
set(CMAKE_CXX_FLAGS_INIT "-isystem ${SYSROOT}/usr/include -Werror")
set(CMAKE_EXE_LINKER_FLAGS_INIT "-L${SYSROOT}/usr/lib/${PORTSHARE_TRIPLET} -L${SYSROOT}/lib/${PORTSHARE_TRIPLET}")
set(CMAKE_LIBRARY_ARCHITECTURE ${PORTSHARE_TRIPLET})
set(CMAKE_FIND_ROOT_PATH ${SYSROOT})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(ENV{PKG_CONFIG_LIBDIR} ${SYSROOT}/usr/lib/${PORTSHARE_TRIPLET}/pkgconfig)
set(ENV{PKG_CONFIG_SYSROOT_DIR} ${SYSROOT})
