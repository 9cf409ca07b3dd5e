// Metal's names for clang: what portable kernels use, and no more. With MSL_STRICT (compiled only) address
// spaces are real; without it memory is flat, and threadgroup variables lie in a section that a group shares.
#pragma once
#pragma GCC system_header
typedef __INT32_TYPE__ int32_t;
typedef __UINT32_TYPE__ uint32_t;
typedef __SIZE_TYPE__ size_t;
typedef unsigned int uint;
typedef unsigned short ushort;
typedef _Float16 half;
typedef _Float16 float16_t;
typedef __bf16 bfloat16_t;
typedef uint uint2 __attribute__((ext_vector_type(2)));
typedef uint uint3 __attribute__((ext_vector_type(3)));

struct msl_thread {  // what the attributes of one thread read
  uint3 thread_position_in_grid, thread_position_in_threadgroup, threadgroup_position_in_grid;
  uint thread_index_in_threadgroup, thread_index_in_simdgroup, simdgroup_index_in_threadgroup;
};
extern "C" void msl_barrier(int flags, int line);
extern "C" const float* msl_exchange(float value, int line, uint* lanes);
#ifndef MSL_RUNTIME

#define METAL_FUNC inline __attribute__((__always_inline__))
#define thread
#ifdef MSL_STRICT
#define device __attribute__((address_space(1)))
#define constant __attribute__((address_space(2)))
#define threadgroup static __attribute__((address_space(3)))
#else
#define device
#define constant
#define threadgroup static MSL_SHARED
#endif
#ifdef MSL_ASAN
#define MSL_SHARED  // red zones around each variable instead of a fill
#elif defined(__APPLE__)
#define MSL_SHARED __attribute__((section("__DATA,msl_tg"), used))
#else
#define MSL_SHARED __attribute__((section("msl_tg"), used))
#endif

template <class To, class From>
METAL_FUNC To as_type(From v) {
  return __builtin_bit_cast(To, v);
}
enum class mem_flags { mem_none = 0, mem_device = 1, mem_threadgroup = 2 };
METAL_FUNC void threadgroup_barrier(mem_flags f, int line = __builtin_LINE()) { msl_barrier(int(f), line); }

namespace metal {
// Overloads, not templates: a call with mixed types is ambiguous, as in Metal.
METAL_FUNC float abs(float x) { return __builtin_fabsf(x); }
METAL_FUNC float fma(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
METAL_FUNC float max(float a, float b) { return __builtin_fmaxf(a, b); }
METAL_FUNC float min(float a, float b) { return __builtin_fminf(a, b); }
METAL_FUNC int max(int a, int b) { return a > b ? a : b; }
METAL_FUNC int min(int a, int b) { return a < b ? a : b; }
METAL_FUNC uint max(uint a, uint b) { return a > b ? a : b; }
METAL_FUNC uint min(uint a, uint b) { return a < b ? a : b; }
#define MSL_MATH                                                      \
  METAL_FUNC float exp(float x) { return __builtin_expf(x); }         \
  METAL_FUNC float log(float x) { return __builtin_logf(x); }         \
  METAL_FUNC float sqrt(float x) { return __builtin_sqrtf(x); }       \
  METAL_FUNC float rsqrt(float x) { return 1.0f / __builtin_sqrtf(x); } \
  METAL_FUNC float divide(float a, float b) { return a / b; }
MSL_MATH
namespace precise { MSL_MATH }
namespace fast { MSL_MATH }

METAL_FUNC float simd_sum(float v, int line = __builtin_LINE()) {
  uint lanes;
  const float* all = msl_exchange(v, line, &lanes);
  float sum = 0.0f;
  for (uint i = 0; i < lanes; i++) sum += all[i];
  return sum;
}
METAL_FUNC float simd_max(float v, int line = __builtin_LINE()) {
  uint lanes;
  const float* all = msl_exchange(v, line, &lanes);
  for (uint i = 0; i < lanes; i++) v = max(v, all[i]);
  return v;
}
METAL_FUNC float simd_shuffle(float v, ushort from, int line = __builtin_LINE()) {
  uint lanes;
  const float* all = msl_exchange(v, line, &lanes);
  return from < lanes ? all[from] : __builtin_nanf("");  // nothing is promised of an absent lane
}
}  // namespace metal
using namespace metal;

struct msl_buffer {  // passes a buffer for whatever pointer the kernel takes
  void* p;
  template <class P>
  operator P*() const { return (P*)p; }
};
#endif
