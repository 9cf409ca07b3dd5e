// A 4-bit matrix (groups of 64 along a row, bfloat16 scales) times one vector, and, where GELU, the product
// gelu(gate + bias) * (up + bias) of its two halves. A simdgroup takes ROWS rows, a lane 16 numbers of each at
// a time. Launch: threads (32, GROUPS), threadgroups (simdgroups / GROUPS).
uint lane = thread_position_in_threadgroup.x;
int simdgroup = int(threadgroup_position_in_grid.x * GROUPS + thread_position_in_threadgroup.y);
int wanted = simdgroup * (GELU ? ROWS / 2 : ROWS);
const device uint2* numbers = reinterpret_cast<const device uint2*>(x);
const device uint2* codes = reinterpret_cast<const device uint2*>(weight);
float sums[ROWS];
int rows[ROWS];
#pragma unroll
for (int r = 0; r < ROWS; r++) {
    sums[r] = 0.0f;
    int row = metal::min(wanted + (GELU ? r / 2 : r), OUT - 1);
    rows[r] = (GELU && r % 2 == 1) ? row + OUT : row;
}
for (int start = 0; start < SIZE / 16; start += 32 * BATCH) {
    // All of a batch is asked for before any of it is used.
    uint2 code[BATCH * ROWS];
    float scale[BATCH * ROWS];
    float offset[BATCH * ROWS];
#pragma unroll
    for (int i = 0; i < BATCH; i++) {
        int piece = metal::min(start + 32 * i + int(lane), SIZE / 16 - 1);
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
            code[i * ROWS + r] = codes[uint(rows[r]) * (SIZE / 16) + piece];
            scale[i * ROWS + r] = float(scales[uint(rows[r]) * (SIZE / 64) + piece / 4]);
            offset[i * ROWS + r] = float(biases[uint(rows[r]) * (SIZE / 64) + piece / 4]);
        }
    }
#pragma unroll
    for (int i = 0; i < BATCH; i++) {
        int piece = start + 32 * i + int(lane);
        bool inside = piece < SIZE / 16;
        piece = inside ? piece : 0;
        float v[16];
        float total = 0.0f;
#pragma unroll
        for (int k = 0; k < 4; k++) {
            uint2 pair = numbers[piece * 4 + k];
            // bfloat16 is the upper half of a float.
            v[4 * k] = as_type<float>(pair.x << 16);
            v[4 * k + 1] = as_type<float>(pair.x & 0xffff0000u);
            v[4 * k + 2] = as_type<float>(pair.y << 16);
            v[4 * k + 3] = as_type<float>(pair.y & 0xffff0000u);
            total += v[4 * k] + v[4 * k + 1] + v[4 * k + 2] + v[4 * k + 3];
        }
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
            uint2 c = code[i * ROWS + r];
            float dot = 0.0f;
#pragma unroll
            for (int k = 0; k < 8; k++) {
                // 2^23 + code as a float, by its bits: cheaper than a conversion, and exact.
                float low = as_type<float>(((c.x >> (4 * k)) & 15u) | 0x4b000000u) - 8388608.0f;
                float high = as_type<float>(((c.y >> (4 * k)) & 15u) | 0x4b000000u) - 8388608.0f;
                dot = metal::fma(low, v[k], dot);
                dot = metal::fma(high, v[8 + k], dot);
            }
            sums[r] += inside ? metal::fma(scale[i * ROWS + r], dot, offset[i * ROWS + r] * total) : 0.0f;
        }
    }
}
#pragma unroll
for (int r = 0; r < ROWS; r++) {
    sums[r] = metal::simd_sum(sums[r]);
}
if (lane == 0) {
#pragma unroll
    for (int r = 0; r < ROWS; r += (GELU ? 2 : 1)) {
        int row = wanted + (GELU ? r / 2 : r);
        if (row < OUT) {
            float value = float(T(sums[r]));
            if (GELU) {
                float up = float(T(sums[r + (GELU ? 1 : 0)]));
                value += BIAS ? float(bias[row]) : 0.0f;
                up += BIAS ? float(bias[OUT + row]) : 0.0f;
                value = rg_gelu(value) * up;
            }
            y[row] = T(value);
        }
    }
}
