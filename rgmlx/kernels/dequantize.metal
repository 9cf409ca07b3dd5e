// A 4-bit matrix (groups of 64 along a row, bfloat16 scales) made dense. A thread makes eight numbers of one word.
// Launch: threads (THREADS), threadgroups (rows, pieces of a row).
int word = int(threadgroup_position_in_grid.y * THREADS + thread_position_in_threadgroup.x);
uint row = threadgroup_position_in_grid.x;
device uint2* out = reinterpret_cast<device uint2*>(dense);
if (word < WORDS) {
    uint code = weight[row * WORDS + word];
    float scale = float(scales[row * (WORDS / 8) + word / 8]);
    float offset = float(biases[row * (WORDS / 8) + word / 8]);
    uint bits[8];
#pragma unroll
    for (int k = 0; k < 8; k++) {
        uint v = as_type<uint>(metal::fma(float((code >> (4 * k)) & 15u), scale, offset));
        // bfloat16 is the upper half of a float, rounded to even.
        bits[k] = (v + 0x7fffu + ((v >> 16) & 1u)) >> 16;
    }
    uint2 low;
    uint2 high;
    low.x = bits[0] | (bits[1] << 16);
    low.y = bits[2] | (bits[3] << 16);
    high.x = bits[4] | (bits[5] << 16);
    high.y = bits[6] | (bits[7] << 16);
    out[(row * WORDS + word) * 2] = low;
    out[(row * WORDS + word) * 2 + 1] = high;
}
