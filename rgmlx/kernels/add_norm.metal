// The residual sum and the norm that follows it: x + y + bias, then RMSNorm of it. A threadgroup a row.
// Launch: threads (32 * GROUPS), grid (32 * GROUPS, rows). EACH elements a thread, kept in registers.
uint i = thread_position_in_threadgroup.x;
uint row = thread_position_in_grid.y;
int width = x_shape[1];
threadgroup float sums[GROUPS];
float values[EACH];
float sum = 0.0f;
#pragma unroll
for (int k = 0; k < EACH; k++) {
    int d = int(i) + k * GROUPS * 32;
    float value = 0.0f;
    if (d < width) {
        value = float(y[size_t(row) * width + d]) + (BIAS ? float(bias[d]) : 0.0f);
        value += float(x[size_t(row) * width + d]);
        total[size_t(row) * width + d] = value;
    }
    values[k] = value;
    sum += value * value;
}
sum = metal::simd_sum(sum);
if (thread_index_in_simdgroup == 0) {
    sums[simdgroup_index_in_threadgroup] = sum;
}
threadgroup_barrier(mem_flags::mem_threadgroup);
sum = 0.0f;
for (int s = 0; s < GROUPS; s++) {
    sum += sums[s];
}
float scale = metal::precise::rsqrt(sum / float(width) + eps[0]);
#pragma unroll
for (int k = 0; k < EACH; k++) {
    int d = int(i) + k * GROUPS * 32;
    if (d < width) {
        normed[size_t(row) * width + d] = T(values[k] * scale * (1.0f + float(weight[d])));
    }
}
