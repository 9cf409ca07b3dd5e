// One token through a recurrent block, between its two projections: convolution, both gates, RG-LRU,
// and the product with the gelu branch, in one launch. A threadgroup owns 32 channels of a head: it
// convolves the whole head (cheap), then its simdgroups share the rows of the gate blocks.
// Launch: threads (32, ROWS), grid (32 * groups of a head, ROWS * heads, batch).
uint lane = thread_position_in_threadgroup.x;
uint part = thread_position_in_threadgroup.y;
uint head = threadgroup_position_in_grid.y;
uint b = thread_position_in_grid.z;
int width = tail_shape[2];
int column = int(thread_position_in_grid.x);
bool real = column < BLOCK;
int o = metal::min(column, BLOCK - 1);

threadgroup float z[BLOCK];
threadgroup float input_part[ROWS * 32];
threadgroup float recurrent_part[ROWS * 32];

for (int e = int(part) * 32 + int(lane); e < BLOCK; e += ROWS * 32) {
    int d = int(head) * BLOCK + e;
    float sum = float(conv_bias[d]);
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
size_t weights = size_t(head) * BLOCK * BLOCK + o;
#pragma unroll 8
for (int e = int(part); e < BLOCK; e += ROWS) {
    input_sum += z[e] * float(input_weight[weights + e * BLOCK]);
    recurrent_sum += z[e] * float(recurrent_weight[weights + e * BLOCK]);
}
input_part[int(part) * 32 + int(lane)] = input_sum;
recurrent_part[int(part) * 32 + int(lane)] = recurrent_sum;
threadgroup_barrier(mem_flags::mem_threadgroup);
if (real && part == 0) {
    int d = int(head) * BLOCK + o;
    input_sum = 0.0f;
    recurrent_sum = 0.0f;
    for (int s = 0; s < ROWS; s++) {
        input_sum += input_part[s * 32 + int(lane)];
        recurrent_sum += recurrent_part[s * 32 + int(lane)];
    }
    // Rounded as the product of a longer chunk is.
    float input_gate = float(T(input_sum)) + float(input_bias[d]);
    float recurrent_gate = float(T(recurrent_sum)) + float(recurrent_bias[d]);
    float log_a = -8.0f * rg_softplus(float(recurrent_param[d])) * rg_sigmoid(recurrent_gate);
    float a = metal::precise::exp(log_a);
    float square = rg_one_minus_square(a, log_a);
    float scale = (first[b] != 0) ? 1.0f : metal::precise::sqrt(square);
    float state = a * float(h[b * width + d]) + scale * rg_sigmoid(input_gate) * z[o];
    float branch = float(product[b * 2 * width + width + d]) + float(product_bias[width + d]);
    new_h[b * width + d] = state;
    y[b * width + d] = T(state * rg_gelu(branch));
    for (int k = 0; k < TAPS - 2; k++) {
        new_tail[(b * (TAPS - 1) + k) * width + d] = tail[(b * (TAPS - 1) + k + 1) * width + d];
    }
    if (TAPS > 1) {
        new_tail[(b * (TAPS - 1) + TAPS - 2) * width + d] =
            T(float(product[b * 2 * width + d]) + float(product_bias[d]));
    }
}
