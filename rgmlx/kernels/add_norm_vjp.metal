// The gradient of add_norm; of weight and bias a sum for each ROWS rows. With v the sum, r = rsqrt(mean(v^2) + eps)
// and g = d_normed (1 + weight):  d = d_total + r g - v r^3 mean(g v).  A threadgroup takes ROWS rows in turn.
// Launch: threads (32 * GROUPS), threadgroups (rows / ROWS).
uint i = thread_position_in_threadgroup.x;
uint chunk = threadgroup_position_in_grid.x;
int rows = total_shape[0];
// Two halves, used in turn: one barrier a row is then enough.
threadgroup float sums[4 * GROUPS];
float weights[EACH];
float bias_sums[EACH];
float weight_sums[EACH];
#pragma unroll
for (int k = 0; k < EACH; k++) {
    int d = int(i) + k * GROUPS * 32;
    weights[k] = (d < WIDTH) ? 1.0f + float(weight[d]) : 0.0f;
    bias_sums[k] = 0.0f;
    weight_sums[k] = 0.0f;
}
for (int n = 0; n < ROWS; n++) {
    int row = int(chunk) * ROWS + n;
    bool real = row < rows;
    size_t start = size_t(metal::min(row, rows - 1)) * WIDTH;
    float values[EACH];
    float inner[EACH];
    float outer[EACH];
    float square = 0.0f;
    float dot = 0.0f;
#pragma unroll
    for (int k = 0; k < EACH; k++) {
        int d = int(i) + k * GROUPS * 32;
        bool inside = d < WIDTH;
        values[k] = inside ? float(total[start + d]) : 0.0f;
        inner[k] = inside ? float(d_normed[start + d]) : 0.0f;
        outer[k] = inside ? float(d_total[start + d]) : 0.0f;
    }
#pragma unroll
    for (int k = 0; k < EACH; k++) {
        square += values[k] * values[k];
        dot += inner[k] * weights[k] * values[k];
    }
    square = metal::simd_sum(square);
    dot = metal::simd_sum(dot);
    int base = (n % 2) * 2 * GROUPS;
    if (thread_index_in_simdgroup == 0) {
        sums[base + int(simdgroup_index_in_threadgroup)] = square;
        sums[base + GROUPS + int(simdgroup_index_in_threadgroup)] = dot;
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
    square = 0.0f;
    dot = 0.0f;
#pragma unroll
    for (int s = 0; s < GROUPS; s++) {
        square += sums[base + s];
        dot += sums[base + GROUPS + s];
    }
    float scale = metal::precise::rsqrt(square / float(WIDTH) + eps[0]);
    float shift = dot * scale * scale * scale / float(WIDTH);
#pragma unroll
    for (int k = 0; k < EACH; k++) {
        int d = int(i) + k * GROUPS * 32;
        if (real && d < WIDTH) {
            float gradient = outer[k] + scale * inner[k] * weights[k] - shift * values[k];
            d_x[start + d] = gradient;
            d_y[start + d] = T(gradient);
            bias_sums[k] += gradient;
            weight_sums[k] += inner[k] * values[k] * scale;
        }
    }
}
#pragma unroll
for (int k = 0; k < EACH; k++) {
    int d = int(i) + k * GROUPS * 32;
    if (d < WIDTH) {
        d_bias[size_t(chunk) * WIDTH + d] = bias_sums[k];
        d_weight[size_t(chunk) * WIDTH + d] = weight_sums[k];
    }
}
