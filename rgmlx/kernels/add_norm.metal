// The residual sum and the norm that follows it: x + y + bias, then RMSNorm of it. A threadgroup a row.
// Launch: threads (32 * GROUPS), a threadgroup a row. EACH elements a thread, kept in registers:
// all are asked for before any is used or written, so that the row waits for memory once.
uint i = thread_position_in_threadgroup.x;
uint row = threadgroup_position_in_grid.x;
threadgroup float sums[GROUPS];
float values[EACH];
float added[EACH];
float weights[EACH];
size_t start = size_t(row) * WIDTH;
#pragma unroll
for (int k = 0; k < EACH; k++) {
    int d = int(i) + k * GROUPS * 32;
    bool inside = d < WIDTH;
    values[k] = inside ? float(x[start + d]) : 0.0f;
    added[k] = inside ? float(y[start + d]) : 0.0f;
    added[k] += (BIAS && inside) ? float(bias[d]) : 0.0f;
    weights[k] = inside ? float(weight[d]) : 0.0f;
}
float sum = 0.0f;
#pragma unroll
for (int k = 0; k < EACH; k++) {
    values[k] += added[k];
    sum += values[k] * values[k];
}
sum = metal::simd_sum(sum);
if (thread_index_in_simdgroup == 0) {
    sums[simdgroup_index_in_threadgroup] = sum;
}
threadgroup_barrier(mem_flags::mem_threadgroup);
sum = 0.0f;
#pragma unroll
for (int s = 0; s < GROUPS; s++) {
    sum += sums[s];
}
float scale = metal::precise::rsqrt(sum / float(WIDTH) + eps[0]);
#pragma unroll
for (int k = 0; k < EACH; k++) {
    int d = int(i) + k * GROUPS * 32;
    if (d < WIDTH) {
        total[start + d] = values[k];
        normed[start + d] = T(values[k] * scale * (1.0f + weights[k]));
    }
}
