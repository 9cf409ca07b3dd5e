// Depthwise causal convolution of a chunk, its new tail, and the bias of the projection before it.
// The input is the first half of a joined product [batch, time, 2 * width]; the output is cut into the
// blocks that the gates multiply, [batch, blocks, time, BLOCK]. One thread an output. PACKED: rows hold several
// sequences, positions says where in its own a step is, and no step sees another sequence's.
// Launch: threads (128), threadgroups (batch * time, width / 128).
int width = tail_shape[2];
int taps = weight_shape[1];
int time = product_shape[1];
int d = int(threadgroup_position_in_grid.y * 128 + thread_position_in_threadgroup.x);
uint b = threadgroup_position_in_grid.x / uint(time);
int t = int(threadgroup_position_in_grid.x % uint(time));
if (d < width) {
    size_t row = size_t(b) * time;
    int place = PACKED ? positions[row + t] : taps;
    size_t tail_row = size_t(b) * (taps - 1);
    float bias = float(product_bias[d]);
    float sum = float(conv_bias[d]);
    for (int k = 0; k < taps; k++) {
        int source = t + k - (taps - 1);
        // Rounded as the tail keeps it, so that a cut in the text changes nothing.
        float value = (source < 0) ? float(tail[(tail_row + source + taps - 1) * width + d])
                                   : float(T(float(product[(row + source) * 2 * width + d]) + bias));
        sum += (t - source <= place) ? value * float(weight[d * taps + k]) : 0.0f;
    }
    int block = d / BLOCK;
    z[((size_t(b) * (width / BLOCK) + block) * time + t) * BLOCK + (d - block * BLOCK)] = T(sum);
    if (t == 0) {
        for (int k = 0; k < taps - 1; k++) {
            int source = lengths[b] + k - (taps - 1);
            new_tail[(tail_row + k) * width + d] =
                (source < 0) ? T(float(tail[(tail_row + source + taps - 1) * width + d]))
                             : T(float(product[(row + source) * 2 * width + d]) + bias);
        }
    }
}
