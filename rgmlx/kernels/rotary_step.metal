// One token: queries, keys and values out of their joined product, turned by the token's angles, and the
// rings of keys and values with the new row in its slot. A simdgroup a row of a head.
// place: cosines, sines, slot, keys held. Launch: threads (32, 8), threadgroups (batch * rows / 8).
uint lane = thread_position_in_threadgroup.x;
int held = ring_keys_shape[2];
int ring_rows = KEYS * held;
uint groups = uint(QUERIES + 2 * ring_rows + 7) / 8;
uint b = threadgroup_position_in_grid.x / groups;
int row = int((threadgroup_position_in_grid.x % groups) * 8 + thread_position_in_threadgroup.y);
int columns = place_shape[1];
int half_turn = (columns - 2) / 2;
int slot = int(place[b * columns + columns - 2]);
bool is_query = row < QUERIES;
bool is_key = row < QUERIES + ring_rows;
int ring_row = is_query ? 0 : (is_key ? row - QUERIES : row - QUERIES - ring_rows);
bool real = row < QUERIES + 2 * ring_rows;
bool fresh = is_query || ring_row % held == slot;
int group = ring_row / held;
int head = is_query ? row : (is_key ? QUERIES + group : QUERIES + KEYS + group);
uint from = (b * (QUERIES + 2 * KEYS) + head) * SIZE;
#pragma unroll
for (int k = 0; k < (SIZE + 31) / 32; k++) {
    int e = int(lane) + k * 32;
    if (real && e < SIZE) {
        uint at = (b * ring_rows + ring_row) * SIZE + e;
        if (fresh) {
            float value = float(product[from + e]) + (BIAS ? float(bias[head * SIZE + e]) : 0.0f);
            if (is_key && e < 2 * half_turn) {
                bool low = e < half_turn;
                int partner = low ? e + half_turn : e - half_turn;
                int angle = low ? e : partner;
                float other = float(product[from + partner]) + (BIAS ? float(bias[head * SIZE + partner]) : 0.0f);
                // Both rounded first, as separate operations would.
                value = float(T(value));
                other = float(T(other));
                float c = place[b * columns + angle];
                float s = place[b * columns + half_turn + angle];
                value = value * c + (low ? -other * s : other * s);
            }
            if (is_query) {
                query[(b * QUERIES + head) * SIZE + e] = T(value);
            } else if (is_key) {
                keys[at] = T(value);
            } else {
                values[at] = T(value);
            }
        } else if (is_key) {
            keys[at] = ring_keys[at];
        } else {
            values[at] = ring_values[at];
        }
    }
}
