// One query a head over PART keys of the ring: their weights relative to the largest, and the weighted sum of
// their values. A simdgroup a head; the heads that share keys sit in one threadgroup and read them together,
// four keys at a time so that several reads are under way. place: its last column is how many slots are filled.
// Launch: threads (32, heads of a group), threadgroups (batch * parts, groups).
uint lane = thread_position_in_threadgroup.x;
int head = int(thread_position_in_grid.y);
int held = keys_shape[2];
int parts = (held + PART - 1) / PART;
uint b = threadgroup_position_in_grid.x / uint(parts);
uint part = threadgroup_position_in_grid.x % uint(parts);
int first = int(part) * PART;
int columns = place_shape[1];
int filled = int(place[b * columns + columns - 1]);
int group = head / SHARE;
uint row = (b * KEYS + group) * held;
float q[EACH];
#pragma unroll
for (int k = 0; k < EACH; k++) {
    int e = int(lane) + k * 32;
    q[k] = (e < SIZE) ? float(query[(b * KEYS * SHARE + head) * SIZE + e]) * scale[0] : 0.0f;
}
float score = -1.0e30f;
for (int j = 0; j < PART; j += 4) {
    float numbers[4 * EACH];
#pragma unroll
    for (int i = 0; i < 4; i++) {
        uint at = (row + metal::min(first + j + i, held - 1)) * SIZE;
#pragma unroll
        for (int k = 0; k < EACH; k++) {
            numbers[i * EACH + k] = float(keys[at + metal::min(int(lane) + k * 32, SIZE - 1)]);
        }
    }
#pragma unroll
    for (int i = 0; i < 4; i++) {
        float dot = 0.0f;
#pragma unroll
        for (int k = 0; k < EACH; k++) {
            dot = metal::fma(q[k], numbers[i * EACH + k], dot);
        }
        dot = metal::simd_sum(dot);
        score = (int(lane) == j + i && first + j + i < filled) ? dot : score;
    }
}
float top = metal::simd_max(score);
float p = (score > -1.0e29f) ? metal::precise::exp(score - top) : 0.0f;
float total = metal::simd_sum(p);
float sums[EACH];
#pragma unroll
for (int k = 0; k < EACH; k++) {
    sums[k] = 0.0f;
}
for (int j = 0; j < PART; j += 4) {
    float numbers[4 * EACH];
#pragma unroll
    for (int i = 0; i < 4; i++) {
        uint at = (row + metal::min(first + j + i, held - 1)) * SIZE;
#pragma unroll
        for (int k = 0; k < EACH; k++) {
            numbers[i * EACH + k] = float(values[at + metal::min(int(lane) + k * 32, SIZE - 1)]);
        }
    }
#pragma unroll
    for (int i = 0; i < 4; i++) {
        float w = metal::simd_shuffle(p, ushort(j + i));
#pragma unroll
        for (int k = 0; k < EACH; k++) {
            sums[k] = metal::fma(w, numbers[i * EACH + k], sums[k]);
        }
    }
}
uint out = (b * KEYS * SHARE + head) * parts + part;
#pragma unroll
for (int k = 0; k < EACH; k++) {
    int e = int(lane) + k * 32;
    if (e < SIZE) {
        sum[out * SIZE + e] = sums[k];
    }
}
if (lane == 0) {
    top_total[out * 2] = top;
    top_total[out * 2 + 1] = total;
}
