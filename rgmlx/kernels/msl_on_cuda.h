// Metal's names in CUDA, so that a kernel body written in MSL compiles unchanged for mx.fast.cuda_kernel.
typedef unsigned int uint;
typedef unsigned short ushort;
typedef __half float16_t;
typedef __half half;
typedef __nv_bfloat16 bfloat16_t;
#define device
#define constant
#define thread
#define threadgroup __shared__
#define METAL_FUNC __device__ __forceinline__
namespace metal {
METAL_FUNC float abs(float x) { return fabsf(x); }
METAL_FUNC float max(float a, float b) { return fmaxf(a, b); }
METAL_FUNC float min(float a, float b) { return fminf(a, b); }
METAL_FUNC float fma(float a, float b, float c) { return fmaf(a, b, c); }
METAL_FUNC int max(int a, int b) { return a > b ? a : b; }
METAL_FUNC int min(int a, int b) { return a < b ? a : b; }
METAL_FUNC uint max(uint a, uint b) { return a > b ? a : b; }
METAL_FUNC uint min(uint a, uint b) { return a < b ? a : b; }
namespace precise {
METAL_FUNC float exp(float x) { return expf(x); }
METAL_FUNC float log(float x) { return logf(x); }
METAL_FUNC float sqrt(float x) { return sqrtf(x); }
METAL_FUNC float rsqrt(float x) { return rsqrtf(x); }
METAL_FUNC float tanh(float x) { return tanhf(x); }
}  // namespace precise
namespace fast {
// As Metal's, without a care for numbers below 1e-38: CUDA's own take three times the instructions for them.
METAL_FUNC float exp(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(1.4426950408889634f * x));
    return y;
}
METAL_FUNC float sqrt(float x) {
    float y;
    asm("sqrt.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}
METAL_FUNC float divide(float a, float b) {
    float y;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(b));
    return a * y;
}
}  // namespace fast
METAL_FUNC float simd_sum(float v) {
    for (int m = 16; m; m >>= 1) v += __shfl_xor_sync(0xffffffffu, v, m);
    return v;
}
METAL_FUNC float simd_max(float v) {
    for (int m = 16; m; m >>= 1) v = fmaxf(v, __shfl_xor_sync(0xffffffffu, v, m));
    return v;
}
METAL_FUNC float simd_shuffle(float v, ushort lane) { return __shfl_sync(0xffffffffu, v, lane); }
}  // namespace metal
template <class To>
METAL_FUNC To as_type(uint v) { return __uint_as_float(v); }
template <class To>
METAL_FUNC To as_type(float v) { return __float_as_uint(v); }
struct mem_flags { enum kind { mem_none, mem_device, mem_threadgroup }; };
METAL_FUNC void threadgroup_barrier(mem_flags::kind) { __syncthreads(); }
METAL_FUNC void simdgroup_barrier(mem_flags::kind) { __syncwarp(); }
METAL_FUNC uint3 msl_global() {
    return make_uint3(blockIdx.x * blockDim.x + threadIdx.x, blockIdx.y * blockDim.y + threadIdx.y,
                      blockIdx.z * blockDim.z + threadIdx.z);
}
METAL_FUNC uint msl_local() { return threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z); }
#define thread_position_in_grid msl_global()
#define thread_position_in_threadgroup threadIdx
#define threadgroup_position_in_grid blockIdx
#define threads_per_threadgroup blockDim
#define thread_index_in_threadgroup msl_local()
#define thread_index_in_simdgroup (msl_local() & 31u)
#define simdgroup_index_in_threadgroup (msl_local() >> 5)
