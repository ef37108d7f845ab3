// Loads TensorFlow on Linux and macOS; windows/imports.c does on Windows. Each of its functions is a jump here, to where the library has it.
#if !defined(_WIN32)
#include "library.h"

#include <dlfcn.h>

#include <mutex>
#include <string>

// Variables and jumps are this file's own: the hidden ones of other libraries don't get in their way, nor do these in theirs.
#define PLACE(function) layerwise_##function
#define DEFINE(function) extern "C" __attribute__((visibility("hidden"))) void *PLACE(function) = nullptr;
TENSORFLOW(DEFINE)
#undef DEFINE

#if defined(__APPLE__) && defined(__aarch64__)
#define JUMP(function)                                                                                          \
  asm(".text\n.p2align 2\n.globl _" #function "\n.private_extern _" #function "\n_" #function                   \
      ":\n  adrp x16, _layerwise_" #function "@PAGE\n  ldr x16, [x16, _layerwise_" #function "@PAGEOFF]\n  br x16\n");
#elif defined(__aarch64__)
#define JUMP(function)                                                                                             \
  asm(".text\n.p2align 2\n.globl " #function "\n.hidden " #function "\n.type " #function ", %function\n" #function \
      ":\n  adrp x16, layerwise_" #function "\n  ldr x16, [x16, #:lo12:layerwise_" #function "]\n  br x16\n");
#elif defined(__x86_64__)
#define JUMP(function)                                                                                       \
  asm(".text\n.globl " #function "\n.hidden " #function "\n.type " #function ", @function\n" #function       \
      ":\n  jmp *layerwise_" #function "(%rip)\n");
#else
#error "There is no TensorFlow for this processor."
#endif
TENSORFLOW(JUMP)

namespace {

#if defined(__APPLE__)
// In this order: the second one needs the first.
constexpr const char *LIBRARIES[] = {"libtensorflow_framework.2.dylib", "libtensorflow_cc.2.dylib"};
#else
constexpr const char *LIBRARIES[] = {"libtensorflow_framework.so.2", "libtensorflow_cc.so.2"};
#endif

// What is wrong; empty if nothing is.
std::string Load() {
  Dl_info self;
  if (dladdr(reinterpret_cast<void *>(&BindTensorFlow), &self) == 0) return "The binding doesn't know its own place";
  const std::string file = self.dli_fname;
  const std::string folder = file.substr(0, file.rfind('/') + 1);
  void *library = nullptr;
  for (const char *name : LIBRARIES) {
    library = dlopen((folder + name).c_str(), RTLD_LAZY | RTLD_LOCAL);
    if (library == nullptr) return dlerror();
  }
#define BIND(function) \
  if ((PLACE(function) = dlsym(library, #function)) == nullptr) return std::string(LIBRARIES[1]) + " has no " #function;
  TENSORFLOW(BIND)
#undef BIND
  return "";
}

}  // namespace

extern "C" const char *BindTensorFlow() {
  static std::once_flag once;
  static std::string problem;
  std::call_once(once, [] { problem = Load(); });
  return problem.empty() ? nullptr : problem.c_str();
}
#endif
