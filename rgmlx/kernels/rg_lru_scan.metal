// RG-LRU over a chunk: 32 channels across the lanes, time in SEGMENTS of STEPS steps side by side.
// A thread runs its steps from a zero state and keeps the product of its decays; the segments' ends
// meet in threadgroup memory, and every thread derives from them the state that its steps started from.
// With one segment this is the plain loop over time. The last steps of a chunk that STEPS does not divide are done
// by a thread that begins earlier and leaves out what is done, so T >= STEPS.
// PACKED: rows hold several sequences; where positions is 0 one begins, and the state before is forgotten.
// Launch: threads (32, SEGMENTS), threadgroups (batch * WIDTH / 32).
uint lane = thread_position_in_threadgroup.x;
uint segment = thread_position_in_threadgroup.y;
uint groups = uint(WIDTH + 31) / 32;
uint b = threadgroup_position_in_grid.x / groups;
int time = x_shape[2];
int channel = int(threadgroup_position_in_grid.x % groups * 32 + lane);
bool real = WIDTH % 32 == 0 || channel < WIDTH;
int d = metal::min(channel, WIDTH - 1);
int head = d / BLOCK;
int length = lengths[b];

// Two halves, used in turn: one barrier a round is then enough.
threadgroup float ends[2 * SEGMENTS * 32 * 2];

float input_b = float(input_bias[d]);
float recurrent_b = float(recurrent_bias[d]);
float rate = -8.0f * rg_softplus(float(recurrent_param[d]));
float branch_b = GATED ? float(branch_bias[WIDTH + d]) : 0.0f;
bool starts = first[b] != 0 && length > 0;
float carry = float(h[b * WIDTH + d]);
size_t position_at = size_t(b) * time;
size_t at = size_t(b) * time * WIDTH + d;
size_t gate_at = (size_t(b) * (WIDTH / BLOCK) + head) * time * BLOCK + (d - head * BLOCK);
size_t branch_at = size_t(b) * time * 2 * WIDTH + WIDTH + d;
int half_index = 0;

// The next round's numbers are asked for before this round's are used.
T recurrent[STEPS];
T input[STEPS];
T value[STEPS];
int latest = time - STEPS;
#define RG_ASK(FROM)                                     \
    _Pragma("unroll") for (int k = 0; k < STEPS; k++) {  \
        size_t gate = gate_at + size_t(FROM) * BLOCK;    \
        recurrent[k] = recurrent_gate[gate + k * BLOCK]; \
        input[k] = input_gate[gate + k * BLOCK];         \
        value[k] = x[gate + k * BLOCK];                  \
    }
RG_ASK(metal::min(int(segment) * STEPS, latest))

for (int t0 = 0; t0 < time; t0 += SEGMENTS * STEPS) {
    int start = t0 + int(segment) * STEPS;
    int from = metal::min(start, latest);
    int done = start - from;
    int end = length - from;
    float state[STEPS];
    float decay[STEPS];
#pragma unroll
    for (int k = 0; k < STEPS; k++) {
        decay[k] = rg_sigmoid<FAST>(float(recurrent[k]) + recurrent_b);
        state[k] = rg_sigmoid<FAST>(float(input[k]) + input_b) * float(value[k]);
    }
    RG_ASK(metal::min(start + SEGMENTS * STEPS, latest))
    float running = 0.0f;
    float product = 1.0f;
#pragma unroll
    for (int k = 0; k < STEPS; k++) {
        // A step done before or padded has rate 0, thus a = 1 and a scale of 0: it leaves the state as it is.
        bool counts = k >= done && k < end;
        float log_a = (counts ? rate : 0.0f) * decay[k];
        float p = rg_forget<FAST>(log_a);
        float a = 1.0f - p;
        float scale = rg_root<FAST>(p * (2.0f - p));
        if (PACKED) {
            bool opens = counts && positions[position_at + from + k] == 0;
            a = opens ? 0.0f : a;
            scale = opens ? 1.0f : scale;
        } else if (k == 0) {
            scale = (starts && start == 0) ? 1.0f : scale;
        }
        running = metal::fma(a, running, scale * state[k]);
        product = a * product;
        state[k] = running;
        decay[k] = product;
    }
    T other[STEPS];
    if (GATED) {
#pragma unroll
        for (int k = 0; k < STEPS; k++) {
            other[k] = branch[branch_at + size_t(from) * 2 * WIDTH + k * 2 * WIDTH];
        }
    }
    int base = (half_index * SEGMENTS * 32 + int(lane)) * 2;
    ends[base + int(segment) * 64] = product;
    ends[base + int(segment) * 64 + 1] = running;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    float before = carry;
#pragma unroll
    for (int s = 0; s < SEGMENTS; s++) {
        before = (s == int(segment)) ? carry : before;
        carry = metal::fma(ends[base + s * 64], carry, ends[base + s * 64 + 1]);
    }
    half_index = 1 - half_index;
    size_t here = at + size_t(from) * WIDTH;
    int unwritten = real ? done : STEPS;
#pragma unroll
    for (int k = 0; k < STEPS; k++) {
        if (k >= unwritten) {
            float out = metal::fma(decay[k], before, state[k]);
            y[here + k * WIDTH] = U(GATED ? out * rg_gelu(float(other[k]) + branch_b) : out);
        }
    }
}
if (real && segment == 0) {
    last[b * WIDTH + d] = carry;
}
