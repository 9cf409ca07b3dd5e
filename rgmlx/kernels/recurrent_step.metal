// One token through a recurrent block, between its two projections: convolution, both gates, RG-LRU,
// and the product with the gelu branch, in one launch. A threadgroup owns 32 channels of a head: it
// convolves the whole head (cheap), then its simdgroups share the rows of the gate blocks. The rows
// are asked for before the convolution, so that the two wait for memory together.
// Launch: threads (32, ROWS), threadgroups (batch * groups of a head, heads).
uint lane = thread_position_in_threadgroup.x;
uint part = thread_position_in_threadgroup.y;
uint head = threadgroup_position_in_grid.y;
int width = tail_shape[2];
uint groups = (BLOCK + 31) / 32;
uint b = threadgroup_position_in_grid.x / groups;
int column = int((threadgroup_position_in_grid.x % groups) * 32 + lane);
bool real = column < BLOCK;
int o = metal::min(column, BLOCK - 1);
int own = int(head) * BLOCK + o;

threadgroup float z[BLOCK];
threadgroup float input_part[ROWS * 32];
threadgroup float recurrent_part[ROWS * 32];

float input_rows[EACH];
float recurrent_rows[EACH];
uint weights = head * BLOCK * BLOCK + o;
#pragma unroll
for (int k = 0; k < EACH; k++) {
    int e = metal::min(int(part) + k * ROWS, BLOCK - 1);
    input_rows[k] = float(input_weight[weights + e * BLOCK]);
    recurrent_rows[k] = float(recurrent_weight[weights + e * BLOCK]);
}
// What the last part needs.
float input_b = float(input_bias[own]);
float recurrent_b = float(recurrent_bias[own]);
float parameter = float(recurrent_param[own]);
float before = float(h[b * width + own]);
float branch = float(product[b * 2 * width + width + own]) + float(product_bias[width + own]);

for (int e = int(part) * 32 + int(lane); e < BLOCK; e += ROWS * 32) {
    int d = int(head) * BLOCK + e;
    float sum = float(conv_bias[d]);
#pragma unroll
    for (int k = 0; k < TAPS - 1; k++) {
        sum += float(tail[(b * (TAPS - 1) + k) * width + d]) * float(conv_weight[d * TAPS + k]);
    }
    float now = float(T(float(product[b * 2 * width + d]) + float(product_bias[d])));
    sum += now * float(conv_weight[d * TAPS + TAPS - 1]);
    z[e] = float(T(sum));
}
threadgroup_barrier(mem_flags::mem_threadgroup);
float input_sum = 0.0f;
float recurrent_sum = 0.0f;
#pragma unroll
for (int k = 0; k < EACH; k++) {
    int e = int(part) + k * ROWS;
    float value = (e < BLOCK) ? z[metal::min(e, BLOCK - 1)] : 0.0f;
    input_sum += value * input_rows[k];
    recurrent_sum += value * recurrent_rows[k];
}
input_part[int(part) * 32 + int(lane)] = input_sum;
recurrent_part[int(part) * 32 + int(lane)] = recurrent_sum;
threadgroup_barrier(mem_flags::mem_threadgroup);
if (real && part == 0) {
    input_sum = 0.0f;
    recurrent_sum = 0.0f;
#pragma unroll
    for (int s = 0; s < ROWS; s++) {
        input_sum += input_part[s * 32 + int(lane)];
        recurrent_sum += recurrent_part[s * 32 + int(lane)];
    }
    // Rounded as the product of a longer chunk is.
    float input_gate = float(T(input_sum)) + input_b;
    float recurrent_gate = float(T(recurrent_sum)) + recurrent_b;
    float p = rg_forget<false>(-8.0f * rg_softplus(parameter) * rg_sigmoid<false>(recurrent_gate));
    float scale = (first[b] != 0) ? 1.0f : metal::precise::sqrt(p * (2.0f - p));
    float state = (1.0f - p) * before + scale * rg_sigmoid<false>(input_gate) * z[o];
    new_h[b * width + own] = state;
    y[b * width + own] = T(state * rg_gelu(branch));
    for (int k = 0; k < TAPS - 2; k++) {
        new_tail[(b * (TAPS - 1) + k) * width + own] = tail[(b * (TAPS - 1) + k + 1) * width + own];
    }
    new_tail[(b * (TAPS - 1) + TAPS - 2) * width + own] =
        T(float(product[b * 2 * width + own]) + float(product_bias[own]));
}
