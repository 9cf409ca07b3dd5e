// RG-LRU over a chunk: 32 channels across the lanes, time in SEGMENTS of STEPS steps side by side.
// A thread runs its steps from a zero state and keeps the product of its decays; the segments' ends
// meet in threadgroup memory, and every thread derives from them the state that its steps started from.
// With one segment this is the plain loop over time. Launch: threads (32, SEGMENTS), grid (channels, SEGMENTS, batch).
uint lane = thread_position_in_threadgroup.x;
uint segment = thread_position_in_threadgroup.y;
uint b = thread_position_in_grid.z;
int width = x_shape[2];
int time = x_shape[1];
int block = input_gate_shape[3];
int channel = int(thread_position_in_grid.x);
bool real = channel < width;
int d = metal::min(channel, width - 1);
int head = d / block;
int length = lengths[b];

// Two halves, used in turn: one barrier a round is then enough.
threadgroup float end_decay[2 * SEGMENTS * 32];
threadgroup float end_state[2 * SEGMENTS * 32];

float input_b = float(input_bias[d]);
float recurrent_b = float(recurrent_bias[d]);
float rate = -8.0f * rg_softplus(float(recurrent_param[d]));
float branch_b = GATED ? float(branch_bias[width + d]) : 0.0f;
bool starts = first[b] != 0;
float carry = float(h[b * width + d]);
size_t row = size_t(b) * time;
size_t gate_row = (size_t(b) * input_gate_shape[1] + head) * time;
int gate_column = d - head * block;
int half_index = 0;

for (int t0 = 0; t0 < time; t0 += SEGMENTS * STEPS) {
    int start = t0 + int(segment) * STEPS;
    float state[STEPS];
    float decay[STEPS];
    float running = 0.0f;
    float product = 1.0f;
#pragma unroll
    for (int k = 0; k < STEPS; k++) {
        int t = start + k;
        int seen = metal::min(t, time - 1);
        size_t gate = (gate_row + seen) * block + gate_column;
        float log_a = rate * rg_sigmoid(float(recurrent_gate[gate]) + recurrent_b);
        float a = metal::precise::exp(log_a);
        float square = rg_one_minus_square(a, log_a);
        float scale = (starts && t == 0) ? 1.0f : metal::precise::sqrt(square);
        float u = scale * rg_sigmoid(float(input_gate[gate]) + input_b) * float(x[(row + seen) * width + d]);
        // A padded step leaves the state as it is.
        a = (t < length) ? a : 1.0f;
        u = (t < length) ? u : 0.0f;
        running = a * running + u;
        product = a * product;
        state[k] = running;
        decay[k] = product;
    }
    int base = half_index * SEGMENTS * 32 + int(lane);
    end_decay[base + int(segment) * 32] = product;
    end_state[base + int(segment) * 32] = running;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    float before = carry;
#pragma unroll
    for (int s = 0; s < SEGMENTS; s++) {
        before = (s == int(segment)) ? carry : before;
        carry = end_decay[base + s * 32] * carry + end_state[base + s * 32];
    }
    half_index = 1 - half_index;
#pragma unroll
    for (int k = 0; k < STEPS; k++) {
        int t = start + k;
        if (real && t < time) {
            float value = decay[k] * before + state[k];
            if (GATED) {
                value = value * rg_gelu(float(branch[(row + t) * 2 * width + width + d]) + branch_b);
            }
            y[(row + t) * width + d] = U(value);
        }
    }
}
if (real && segment == 0) {
    last[b * width + d] = carry;
}
