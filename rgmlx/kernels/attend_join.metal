// Joins the parts of attend_parts. A threadgroup a head; its first simdgroup weighs the parts.
// Launch: threads (THREADS), threadgroups (batch * heads).
uint head = threadgroup_position_in_grid.x;
uint row = head * PARTS;
threadgroup float weights[PARTS];
threadgroup float whole[1];
if (simdgroup_index_in_threadgroup == 0) {
    float top = -1.0e30f;
    for (int s = int(thread_index_in_simdgroup); s < PARTS; s += 32) {
        top = metal::max(top, top_total[(row + s) * 2]);
    }
    top = metal::simd_max(top);
    float total = 0.0f;
    for (int s = int(thread_index_in_simdgroup); s < PARTS; s += 32) {
        float w = metal::precise::exp(top_total[(row + s) * 2] - top);
        weights[s] = w;
        total += w * top_total[(row + s) * 2 + 1];
    }
    total = metal::simd_sum(total);
    if (thread_index_in_simdgroup == 0) {
        whole[0] = total;
    }
}
threadgroup_barrier(mem_flags::mem_threadgroup);
for (int e = int(thread_position_in_threadgroup.x); e < SIZE; e += THREADS) {
    float value = 0.0f;
#pragma unroll 16
    for (int s = 0; s < PARTS; s++) {
        value = metal::fma(weights[s], sum[(row + s) * SIZE + e], value);
    }
    y[head * SIZE + e] = T(value / whole[0]);
}
