// The gradient of gelu_product of two halves side by side, and the bias's, a sum for each ROWS rows.
// One thread a column of each half. BATCH rows are asked for before any is used.
// Launch: threads (256), threadgroups (rows / ROWS, WIDTH / 256).
int d = int(threadgroup_position_in_grid.y * 256 + thread_position_in_threadgroup.x);
uint chunk = threadgroup_position_in_grid.x;
int rows = d_y_shape[0];
if (d < WIDTH) {
    float first_bias = float(bias[d]);
    float second_bias = float(bias[WIDTH + d]);
    float first_sum = 0.0f;
    float second_sum = 0.0f;
    for (int n = 0; n < ROWS; n += BATCH) {
        int begin = int(chunk) * ROWS + n;
        float first[BATCH];
        float second[BATCH];
        float dy[BATCH];
#pragma unroll
        for (int k = 0; k < BATCH; k++) {
            size_t row = size_t(metal::min(begin + k, rows - 1));
            first[k] = float(joined[row * 2 * WIDTH + d]) + first_bias;
            second[k] = float(joined[row * 2 * WIDTH + WIDTH + d]) + second_bias;
            dy[k] = float(d_y[row * WIDTH + d]);
        }
#pragma unroll
        for (int k = 0; k < BATCH; k++) {
            if (begin + k < rows) {
                float x = first[k];
                // gelu(x) is x s, with s = sigmoid(z).
                float s = rg_sigmoid<false>(1.5957691216057308f * (x + 0.044715f * x * x * x));
                float slope = s + x * s * (1.0f - s) * 1.5957691216057308f * (1.0f + 0.134145f * x * x);
                float d_first = dy[k] * second[k] * slope;
                float d_second = dy[k] * x * s;
                size_t at = size_t(begin + k) * 2 * WIDTH + d;
                d_joined[at] = T(d_first);
                d_joined[at + WIDTH] = T(d_second);
                first_sum += d_first;
                second_sum += d_second;
            }
        }
    }
    d_bias[size_t(chunk) * 2 * WIDTH + d] = first_sum;
    d_bias[size_t(chunk) * 2 * WIDTH + WIDTH + d] = second_sum;
}
