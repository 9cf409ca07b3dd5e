// The gradient of rg_lru_scan, as the same scan run backwards. With g the gradient of a state,
//     g_t = dy_t + c_t,   c_{t-1} = a_t * g_t,   c at the end = gradient of the last state,
// c obeys a linear recurrence like the state's own. States come from the forward pass (float32).
// PACKED: as in the forward pass. Launch: threads (32, SEGMENTS), threadgroups (batch * width / 32).
uint lane = thread_position_in_threadgroup.x;
uint segment = thread_position_in_threadgroup.y;
int block = x_shape[3];
int time = x_shape[2];
int width = x_shape[1] * block;
uint groups = uint(width + 31) / 32;
uint b = threadgroup_position_in_grid.x / groups;
int channel = int(threadgroup_position_in_grid.x % groups * 32 + lane);
bool real = channel < width;
int d = metal::min(channel, width - 1);
int head = d / block;
int length = lengths[b];

threadgroup float end_decay[2 * SEGMENTS * 32];
threadgroup float end_state[2 * SEGMENTS * 32];

float input_b = float(input_bias[d]);
float recurrent_b = float(recurrent_bias[d]);
float parameter = float(recurrent_param[d]);
float rate = -8.0f * rg_softplus(parameter);
bool starts = first[b] != 0;
float carry = float(d_last[b * width + d]);
size_t row = size_t(b) * time;
size_t gate_row = (size_t(b) * x_shape[1] + head) * time;
int gate_column = d - head * block;
float d_rate = 0.0f;
float d_input = 0.0f;
float d_recurrent = 0.0f;
int half_index = 0;

for (int t0 = 0; t0 < time; t0 += SEGMENTS * STEPS) {
    int start = t0 + int(segment) * STEPS;
    float state[STEPS];
    float decay[STEPS];
    float running = 0.0f;
    float product = 1.0f;
#pragma unroll
    for (int k = 0; k < STEPS; k++) {
        int t = time - 1 - (start + k);
        int seen = metal::max(t, 0);
        size_t gate = (gate_row + seen) * block + gate_column;
        float a = 1.0f - rg_forget<false>(rate * rg_sigmoid<false>(float(recurrent_gate[gate]) + recurrent_b));
        a = (t < length && t >= 0) ? a : 1.0f;
        a = (PACKED && t >= 0 && positions[row + seen] == 0) ? 0.0f : a;
        float dy = (t >= 0) ? float(d_y[(row + seen) * width + d]) : 0.0f;
        // What reaches step t from later ones, before it is added to dy.
        state[k] = running;
        decay[k] = product;
        running = a * (dy + running);
        product = a * product;
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
    for (int k = 0; k < STEPS; k++) {
        int t = time - 1 - (start + k);
        if (real && t >= 0) {
            size_t here = (row + t) * width + d;
            size_t gate = (gate_row + t) * block + gate_column;
            float dx = 0.0f;
            float di = 0.0f;
            float dr = 0.0f;
            if (t < length) {
                float g = float(d_y[here]) + decay[k] * before + state[k];
                float r = rg_sigmoid<false>(float(recurrent_gate[gate]) + recurrent_b);
                float i = rg_sigmoid<false>(float(input_gate[gate]) + input_b);
                float value = float(x[gate]);
                float p = rg_forget<false>(rate * r);
                float a = 1.0f - p;
                float square = p * (2.0f - p);
                bool opens = PACKED ? positions[row + t] == 0 : starts && t == 0;
                float scale = opens ? 1.0f : metal::precise::sqrt(square);
                float previous = (t > 0) ? float(y[here - width]) : float(h[b * width + d]);
                float d_scale = opens ? 0.0f : g * i * value;
                // The derivative of the root is bounded by 1000, as DeepMind's.
                float root = metal::precise::sqrt(metal::max(4.0f * square, 1.0e-6f));
                float d_log_a = g * previous * a - d_scale * 2.0f * a * a / root;
                d_log_a = (PACKED && opens) ? 0.0f : d_log_a;  // there a is 0, whatever the gate says
                dx = g * scale * i;
                di = g * scale * value * i * (1.0f - i);
                dr = d_log_a * rate * r * (1.0f - r);
                d_rate += d_log_a * r;
                d_input += di;
                d_recurrent += dr;
            }
            d_x[gate] = U(dx);
            d_input_gate[gate] = U(di);
            d_recurrent_gate[gate] = U(dr);
        }
    }
}
// The last round's exchange may still be read by another segment.
threadgroup_barrier(mem_flags::mem_threadgroup);
end_decay[int(segment) * 32 + int(lane)] = d_rate;
end_decay[(SEGMENTS + int(segment)) * 32 + int(lane)] = d_input;
end_state[int(segment) * 32 + int(lane)] = d_recurrent;
threadgroup_barrier(mem_flags::mem_threadgroup);
if (real && segment == 0) {
    d_rate = 0.0f;
    d_input = 0.0f;
    d_recurrent = 0.0f;
    for (int s = 0; s < SEGMENTS; s++) {
        d_rate += end_decay[s * 32 + int(lane)];
        d_input += end_decay[(SEGMENTS + s) * 32 + int(lane)];
        d_recurrent += end_state[s * 32 + int(lane)];
    }
    d_recurrent_param[b * width + d] = -8.0f * rg_sigmoid<false>(parameter) * d_rate;
    d_input_bias[b * width + d] = d_input;
    d_recurrent_bias[b * width + d] = d_recurrent;
    d_h[b * width + d] = carry;
}
