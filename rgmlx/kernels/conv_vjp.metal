// The gradient of conv on rows of several sequences, which need no tail; of the parameters a sum for each STEPS steps.
// The second half of the joined product is not convolved: its gradient here is zero.
// Launch: threads (128), threadgroups (batch * time / STEPS, width / 128).
int width = conv_bias_shape[0];
int time = product_shape[1];
uint chunks = uint(time + STEPS - 1) / STEPS;
uint b = threadgroup_position_in_grid.x / chunks;
int begin = int(threadgroup_position_in_grid.x % chunks) * STEPS;
int d = int(threadgroup_position_in_grid.y * 128 + thread_position_in_threadgroup.x);
if (d < width) {
    size_t row = size_t(b) * time;
    int block = d / BLOCK;
    size_t z_at = (size_t(b) * (width / BLOCK) + block) * time * BLOCK + (d - block * BLOCK);
    float bias = float(product_bias[d]);
    float taps[TAPS];
    float tap_sums[TAPS];
#pragma unroll
    for (int k = 0; k < TAPS; k++) {
        taps[k] = float(weight[d * TAPS + k]);
        tap_sums[k] = 0.0f;
    }
    float bias_sum = 0.0f;
    float product_sum = 0.0f;
    int end = metal::min(begin + STEPS, time);
    for (int t = begin; t < end; t++) {
        int place = positions[row + t];
        float own = float(d_z[z_at + size_t(t) * BLOCK]);
        float sum = 0.0f;
#pragma unroll
        for (int k = 0; k < TAPS; k++) {
            int back = TAPS - 1 - k;
            // What step t had of step t - back, and what step t + back had of it.
            int source = metal::max(t - back, 0);
            float value = float(T(float(product[(row + source) * 2 * width + d]) + bias));
            tap_sums[k] += (back <= place) ? own * value : 0.0f;
            int later = metal::min(t + back, time - 1);
            float theirs = float(d_z[z_at + size_t(later) * BLOCK]);
            sum += (t + back < time && back <= positions[row + later]) ? theirs * taps[k] : 0.0f;
        }
        bias_sum += own;
        product_sum += sum;
        d_product[(row + t) * 2 * width + d] = T(sum);
        d_product[(row + t) * 2 * width + width + d] = T(0.0f);
    }
    size_t out = size_t(threadgroup_position_in_grid.x) * width + d;
    d_conv_bias[out] = bias_sum;
    d_product_bias[out] = product_sum;
#pragma unroll
    for (int k = 0; k < TAPS; k++) {
        d_weight[out * TAPS + k] = tap_sums[k];
    }
}
